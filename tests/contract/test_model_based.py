"""Random histories: both engines see what the plain model sees, now and at every earlier revision, and the
order in which records arrive, or how often, makes no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.lineage.walk import lineage
from graph_schema.edges import EdgeKind
from graph_schema.store import GraphStore, Transaction
from graph_schema.values import Direction, Moment
from ingestors import joins
from tests.contract.harness import Clock, open_sqlite, see
from tests.contract.model import Model, Seen, holds, walk
from tests.contract.strategies import KINDS, TIMES, Op, Retire, Write, deliveries, histories, loads

#: Examples in `make test`, and in `make soak`.
EXAMPLES = {"sqlite": 300, "neo4j": 12}
SOAK = {"sqlite": 5_000, "neo4j": 500}

#: Nodes of one graph to walk from: more tell little more.
MOST_WALKS = 5

Fresh = Callable[[], GraphStore]


def run_op(store: GraphStore, op: Op) -> int:
    """One transaction. Returns its time."""

    def work(tx: Transaction) -> int:
        if isinstance(op, Retire):
            tx.retire(op.source, op.keys, op.at)
        else:
            joins.apply(tx, op.source, op.records)
        return tx.now

    return store.transact(work)


def apply_to(model: Model, op: Op) -> None:
    """The same in the model."""
    if isinstance(op, Retire):
        model.retire(op.source, op.keys, op.at)
    else:
        model.write(op.source, op.records)


def assert_same(seen: Seen, expected: Seen) -> None:
    """Node by node and edge by edge, so that a failure shows the one that differs."""
    assert sorted(seen.nodes) == sorted(expected.nodes)
    for id, node in expected.nodes.items():
        assert seen.nodes[id] == node
    assert dict(seen.edges - expected.edges) == {}, "edges too many"
    assert dict(expected.edges - seen.edges) == {}, "edges missing"
    assert seen.classes == expected.classes


def check_walks(store: GraphStore, expected: Seen, moment: Moment) -> None:
    """Lineage of some nodes, both ways, to its end and cut short."""
    for id in list(expected.nodes)[:MOST_WALKS]:
        (root,) = store.resolve(id, known_at=moment.known_at)
        for direction in (Direction.UPSTREAM, Direction.DOWNSTREAM):
            for hops in (1, 20):
                found = lineage(store, root, direction, hops, moment=moment, stubs=False)
                sign = -1 if direction is Direction.UPSTREAM else 1
                reached = {label.id: sign * hop for label, hop in zip(found.labels, found.hops, strict=True)}
                assert reached == walk(expected, id, direction, hops, moment.as_of)


def check_counts(store: GraphStore, expected: Seen) -> None:
    """What the store counts is what there is to see; so nothing lies outside the kinds that tests look at."""
    counts = store.counts()
    nodes: dict[str, int] = {}
    edges: dict[str, int] = {}
    for node in expected.nodes.values():
        nodes[node.kind.value] = nodes.get(node.kind.value, 0) + 1
    for edge, number in expected.edges.items():
        edges[edge.kind.value] = edges.get(edge.kind.value, 0) + number
    assert ({k: n for k, n in counts.nodes.items() if n}, {k: n for k, n in counts.edges.items() if n}) == (
        nodes,
        edges,
    )


def check_history(fresh: Fresh, history: list[Op], as_of: int | None, each_step: bool) -> None:
    """Apply a history; compare after every step, and at the end at every moment that there was.

    Looking after every step is left out where it costs most: the moments of the end are the same steps.
    """
    store, model = fresh(), Model()
    past: list[tuple[int, Seen]] = []
    for op in history:
        now = run_op(store, op)
        apply_to(model, op)
        expected = model.see()
        if each_step:
            assert_same(see(store, KINDS), expected)
        past.append((now, expected))
    assert_same(see(store, KINDS), expected)
    check_counts(store, expected)
    check_walks(store, expected, Moment(as_of=as_of))
    for now, then in past:
        assert_same(see(store, KINDS, known_at=now), then)
    first, _ = past[0]
    assert see(store, KINDS, known_at=first - 1).nodes == {}
    middle, then = past[len(past) // 2]
    check_walks(store, then, Moment(as_of=as_of, known_at=middle))


def check_order(fresh: Fresh, found: list[Write], shuffle: Any) -> tuple[str, Seen]:
    """The same records in another order, doubled and packed otherwise, come to the same graph."""
    one = fresh()
    for op in found:
        run_op(one, op)
    digest, seen = one.digest(), see(one, KINDS)
    refused = one.refusals()
    for _ in range(2):
        other = fresh()
        for op in deliveries(found, shuffle):
            run_op(other, op)
        assert_same(see(other, KINDS), seen)
        assert other.refusals() == refused
        assert other.digest() == digest
    return digest, seen


def _settings(engine: str, examples: dict[str, int]) -> settings:
    return settings(
        max_examples=examples[engine],
        deadline=None,
        # `make test` says the same of the same code every time; `make soak` looks for what is new.
        derandomize=examples is EXAMPLES,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        # Shrinking is enough; finding out which parts matter takes minutes.
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
    )


def _histories(fresh: Fresh, engine: str, examples: dict[str, int]) -> None:
    @_settings(engine, examples)
    @given(history=histories, as_of=st.none() | st.sampled_from(TIMES))
    def check(history: list[Op], as_of: int | None) -> None:
        check_history(fresh, history, as_of, each_step=engine == "sqlite")

    check()


def _orders(fresh: Fresh, engine: str, examples: dict[str, int], plain: Callable[[], GraphStore]) -> None:
    @_settings(engine, examples)
    @given(found=loads, shuffle=st.randoms(use_true_random=False))
    def check(found: list[Write], shuffle: Any) -> None:
        digest, seen = check_order(fresh, found, shuffle)
        model, other = Model(), plain()
        for op in found:
            apply_to(model, op)
            run_op(other, op)
        assert_same(seen, model.see())
        assert other.digest() == digest, "both engines have one digest"

    check()


@pytest.fixture
def plain(tmp_path: Path, clock: Clock, sqlite_template: Path) -> Iterator[Callable[[], GraphStore]]:
    """Empty SQLite stores, to compare digests with."""
    opened: list[GraphStore] = []
    numbers = count()

    def make() -> GraphStore:
        while opened:
            opened.pop().close()
        path = tmp_path / f"plain {next(numbers)}.db"
        copy(sqlite_template, path)
        opened.append(open_sqlite(path, clock))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.mark.slow
def test_a_store_sees_what_the_model_sees_now_and_at_every_revision(fresh: Fresh, engine: str) -> None:
    _histories(fresh, engine, EXAMPLES)


@pytest.mark.slow
def test_neither_order_nor_repetition_makes_a_difference(fresh: Fresh, engine: str, plain: Any) -> None:
    _orders(fresh, engine, EXAMPLES, plain)


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_a_store_sees_what_the_model_sees_in_thousands_of_histories(fresh: Fresh, engine: str) -> None:
    _histories(fresh, engine, SOAK)


@pytest.mark.soak
@pytest.mark.timeout(7_200)
def test_order_and_repetition_in_thousands_of_loads(fresh: Fresh, engine: str, plain: Any) -> None:
    _orders(fresh, engine, SOAK, plain)


def test_the_model_filters_edges_by_time_in_the_world() -> None:
    edge = next(iter([_edge(10, 20)]))

    assert [holds(edge, t) for t in (None, 9, 10, 19, 20)] == [True, False, True, True, False]
    assert holds(_edge(None, 20), -1)
    assert holds(_edge(10, None), 10**18)


def _edge(since: int | None, until: int | None) -> Any:
    from tests.contract.model import SeenEdge

    return SeenEdge("a", "b", EdgeKind.INPUT_TO, None, since, until, None, b"{}")
