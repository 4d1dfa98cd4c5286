"""What a person does with a tracking server, and what a reader of it holds: for tests of mlflow."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from graph_schema.claims import Claim, Links, States
from ingestors.registry import build
from ingestors.source import Item
from ingestors.sources.mlflow import MLflowSource
from tests.tool_venvs import MLflowServer

SECOND = 1_000_000


class Tracking:
    """What a person does with a tracking server, by its REST API, in an experiment of its own."""

    def __init__(self, server: MLflowServer) -> None:
        self.server = server
        self.client = httpx.Client(base_url=server.url, timeout=30, trust_env=False)
        self.name = f"exp-{uuid.uuid4().hex[:8]}"
        self.experiment = self.call("POST", "experiments/create", name=self.name)["experiment_id"]

    def call(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        url = f"/api/2.0/mlflow/{path}"
        if method == "GET":
            answer = self.client.get(url, params=body)
        else:
            answer = self.client.request(method, url, json=body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def run(
        self,
        name: str = "r",
        start: int | None = None,
        end: int | None = None,
        status: str = "FINISHED",
        tags: dict[str, str] | None = None,
    ) -> str:
        start = int(time.time() * 1000) if start is None else start
        listed = [{"key": k, "value": v} for k, v in (tags or {}).items()]
        body = {"experiment_id": self.experiment, "run_name": name, "start_time": start, "tags": listed}
        run_id: str = self.call("POST", "runs/create", **body)["run"]["info"]["run_id"]
        if status != "RUNNING":
            end = start + 1000 if end is None else end
            self.call("POST", "runs/update", run_id=run_id, status=status, end_time=end)
        return run_id

    def tag(self, run_id: str, key: str, value: str) -> None:
        self.call("POST", "runs/set-tag", run_id=run_id, key=key, value=value)

    def metric(self, run_id: str, key: str, value: Any, **more: Any) -> None:
        body = {"run_id": run_id, "key": key, "value": value, "timestamp": 1, "step": 0, **more}
        self.call("POST", "runs/log-metric", **body)

    def read(self, run_id: str, name: str, source: str, kind: str = "local", **tags: str) -> None:
        dataset = {"name": name, "digest": "d1g3st", "source_type": kind, "source": source}
        listed = [{"key": k.replace("__", "."), "value": v} for k, v in tags.items()]
        self.call("POST", "runs/log-inputs", run_id=run_id, datasets=[{"dataset": dataset, "tags": listed}])

    def upload(self, place: str, text: str) -> None:
        answer = self.client.put(
            f"/api/2.0/mlflow-artifacts/artifacts/{self.experiment}/{place}", content=text
        )
        assert answer.is_success, answer.text

    def logged_model(
        self, run_id: str | None, requirements: str | None = "numpy==2.4.0\n", **tags: str
    ) -> str:
        body: dict[str, Any] = {"experiment_id": self.experiment, "name": "model"}
        if run_id:
            body["source_run_id"] = run_id
        body["tags"] = [{"key": k, "value": v} for k, v in tags.items()]
        model: str = self.call("POST", "logged-models", **body)["model"]["info"]["model_id"]
        if requirements is not None:
            self.upload(f"models/{model}/artifacts/requirements.txt", requirements)
            self.upload(f"models/{model}/artifacts/python_env.yaml", "python: 3.11.7\ndependencies: []\n")
        self.call("PATCH", f"logged-models/{model}", model_id=model, status="LOGGED_MODEL_READY")
        return model

    def registered(self, name: str, *sources: tuple[str, str]) -> str:
        name = f"{name}-{uuid.uuid4().hex[:6]}"
        self.call("POST", "registered-models/create", name=name)
        for source, run_id in sources:
            self.version(name, source, run_id)
        return name

    def version(self, name: str, source: str, run_id: str) -> None:
        body = {"name": name, "source": source, "run_id": run_id}
        if source.startswith("models:/m-"):
            body["model_id"] = source.removeprefix("models:/")
        self.call("POST", "model-versions/create", **body)

    def alias(self, name: str, alias: str, version: str) -> None:
        self.call("POST", "registered-models/alias", name=name, alias=alias, version=version)


class Reader:
    """Pulls as the loop does, and holds the records."""

    def __init__(self, tracking: Tracking, **config: Any) -> None:
        table = {"type": "mlflow", "name": "tracking", "tracking_uri": tracking.server.url, **config}
        table.setdefault("include", [tracking.name])
        source = build(table, Path.cwd())
        assert isinstance(source, MLflowSource)
        self.source = source
        self.cursor: Any = None
        self.now = 0
        self.items: dict[str, Item] = {}
        self.gone: set[str] = set()
        self.last: list[Item] = []
        self.complete: dict[str, frozenset[str]] | None = None

    def pull(self, *, full: bool = False, sweep: bool = False, at_once: bool = False) -> list[str]:
        """Keys of what differs from what was held. ``at_once``: too soon for a sweep."""
        cursor = self.source.restart(self.cursor) if full else self.cursor
        self.now = self.now + 1 if at_once else max(self.now + 1, int(time.time() * SECOND))
        if sweep:
            self.now = max(self.now, cursor["swept"] + 7 * 3600 * SECOND)
        self.last, self.complete, changed = [], None, []
        for page in self.source.pull(cursor, now=self.now):
            self.cursor = cursor = page.cursor
            self.last += page.items
            for item in page.items:
                held = self.items.get(item.key)
                if held is None or self.source.to_claims(held) != self.source.to_claims(item):
                    changed.append(item.key)
                self.items[item.key] = item
                self.gone.discard(item.key)
            for keys in (page.gone or {}).values():
                self.gone |= keys & self.items.keys()
            if page.complete is not None:
                self.complete = dict(page.complete)
                for type_name, keys in page.complete.items():
                    held_keys = {k for k, i in self.items.items() if i.type == type_name}
                    absent = held_keys - keys - self.gone
                    self.gone |= absent - (self.source.get(type_name, sorted(absent)) or frozenset())
        return changed

    def claims(self, key: str) -> Sequence[Claim]:
        return self.source.to_claims(self.items[key])

    def properties(self, key: str) -> dict[str, Any]:
        (found,) = [c.properties for c in self.claims(key) if isinstance(c, States)]
        return found

    def edges(self) -> set[tuple[str, str, str]]:
        every = (c for key in self.items for c in self.claims(key))
        return {(c.src, c.kind.value, c.dst) for c in every if isinstance(c, Links)}


def version_id(name: str, number: int) -> str:
    return f"mlflow.model_version@tracking={name}/{number}"
