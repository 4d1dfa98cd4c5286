"""Bounds on what MLflow measured: the real server, its runs, versions and aliases."""

from __future__ import annotations

import time
from pathlib import Path

from app.store.sqlite.store import SqliteStore
from graph_schema.kinds import NodeKind
from graph_schema.values import Filter, Node
from ingestors.bounds import Bound
from ingestors.loop import ingest
from ingestors.registry import build
from ingestors.settling import settle
from tests.sources.mlflow_tracking import Tracking


def checks(store: SqliteStore, stream: str) -> dict[str, Node]:
    """By whom they are about."""
    found = store.find(NodeKind.CHECK, [Filter("stream", value=stream)], first=50).items
    return {node.id.rpartition("/")[2]: node for node in found}


def test_versions_and_runs_are_judged_by_what_their_runs_measured(
    store: SqliteStore, tracking: Tracking
) -> None:
    runs = [tracking.run(f"r{number}") for number in range(3)]
    for run, auc in zip(runs, (0.8, 0.9, 0.85), strict=True):
        tracking.metric(run, "auc", auc)
        tracking.metric(run, "loss", "NaN")
    running = tracking.run("unfinished", status="RUNNING")
    tracking.metric(running, "auc", 0.1)
    logged = tracking.logged_model(runs[0])
    name = tracking.registered("churn", (f"models:/{logged}", runs[0]), (f"runs:/{runs[1]}/m", runs[1]))
    tracking.alias(name, "champion", "2")
    config = {"type": "mlflow", "name": "tracking", "tracking_uri": tracking.server.url,
              "include": [tracking.name, name]}  # fmt: skip
    source = build(config, Path.cwd())
    settle(store, [
        Bound(name="models", of="model", which="churn*", metric="auc", least=0.85, incident=True),
        Bound(name="runs", of="experiment", which=tracking.name, metric="*", least=0.85),
        Bound(name="champion", of="model", which="churn*", metric="auc", tolerance=0.01, against="champion",
              aliases=("champion",)),
    ])  # fmt: skip
    assert ingest(store, source).error is None
    time.sleep(0.01)
    tracking.version(name, f"runs:/{runs[2]}/m", runs[2])

    report = ingest(store, source)

    assert report.error is None
    assert {key: node.properties["status"] for key, node in checks(store, "models").items()} == {
        "1": "FAILED", "2": "PASSED", "3": "PASSED"
    }  # fmt: skip
    (incident,) = store.find(NodeKind.INCIDENT, [Filter("bound", value="models")]).items
    assert incident.name == f"models: auc of {name} v1 failed" and incident.properties["status"] == "RESOLVED"
    # Neither a run that has not ended, nor what is no number.
    assert {tuple(n.properties["metrics"]) for n in checks(store, "runs").values()} == {("auc",)}
    of_runs = sorted(n.properties["status"] for n in checks(store, "runs").values())
    assert of_runs == ["FAILED", "PASSED", "PASSED"]
    third = checks(store, "champion")["3"].properties
    assert third["status"] == "FAILED" and third["reference"] == f"{name} v2"
    assert third["because"] == f"0.85 is 0.05 worse than the champion, {name} v2 (0.9); 0.01 is tolerated"

    assert ingest(store, source, full=True).changes == 0
