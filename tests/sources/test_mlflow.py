"""The source mlflow against the real server: what changes without a time, what goes, what comes late."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from graph_schema.claims import Finds, Keyed, Links
from graph_schema.edges import EdgeKind
from graph_schema.times import format_time
from ingestors.sources.mlflow import api
from tests.sources.mlflow_tracking import Reader, Tracking
from tests.tool_venvs import MLflowServer

SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
MD5 = "1bc29b36f623ba82aaf6724fd3b16718"


# --- incremental and complete --------------------------------------------------------------------------


def test_a_second_pull_changes_nothing_and_a_full_one_neither(tracking: Tracking) -> None:
    run = tracking.run(tags={"mlflow.source.git.commit": SHA})
    model = tracking.registered("same", (f"models:/{tracking.logged_model(run)}", run))
    tracking.alias(model, "champion", "1")
    reader = Reader(tracking)
    first = reader.pull()

    again, swept, full = reader.pull(at_once=True), reader.pull(sweep=True), reader.pull(full=True)

    assert f"run/{run}" in first
    assert (again, swept, full) == ([], [], [])


def test_late_tags_and_metrics_of_old_runs_are_found_by_the_sweep(tracking: Tracking) -> None:
    old = int(time.time() * 1000) - 30 * 24 * 3600 * 1000
    run = tracking.run(start=old)
    tracking.run("recent")
    reader = Reader(tracking)
    reader.pull()
    tracking.tag(run, "reviewed", "yes")
    tracking.metric(run, "auc", 0.75)

    soon = reader.pull(at_once=True)
    later = reader.pull(sweep=True)

    assert (soon, later) == ([], [f"run/{run}"])
    assert reader.properties(f"run/{run}")["tags"] == {"reviewed": "yes"}
    assert reader.properties(f"run/{run}")["metrics"] == {"auc": 0.75}


def test_new_ended_and_running_runs_are_found_without_a_sweep(tracking: Tracking) -> None:
    old = int(time.time() * 1000) - 30 * 24 * 3600 * 1000
    running = tracking.run("never-ended", start=old, status="RUNNING")
    ends_late = tracking.run("ends-late", start=old, status="RUNNING")
    tracking.run("recent")
    reader = Reader(tracking)
    reader.pull()
    fresh = tracking.run("fresh")
    tracking.tag(running, "epoch", "3")
    now = int(time.time() * 1000)
    tracking.call("POST", "runs/update", run_id=ends_late, status="KILLED", end_time=now)

    changed = reader.pull(at_once=True)

    assert reader.complete is None
    assert set(changed) == {f"run/{fresh}", f"run/{running}", f"run/{ends_late}"}
    assert reader.properties(f"run/{ends_late}")["status"] == "KILLED"
    assert "endedAt" not in reader.properties(f"run/{running}")


def test_a_back_dated_run_is_found_by_the_sweep(tracking: Tracking) -> None:
    tracking.run("recent")
    reader = Reader(tracking)
    reader.pull()
    imported = tracking.run("imported", start=1_500_000_000_000)

    soon = reader.pull(at_once=True)
    later = reader.pull(sweep=True)

    assert (soon, later) == ([], [f"run/{imported}"])


def test_runs_with_one_start_time_are_all_read_across_pages(
    tracking: Tracking, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = int(time.time() * 1000)
    runs = {tracking.run(f"r{n}", start=start) for n in range(7)}
    monkeypatch.setitem(api.PAGE, "runs", 2)
    reader = Reader(tracking)
    reader.pull()
    late = {tracking.run(f"late{n}", start=start) for n in range(3)}

    changed = reader.pull(at_once=True)

    assert {k for k in reader.items if k.startswith("run/")} == {f"run/{r}" for r in runs | late}
    assert set(changed) == {f"run/{r}" for r in late}


def test_a_deleted_run_is_gone_and_stays_readable_and_comes_back_when_restored(tracking: Tracking) -> None:
    run, other = tracking.run(), tracking.run("other")
    reader = Reader(tracking)
    reader.pull()

    tracking.call("POST", "runs/delete", run_id=run)
    changed = reader.pull(sweep=True)
    unchanged = reader.pull(sweep=True)

    assert reader.gone == {f"run/{run}"}
    assert (changed, unchanged) == ([f"run/{run}"], [])
    assert reader.properties(f"run/{run}")["lifecycleStage"] == "deleted"
    assert reader.complete is not None
    assert reader.complete["run"] == {f"run/{other}"}
    tracking.call("POST", "runs/restore", run_id=run)
    reader.pull(sweep=True)
    assert reader.gone == set()


def test_a_deleted_experiment_takes_its_runs_along(tracking: Tracking) -> None:
    run = tracking.run()
    reader = Reader(tracking)
    reader.pull()

    tracking.call("POST", "experiments/delete", experiment_id=tracking.experiment)
    reader.pull(sweep=True)

    assert reader.gone == {f"experiment/{tracking.experiment}", f"run/{run}"}


def test_after_gc_a_run_is_gone_and_its_model_stays(
    own_mlflow_server: MLflowServer, mlflow_tool: Path
) -> None:
    tracking = Tracking(own_mlflow_server)
    run, kept = tracking.run(), tracking.run("kept")
    model = tracking.logged_model(run)
    reader = Reader(tracking)
    reader.pull()
    tracking.call("POST", "runs/delete", run_id=run)
    store = own_mlflow_server.backend_store_uri
    subprocess.run(
        [str(mlflow_tool / "mlflow"), "gc", "--backend-store-uri", store, "--run-ids", run,
         "--tracking-uri", own_mlflow_server.url],
        check=True, capture_output=True, cwd=own_mlflow_server.home,
    )  # fmt: skip

    changed = reader.pull(sweep=True)

    assert changed == []
    assert reader.gone == {f"run/{run}"}
    assert reader.source.get("run", [f"run/{run}", f"run/{kept}"]) == {f"run/{kept}"}
    assert (f"mlflow.run_id={run}", "PRODUCED", f"mlflow.logged_model={model}") in reader.edges()


def test_only_chosen_experiments_and_nothing_older_than_since(tracking: Tracking) -> None:
    other = Tracking(tracking.server)
    other.run()
    tracking.run("old", start=1_500_000_000_000)
    recent = tracking.run("recent")
    reader = Reader(tracking, include=["exp-*"], exclude=[other.name], since="2026-01-01")
    both = Reader(tracking, include=[tracking.name, other.name])

    reader.pull()
    reader.pull(at_once=True)
    both.pull()

    mine = {i.data["experiment"] for i in reader.items.values() if i.type == "run"}
    assert other.experiment not in mine
    assert [i.key for i in reader.items.values() if i.data.get("experiment") == tracking.experiment] == [
        f"run/{recent}"
    ]
    assert {i.data["experiment"] for i in both.items.values() if i.type == "run"} == {
        tracking.experiment,
        other.experiment,
    }


# --- what runs say -------------------------------------------------------------------------------------


def test_properties_code_nesting_and_metrics_that_are_not_numbers(tracking: Tracking) -> None:
    parent = tracking.run("sweep")
    tags = {
        "mlflow.parentRunId": parent,
        "mlflow.source.git.commit": SHA,
        "mlflow.source.git.repoURL": "git@github.com:acme/churn.git",
        "mlflow.source.git.dirty": "true",
        "mlflow.source.name": "train.py",
        "mlflow.log-model.history": "[]",
        "team": "growth",
    }
    child = tracking.run("child", start=1_790_000_000_000, tags=tags)
    tracking.call("POST", "runs/log-parameter", run_id=child, key="lr", value="0.1")
    tracking.metric(child, "loss", "NaN")
    tracking.metric(child, "bound", "Infinity")
    tracking.metric(child, "auc", 0.5)
    reader = Reader(tracking)

    reader.pull()

    properties = reader.properties(f"run/{child}")
    assert properties["params"] == {"lr": "0.1"}
    assert properties["metrics"] == {"loss": "NaN", "bound": "Infinity", "auc": 0.5}
    assert properties["tags"] == {"team": "growth"}
    assert (properties["commit"], properties["dirty"], properties["script"]) == (SHA, True, "train.py")
    assert properties["startedAt"] == format_time(1_790_000_000_000_000)
    assert properties["url"] == f"{tracking.server.url}/#/experiments/{tracking.experiment}/runs/{child}"
    me = f"mlflow.run_id={child}"
    assert {
        (f"mlflow.experiment_id@tracking={tracking.experiment}", "HAS", me),
        (f"mlflow.run_id={parent}", "HAS", me),
        (f"git.sha={SHA}", "CODE_FOR", me),
        ("git.remote=github.com/acme/churn", "HAS", f"git.sha={SHA}"),
    } <= reader.edges()


def test_the_text_of_a_failure_comes_from_tags_or_else_from_an_artifact(tracking: Tracking) -> None:
    tagged = tracking.run(
        status="FAILED", tags={"error": "ValueError: x", "traceback": "Trace\nValueError: x"}
    )
    with_file = tracking.run(status="FAILED")
    tracking.upload(f"{with_file}/artifacts/error.txt", "Traceback …\nMemoryError: out of memory\n")
    silent = tracking.run(status="FAILED")
    fine = tracking.run(tags={"error": "0.03"})
    reader = Reader(tracking)

    reader.pull()
    again = reader.pull(sweep=True)

    assert reader.properties(f"run/{tagged}")["error"] == "Trace\nValueError: x"
    assert reader.properties(f"error/{with_file}")["error"].endswith("MemoryError: out of memory")
    assert f"error/{silent}" not in reader.items
    assert "error" not in reader.properties(f"run/{fine}")
    assert again == []


def test_a_failed_run_that_is_resumed_loses_its_error(tracking: Tracking) -> None:
    run = tracking.run(status="FAILED")
    tracking.upload(f"{run}/artifacts/traceback.txt", "boom")
    reader = Reader(tracking)
    reader.pull()

    tracking.call("POST", "runs/update", run_id=run, status="FINISHED", end_time=int(time.time() * 1000))
    reader.pull(at_once=True)

    assert reader.claims(f"error/{run}") == []
    assert reader.properties(f"run/{run}")["status"] == "FINISHED"


def test_data_joins_by_content_then_by_name_then_by_path_and_never_by_digest(tracking: Tracking) -> None:
    start = 1_790_000_000_000
    run = tracking.run(
        start=start, tags={"mlflow.source.git.commit": SHA, "mlflow.source.git.dirty": "false"}
    )
    tracking.read(
        run, "a", '{"uri": "s3://b/a"}', "s3", dvc__md5=MD5, dvc__path="a", mlflow__data__context="train"
    )
    table = {"openlineage__dataset__namespace": "pg://db", "openlineage__dataset__name": "public.users"}
    tracking.read(run, "b", '{"url": "https://x/b"}', "http", **table)
    tracking.read(run, "c", '{"uri": "/abs/c.csv"}', dvc__path="./data/c.csv")
    tracking.read(run, "d", '{"uri": "data/d.csv"}')
    tracking.read(run, "e", '{"uri": "/abs/e.csv"}')
    tracking.read(run, "f", '{"uri": "../f.csv"}')
    reader = Reader(tracking)

    reader.pull()

    claims, me = reader.claims(f"run/{run}"), f"mlflow.run_id={run}"
    inputs = [c for c in claims if isinstance(c, Links) and c.kind is EdgeKind.INPUT_TO]
    assert [(c.src, c.dst, c.since, c.properties) for c in inputs] == [
        (f"dvc.md5={MD5}", me, start * 1000, {"context": "train", "name": "a"})
    ]
    keyed = {(c.rule, c.key, c.role, c.ref, c.at): c.data for c in claims if isinstance(c, Keyed)}
    assert keyed[("slot", "dataset:pg://db/public.users", "uses", me, start * 1000)] == {
        "edge": "INPUT_TO",
        "name": "b",
        "of": "dataset=pg://db/public.users",
        "unobserved": "openlineage.dataset_version=pg://db/public.users@unobserved",
    }
    trees = [c.data for c in claims if isinstance(c, Keyed) and c.rule == "tree"]
    assert sorted(trees, key=lambda d: str(d)) == [
        {"path": "data/c.csv", "pathFrom": "dvc.path", "clean": True, "name": "c"},
        {"path": "data/d.csv", "pathFrom": "source", "clean": True, "name": "d"},
    ]
    assert all(c.key == SHA and c.ref == me for c in claims if isinstance(c, Keyed) and c.rule == "tree")
    digests = {
        (c.value, c.id) for c in claims if isinstance(c, Finds) and c.scheme == "mlflow.dataset_digest"
    }
    assert digests == {("d1g3st", f"dvc.md5={MD5}"), ("d1g3st", me)}
    assert len(reader.properties(f"run/{run}")["inputs"]) == 6


def test_a_path_on_a_dirty_tree_says_nothing_and_content_still_does(tracking: Tracking) -> None:
    run = tracking.run(tags={"mlflow.source.git.commit": SHA, "mlflow.source.git.dirty": "true"})
    tracking.read(run, "a", '{"uri": "a.csv"}', dvc__path="a.csv")
    tracking.read(run, "b", '{"uri": "b.csv"}', dvc__md5=MD5)
    reader = Reader(tracking)

    reader.pull()

    claims = reader.claims(f"run/{run}")
    assert [c for c in claims if isinstance(c, Keyed)] == []
    assert [c.src for c in claims if isinstance(c, Links) and c.kind is EdgeKind.INPUT_TO] == [
        f"dvc.md5={MD5}"
    ]


# --- models --------------------------------------------------------------------------------------------
