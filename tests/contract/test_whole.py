"""The whole store: its schema, its size, its digests."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph_schema.claims import Joins, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import SchemaMissing, SchemaTooNew
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from tests.contract.harness import (
    CODE,
    PEOPLE,
    TRACKING,
    Clock,
    pretend_newer,
    record,
    say,
    unmigrated,
    write,
)

K, E = NodeKind, EdgeKind
RUN, OTHER, DATA = "mlflow.run_id=1", "mlflow.run_id=2", f"dvc.md5={'1' * 32}"


def test_migrating_again_does_nothing(store: GraphStore) -> None:
    say(store, Names(K.RUN, (RUN,)))
    before = store.backup_digest()

    again = store.migrate()

    assert again.before == again.after > 0
    assert store.backup_digest() == before


def test_a_newer_schema_is_refused(store: GraphStore, request: pytest.FixtureRequest) -> None:
    say(store, Names(K.RUN, (RUN,)))
    pretend_newer(store, request)

    with pytest.raises(SchemaTooNew, match="newer"):
        store.migrate()
    with pytest.raises(SchemaTooNew, match="newer"):
        say(store, Names(K.RUN, (OTHER,)))


def test_a_store_without_a_schema_says_so(
    engine: str, tmp_path: Path, clock: Clock, request: pytest.FixtureRequest
) -> None:
    bare = unmigrated(engine, tmp_path, clock, request)
    try:
        with pytest.raises(SchemaMissing, match="migrate"):
            say(bare, Names(K.RUN, (RUN,)))
        assert bare.migrate().before == 0
        say(bare, Names(K.RUN, (RUN,)))
        assert bare.counts().nodes == {"Run": 1}
    finally:
        bare.close()


def test_an_empty_store_counts_nothing(store: GraphStore) -> None:
    counts = store.counts()

    assert (counts.nodes, counts.edges, counts.records) == ({}, {}, 0)
    assert store.refusals() == []


def test_counts_follow_the_graph(store: GraphStore) -> None:
    say(store, Links(E.INPUT_TO, DATA, RUN), Links(E.HAS, RUN, OTHER))
    say(store, Names(K.RUN, (OTHER, f"dvc.experiment={'c' * 40}")), key="2")
    assert store.counts().nodes == {"Run": 2, "DatasetVersion": 1}
    assert store.counts().edges == {"INPUT_TO": 1, "HAS": 1}
    assert store.counts().records == 2

    say(store)

    assert store.counts().nodes == {"Run": 1}
    assert {k: n for k, n in store.counts().edges.items() if n} == {}


@pytest.mark.parametrize(
    "change",
    [
        States(K.RUN, RUN, {"user": "bob"}),
        States(K.RUN, RUN, {"user": "ada"}, 5),
        States(K.RUN, OTHER, {}),
        Names(K.RUN, (RUN, f"dvc.experiment={'c' * 40}")),
        Names(K.RUN, (OTHER,)),
        Links(E.HAS, RUN, OTHER),
        Links(E.HAS, RUN, RUN),
        Joins("same", RUN, f"dvc.experiment={'c' * 40}"),
    ],
    ids=str,
)
def test_the_digest_changes_with_the_state_and_comes_back_with_it(store: GraphStore, change: object) -> None:
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    before = store.digest()

    say(store, change, source=CODE, key="c")  # type: ignore[arg-type]
    changed = store.digest()
    say(store, source=CODE, key="c")

    assert changed != before
    assert store.digest() == before


@pytest.mark.parametrize(
    "links",
    [
        [Links(E.HAS, RUN, OTHER, 5), Links(E.HAS, RUN, OTHER, 6)],
        [Links(E.HAS, RUN, OTHER), Links(E.HAS, RUN, OTHER, None, 6)],
        [Links(E.HAS, RUN, OTHER), Links(E.HAS, OTHER, RUN)],
        [Links(E.HAS, RUN, OTHER), Links(E.HAS, RUN, OTHER, evidence="x")],
        [Links(E.HAS, RUN, OTHER), Links(E.HAS, RUN, OTHER, properties={"a": 1})],
        [Links(E.SAME_AS, RUN, "kinlore.run=0190f2a4-6b1c-7def-8123-456789abcdef", evidence=e) for e in "xy"],
    ],
)
def test_the_digest_tells_edges_apart(store: GraphStore, links: list[Links]) -> None:
    digests = set()
    for link in links:
        say(store, link)
        digests.add(store.digest())

    assert len(digests) == len(links)


def test_the_digest_tells_sources_apart(store: GraphStore) -> None:
    said = [Links(E.HAS, RUN, OTHER), States(K.RUN, RUN, {"user": "ada"})]
    digests = set()
    for source in (TRACKING, CODE, PEOPLE):
        say(store, *said, source=source)
        digests.add(store.digest())
        say(store, source=source)

    assert len(digests) == 3


def test_an_unknown_order_of_properties_is_no_difference(store: GraphStore) -> None:
    said = {"b": {"y": 1, "x": 2}, "a": 1}
    write(store, TRACKING, record("r", States(K.RUN, RUN, said), version=1))
    before = store.backup_digest()

    turned = {"a": 1, "b": {"x": 2, "y": 1}}
    written = write(store, TRACKING, record("r", States(K.RUN, RUN, turned), version=1))

    assert written.unchanged == 1
    assert store.backup_digest() == before


def test_two_empty_stores_have_one_digest(fresh: object) -> None:
    one = fresh().digest()  # type: ignore[operator]

    assert fresh().digest() == one  # type: ignore[operator]


def test_the_backup_digest_tells_what_the_state_does_not(store: GraphStore) -> None:
    say(store, Names(K.RUN, (RUN,)))
    state, backup = store.digest(), store.backup_digest()

    say(store, source=Source("other", "git"))
    say(store, States(K.RUN, RUN, {"user": "ada"}))
    say(store, Names(K.RUN, (RUN,)))

    assert store.digest() == state
    assert store.backup_digest() != backup
