"""The source mlflow from the real server through the loop into a graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.values import Node
from ingestors.loop import Policy, ingest
from ingestors.registry import build
from ingestors.report import Report
from ingestors.source import Source
from tests.sources.mlflow_tracking import Tracking
from tests.tool_venvs import MLflowServer


@pytest.fixture
def tracking(mlflow_server: MLflowServer) -> Tracking:
    return Tracking(mlflow_server)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "kinlore.db")
    made.migrate()
    yield made
    made.close()


def source_of(tracking: Tracking) -> Source:
    table = {
        "type": "mlflow",
        "name": "tracking",
        "tracking_uri": tracking.server.url,
        "include": [tracking.name],
    }
    return build(table, Path.cwd())


def pull(store: SqliteStore, tracking: Tracking, *, full: bool = False) -> Report:
    report = ingest(store, source_of(tracking), full=full, policy=Policy(attempts=1))
    assert report.error is None
    assert report.warnings == []
    return report


def node(store: SqliteStore, identifier: str) -> Node:
    (handle,) = store.resolve(identifier)
    (found,) = store.get([handle])
    assert found is not None
    return found


def test_ingesting_again_changes_nothing_fully_or_not(tracking: Tracking, store: SqliteStore) -> None:
    run = tracking.run(status="FAILED")
    tracking.upload(f"{run}/artifacts/error.txt", "MemoryError: out of memory")
    name = tracking.registered("again", (f"models:/{tracking.logged_model(run)}", run))
    tracking.alias(name, "champion", "1")
    first = pull(store, tracking)
    digest = store.digest()

    again, full = pull(store, tracking), pull(store, tracking, full=True)

    assert first.new > 4
    assert (again.changes, full.changes) == (0, 0)
    assert store.digest() == digest
    assert node(store, f"mlflow.run_id={run}").properties["error"] == "MemoryError: out of memory"
    version = node(store, f"mlflow.model_version@tracking={name}/1").properties
    assert [stay["name"] for stay in version["aliasHistory"].values()] == version["aliases"] == ["champion"]


def test_what_mlflow_calls_deleted_is_gone_however_much_it_is(tracking: Tracking, store: SqliteStore) -> None:
    runs = [tracking.run(f"r{n}", status="FAILED") for n in range(14)]
    tracking.upload(f"{runs[0]}/artifacts/error.txt", "boom")
    pull(store, tracking)

    for run in runs[:-1]:
        tracking.call("POST", "runs/delete", run_id=run)
    deleted, again, full = pull(store, tracking), pull(store, tracking), pull(store, tracking, full=True)

    # The run with an error text is two records.
    assert (deleted.changed, deleted.retired, deleted.returned) == (13, 14, 0)
    assert (again.changes, full.changes) == (0, 0)
    assert node(store, f"mlflow.run_id={runs[0]}").gone_at is not None
    assert node(store, f"mlflow.run_id={runs[-1]}").gone_at is None
    tracking.call("POST", "runs/restore", run_id=runs[0])
    restored = pull(store, tracking)
    assert restored.returned == 2
    assert node(store, f"mlflow.run_id={runs[0]}").gone_at is None


def test_runs_that_were_deleted_before_anybody_looked_are_known_and_gone(
    tracking: Tracking, store: SqliteStore
) -> None:
    run = tracking.run("early")
    tracking.call("POST", "runs/delete", run_id=run)

    pull(store, tracking)

    found = node(store, f"mlflow.run_id={run}")
    assert (found.name, found.stub, found.gone_at is None) == ("early", False, False)


def test_secrets_in_parameters_and_tags_are_not_stored(tracking: Tracking, store: SqliteStore) -> None:
    run = tracking.run(tags={"api_key": "sk-live-0123456789abcdef"})
    body = {"run_id": run, "key": "db_password", "value": "hunter2-hunter2"}
    tracking.call("POST", "runs/log-parameter", **body)

    pull(store, tracking)

    properties = node(store, f"mlflow.run_id={run}").properties
    assert properties["tags"]["api_key"].startswith("[redacted:")
    assert properties["params"]["db_password"].startswith("[redacted:")


def test_a_deleted_version_with_alias_history_is_gone(tracking: Tracking, store: SqliteStore) -> None:
    run = tracking.run()
    name = tracking.registered("gone", (f"runs:/{run}/a", run), (f"runs:/{run}/b", run))
    tracking.alias(name, "champion", "1")
    pull(store, tracking)

    tracking.call("DELETE", "model-versions/delete", name=name, version="1")
    pull(store, tracking)

    assert node(store, f"mlflow.model_version@tracking={name}/1").gone_at is not None
    assert node(store, f"mlflow.model_version@tracking={name}/2").gone_at is None


def test_a_renamed_model_answers_to_both_names(tracking: Tracking, store: SqliteStore) -> None:
    run = tracking.run()
    name = tracking.registered("old", (f"runs:/{run}/a", run))
    pull(store, tracking)

    tracking.call("POST", "registered-models/rename", name=name, new_name=f"{name}-new")
    pull(store, tracking)
    again = pull(store, tracking)

    old = node(store, f"mlflow.model_version@tracking={name}/1")
    new = node(store, f"mlflow.model_version@tracking={name}-new/1")
    assert (old.gone_at is None, new.gone_at is None) == (False, True)
    assert again.changes == 0
    assert store.counts().edges["SAME_AS"] == 2
