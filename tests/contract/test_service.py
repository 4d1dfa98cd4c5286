"""Service records: cursors, leases, outbox. Kept beside the graph and committed with it."""

from __future__ import annotations

from typing import Any

import pytest

from graph_schema.store import GraphStore, Transaction

VALUES = [
    None,
    True,
    0,
    -1,
    2**53 + 1,
    0.5,
    "",
    "größe 🙂 \u202e ' \" \\ ; --",
    [],
    {},
    {"a": [1, {"b": None}], "": 0, "$x": "{y}"},
]


def put(store: GraphStore, collection: str, **values: Any) -> None:
    def work(tx: Transaction) -> None:
        for key, value in values.items():
            tx.service_put(collection, key, value)

    store.transact(work)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_comes_back_as_it_was_put(store: GraphStore, value: Any) -> None:
    def work(tx: Transaction) -> Any:
        tx.service_put("c", "k", value)
        return tx.service_get("c", "k")

    within = store.transact(work)

    assert within == value
    assert store.transact(lambda tx: tx.service_get("c", "k")) == value
    assert store.service("c") == [("k", value)]


def test_a_value_is_replaced_and_removed(store: GraphStore) -> None:
    put(store, "c", k=1)
    put(store, "c", k=2)
    assert store.service("c") == [("k", 2)]

    def work(tx: Transaction) -> Any:
        tx.service_delete("c", "k")
        tx.service_delete("c", "never there")
        return tx.service_get("c", "k")

    assert store.transact(work) is None
    assert store.service("c") == []


def test_collections_are_kept_apart(store: GraphStore) -> None:
    put(store, "a", k=1)
    put(store, "b", k=2)

    assert (store.service("a"), store.service("b"), store.service("c")) == ([("k", 1)], [("k", 2)], [])


KEYS = ["", "A", "a", "a/1", "a/10", "a/2", "a%", "a_", "b", "é", "\uff21", "\U0001f642"]


def test_keys_come_in_order_from_a_prefix_after_a_key_so_many(store: GraphStore) -> None:
    put(store, "c", **{key: key for key in KEYS[::-1]})
    in_order = sorted(KEYS, key=lambda key: key.encode())

    def keys(**kwargs: Any) -> list[str]:
        outside = store.service("c", **kwargs)
        inside = store.transact(lambda tx: tx.service_list("c", **kwargs))
        assert outside == inside
        return [key for key, _ in outside]

    # Everything comes after the empty key, which is where a list starts.
    assert keys() == [k for k in in_order if k]
    assert keys(prefix="a/") == ["a/1", "a/10", "a/2"]
    assert keys(prefix="a%") == ["a%"]
    assert keys(prefix="a_") == ["a_"]
    assert keys(prefix="a/", after="a/1") == ["a/10", "a/2"]
    assert keys(prefix="a/", after="a/1", limit=1) == ["a/10"]
    assert keys(after="b") == in_order[in_order.index("b") + 1 :]
    assert keys(limit=2) == [k for k in in_order if k][:2]
    assert keys(prefix="none") == []


def test_a_list_within_a_transaction_sees_its_own_writes(store: GraphStore) -> None:
    put(store, "c", a=1, b=2)

    def work(tx: Transaction) -> list[tuple[str, Any]]:
        tx.service_put("c", "c", 3)
        tx.service_delete("c", "a")
        return tx.service_list("c")

    assert store.transact(work) == [("b", 2), ("c", 3)]


def test_service_records_are_no_part_of_the_state_but_of_the_backup(store: GraphStore) -> None:
    state, backup = store.digest(), store.backup_digest()

    put(store, "c", k=1)

    assert store.digest() == state
    assert store.backup_digest() != backup


def test_thousands_of_keys_page_through(store: GraphStore) -> None:
    put(store, "c", **{f"{n:05}": n for n in range(2_500)})

    seen: list[str] = []
    while page := store.service("c", after=seen[-1] if seen else "", limit=1_000):
        seen += [key for key, _ in page]

    assert seen == [f"{n:05}" for n in range(2_500)]
