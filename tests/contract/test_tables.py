"""Tables without versions: the events of a run put together, and what stood in a table when it was read."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from graph_schema.claims import Record
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import NOW, Edge
from ingestors import joins, tables
from tests.contract.harness import edges_from
from tests.sources.openlineage_records import events_as_records, run_event, write

K, E = NodeKind, EdgeKind


def run(number: int) -> str:
    return f"0190f2a4-6b1c-7def-8123-{number:012d}"


def job_run(number: int) -> str:
    return f"openlineage.run_id={run(number)}"


def state(table: str, what: int | str) -> str:
    return f"openlineage.dataset_version=pg/{table}@{run(what) if isinstance(what, int) else what}"


def at(second: int) -> str:
    return f"2026-11-18T02:{second // 60:02d}:{second % 60:02d}Z"


def event(
    number: int,
    kind: str,
    second: int,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    **rest: Any,
) -> dict[str, Any]:
    return run_event(run(number), kind, at(second), inputs, outputs, **rest)


def send(store: GraphStore, *events: Any) -> None:
    for batch in events_as_records(events):
        write(store, [batch])


def edges(store: GraphStore, kind: EdgeKind) -> set[tuple[str, str]]:
    return {(edge.src, edge.dst) for edge in everything(store) if edge.kind is kind}


def everything(store: GraphStore) -> list[Edge]:
    found = [node.handle for kind in NodeKind for node in store.find(kind, first=500).items]
    return edges_from(store, found, NOW) if found else []


def node(store: GraphStore, text: str) -> Any:
    (handle,) = store.resolve(text)
    (found,) = store.get([handle])
    assert found is not None
    return found


def test_a_write_stands_from_complete_and_a_read_is_at_start(store: GraphStore) -> None:
    send(
        store,
        event(1, "START", 0, [], ["users"]),
        event(1, "COMPLETE", 20),
        event(2, "START", 10, ["users"]),
        event(2, "COMPLETE", 30),
        event(3, "START", 25),
        event(3, "COMPLETE", 40, ["users"]),
    )

    assert edges(store, E.PRODUCED) == {(job_run(1), state("users", 1))}
    assert edges(store, E.INPUT_TO) == {
        (state("users", "unobserved"), job_run(2)),
        (state("users", 1), job_run(3)),
    }
    assert edges(store, E.HAS) >= {
        ("dataset=pg/users", state("users", 1)),
        ("dataset=pg/users", state("users", "unobserved")),
    }
    assert node(store, "dataset=pg/users").properties["lastWrittenAt"] == at(20)


@pytest.mark.parametrize("kind", ["FAIL", "ABORT", "RUNNING", "OTHER"])
def test_only_complete_writes(store: GraphStore, kind: str) -> None:
    send(store, event(1, "START", 0, [], ["users"]), event(1, kind, 20, [], ["users"]))

    assert edges(store, E.PRODUCED) == set()
    assert store.resolve(state("users", 1)) == []
    ended = kind in ("FAIL", "ABORT")
    assert node(store, job_run(1)).properties.get("notWritten") == (["pg/users"] if ended else None)


def test_unobserved_is_there_only_while_it_is_used(store: GraphStore) -> None:
    send(store, event(2, "START", 10, ["users"]))
    assert node(store, state("users", "unobserved")).id == state("users", "unobserved")

    send(store, event(1, "COMPLETE", 5, [], ["users"]))

    assert store.resolve(state("users", "unobserved")) == []
    assert edges(store, E.INPUT_TO) == {(state("users", 1), job_run(2))}


def test_a_run_that_updates_a_table_read_what_was_there_before(store: GraphStore) -> None:
    send(
        store,
        event(1, "COMPLETE", 5, [], ["users"]),
        event(2, "START", 10, ["users"]),
        event(2, "COMPLETE", 10, [], ["users"]),
        event(3, "START", 20, ["users"]),
    )

    assert edges(store, E.INPUT_TO) == {(state("users", 1), job_run(2)), (state("users", 2), job_run(3))}


def test_outputs_are_the_union_over_the_events(store: GraphStore) -> None:
    send(
        store,
        event(1, "START", 0, [], ["a"]),
        event(1, "RUNNING", 1, [], ["b"]),
        event(1, "COMPLETE", 2, [], ["c"]),
    )

    assert edges(store, E.PRODUCED) == {(job_run(1), state(t, 1)) for t in "abc"}


def test_a_late_write_moves_only_what_lies_in_its_window(store: GraphStore) -> None:
    writes = [event(number, "COMPLETE", 10 * number, ["other"], ["users"]) for number in range(1, 13)]
    reads = [event(100 + number, "START", 10 * number + 5, ["users"]) for number in range(1, 13)]
    write(store, events_as_records(writes))
    write(store, events_as_records(reads))
    before = edges(store, E.INPUT_TO)

    ((source, records),) = events_as_records([event(99, "COMPLETE", 63, [], ["users"])])
    written = store.transact(lambda tx: joins.apply(tx, source, records))

    moved = {(state("users", 6), job_run(106))}
    assert edges(store, E.INPUT_TO) == before - moved | {(state("users", 99), job_run(106))}
    assert written.edges_retired == 1
    assert written.edges == 4, "HAS of the job and of the table, PRODUCED, and the one that moved"


def test_a_version_facet_says_itself_what_was_read(store: GraphStore) -> None:
    def versioned(kind: str, second: int, number: int, side: str, version: str) -> dict[str, Any]:
        made = event(number, kind, second, *([["t"], []] if side == "inputs" else [[], ["t"]]))
        made[side][0]["facets"] = {"version": {"datasetVersion": version}}
        return made

    send(
        store,
        versioned("COMPLETE", 10, 1, "outputs", "v7"),
        versioned("COMPLETE", 20, 2, "outputs", "v8"),
        versioned("START", 30, 3, "inputs", "v7"),
        event(4, "START", 30, ["t"]),
    )

    # By their leading names, which are those of the runs.
    assert edges(store, E.INPUT_TO) == {(state("t", 1), job_run(3)), (state("t", 2), job_run(4))}
    assert node(store, state("t", "v7")).id == state("t", 1)


def test_retries_are_one_job_run_however_they_come(fresh: Callable[[], GraphStore]) -> None:
    def task(number: int, attempt: int, kind: str, second: int) -> dict[str, Any]:
        told = {
            "dagRun": {"dag_id": "etl", "run_id": "r1"},
            "task": {"task_id": "load", "operator_class": "BashOperator"},
            "taskInstance": {"try_number": attempt},
        }
        parent = {"run": {"runId": run(9)}, "job": {"namespace": "airflow-prod", "name": "etl"}}
        return event(number, kind, second, airflow=told, parent=parent)

    dag = event(
        9, "FAIL", 50, job="etl",
        airflowDagRun={"dag": {}, "dagRun": {"dag_id": "etl", "run_id": "r1"}},
        airflowState={"dagRunState": "failed", "tasksState": {"load": "failed", "train": "upstream_failed"}},
    )  # fmt: skip
    events = [
        task(1, 1, "START", 10),
        task(1, 1, "FAIL", 20),
        task(2, 2, "START", 30),
        task(2, 2, "FAIL", 40),
        dag,
    ]
    digests = set()
    for order in (events, events[::-1], [dag, *events[1:], events[0], dag]):
        store = fresh()
        send(store, *order)

        digests.add(store.digest())
        tried = node(store, job_run(2))
        assert tried.id == job_run(1)
        assert {i.partition("=")[0] for i in tried.identifiers} == {
            "openlineage.run_id",
            "airflow.task_instance@airflow-prod",
        }
        assert {number: one["runId"] for number, one in tried.properties["tries"].items()} == {
            "1": run(1),
            "2": run(2),
        }
        assert tried.properties["status"] == "FAILED"
        assert node(store, "airflow.dag_run@airflow-prod=etl/r1").id == job_run(9)
        skipped = node(store, "airflow.task_instance@airflow-prod=etl/r1/train")
        assert (skipped.properties["status"], skipped.properties["taskState"]) == (
            "SKIPPED",
            "upstream_failed",
        )
        assert (job_run(9), skipped.id) in edges(store, E.HAS)
    assert len(digests) == 1


def test_columns_say_from_which_version_they_were_made(store: GraphStore) -> None:
    lineage = {
        "fields": {
            "total": {
                "inputFields": [
                    {"namespace": "pg", "name": "orders", "field": "amount"},
                    {"namespace": "pg", "name": "orders", "field": "tax"},
                ]
            }
        }
    }
    wrote = event(2, "COMPLETE", 30, [], ["totals"])
    wrote["outputs"][0]["facets"] = {"columnLineage": lineage}

    send(
        store,
        wrote,
        event(2, "START", 20, ["orders"], []),
        event(1, "COMPLETE", 10, [], ["orders"]),
        event(3, "COMPLETE", 25, [], ["orders"]),
    )

    (made,) = [edge for edge in everything(store) if edge.kind is E.DERIVED_INTO]
    assert (made.src, made.dst) == (state("orders", 1), state("totals", 2))
    assert made.properties == {"columns": [["amount", "total"], ["tax", "total"]]}
    assert node(store, state("totals", 2)).properties["columns"] == ["total"]


def test_the_tables_of_mlflow_and_of_pipelines_are_the_same(store: GraphStore) -> None:
    trained = Record(
        "run/1", "run", 1, (tables.read("pg/features", "mlflow.run_id=1", 1_800_000_000_000_000),)
    )
    store.transact(lambda tx: joins.apply(tx, Source("tracking", "mlflow"), [trained]))
    assert edges(store, E.INPUT_TO) == {(state("features", "unobserved"), "mlflow.run_id=1")}

    send(store, event(1, "COMPLETE", 10, [], ["features"]))

    assert edges(store, E.INPUT_TO) == {(state("features", 1), "mlflow.run_id=1")}


# in any order, against a plain reading of all the events ---------------------------------------------------


def made_up(dice: random.Random) -> list[dict[str, Any]]:
    events = []
    for number in range(1, 7):
        second = dice.randrange(12)
        for kind in dice.sample(["START", "RUNNING", "COMPLETE", "FAIL"], dice.randint(1, 4)):
            tables = [dice.sample(["a", "b"], dice.randrange(3)) for _ in range(2)]
            events.append(event(number, kind, second + dice.randrange(6), *tables))
    return events


def plainly(events: Sequence[dict[str, Any]]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """What was read and what was written, read off all the events at once."""
    runs: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in events:
        runs[each["run"]["runId"]].append(each)
    writes: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for run_id, said in runs.items():
        done = [e["eventTime"] for e in said if e["eventType"] == "COMPLETE"]
        if done:
            for table in {t["name"] for e in said for t in e["outputs"]}:
                writes[table].append((min(done), run_id))
    reads = set()
    for run_id, said in runs.items():
        starts = [e["eventTime"] for e in said if e["eventType"] == "START"]
        began = min(starts or [e["eventTime"] for e in said])
        for table in {t["name"] for e in said for t in e["inputs"]}:
            before = [w for w in writes[table] if w[0] <= began and w[1] != run_id]
            if before:
                reads.add((f"pg/{table}@{max(before)[1]}", run_id))
            elif not [w for w in writes[table] if w[0] < began]:
                reads.add((f"pg/{table}@unobserved", run_id))
    written = {(run_id, f"pg/{table}@{run_id}") for table, held in writes.items() for _, run_id in held}
    return reads, written


def test_any_order_comes_to_what_all_of_them_say(engine: str, fresh: Callable[[], GraphStore]) -> None:
    for seed in range(60 if engine == "sqlite" else 3):
        dice = random.Random(seed)
        events = made_up(dice)
        reads, written = plainly(events)
        order = [*events, *dice.sample(events, len(events) // 2)]
        dice.shuffle(order)
        store = fresh()

        send(store, *order)

        found = [
            {(src.partition("=")[2], dst.partition("=")[2]) for src, dst in edges(store, kind)}
            for kind in (E.INPUT_TO, E.PRODUCED)
        ]
        assert found == [reads, written], f"seed {seed}"
