"""When something new was last said of a node: by its source's own time, else when it was recorded."""

from __future__ import annotations

from typing import Any

from graph_schema.claims import Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.times import Micros
from ingestors import joins
from tests.contract.harness import Clock

TRACKING = Source("tracking", "mlflow")
RUN = "mlflow.run_id=aaa"
MINUTE = 60_000_000


def say(store: GraphStore, clock: Clock, version: int, at: Micros | None = None, **about: Any) -> int:
    """Write a state of the run a minute after the last; when it was recorded."""
    clock.now += MINUTE
    record = Record("r", "run", version, (Names(NodeKind.RUN, (RUN,)), States(NodeKind.RUN, RUN, about, at)))

    def work(tx: Any) -> int:
        joins.apply(tx, TRACKING, [record])
        return int(tx.now)

    return store.transact(work)


def heard(store: GraphStore, known_at: int | None = None) -> int | None:
    (word,) = store.heard(store.resolve(RUN), known_at=known_at)
    return word


def test_what_changes_is_heard_and_what_is_repeated_is_not(store: GraphStore, clock: Clock) -> None:
    first = say(store, clock, 1, status="RUNNING")
    assert heard(store) == first

    say(store, clock, 2, status="RUNNING")
    assert heard(store) == first

    third = say(store, clock, 3, status="RUNNING", metrics={"loss": 1})
    assert heard(store) == third and heard(store, known_at=third - 1) == first


def test_a_source_with_times_of_its_own_is_believed(store: GraphStore, clock: Clock) -> None:
    own = clock.now - 5 * MINUTE

    say(store, clock, 1, at=own, status="RUNNING")

    assert heard(store) == own


def test_of_what_nothing_is_said_nothing_was_heard(store: GraphStore, clock: Clock) -> None:
    other = "mlflow.run_id=bbb"
    record = Record("r", "run", 1, (Names(NodeKind.RUN, (other,)), Links(EdgeKind.HAS, other, RUN)))
    store.transact(lambda tx: joins.apply(tx, TRACKING, [record]))

    assert heard(store) is None
