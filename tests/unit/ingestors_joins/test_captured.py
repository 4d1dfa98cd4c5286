"""A command's processes and the runs that it made elsewhere; told in any order, on both stores."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from graph_schema.claims import Claim, Links, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import Direction
from ingestors import joins
from ingestors.joins.captured import made, part
from tests.contract.conftest import Fresh

CAPTURE, TRACKING = Source("capture", "capture"), Source("tracking", "mlflow")
RUN = "kinlore.run=0f8fad5b-d9cb-469f-a165-70867728950e"


def mlflow(number: int) -> str:
    return f"mlflow.run_id={number:032x}"


def process(rank: int, status: str, at: int) -> tuple[Source, list[Claim]]:
    error = {"error": f"rank {rank}"} if status != "FINISHED" else {}
    return CAPTURE, [part(RUN, at, status, rank, {"status": status, "rank": rank, **error})]


def tracked(number: int, parent: int | None = None) -> tuple[Source, list[Claim]]:
    me = mlflow(number)
    claims: list[Claim] = [States(NodeKind.RUN, me, {"name": f"run {number}"})]
    if parent is not None:
        claims.append(Links(EdgeKind.HAS, mlflow(parent), me))
    return TRACKING, [*claims, made(RUN, me, number, None if parent is None else mlflow(parent))]


def told(store: GraphStore, order: Sequence[tuple[Source, list[Claim]]]) -> None:
    for source, claims in order:
        record = Record(f"{source.name}/{claims[-1]}"[:200], "run", 1, tuple(claims))
        store.transact(lambda tx, s=source, r=record: joins.apply(tx, s, [r]))


def names(store: GraphStore, identifier: str) -> set[str]:
    (handle,) = store.resolve(identifier)
    (node,) = store.get([handle])
    assert node is not None
    return {str(i) for i in node.identifiers}


def digests(
    fresh: Fresh, engine: str, told_by: Sequence[tuple[Source, list[Claim]]]
) -> tuple[set[str], GraphStore]:
    found: set[str] = set()
    orders = list(permutations(told_by))
    # The rule is the same on both stores; on a server every order would take minutes.
    chosen = orders if engine == "sqlite" else [orders[0], orders[-1]]
    for order in chosen:
        store = fresh()
        told(store, order)
        found.add(store.digest())
    return found, store


def test_the_first_process_to_fail_speaks_for_all(fresh: Fresh, engine: str) -> None:
    parts = [
        process(0, "FINISHED", 40),
        process(1, "KILLED", 10),
        process(2, "FAILED", 30),
        process(3, "FAILED", 20),
    ]

    found, store = digests(fresh, engine, parts)

    assert len(found) == 1
    (handle,) = store.resolve(RUN)
    (node,) = store.get([handle])
    assert node is not None
    assert node.properties == {"status": "FAILED", "rank": 3, "error": "rank 3", "failedRanks": [2, 3]}


def test_the_one_run_that_a_command_made_is_the_command(fresh: Fresh, engine: str) -> None:
    found, store = digests(fresh, engine, [process(0, "FAILED", 10), tracked(1), tracked(2, parent=1)])

    assert len(found) == 1
    assert names(store, RUN) == {RUN, mlflow(1)}
    assert names(store, mlflow(2)) == {mlflow(2)}


def test_of_several_runs_the_command_has_each(fresh: Fresh, engine: str) -> None:
    found, store = digests(fresh, engine, [process(0, "FINISHED", 10), tracked(1), tracked(2)])

    assert len(found) == 1
    assert names(store, RUN) == {RUN}
    (handle,) = store.resolve(RUN)
    steps = store.expand([handle], Direction.DOWNSTREAM, [EdgeKind.HAS]).steps
    assert {label.id for label in store.labels([step.dst for step in steps])} == {mlflow(1), mlflow(2)}


def test_a_run_whose_command_is_not_known_stays_alone(fresh: Fresh, engine: str) -> None:
    _, store = digests(fresh, engine, [tracked(1)])

    assert names(store, mlflow(1)) == {mlflow(1)}
    assert store.resolve(RUN) == []
