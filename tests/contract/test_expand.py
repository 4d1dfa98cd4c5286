"""One hop: direction, kinds, what is the same thing, time in the world and time of knowledge."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from graph_schema.claims import Claim, Links, Names, States
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source, Transaction
from graph_schema.values import NOW, Direction, Expansion, Moment, Spaces
from ingestors import joins
from tests.contract.harness import TRACKING, record, say

K, E = NodeKind, EdgeKind
UP, DOWN = Direction.UPSTREAM, Direction.DOWNSTREAM


def data(n: int) -> str:
    return f"dvc.md5={str(n) * 32}"


def run(n: int) -> str:
    return f"mlflow.run_id={n}"


def model(n: int) -> str:
    return f"mlflow.logged_model=m-{n}"


class Hop:
    """An expansion by ids."""

    def __init__(self, store: GraphStore, found: Expansion, known_at: int | None) -> None:
        handles = sorted({h for s in (*found.steps, *found.same) for h in (s.src, s.dst)})
        ids = {label.handle: label.id for label in store.labels(handles, known_at=known_at)}
        self.steps = sorted((ids[s.src], ids[s.dst], s.kind.value) for s in found.steps)
        self.same = sorted((ids[s.src], ids[s.dst]) for s in found.same)
        self.hidden = found.hidden
        self.beliefs = [s.belief for s in found.steps]


def hop(
    store: GraphStore,
    *texts: str,
    way: Direction = DOWN,
    kinds: tuple[EdgeKind, ...] = FLOW_KINDS,
    as_of: int | None = None,
    known_at: int | None = None,
    spaces: Spaces = None,
) -> Hop:
    handles = [h for text in texts for h in store.resolve(text, known_at=known_at)]
    return Hop(store, store.expand(handles, way, kinds, Moment(as_of, known_at), spaces), known_at)


def test_steps_leave_in_the_direction_asked_for(store: GraphStore) -> None:
    say(store, Links(E.INPUT_TO, data(1), run(1)), Links(E.PRODUCED, run(1), model(1)))

    assert hop(store, run(1)).steps == [(run(1), model(1), "PRODUCED")]
    assert hop(store, run(1), way=UP).steps == [(data(1), run(1), "INPUT_TO")]
    assert hop(store, data(1), way=UP).steps == []


def test_both_ways_at_once_is_no_hop(store: GraphStore) -> None:
    say(store, Names(K.RUN, (run(1),)))

    with pytest.raises(BadInput):
        hop(store, run(1), way=Direction.BOTH)


def test_only_the_kinds_asked_for_are_followed(store: GraphStore) -> None:
    say(store, Links(E.PRODUCED, run(1), model(1)), Links(E.HAS, run(1), run(2)))

    assert hop(store, run(1), kinds=(E.HAS,)).steps == [(run(1), run(2), "HAS")]
    assert len(hop(store, run(1), kinds=(E.HAS, E.PRODUCED)).steps) == 2
    assert hop(store, run(1), kinds=()).steps == []


def test_a_frontier_of_many_gives_every_step_once(store: GraphStore) -> None:
    say(store, *[Links(E.INPUT_TO, data(n), run(1)) for n in range(5)], Links(E.HAS, run(1), run(2)))

    found = hop(store, *[data(n) for n in range(5)], data(0))

    assert found.steps == [(data(n), run(1), "INPUT_TO") for n in range(5)]
    assert len(set(found.beliefs)) == 5


def test_nothing_asked_is_nothing_found(store: GraphStore) -> None:
    assert store.expand([], DOWN, FLOW_KINDS, NOW) == Expansion([], [], {})
    assert store.expand([10**12], DOWN, FLOW_KINDS, NOW).steps == []


def test_parallel_edges_and_loops_are_all_there(store: GraphStore) -> None:
    edge = Links(E.DERIVED_INTO, data(1), data(2))
    say(store, edge, Links(E.DERIVED_INTO, data(1), data(2), 5), Links(E.DERIVED_INTO, data(1), data(1)))
    say(store, edge, key="other")

    found = hop(store, data(1))

    assert found.steps == [(data(1), data(1), "DERIVED_INTO")] + [(data(1), data(2), "DERIVED_INTO")] * 3
    assert len(set(found.beliefs)) == 4
    assert (data(1), data(1), "DERIVED_INTO") in hop(store, data(1), way=UP).steps


def test_edges_answer_in_the_order_of_their_handles(store: GraphStore) -> None:
    say(store, *[Links(E.INPUT_TO, data(n), run(1), n) for n in range(3)])
    steps = store.expand(store.resolve(run(1)), UP, FLOW_KINDS, NOW).steps
    asked = [*[s.belief for s in steps][::-1], steps[0].belief]

    edges = store.edges(asked)

    assert [e.valid_from for e in edges[:3]] == [e.valid_from for e in store.edges(asked[:3])]
    assert edges[0] == edges[2] or edges[-1] == edges[2]
    assert edges[-1] == edges[2], "asked for twice, answered twice"
    assert store.edges([]) == []


# the same thing ----------------------------------------------------------------------------------------


def same(a: str, b: str, since: int | None = None, until: int | None = None) -> Links:
    return Links(E.SAME_AS, a, b, since, until)


@pytest.mark.parametrize("turned", [False, True])
def test_same_as_is_crossed_in_either_direction_on_both_ends(store: GraphStore, turned: bool) -> None:
    pairs = [("a", "b"), ("c", "d")]
    names = {c: f"openlineage.dataset_version=ns/{c}@unobserved" for c in "abcd"}
    links = [same(*(names[c] for c in (pair[::-1] if turned else pair))) for pair in pairs]
    say(store, *links, Links(E.DERIVED_INTO, names["b"], names["c"]))

    found = hop(store, names["a"])

    assert found.steps == [(names["b"], names["c"], "DERIVED_INTO")]
    assert sorted({n for pair in found.same for n in pair}) == sorted(names.values())
    back = hop(store, names["d"], way=UP)
    assert back.steps == found.steps
    assert back.same == found.same


def test_chains_of_same_as_are_closed_whole(store: GraphStore) -> None:
    names = [f"openlineage.dataset_version=ns/{n}@unobserved" for n in range(8)]
    chain = [same(*(pair if n % 2 else pair[::-1])) for n, pair in enumerate(itertools.pairwise(names))]
    say(store, *chain, Links(E.INPUT_TO, names[7], run(1)))

    found = hop(store, names[0])

    assert found.steps == [(names[7], run(1), "INPUT_TO")]
    assert len(found.same) == 7


def test_same_as_is_crossed_across_kinds(store: GraphStore) -> None:
    content = "e" * 64
    say(
        store,
        Names(K.DATASET_VERSION, (data(1), f"sha256@dataset_version={content}")),
        Names(K.MODEL_VERSION, (model(1), f"sha256@model_version={content}")),
        Links(E.DERIVED_INTO, data(0), data(1)),
        Links(E.DEPLOYED_AS, model(1), "deployment@k=prod/churn@1"),
    )

    assert hop(store, data(1)).steps == [(model(1), "deployment@k=prod/churn@1", "DEPLOYED_AS")]
    assert hop(store, model(1), way=UP).steps == [(data(0), data(1), "DERIVED_INTO")]


def test_same_as_holds_only_at_its_time(store: GraphStore) -> None:
    a, b = (f"openlineage.dataset_version=ns/{c}@unobserved" for c in "ab")
    say(store, same(a, b, 10, 20), Links(E.INPUT_TO, b, run(1)))

    assert [len(hop(store, a, as_of=t).steps) for t in (None, 9, 10, 19, 20)] == [1, 0, 1, 1, 0]


# time --------------------------------------------------------------------------------------------------


VALID = [
    (None, None, [True] * 5),
    (10, None, [False, True, True, True, True]),
    (None, 20, [True, True, True, False, False]),
    (10, 20, [False, True, True, False, False]),
    (10, 10, [False, False, False, False, False]),
    (20, 10, [False, False, False, False, False]),
]


def test_as_of_takes_the_start_and_leaves_the_end(store: GraphStore) -> None:
    for since, until, there in VALID:
        say(store, Links(E.INPUT_TO, data(1), run(1), since, until))

        times = (9, 10, 19, 20, 21)
        assert [bool(hop(store, data(1), as_of=t).steps) for t in times] == there, (since, until)
        assert [bool(hop(store, run(1), way=UP, as_of=t).steps) for t in times] == there, (since, until)
        assert hop(store, data(1)).steps, "without a time, everything that is believed"


def test_times_before_1970_and_far_off_are_times(store: GraphStore) -> None:
    say(store, Links(E.INPUT_TO, data(1), run(1), -(10**15), 2 * 10**17))

    assert [bool(hop(store, data(1), as_of=t).steps) for t in (-(10**15) - 1, -(10**15), 0, 2 * 10**17)] == [
        False, True, True, False,
    ]  # fmt: skip


def _told(store: GraphStore) -> Callable[..., int]:
    def tell(*claims: Claim, key: str = "r") -> int:
        def work(tx: Transaction) -> int:
            joins.apply(tx, TRACKING, [record(key, *claims)])
            return tx.now

        return store.transact(work)

    return tell


def test_known_at_gives_the_edges_held_then_between_the_nodes_of_then(store: GraphStore) -> None:
    tell, experiment = _told(store), f"dvc.experiment={'c' * 40}"
    alone = tell(Links(E.INPUT_TO, data(1), experiment, 5))
    joined = tell(Names(K.RUN, (run(1), experiment)), key="join")
    changed = tell(Links(E.INPUT_TO, data(1), experiment, 6))
    split = tell(key="join")
    gone = tell()

    def at(known_at: int) -> list[tuple[str, str, int | None]]:
        handles = store.resolve(data(1), known_at=known_at)
        steps = store.expand(handles, DOWN, FLOW_KINDS, Moment(known_at=known_at)).steps
        edges = store.edges([s.belief for s in steps], known_at=known_at)
        return [(e.src, e.dst, e.valid_from) for e in edges]

    assert at(alone - 1) == []
    assert at(alone) == [(data(1), experiment, 5)]
    assert at(joined) == [(data(1), run(1), 5)]
    assert at(changed) == [(data(1), run(1), 6)]
    assert at(split) == [(data(1), experiment, 6)]
    assert at(gone) == []
    assert hop(store, experiment, way=UP, known_at=joined).steps == [(data(1), run(1), "INPUT_TO")]


def test_both_times_go_together(store: GraphStore) -> None:
    tell = _told(store)
    first = tell(Links(E.INPUT_TO, data(1), run(1), 10))
    tell(Links(E.INPUT_TO, data(1), run(1), 20))

    assert hop(store, data(1), as_of=15).steps == []
    assert len(hop(store, data(1), as_of=15, known_at=first).steps) == 1


def test_same_as_is_known_from_when_it_was_told(store: GraphStore) -> None:
    tell = _told(store)
    a, b = (f"openlineage.dataset_version=ns/{c}@unobserved" for c in "ab")
    before = tell(Links(E.INPUT_TO, b, run(1)), States(K.DATASET_VERSION, a, {}))
    told = tell(same(a, b), key="same")
    tell(key="same")

    assert hop(store, a, known_at=before).steps == []
    assert hop(store, a, known_at=told).steps == [(b, run(1), "INPUT_TO")]
    assert hop(store, a, known_at=told).same == [(a, b)]
    assert hop(store, a).steps == []


# spaces ------------------------------------------------------------------------------------------------


def test_edges_of_other_spaces_are_counted_and_not_shown(store: GraphStore) -> None:
    red, blue = Source("a", "mlflow", "red"), Source("b", "git", "blue")
    say(store, States(K.DATASET_VERSION, data(1), {}), Links(E.INPUT_TO, data(1), run(1)), source=red)
    say(store, Links(E.INPUT_TO, data(1), run(2)), States(K.RUN, run(2), {}), source=blue)

    found = hop(store, data(1), spaces=frozenset({"red"}))

    assert found.steps == [(data(1), run(1), "INPUT_TO")]
    assert found.hidden == {store.resolve(data(1))[0]: 1}
    everyone = hop(store, data(1), spaces=frozenset({"red", "blue"}))
    assert (len(everyone.steps), everyone.hidden) == (2, {})
    assert hop(store, data(1)).hidden == {}


def test_same_as_of_other_spaces_is_not_crossed(store: GraphStore) -> None:
    red, blue = Source("a", "mlflow", "red"), Source("b", "git", "blue")
    a, b = (f"openlineage.dataset_version=ns/{c}@unobserved" for c in "ab")
    say(store, States(K.DATASET_VERSION, a, {}), Links(E.INPUT_TO, b, run(1)), source=red)
    say(store, same(a, b), source=blue)

    assert hop(store, a, spaces=frozenset({"red"})).steps == []
    assert hop(store, a, spaces=frozenset({"red", "blue"})).steps == [(b, run(1), "INPUT_TO")]
