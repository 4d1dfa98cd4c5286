"""Finding nodes of a kind: filters, orders, and pages that stay whole while others write."""

from __future__ import annotations

from typing import Any

import pytest

from graph_schema.claims import Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source, Transaction
from graph_schema.values import Filter, FilterOp, Order, Ordering, Page
from ingestors import joins
from tests.contract.harness import TRACKING, record, say, write

K = NodeKind


def run(n: int) -> str:
    return f"mlflow.run_id={n:03}"


def fill(store: GraphStore, *properties: dict[str, Any]) -> None:
    records = [record(f"{n}", States(K.RUN, run(n), said)) for n, said in enumerate(properties)]
    write(store, TRACKING, *records)


def found(store: GraphStore, *where: Filter, **kwargs: Any) -> list[int]:
    return [int(n.id[-3:]) for n in pages(store, where, **kwargs)]


def pages(store: GraphStore, where: Any = (), first: int = 50, **kwargs: Any) -> list[Any]:
    """All items, page by page."""
    items: list[Any] = []
    after: str | None = None
    while True:
        page = store.find(K.RUN, where, first=first, after=after, **kwargs)
        assert len(page.items) <= first
        items += page.items
        after = page.next
        if after is None:
            return items
        assert page.items, "a page that has a next one is not empty"


def test_only_nodes_of_the_kind_are_found_stubs_too(store: GraphStore) -> None:
    say(store, Names(K.COMMIT, (f"git.sha={'a' * 40}",)), Links(EdgeKind.HAS, run(1), run(2)))

    assert found(store) == [1, 2]
    assert store.find(K.DATASET) == Page([], None)


def test_filters_mean_what_they_mean_everywhere(store: GraphStore) -> None:
    fill(
        store,
        {"status": "FAILED", "params": {"lr": "0.1", "a.b": "x"}, "name": "Bold Crane"},
        {"status": "FINISHED", "params": {"lr": 0.2}, "createdAt": 1_769_853_600_000_000},
        {"status": "RUNNING", "tags": ["x", "y"], "ok": True},
        {},
    )

    def eq(key: str, value: Any) -> list[int]:
        return found(store, Filter(key, FilterOp.EQ, value))

    assert eq("status", "FAILED") == [0]
    assert eq("params.lr", 0.1) == [0]
    assert eq("params.a.b", "x") == [0]
    assert eq("name", "Bold Crane") == [0]
    assert eq("id", run(3)) == [3]
    assert eq("createdAt", "2026-01-31T10:00:00Z") == [1]
    assert eq("status", None) == [3]
    assert eq("ok", True) == [2]
    assert found(store, Filter("params.lr", FilterOp.GT, 0.15)) == [1]
    assert found(store, Filter("status", FilterOp.NE, "FAILED")) == [1, 2, 3]
    assert found(store, Filter("status", FilterOp.IN, ["FAILED", "RUNNING"])) == [0, 2]
    assert found(store, Filter("tags", FilterOp.CONTAINS, "y")) == [2]
    assert found(store, Filter("name", FilterOp.CONTAINS, "crane")) == [0]
    assert found(store, Filter("status", FilterOp.EXISTS, False)) == [3]
    assert found(store, Filter("status", FilterOp.EXISTS), Filter("params", FilterOp.EXISTS)) == [0, 1]


def test_a_filter_that_means_nothing_is_refused(store: GraphStore) -> None:
    with pytest.raises(BadInput, match="IN takes a list"):
        store.find(K.RUN, [Filter("status", FilterOp.IN, "FAILED")])


def test_filters_and_pages_go_together(store: GraphStore) -> None:
    fill(store, *[{"even": n % 2 == 0} for n in range(25)])

    even = found(store, Filter("even", FilterOp.EQ, True), first=3)

    assert even == list(range(0, 25, 2))


TIED = [
    ("b", 5),
    ("a", None),
    ("b", 3),
    ("", 5),
    ("ä", None),
    ("\U0001f642", 0),
    ("\uff21", -5),
    ("B", 5),
    ("a", 2),
]
NAMES = [name or f"{n:03}" for n, (name, _) in enumerate(TIED)]
CREATED = [at for _, at in TIED]


def _by_name() -> list[int]:
    return sorted(range(len(TIED)), key=lambda n: (NAMES[n], n))


