"""Service records that come in beside the writer: what is pushed is stored while somebody holds the lock."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from graph_schema.errors import SchemaMissing, SchemaTooNew
from graph_schema.store import GraphStore, Transaction
from tests.contract.harness import Clock, pretend_newer, unmigrated
from tests.contract.test_service import VALUES


def test_what_was_deposited_is_there(store: GraphStore) -> None:
    rows = [("c", f"{number:05}", value) for number, value in enumerate(VALUES)]
    before = store.counts().revision

    rest = store.deposit([*reversed(rows), ("d", "k", 1)])

    assert 0 <= rest < 0.1
    assert store.service("c") == [(key, value) for _, key, value in rows]
    assert store.transact(lambda tx: tx.service_get("d", "k")) == 1
    assert store.counts().revision == before


def test_a_second_deposit_under_a_key_stands(store: GraphStore) -> None:
    store.deposit([("c", "k", 1), ("c", "l", 1)])
    store.deposit([("c", "k", 2)])
    store.deposit([])

    assert store.service("c") == [("k", 2), ("l", 1)]


def test_many_are_deposited_at_once(store: GraphStore) -> None:
    rows = [("c", f"{number:05}", {"text": "x" * 500}) for number in range(1_000)]

    store.deposit(rows)

    assert [key for key, _ in store.service("c")] == [key for _, key, _ in rows]


def test_whoever_holds_the_writer_lock_is_waited_for_only_where_there_is_one_file(
    engine: str, store: GraphStore
) -> None:
    done = threading.Event()

    def deposit() -> None:
        store.deposit([("c", "k", 1)])
        done.set()

    thread = threading.Thread(target=deposit)

    def work(tx: Transaction) -> bool:
        tx.service_put("c", "other", 2)
        thread.start()
        return done.wait(20 if engine == "neo4j" else 0.1)

    beside = store.transact(work)
    thread.join(20)

    assert beside is (engine == "neo4j")
    assert store.service("c") == [("k", 1), ("other", 2)]


def test_nothing_is_deposited_where_there_is_no_schema_or_a_newer_one(
    engine: str, tmp_path: Path, clock: Clock, request: pytest.FixtureRequest
) -> None:
    bare = unmigrated(engine, tmp_path, clock, request)
    try:
        with pytest.raises(SchemaMissing, match="migrate"):
            bare.deposit([("c", "k", 1)])
        bare.migrate()
        pretend_newer(bare, request)

        with pytest.raises(SchemaTooNew, match="newer"):
            bare.deposit([("c", "k", 1)])
        assert bare.service("c") == []
    finally:
        bare.close()
