"""Closing a store that other threads still use."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import StoreUnavailable
from graph_schema.store import Transaction


def test_whoever_reads_goes_on_and_its_connection_is_closed_afterwards(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    store.migrate()

    with store._read() as db:
        store.close()
        assert db.execute("SELECT count(*) FROM revision").fetchone() == (0,)

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        db.execute("SELECT 1")
    with pytest.raises(StoreUnavailable, match="closed"):
        store.service("anything")
    assert not Path(f"{store.path}-wal").exists(), "the last connection brings the log in"


def test_a_transaction_at_hand_is_committed_first(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "s.db")
    store.migrate()
    begun, go_on = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        begun.set()
        assert go_on.wait(10)
        tx.service_put("a", "b", 1)

    writing = threading.Thread(target=store.transact, args=(work,))
    closing = threading.Thread(target=store.close)
    writing.start()
    begun.wait(10)
    closing.start()
    go_on.set()
    writing.join(10)
    closing.join(10)

    assert SqliteStore(store.path).service("a") == [("b", 1)]
