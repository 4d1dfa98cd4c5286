"""MLflow against the real server: logged and registered models, aliases, interrupted pulls."""

from __future__ import annotations

import itertools
import time

from graph_schema.claims import States
from tests.sources.mlflow_tracking import SECOND, Reader, Tracking, version_id


def test_logged_and_registered_models_and_what_they_ran_on(tracking: Tracking) -> None:
    run, other = tracking.run(), tracking.run("evaluation")
    logged = tracking.logged_model(run)
    tracking.call("POST", "runs/log-inputs", run_id=other, models=[{"model_id": logged}])
    name = tracking.registered("churn", (f"models:/{logged}", run), (f"runs:/{run}/m", run), ("s3://b/k", ""))
    tracking.call("POST", "registered-models/create", name=f"{name}-copy")
    tracking.version(f"{name}-copy", f"models:/{name}/1", run)
    tracking.call("DELETE", "model-versions/delete", name=name, version="2")
    tracking.version(name, f"runs:/{run}/n", run)
    tuned = tracking.logged_model(run, None, base_model=f"models:/{logged}")
    reader = Reader(tracking)

    reader.pull()
    reader.pull(at_once=True)

    me, edges = f"mlflow.run_id={run}", reader.edges()
    model = f"mlflow.model@tracking={name}"
    assert {
        (me, "PRODUCED", f"mlflow.logged_model={logged}"),
        (f"mlflow.logged_model={logged}", "REGISTERED_AS", version_id(name, 1)),
        (f"mlflow.logged_model={logged}", "BASE_OF", f"mlflow.logged_model={tuned}"),
        (version_id(name, 1), "REGISTERED_AS", version_id(f"{name}-copy", 1)),
        (me, "PRODUCED", version_id(name, 4)),
        (model, "HAS", version_id(name, 1)),
        (model, "HAS", version_id(name, 3)),
        (version_id(name, 1), "PRECEDES", version_id(name, 3)),
        (version_id(name, 3), "PRECEDES", version_id(name, 4)),
    } <= edges
    assert not any(end == version_id(name, 3) and kind == "PRODUCED" for _, kind, end in edges)
    assert not any(start == me and end == version_id(name, 1) for start, _, end in edges)
    assert reader.properties(f"inputs/{other}") == {"modelInputs": [logged]}
    runtime = next(c for c in reader.claims(f"environment/{logged}") if isinstance(c, States))
    assert runtime.properties["packages"] == ["numpy==2.4.0"]
    assert (runtime.id, "RUNTIME_OF", me) in edges
    assert reader.properties(f"logged_model/{logged}")["status"] == "READY"
    assert reader.properties(f"model_version/{name}/1")["name"] == f"{name} v1"


def test_a_metric_of_a_logged_model_that_is_nan_is_not_zero(tracking: Tracking) -> None:
    run = tracking.run()
    logged = tracking.logged_model(run)
    tracking.metric(run, "loss", "NaN", model_id=logged)
    tracking.metric(run, "zero", 0.0, model_id=logged)
    reader = Reader(tracking)

    reader.pull()

    assert reader.properties(f"logged_model/{logged}")["metrics"] == {"loss": "NaN", "zero": 0.0}


def test_alias_moves_are_remembered_as_far_as_they_were_seen(tracking: Tracking) -> None:
    run = tracking.run()
    name = tracking.registered("alias", (f"runs:/{run}/a", run), (f"runs:/{run}/b", run))
    tracking.alias(name, "champion", "1")
    reader = Reader(tracking)
    reader.pull()
    first = reader.now
    reader.pull(at_once=True)
    last_seen = reader.now
    created = reader.items[f"model_version/{name}/1"].data["created"]

    tracking.alias(name, "champion", "2")
    changed = reader.pull(at_once=True)
    moved = reader.now

    assert {k for k in changed if not k.startswith("model/")} == {
        f"alias/{name}/1/champion/{first}",
        f"alias/{name}/2/champion/{moved}",
        f"model_version/{name}/1",
        f"model_version/{name}/2",
    }
    (old,) = reader.properties(f"alias/{name}/1/champion/{first}")["aliasHistory"].values()
    (new,) = reader.properties(f"alias/{name}/2/champion/{moved}")["aliasHistory"].values()
    assert old == {
        "name": "champion",
        "notBefore": created * 1000,
        "seenAt": first,
        "until": last_seen,
    }
    assert new == {"name": "champion", "notBefore": last_seen, "seenAt": moved}
    assert "aliases" not in reader.properties(f"model_version/{name}/1")
    assert reader.properties(f"model_version/{name}/2")["aliases"] == ["champion"]
    reader.pull(sweep=True)
    assert reader.complete is not None
    assert f"alias/{name}/1/champion/{first}" in reader.complete["alias"]


def test_a_renamed_model_is_the_same_as_the_old_one(tracking: Tracking) -> None:
    run = tracking.run()
    name = tracking.registered("rename", (f"runs:/{run}/a", run), (f"runs:/{run}/b", run))
    tracking.alias(name, "champion", "1")
    reader = Reader(tracking)
    reader.pull()
    seen = reader.now

    tracking.call("POST", "registered-models/rename", name=name, new_name=f"{name}-new")
    reader.pull(at_once=True)

    assert {
        (f"mlflow.model@tracking={name}", "SAME_AS", f"mlflow.model@tracking={name}-new"),
        (version_id(name, 1), "SAME_AS", version_id(f"{name}-new", 1)),
        (version_id(name, 2), "SAME_AS", version_id(f"{name}-new", 2)),
    } <= reader.edges()
    assert {f"model/{name}", f"model_version/{name}/1", f"model_version/{name}/2"} <= reader.gone
    assert f"alias/{name}-new/1/champion/{seen}" in reader.items


def test_a_deleted_version_is_gone_with_what_was_said_about_it(tracking: Tracking) -> None:
    run = tracking.run()
    name = tracking.registered("del", (f"runs:/{run}/a", run), (f"runs:/{run}/b", run))
    tracking.alias(name, "champion", "1")
    reader = Reader(tracking)
    reader.pull()
    first = reader.now

    tracking.call("DELETE", "model-versions/delete", name=name, version="1")
    reader.pull(sweep=True)

    assert reader.gone == {f"model_version/{name}/1", f"alias/{name}/1/champion/{first}"}


def test_check_says_what_is_there(tracking: Tracking) -> None:
    tracking.run()

    said = Reader(tracking).source.check()

    assert said.startswith(f"MLflow 3.17 at {tracking.server.url}: ")
    assert "experiments, " in said and said.endswith(("runs", "run"))


def test_a_pull_that_breaks_on_any_page_goes_on_without_loss(tracking: Tracking) -> None:
    runs = [tracking.run(f"r{n}", status="FAILED") for n in range(3)]
    tracking.upload(f"{runs[0]}/artifacts/error.txt", "boom")
    name = tracking.registered("broken", (f"models:/{tracking.logged_model(runs[1])}", runs[1]))
    tracking.alias(name, "champion", "1")
    whole = Reader(tracking)
    whole.pull()
    expected = {key for key in whole.items if not key.startswith("alias/")}

    for kept in itertools.count(1):
        reader = Reader(tracking)
        pages = list(reader.source.pull(None, now=int(time.time() * SECOND)))
        for page in pages[:kept]:
            reader.items |= {item.key: item for item in page.items}
            reader.cursor = page.cursor
        reader.pull()
        assert {key for key in reader.items if not key.startswith("alias/")} == expected
        assert sum(key.startswith(f"alias/{name}/") for key in reader.items) == 1
        if kept >= len(pages):
            break