def _by_time(sign: int) -> list[int]:
    known = sorted((n for n in range(len(TIED)) if CREATED[n] is not None), key=lambda n: (CREATED[n], n))
    unknown = [n for n in range(len(TIED)) if CREATED[n] is None]
    return known[::sign] + unknown[::sign]


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        (Ordering(Order.ID), list(range(9))),
        (Ordering(Order.ID, descending=True), list(range(9))[::-1]),
        (Ordering(Order.NAME), _by_name()),
        (Ordering(Order.NAME, descending=True), _by_name()[::-1]),
        (Ordering(Order.CREATED_AT), _by_time(1)),
        (Ordering(Order.CREATED_AT, descending=True), _by_time(-1)),
    ],
    ids=["id", "id down", "name", "name down", "created", "created down"],
)
def test_orders_ties_and_what_has_no_time(store: GraphStore, ordering: Ordering, expected: list[int]) -> None:
    fill(store, *[{"name": name, **({} if at is None else {"createdAt": at})} for name, at in TIED])

    known_at = store.transact(lambda tx: tx.now)
    for first in (1, 2, 4, 50):
        assert found(store, ordering=ordering, first=first) == expected
        then = found(store, ordering=ordering, first=first, known_at=known_at)
        assert then == expected, "as known then, too"


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("by", Order)
def test_pages_neither_skip_nor_repeat_while_others_write(
    store: GraphStore, by: Order, descending: bool
) -> None:
    said = [{"name": f"n{n % 5}", "createdAt": n % 5} for n in range(20)]
    fill(store, *said)
    ordering, after, seen = Ordering(by, descending), None, []

    for turn in range(100):
        page = store.find(K.RUN, ordering=ordering, first=3, after=after)
        seen += [int(n.id[-3:]) for n in page.items]
        after = page.next
        if after is None:
            break
        # Somebody adds at both ends, takes away what was shown last, and changes what was shown first.
        at = {"name": f"n{turn % 7 - 1}", "createdAt": turn % 7 - 1}
        gone = str(seen[-1])
        write(store, TRACKING, record(f"{100 + turn}", States(K.RUN, run(100 + turn), at)), record(gone))

    assert [n for n in seen if n < 100] == sorted({n for n in seen if n < 100}, key=seen.index), "none twice"
    assert {n for n in seen if n < 100} == set(range(20)), "none skipped"


def test_the_next_page_starts_after_a_node_that_is_gone(store: GraphStore) -> None:
    fill(store, *[{} for _ in range(4)])
    page = store.find(K.RUN, first=2)

    write(store, TRACKING, record("1"), record("2"))

    assert [n.id for n in store.find(K.RUN, first=2, after=page.next).items] == [run(3)]


@pytest.mark.parametrize("after", ["nonsense", "AAAA", "\U0001f642", "' OR 1=1 --"])
def test_a_cursor_of_somebody_elses_is_refused(store: GraphStore, after: str) -> None:
    with pytest.raises(BadInput, match="cursor"):
        store.find(K.RUN, after=after)


def test_a_cursor_of_another_order_is_refused(store: GraphStore) -> None:
    fill(store, {}, {})
    page = store.find(K.RUN, ordering=Ordering(Order.NAME), first=1)

    with pytest.raises(BadInput, match="order"):
        store.find(K.RUN, ordering=Ordering(Order.ID), first=1, after=page.next)


@pytest.mark.parametrize("first", [0, -1])
def test_a_page_has_at_least_one_item(store: GraphStore, first: int) -> None:
    with pytest.raises(BadInput):
        store.find(K.RUN, first=first)


def test_nodes_are_found_as_they_were_known_then(store: GraphStore) -> None:
    times = []
    for said in ({"status": "RUNNING"}, {"status": "FAILED", "name": "x"}, None):
        claims = [] if said is None else [States(K.RUN, run(1), said)]

        def work(tx: Transaction, claims: list[States] = claims) -> int:
            joins.apply(tx, TRACKING, [record("r", *claims)])
            return tx.now

        times.append(store.transact(work))

    failed = Filter("status", FilterOp.EQ, "FAILED")
    assert [found(store, known_at=t) for t in (times[0] - 1, *times)] == [[], [1], [1], []]
    assert [found(store, failed, known_at=t) for t in times] == [[], [1], []]
    assert [n.name for n in pages(store, known_at=times[1])] == ["x"]
    assert found(store, known_at=times[2] - 1) == [1], "until the moment that it went"


def test_a_caller_finds_what_lies_in_their_spaces(store: GraphStore) -> None:
    say(store, States(K.RUN, run(1), {"user": "ada", "host": "x"}), source=Source("a", "mlflow", "red"))
    say(store, States(K.RUN, run(1), {"user": "bob"}), source=Source("b", "git", "blue"))
    say(store, States(K.RUN, run(2), {"user": "cyd"}), source=Source("b", "git", "blue"), key="2")

    def users(*spaces: str) -> list[dict[str, Any]]:
        return [n.properties for n in pages(store, spaces=frozenset(spaces))]

    assert users("red") == [{"user": "ada", "host": "x"}]
    assert users("blue") == [{"user": "bob"}, {"user": "cyd"}]
    assert users("red", "blue") == [{"user": "ada", "host": "x"}, {"user": "cyd"}]
    assert users() == []
    assert store.resolve(run(2), spaces=frozenset({"red"})) == []
    assert store.get(store.resolve(run(2)), spaces=frozenset({"red"})) == [None]
    ada = Filter("user", FilterOp.EQ, "ada")
    assert pages(store, [ada], spaces=frozenset({"blue"})) == [], (
        "what may not be read cannot be searched for"
    )
