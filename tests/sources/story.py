"""A release that went wrong: git, DVC, MLflow, BentoML, Prometheus and Alertmanager tell of it themselves.

An export suddenly counts tenure in days. The model that is trained on it is released, the service's quality
falls, Prometheus sees it, Alertmanager tells of it; the old model is rolled out again and the alert resolves.
The release script is ours: it announces what it does as CDEvents.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from graph_schema.times import to_micros
from ingestors.source import Delivery
from tests.alerting import Alertmanager, Exporter, Prometheus, Recorder, wait_for
from tests.bento_store import BentoStore
from tests.sources.cdevents import cdevent, structured
from tests.sources.pushing import delivery
from tests.tool_venvs import MLflowServer
from tests.workspace.project import FEATURES, day
from tests.workspace.tools import Tools
from tests.workspace.workspace import Plan, Project

MODEL, SERVICE = "churn", "churn"
#: The quality that the service shows with each version, and what it must not fall below.
QUALITY, LEAST = {1: 0.81, 2: 0.52}, 0.7
SERIES = 'churn_auc{env="prod"}'
RULE = {
    "alert": "ChurnQualityLow",
    "expr": f"{SERIES} < {LEAST}",
    "labels": {"severity": "critical", "deployment": SERVICE},
    "annotations": {"summary": "The quality of churn has fallen"},
}


class Release(NamedTuple):
    """A deployment as the script announced it."""

    revision: str
    version: int
    at: datetime
    event: dict[str, Any]


class Story(NamedTuple):
    """What happened, and what was sent while it did. ``bentos`` and ``models`` are tags by version."""

    project: Project
    tracking: MLflowServer
    store: BentoStore
    models: dict[int, str]
    bentos: dict[int, str]
    releases: dict[str, Release]
    alerts: list[Delivery]
    resolved: datetime

    @property
    def announced(self) -> list[Delivery]:
        """The script's events, in their order."""
        kind = {"content-type": "application/cloudevents+json"}
        return [delivery(structured(release.event), kind) for release in self.releases.values()]


def happen(folder: Path, tracking: MLflowServer) -> Story:
    """Let it all happen in an empty folder, against an empty tracking server. Takes most of a minute."""
    project = Project((folder / "churn").resolve(), Tools.installed(), tracking.url)
    project.begin(day(0))
    for number, extract in ((1, "first"), (2, "days")):
        project.add_extract("first" if extract == "first" else "days")
        project.reproduce()
        project.commit(f"data-{number}", f"Extract {number}", day(number))
        project.train(_training(f"train-{number}"))
    store, models, bentos = _packed(folder, project, tracking)
    releases, alerts, resolved = _served(folder, project, bentos)
    return Story(project, tracking, store, models, bentos, releases, alerts, resolved)


def _training(name: str) -> Plan:
    run = {
        "name": name,
        "inputs": [{"path": FEATURES, "tags": ["dvc.md5", "dvc.path"]}],
        "params": {"lr": 0.5, "epochs": 2},
        "log_model": True,
        "register": MODEL,
    }
    return {"experiment": "churn-releases", "runs": [run]}


def _packed(
    folder: Path, project: Project, tracking: MLflowServer
) -> tuple[BentoStore, dict[int, str], dict[int, str]]:
    """Each version copied into BentoML's store as its import does it, and packed into a service."""
    store = BentoStore(folder / "bentoml")
    wanted: list[tuple[str, dict[str, Any]]] = []
    for number in (1, 2):
        (files,) = tracking.home.glob(f"artifacts/*/models/{project.models[f'train-{number}']}/artifacts")
        copied = folder / f"copy-{number}"
        copied.mkdir()
        (copied / "mlflow_model").symlink_to(files)
        origin = {"mlflow_model": MODEL, "mlflow_version": number}
        wanted.append(("model", {"name": MODEL, "version": f"v{number}", "files": {},
                                 "folder": str(copied), "metadata": origin}))  # fmt: skip
    for number in (1, 2):
        wanted.append(("bento", {"name": f"{MODEL}_service", "models": [f"{MODEL}:v{number}"],
                                 "labels": {"git_sha": project.commits[f"data-{number}"]},
                                 "python": {"lock_packages": False},
                                 "build": str(folder / f"build-{number}")}))  # fmt: skip
    tags = store.make(*wanted)
    return store, {1: tags[0], 2: tags[1]}, {1: tags[2], 2: tags[3]}


def _served(
    folder: Path, project: Project, bentos: dict[int, str]
) -> tuple[dict[str, Release], list[Delivery], datetime]:
    """Released, watched, rolled back, resolved; all in real time."""
    releases: dict[str, Release] = {}

    def release(revision: str, version: int, predicate: str = "deployed") -> None:
        at = datetime.now(UTC)
        custom = {
            "revision": revision,
            "bentoml.bento": bentos[version],
            "commit": project.commits[f"data-{version}"],
        }
        event = cdevent(f"service.{predicate}", at.isoformat(), subject=SERVICE, custom=custom)
        releases[revision] = Release(revision, version, at, event)
        exporter.values[SERIES] = QUALITY[version]

    with Recorder() as recorder, Exporter() as exporter:
        hooks = {"webhook_configs": [{"url": f"{recorder.url}/hooks/alerts", "send_resolved": True}]}
        release("1", 1)
        with (
            Alertmanager(folder / "alertmanager", hooks) as alertmanager,
            Prometheus(
                folder / "prometheus",
                target=f"127.0.0.1:{exporter.port}",
                alertmanager=alertmanager,
                rules=[RULE],
            ) as prometheus,
        ):
            wait_for("the quality of the first release", lambda: prometheus.query(SERIES))
            release("2", 2)
            wait_for("the alert", lambda: "firing" in _statuses(recorder))
            release("3", 1, "rolledback")
            wait_for("its end", lambda: "resolved" in _statuses(recorder))
        resolved = datetime.now(UTC)
        alerts = [delivery(sent.body, sent.headers, to_micros(resolved)) for sent in recorder.sent]
    return releases, alerts, resolved


def _statuses(recorder: Recorder) -> Sequence[str]:
    return [alert["status"] for sent in list(recorder.sent) for alert in json.loads(sent.body)["alerts"]]
