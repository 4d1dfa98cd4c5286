"""The nightly chain: where the model came from, which model failed, what was not refreshed.

Once as it was recorded, and once for real: Airflow, dbt and OpenLineage's client send to a running server,
and MLflow is pulled by it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from app.answers.causes import root_causes
from app.lineage.walk import lineage
from app.store.sqlite.store import SqliteStore
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import NOW, Direction, Filter, FilterOp, Node
from tests.cli.test_serve import free_port, started
from tests.sources.openlineage_chain import EXPERIMENT, TOKEN, Recorder, recorded, run
from tests.sources.openlineage_records import events_as_records, pull_as_records, run_event, write
from tests.tool_venvs import MLflowServer

K = NodeKind
MODEL = f"mlflow.model_version={EXPERIMENT}/1"


def found(store: GraphStore, kind: NodeKind, *where: tuple[str, FilterOp, Any]) -> list[Node]:
    return store.find(kind, [Filter(key, op, value) for key, op, value in where], first=500).items


def only(store: GraphStore, text: str) -> Node:
    (handle,) = store.resolve(text)
    (node,) = store.get([handle])
    assert node is not None
    return node


def ancestors(store: GraphStore, text: str, kind: NodeKind) -> list[Node]:
    (root,) = store.resolve(text)
    walked = lineage(store, root, Direction.UPSTREAM, max_hops=30)
    assert walked.complete
    nodes = store.get([label.handle for label in walked.labels if label.handle != root])
    return [node for node in nodes if node is not None and node.kind is kind]


def tail(table: str) -> str:
    """The end of a table's name, or of a version's: what tells it from the others of the warehouse."""
    return table.partition("@")[0].rpartition(".")[2] if "warehouse." in table else table.rpartition("/")[2]


def begins(events: list[Any], dag: str, attempt: int) -> str:
    """When the n-th run of the DAG began, as its first task says."""
    starts = [e for e in events if e["job"]["name"] == f"{dag}.load" and e["eventType"] == "START"]
    return str(starts[attempt]["eventTime"])


def check(store: GraphStore, events: list[Any]) -> None:
    """What anybody wants to know the morning after."""
    # Where does the model come from? The tables of the first night, and the files they were read of.
    versions = ancestors(store, MODEL, K.DATASET_VERSION)
    assert sorted(tail(v.id) for v in versions) == [
        "calls", "calls.csv@unobserved", "customers", "customers.csv@unobserved", "features", "stg_calls",
        "stg_customers",
    ]  # fmt: skip
    second = begins(events, "nightly", 1)
    jobs = ancestors(store, MODEL, K.JOB_RUN)
    assert {j.properties["status"] for j in jobs} == {"COMPLETE"}
    assert all(j.properties["endedAt"] < second for j in jobs), "nothing of the second night"

    # Which model failed, and why?
    failed = found(store, K.JOB_RUN, ("status", FilterOp.EQ, "FAILED"))
    assert sorted({node.name for node in failed}) == [
        "dbt-run-churn", "nightly", "nightly.transform", "warehouse.main.churn.stg_customers",
    ]  # fmt: skip
    (task,) = [node for node in failed if node.name == "nightly.transform"]
    assert sorted(task.properties["tries"]) == ["1", "2"]
    assert sum(i.startswith("openlineage.run_id=") for i in task.identifiers) == 2
    assert "exit code 1" in task.properties["error"]
    assert {tail(t) for n in failed for t in n.properties.get("notWritten", ())} == {"stg_customers"}

    model = next(node for node in failed if node.name.endswith("stg_customers"))
    read = [v for v in ancestors(store, model.id, K.DATASET_VERSION) if tail(v.id) == "customers"]
    assert [v.properties["columns"] for v in read] == [["id", "tenure_months", "churned"]]
    good = [v for v in versions if tail(v.id) == "customers"]
    assert [v.properties["columns"] for v in good] == [["id", "tenure", "churned"]]

    # What caused it? The table whose column has another name since.
    cause = root_causes(store, model.handle).candidates[0]
    assert (cause.node.id, cause.node.name) == (read[0].id, "warehouse.raw.customers")
    assert "column tenure is gone, tenure_months is new" in " ".join(each.text for each in cause.evidence)

    # What never ran, and what was not refreshed?
    skipped = found(store, K.JOB_RUN, ("status", FilterOp.EQ, "SKIPPED"))
    assert [(node.name, node.properties["taskState"]) for node in skipped] == [
        ("nightly.train", "upstream_failed")
    ]
    old = found(store, K.DATASET, ("lastWrittenAt", FilterOp.LT, second))
    assert sorted(tail(node.id) for node in old) == ["features", "stg_customers"]
    new = found(store, K.DATASET, ("lastWrittenAt", FilterOp.GTE, second))
    assert sorted(tail(node.id) for node in new) == ["calls", "customers", "stg_calls"]

    # Columns, owners, the chain of parents down to the training.
    edges = derivations(store)
    assert ["tenure", "tenure"] in edges["stg_customers", "features"]
    assert {team.name for team in found(store, K.TEAM)} == {"retention"}
    assert chain(store) == ["nightly", "nightly.train", "nightly"]
    assert store.refusals() == []
    assert store.open_references() == []


def derivations(store: GraphStore) -> dict[tuple[str, str], list[list[str]]]:
    """Pairs of columns, by the tables they join."""
    handles = [node.handle for node in found(store, K.DATASET_VERSION)]
    steps = store.expand(handles, Direction.DOWNSTREAM, [EdgeKind.DERIVED_INTO], NOW).steps
    edges = store.edges([step.belief for step in steps])
    return {(tail(edge.src), tail(edge.dst)): edge.properties["columns"] for edge in edges}


def chain(store: GraphStore) -> list[str]:
    """What HAS the training, from the DAG down; the training's own run is called nightly, too."""
    # Registered models of other tests name runs of other experiments.
    (run_node,) = (node for node in found(store, K.RUN) if not node.stub)
    names, at = [run_node.name], run_node.handle
    while steps := [
        step
        for step in store.expand([at], Direction.UPSTREAM, [EdgeKind.HAS], NOW).steps
        if store.labels([step.src])[0].kind is K.JOB_RUN
    ]:
        at = steps[0].src
        names.append(store.labels([at])[0].name)
    return names[::-1]


