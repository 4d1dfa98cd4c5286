"""Questions that cost a request each: error texts and environments among artifacts, models that a run read.

Each is asked once and remembered as answered in the cursor; what one pull does not get to, the next does.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graph_schema.times import Micros
from ingestors.source import Item, SourceError
from ingestors.sources.mlflow import shape
from ingestors.sources.mlflow.api import Api, Json
from ingestors.sources.mlflow.state import Questions, State

#: Names under which people log what went wrong at the top of a run's artifacts, the best first.
ERROR_FILES = (
    "error.txt", "traceback.txt", "exception.txt", "error.log", "traceback.log", "error", "traceback",
)  # fmt: skip
FAILED = frozenset({"FAILED", "KILLED"})
#: Bytes read of a text, and characters kept of an error: its end, where the message is.
_READ, _KEPT = 256 * 1024, 20_000
#: What ended longer ago than this many milliseconds gets no more files.
_SETTLED = 10 * 60 * 1_000
#: Artifacts may lie where the server cannot read them: after this many failures they are left for later.
_FAILURES = 3
_PYTHON = re.compile(r"^python:\s*['\"]?([\w.+-]+)", re.MULTILINE)
_PACKAGES = 2_000


class Asking:
    """Collects questions while a pull reads runs and models, then asks them."""

    def __init__(self, api: Api, state: State, now: Micros) -> None:
        self.api = api
        self.state = state
        self.now = now
        self._failures = 0

    def about_run(self, data: Mapping[str, Any], told: bool) -> list[Item]:
        """Note what a run makes worth asking; ``told``: a tag says the error. Returns what is taken back."""
        run_id, errors = data["id"], self.state.errors
        if data["status"] not in FAILED:
            if errors.answered(run_id):
                # It failed, and was resumed.
                errors.forget(run_id)
                return [self._item("run_error", "error", {"run": run_id, "text": "", "path": ""})]
        elif not told and data["stage"] != "deleted":
            errors.want(run_id, data["end"])
        return []

    def about_model(self, data: Mapping[str, Any], raw: Json) -> None:
        """Note what a logged model makes worth asking: its environment, and the runs that evaluated it."""
        external = data["tags"].get("mlflow.model.isExternal") == "true"
        if data["status"] in ("READY", "FAILED", "") and not external:
            self.state.environments.want(data["id"], data["run"], data["created"])
        for metric in (raw.get("data") or {}).get("metrics") or ():
            run_id = metric.get("run_id")
            if run_id and run_id != data["run"]:
                self.state.inputs.want(run_id)

    def pages(self, limit: int, size: int) -> Iterator[list[Item]]:
        """Answers, ``size`` questions at a time, at most ``limit`` of each sort."""
        sorts: list[tuple[Questions, Callable[..., tuple[Item | None, bool]]]] = [
            (self.state.errors, self._error),
            (self.state.environments, self._environment),
            (self.state.inputs, self._inputs),
        ]
        for questions, ask in sorts:
            self._failures = 0
            due = list(questions.waiting[:limit])
            for start in range(0, len(due), size):
                items = self._answers(questions, ask, due[start : start + size])
                if items:
                    yield items

    def _answers(
        self, questions: Questions, ask: Callable[..., tuple[Item | None, bool]], due: list[list[Any]]
    ) -> list[Item]:
        items = []
        for entry in due:
            if self._failures >= _FAILURES:
                break
            try:
                item, final = ask(*entry)
            except SourceError:
                # Not worth losing the pull: it is asked again the next time.
                self._failures += 1
                continue
            self._failures = 0
            questions.answer(entry[0], final=final)
            if item is not None:
                items.append(item)
        return items

    def _error(self, run_id: str, ended: int | None) -> tuple[Item | None, bool]:
        there = set(self.api.artifacts(run_id))
        for path in ERROR_FILES:
            if path in there:
                text = (self.api.run_file(run_id, path, _READ) or "").strip()
                if text:
                    data = {"run": run_id, "text": text[-_KEPT:], "path": path}
                    return self._item("run_error", "error", data), True
        return None, self._settled(ended)

    def _environment(self, model_id: str, run_id: str, created: int | None) -> tuple[Item | None, bool]:
        requirements = self.api.model_file(model_id, "requirements.txt", _READ)
        interpreter = self.api.model_file(model_id, "python_env.yaml", _READ)
        if requirements is None and interpreter is None:
            return None, self._settled(created)
        python = _PYTHON.search(interpreter or "")
        data = {
            "model": model_id,
            "run": run_id,
            "created": created,
            "python": python[1] if python else "",
            # Of the whole text, and before redaction: equal environments must be one Runtime.
            "requirementsDigest": hashlib.sha256(requirements.encode()).hexdigest() if requirements else "",
            "packages": packages(requirements or ""),
        }
        return Item(f"environment/{model_id}", "environment", self.now, data), True

    def _inputs(self, run_id: str) -> tuple[Item | None, bool]:
        found = self.api.run(run_id)
        models = shape.model_inputs(found) if found is not None else []
        if not models:
            return None, True
        return self._item("model_inputs", "inputs", {"run": run_id, "models": models}), True

    def _item(self, type_name: str, prefix: str, data: dict[str, Any]) -> Item:
        return Item(f"{prefix}/{data['run']}", type_name, self.now, data)

    def _settled(self, at: int | None) -> bool:
        return at is None or at < self.now // 1_000 - _SETTLED


def packages(requirements: str) -> list[str]:
    """The packages of a requirements file, without comments and options."""
    lines = (line.split(" #")[0].strip() for line in requirements.splitlines())
    return sorted(line for line in lines if line and not line.startswith(("#", "-")))[:_PACKAGES]
