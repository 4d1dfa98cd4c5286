"""The write-ahead log stays short although no commit stops for it."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from app.store.sqlite import checkpoints
from app.store.sqlite.checkpoints import Checkpoints
from app.store.sqlite.store import SqliteStore
from app.store.turns import Turns
from graph_schema.store import Transaction

PAGE = 4_096


def fill(store: SqliteStore, name: str, commits: int) -> None:
    for commit in range(commits):

        def work(tx: Transaction, commit: int = commit) -> None:
            for row in range(20):
                tx.service_put("page", f"{name}/{commit:04d}/{row:02d}", "x" * PAGE)

        store.transact(work)


def log_of(store: SqliteStore) -> int:
    return Path(f"{store.path}-wal").stat().st_size


def test_the_log_is_brought_in_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_PAGES", 200)
    monkeypatch.setattr(checkpoints, "_LONG_LOG", 400)
    store = SqliteStore(tmp_path / "s.db")
    store.migrate()

    fill(store, "alone", 200)
    written = 200 * 20 * PAGE
    assert log_of(store) < written / 2
    assert (tmp_path / "s.db").stat().st_size > written / 2

    both = [threading.Thread(target=fill, args=(store, name, 100)) for name in "ab"]
    for each in both:
        each.start()
    for each in both:
        each.join()

    assert len(store.service("page", limit=10_000)) == 8_000
    store.close()
    with sqlite3.connect(tmp_path / "s.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_commit_stands_where_the_log_cannot_be_brought_in() -> None:
    asked: list[int] = []

    def connect() -> sqlite3.Connection:
        asked.append(1)
        raise sqlite3.OperationalError("database or disk is full")

    kept = Checkpoints(Turns(), connect)
    for changes in (100, 10_000, 20_000):
        kept.committed(changes)
        kept.bring_in()
        assert bool(asked) == (changes > 100)

    assert len(asked) == 2, "it is tried again"