def test_the_morning_after(store: SqliteStore) -> None:
    events = recorded("events")

    for batch in [*events_as_records(events), pull_as_records(recorded("mlflow"))]:
        write(store, [batch])

    check(store, events)


def test_no_event_changes_anything_the_second_time(store: SqliteStore) -> None:
    batches = events_as_records(recorded("events"))
    for batch in batches:
        write(store, [batch])
    before = store.digest(), store.counts().revision

    for batch in batches:
        write(store, [batch])

    assert (store.digest(), store.counts().revision) == before


def test_errors_are_kept_without_their_secrets(store: SqliteStore) -> None:
    failed = run_event("0190f2a4-6b1c-7def-8123-456789abcdef", "FAIL", "2026-11-18T02:00:00Z", errorMessage={
        "message": "cannot connect to postgres://etl:hunter2hunter2@db/shop",
        "stackTrace": "Traceback\n  connect(password='hunter2hunter2')",
    })  # fmt: skip

    write(store, events_as_records([failed]))

    (node,) = found(store, K.JOB_RUN)
    told = f"{node.properties['error']} {node.properties['errorTrace']}"
    assert "hunter2" not in told
    assert told.count("[redacted:") == 2
    assert node.properties["status"] == "FAILED"


# --- for real ----------------------------------------------------------------------------------------------


class Morning(NamedTuple):
    """What there is after two nights: the folder of the server, and what was sent to it."""

    folder: Path
    recorder: Recorder
    skipped: Any
    refused: int


_CONFIG = """
[[sources]]
type = "openlineage"
name = "pipelines"
secret_env = "PIPELINES_TOKEN"

[[sources]]
type = "mlflow"
name = "tracking"
tracking_uri = "{tracking}"
include = ["{experiment}"]
"""


@pytest.fixture(scope="module")
def morning(mlflow_server: MLflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Morning]:
    """Both nights, sent to a running server, which then pulls MLflow; about a minute."""
    folder = tmp_path_factory.mktemp("morning").resolve()
    config = _CONFIG.format(tracking=mlflow_server.url, experiment=EXPERIMENT)
    (folder / "kinlore.toml").write_text(config, encoding="utf-8")
    with started(folder, "serve", "--port", str(free_port()), PIPELINES_TOKEN=TOKEN) as (_, said):
        address = str(said["address"])
        with Recorder(forward_to=address) as recorder:
            run(folder / "nights", mlflow_server.url, recorder.url)
            refused = httpx.post(f"{address}/api/v1/lineage", json=recorder.events[0]).status_code
        ask(address, 'mutation { ingest(names: ["tracking"]) { __typename } }')
        last = {"where": [{"key": "status", "value": "SKIPPED"}]}
        question = (
            "query($where: [PropertyFilter!]) { find(kind: JOB_RUN, where: $where) { nodes { name } } }"
        )
        model = f'{{ resolve(scheme: "mlflow.model_version", value: "{EXPERIMENT}/1") {{ id }} }}'
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            skipped = ask(address, question, last)["find"]["nodes"]
            if skipped and ask(address, model)["resolve"]:
                break
            time.sleep(0.2)
    yield Morning(folder, recorder, skipped, refused)


def ask(address: str, query: str, variables: Any = None) -> Any:
    answer = httpx.post(
        f"{address}/graphql", json={"query": query, "variables": variables}, timeout=60
    ).json()
    assert "errors" not in answer, json.dumps(answer["errors"])
    return answer["data"]


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_two_real_nights(morning: Morning) -> None:
    store = SqliteStore(morning.folder / "kinlore.db")
    try:
        check(store, morning.recorder.events)
    finally:
        store.close()
    assert morning.skipped == [{"name": "nightly.train"}]


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_the_senders_gave_their_token_and_were_answered(morning: Morning) -> None:
    assert morning.recorder.tokens == {f"Bearer {TOKEN}"}
    assert set(morning.recorder.answers) <= {200, 201, 202}
    assert len(morning.recorder.answers) == len(morning.recorder.events) > 40
    assert morning.refused in (401, 403), "without a token nothing is taken"


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_the_recording_is_what_the_tools_send_today(morning: Morning) -> None:
    def shape(events: list[Any]) -> list[tuple[str, ...]]:
        return sorted(
            (
                e["job"]["name"],
                e["eventType"],
                *sorted(e["run"]["facets"]),
                *sorted(e["job"].get("facets", {})),
                *(tail(d["name"]) for side in ("inputs", "outputs") for d in e[side]),
            )
            for e in events
        )

    assert shape(recorded("events")) == shape(morning.recorder.events)
    assert os.sep + "tmp" not in json.dumps(recorded("events"))
