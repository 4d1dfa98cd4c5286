"""What was known at any earlier time is answered as it was answered then."""

from __future__ import annotations

from graph_schema.store import GraphStore
from tests.benchmarks.causes.organisation import organisation
from tests.benchmarks.past import differing, lived


def test_random_past_states_equal_snapshots(store: GraphStore, engine: str) -> None:
    # A transaction is dearer on Neo4j, and one a record are many.
    things, states = (1_200, 150) if engine == "sqlite" else (80, 20)

    snapshots = lived(store, organisation(1), states, things=things, seed=11)

    assert len(snapshots) == states
    assert any(each.answer[1] for each in snapshots), "some walk leads somewhere"
    assert differing(store, snapshots) == []
