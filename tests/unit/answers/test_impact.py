"""Impact of random graphs, cycles, ``SAME_AS`` and evidence included: its sum, its order, its exactness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.answers.adjacencies import Adjacencies
from app.answers.impact import ImpactAnswer, impact
from app.answers.impact_score import WORTH, hurt_before
from app.answers.reach import HOP, INFERRED, INFERRED_SAME
from app.store.sqlite import SqliteStore
from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import Moment
from ingestors import joins
from tests.contract.harness import record

NODES = st.integers(1, 8)
PAIRS = st.tuples(NODES, NODES).filter(lambda pair: pair[0] != pair[1])
#: (from, to, whether there is evidence): stated edges and inferred ones.
EDGES = st.lists(st.tuples(PAIRS, st.booleans()), min_size=1, max_size=16, unique_by=lambda edge: edge[0])
SAME = st.lists(
    st.tuples(PAIRS.map(lambda pair: (min(pair), max(pair))), st.booleans()),
    max_size=3,
    unique_by=lambda edge: edge[0],
)
Drawn = list[tuple[tuple[int, int], bool]]
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def model(number: int) -> str:
    return f"mlflow.model_version@s{number}=m/{number}"


@contextmanager
def drawn(edges: Drawn, same: Drawn) -> Iterator[GraphStore]:
    """Model versions that are fine-tuned into each other, in any circle."""
    claims: list[Claim] = [Names(NodeKind.MODEL_VERSION, (model(n),)) for n in range(1, 9)]
    for kind, found in ((EdgeKind.BASE_OF, edges), (EdgeKind.SAME_AS, same)):
        claims += [
            Links(kind, model(a), model(b), since=10 * a + b, evidence="seen" if guessed else None)
            for (a, b), guessed in found
        ]
    with TemporaryDirectory() as place:
        store = SqliteStore(Path(place) / "graph.db")
        store.migrate()
        store.transact(lambda tx: joins.apply(tx, Source("drawn", "test"), [record("r", *claims)]))
        yield store
        store.close()


def handle(store: GraphStore, number: int) -> int:
    return store.resolve(model(number))[0]


def strengths(edges: Drawn, same: Drawn, roots: set[int], max_hops: int) -> dict[int, float]:
    """By trying every walk, one hop after the other."""

    def closed(felt: dict[int, float]) -> dict[int, float]:
        for _ in range(8):
            for ((a, b), guessed), way in product(same, (0, 1)):
                src, dst = (a, b) if way else (b, a)
                through = felt.get(src, 0) * (INFERRED_SAME if guessed else 1)
                felt[dst] = max(felt.get(dst, 0), through)
        return felt

    now = closed(dict.fromkeys(roots, 1.0))
    best: dict[int, float] = {}
    for _ in range(max_hops):
        after: dict[int, float] = {}
        for (a, b), guessed in edges:
            through = now.get(a, 0) * HOP * (INFERRED if guessed else 1)
            after[b] = max(after.get(b, 0), through)
        now = closed(after)
        for node, felt in now.items():
            best[node] = max(best.get(node, 0), felt)
    return {node: felt for node, felt in best.items() if felt > 0}


def classes(same: Drawn) -> dict[int, frozenset[int]]:
    groups = {n: frozenset({n}) for n in range(1, 9)}
    for (a, b), _ in same:
        both = groups[a] | groups[b]
        groups.update(dict.fromkeys(both, both))
    return groups


@QUICK
@given(edges=EDGES, same=SAME, roots=st.sets(NODES, min_size=1, max_size=3), max_hops=st.integers(0, 6))
def test_each_thing_counts_once_by_its_best_path(
    edges: Drawn, same: Drawn, roots: set[int], max_hops: int
) -> None:
    felt = strengths(edges, same, roots, max_hops)
    groups = classes(same)
    raw = {group: max(felt.get(n, 0) for n in group) for group in set(groups.values())}
    total = WORTH[NodeKind.MODEL_VERSION] * sum(raw.values())

    with drawn(edges, same) as store:
        answer = impact(store, [handle(store, n) for n in roots], max_hops)
        counted = {target.handle: target for target in answer.targets}
        number = {handle(store, n): n for n in range(1, 9)}
        for target in answer.targets:
            path = store.edges(target.beliefs)
            lets = 1.0
            for edge in path:
                if edge.kind is EdgeKind.SAME_AS:
                    lets *= INFERRED_SAME if edge.evidence else 1
                else:
                    lets *= HOP * (INFERRED if edge.evidence else 1)
            assert lets == pytest.approx(raw[groups[number[target.handle]]]), "the path is the best one"
            assert sum(edge.kind is not EdgeKind.SAME_AS for edge in path) == target.hops <= max_hops

    assert answer.score == pytest.approx(100 * total / (total + 1))
    assert sum(target.contribution for target in answer.targets) == pytest.approx(answer.score)
    assert (
        len({groups[number[h]] for h in counted}) == len(counted) == sum(value > 0 for value in raw.values())
    )


@QUICK
@given(
    edges=EDGES,
    same=SAME,
    roots=st.sets(NODES, min_size=1, max_size=3),
    more=st.sets(NODES, max_size=3),
    hops=st.integers(0, 5),
    further=st.integers(0, 3),
)
def test_a_wider_question_never_scores_lower(
    edges: Drawn, same: Drawn, roots: set[int], more: set[int], hops: int, further: int
) -> None:
    with drawn(edges, same) as store:
        narrow = impact(store, [handle(store, n) for n in roots], hops)
        wide = impact(store, [handle(store, n) for n in roots | more], hops + further)

    assert wide.score >= narrow.score - 1e-9
    assert 0 <= narrow.score < 100


@QUICK
@given(
    edges=EDGES,
    same=SAME,
    roots=st.sets(NODES, min_size=1, max_size=3),
    hops=st.integers(0, 5),
    as_of=st.none() | st.integers(0, 99),
    first=st.integers(1, 9),
)
def test_what_is_held_in_memory_answers_as_the_store_does(
    edges: Drawn, same: Drawn, roots: set[int], hops: int, as_of: int | None, first: int
) -> None:
    with drawn(edges, same) as store:
        asked = [handle(store, n) for n in roots]
        moment = Moment(as_of=as_of)
        walked = impact(store, asked, hops, moment, first=first)
        held = Adjacencies(store)
        held.built()
        in_memory = impact(store, asked, hops, moment, first=first, held=held)

    assert in_memory == walked


def answer_of(store: GraphStore, held: Adjacencies, text: str) -> ImpactAnswer:
    return impact(store, store.resolve(text), held=held)


def test_what_is_held_does_not_answer_once_the_store_has_moved_on() -> None:
    with drawn([((1, 2), False)], []) as store:
        held = Adjacencies(store)
        held.built()
        before = answer_of(store, held, model(1))
        more = Links(EdgeKind.BASE_OF, model(2), model(3))
        store.transact(lambda tx: joins.apply(tx, Source("later", "test"), [record("s", more)]))

        after = answer_of(store, held, model(1))

        assert [t.handle for t in before.targets] == [handle(store, 2)]
        assert {t.handle for t in after.targets} == {handle(store, 2), handle(store, 3)}
        assert held.fresh() is None


def test_a_large_question_has_what_changed_patched_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.answers.impact.LARGE", 1)
    with drawn([((1, 2), False)], []) as store:
        held = Adjacencies(store)
        held.built()
        more = Links(EdgeKind.BASE_OF, model(2), model(3))
        store.transact(lambda tx: joins.apply(tx, Source("later", "test"), [record("s", more)]))
        monkeypatch.setattr(store, "columns", None)

        after = answer_of(store, held, model(1))

        assert {t.handle for t in after.targets} == {handle(store, 2), handle(store, 3)}
        assert held.fresh() is not None


def test_a_large_walk_has_the_graph_read_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.answers.adjacencies.LARGE", 3)
    with drawn([((1, 2), False), ((2, 3), False)], []) as store:
        held = Adjacencies(store)

        walked = answer_of(store, held, model(1))
        held.wait()

        assert held.fresh() is not None
        assert answer_of(store, held, model(1)) == walked


def test_a_walk_that_grows_too_large_is_answered_from_memory_or_says_that_it_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.answers.impact.MAX_WALKED", 2)
    with drawn([((1, 2), False), ((2, 3), False), ((3, 4), False)], []) as store:
        alone = impact(store, [handle(store, 1)])
        helped = answer_of(store, Adjacencies(store), model(1))

    assert not alone.complete and "stopped after walking 2 nodes" in (alone.truncated_because or "")
    assert helped.complete and len(helped.targets) == 3


def test_harm_of_earlier_changes_counts_by_its_share_and_shrunk() -> None:
    assert hurt_before(0, 20) == 1
    assert hurt_before(1, 1) < hurt_before(3, 3) < hurt_before(20, 20) < 2
