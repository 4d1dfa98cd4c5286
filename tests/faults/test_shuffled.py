"""Row 9: whatever order events arrive in, and however often, the graph is the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from graph_schema.store import GraphStore
from tests.faults.conftest import Figure
from tests.sources.openlineage_chain import recorded
from tests.sources.openlineage_records import (
    Batch,
    events_as_records,
    pull_as_records,
    run_event,
    transactions,
    write,
)

Fresh = Callable[[], GraphStore]

#: On SQLite; a transaction on Neo4j takes ten times as long, and the writer is the same code.
SHORT, LONG = 100, 1_000
_NEO4J = 100


def uuid(number: int) -> str:
    return f"0190f2a4-6b1c-7def-8123-{number:012d}"


def at(second: int) -> str:
    return f"2026-11-18T02:00:{second:02d}Z"


def every_kind_of_end() -> list[Batch]:
    """Runs that say START, RUNNING, COMPLETE and FAIL, of the same tables, some at the same time."""
    dice = random.Random(9)
    tables = ["raw", "staged", "features"]
    events = []
    for number in range(10):
        begin = dice.randrange(40)
        for kind in ("START", "RUNNING", "COMPLETE", "FAIL"):
            inputs, outputs = (dice.sample(tables, dice.randrange(3)) for _ in range(2))
            if kind in ("START", "RUNNING") or dice.random() < 0.7:
                events.append(
                    run_event(uuid(number), kind, at(begin), inputs, outputs, job=f"job{number % 3}")
                )
            begin += dice.randrange(4)
    return events_as_records(events)


def chain() -> list[Batch]:
    """Two real nights of Airflow, dbt and MLflow."""
    return [*events_as_records(recorded("events")), pull_as_records(recorded("mlflow"))]


def shuffled(batches: Sequence[Batch], times: int, fresh: Fresh) -> int:
    """Of so many ways to deliver everything twice, in any order, how many come to the same graph as once, in
    order. MLflow's pull is one of the deliveries: before, between or after the events."""
    store = fresh()
    for together in transactions(batches, random.Random(0), most=8):
        write(store, together)
    expected, nodes = store.digest(), store.counts().nodes
    assert sum(nodes.values()) > 10
    equal = 0
    for seed in range(times):
        dice = random.Random(seed)
        order = [*batches, *batches]
        dice.shuffle(order)
        store = fresh()
        for together in transactions(order, dice, most=1 + seed % 12):
            write(store, together)
        equal += store.digest() == expected
    return equal


def ways(engine: str, long: bool) -> int:
    return (LONG if long else SHORT) // (1 if engine == "sqlite" else _NEO4J)


@pytest.mark.slow
@pytest.mark.parametrize("batches", [every_kind_of_end, chain])
def test_shuffled_and_doubled(
    engine: str, fresh: Fresh, figure: Figure, batches: Callable[[], list[Batch]]
) -> None:
    times = ways(engine, long=False)

    equal = shuffled(batches(), times, fresh)

    figure("row 9, equal", f"{equal} / {times}")
    assert equal == times


@pytest.mark.soak
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("batches", [every_kind_of_end, chain])
def test_shuffled_and_doubled_a_thousand_ways(
    engine: str, fresh: Fresh, figure: Figure, batches: Callable[[], list[Batch]]
) -> None:
    times = ways(engine, long=True)

    equal = shuffled(batches(), times, fresh)

    figure("row 9, equal", f"{equal} / {times}")
    assert equal == times
