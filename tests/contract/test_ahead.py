"""Reading ahead changes no answer: whatever a walk lets the store read, each hop is what it is alone."""

from __future__ import annotations

import random

import pytest

from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import NOW, Ahead, Direction, Expansion, Moment, Spaces
from tests.contract.harness import record, say

E = EdgeKind
OURS = Source("ours", "test")
THEIRS = Source("theirs", "test", "secret")
NODES = 40


def data(number: int) -> str:
    return f"md5@dataset_version={number:032x}"


def fill(store: GraphStore, seed: int, *, same: int, secret: int) -> None:
    """Random edges, cycles among them, of which some end; twins; and edges of another space."""
    dice = random.Random(seed)

    def edges(count: int) -> list[Claim]:
        found: list[Claim] = []
        for number in range(count):
            a, b = dice.sample(range(NODES), 2)
            until = number + 20 if dice.random() < 0.3 else None
            found.append(Links(E.DERIVED_INTO, data(a), data(b), number, until))
        return found

    twins = [dice.sample(range(NODES), 2) for _ in range(same)]
    said = [Names(NodeKind.DATASET_VERSION, (data(number),)) for number in range(NODES)]
    say(store, *said, *edges(60), *(Links(E.SAME_AS, data(a), data(b)) for a, b in twins), source=OURS)
    if secret:
        store.transact(lambda tx: tx.write(THEIRS, [record("theirs", *edges(secret))]))


def walked(
    store: GraphStore, start: int, way: Direction, moment: Moment, spaces: Spaces, ahead: Ahead | None
) -> list[tuple[object, ...]]:
    """Hop after hop, each as it was answered."""
    found, seen, frontier = [], {start}, [start]
    while frontier:
        hop = store.expand(frontier, way, FLOW_KINDS, moment, spaces, ahead)
        found.append(told(hop))
        ends = {node for step in (*hop.steps, *hop.same) for node in step[:2]}
        frontier = sorted(ends - seen)
        seen |= ends
    return found


def told(hop: Expansion) -> tuple[object, ...]:
    return sorted(hop.steps), sorted(hop.same), hop.hidden


@pytest.mark.parametrize("spaces", [None, frozenset({"default"})])
@pytest.mark.parametrize("moment", [NOW, Moment(as_of=30)])
def test_a_walk_that_is_read_ahead_is_the_same_walk(
    store: GraphStore, moment: Moment, spaces: Spaces
) -> None:
    fill(store, 5, same=6, secret=15)
    dice = random.Random(1)
    longest = 0
    for start, way in zip((0, 7), (Direction.DOWNSTREAM, Direction.UPSTREAM), strict=True):
        (handle,) = store.resolve(data(start))
        alone = walked(store, handle, way, moment, spaces, None)
        longest = max(longest, len(alone))
        for most in (5, 1_000):
            ahead = Ahead(dice.choice((1, 3, 5, 20)), most)
            assert walked(store, handle, way, moment, spaces, ahead) == alone
    assert longest > 3


def test_a_graph_without_twins_and_without_walls(store: GraphStore) -> None:
    fill(store, 8, same=0, secret=0)
    (start,) = store.resolve(data(30))

    ahead = walked(store, start, Direction.DOWNSTREAM, NOW, None, Ahead(9, 1_000))

    assert ahead == walked(store, start, Direction.DOWNSTREAM, NOW, None, None)
    assert any(hop[0] for hop in ahead)


def test_the_past_is_read_as_it_was_known(store: GraphStore) -> None:
    fill(store, 5, same=6, secret=0)
    known = store.transact(lambda tx: tx.now)
    (start,) = store.resolve(data(0))
    before = walked(store, start, Direction.DOWNSTREAM, NOW, None, None)
    say(store, Links(E.DERIVED_INTO, data(0), data(1)), key="later")

    then = walked(store, start, Direction.DOWNSTREAM, Moment(known_at=known), None, Ahead(9, 1_000))

    assert then == before


def test_kinds_decide_what_is_followed_and_same_as_may_be_asked_for(store: GraphStore) -> None:
    fill(store, 5, same=6, secret=0)
    (start,) = store.resolve(data(0))

    for kinds in ((), (E.SAME_AS,), (E.DERIVED_INTO, E.SAME_AS), (E.HAS,)):
        alone = store.expand([start], Direction.DOWNSTREAM, kinds, NOW)
        assert told(store.expand([start], Direction.DOWNSTREAM, kinds, NOW, None, Ahead(4, 99))) == told(
            alone
        )


def test_what_is_written_while_somebody_walks_does_not_stop_the_walk(store: GraphStore) -> None:
    """What was read ahead stays as it was read; what is read later may name what is the same thing."""
    say(store, *[Links(E.DERIVED_INTO, data(n), data(n + 1)) for n in range(9)])
    (start,) = store.resolve(data(0))
    ahead = Ahead(2, 1_000)
    first = store.expand([start], Direction.DOWNSTREAM, FLOW_KINDS, NOW, None, ahead)
    say(store, Links(E.SAME_AS, data(1), data(6)), Links(E.SAME_AS, data(6), data(8)), key="later")

    found, frontier = [first], [step.dst for step in first.steps]
    for _ in range(9):
        found.append(store.expand(frontier, Direction.DOWNSTREAM, FLOW_KINDS, NOW, None, ahead))
        frontier = [step.dst for step in found[-1].steps]

    assert {step.belief for hop in found for step in hop.steps} >= {step.belief for step in first.steps}
    assert {step.src for hop in found for step in hop.steps} == {
        handle for n in range(9) for handle in store.resolve(data(n))
    }
