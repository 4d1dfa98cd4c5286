"""The write-ahead log stays short although no commit stops for it."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from app.store.sqlite import checkpoints
from app.store.sqlite.checkpoints import Checkpoints
from app.store.sqlite.store import SqliteStore
from app.store.turns import Turns
from graph_schema.store import Transaction

PAGE = 4_096
#: Another process that writes.
_WRITING = """
import sys
from pathlib import Path
from tests.unit.store.test_sqlite_checkpoints import SqliteStore, fill
fill(SqliteStore(Path(sys.argv[1])), "other", 100)
"""


def fill(store: SqliteStore, name: str, commits: int) -> None:
    for commit in range(commits):

        def work(tx: Transaction, commit: int = commit) -> None:
            for row in range(20):
                tx.service_put("page", f"{name}/{commit:04d}/{row:02d}", "x" * PAGE)

        store.transact(work)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    made = SqliteStore(tmp_path / "s.db")
    made.migrate()
    yield made
    made.close()


def check(file: Path) -> None:
    with sqlite3.connect(file) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def log_of(store: SqliteStore) -> int:
    return Path(f"{store.path}-wal").stat().st_size


def test_the_log_is_brought_in_and_used_again(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_PAGES", 200)
    monkeypatch.setattr(checkpoints, "_LONG_LOG", 400)

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
    check(tmp_path / "s.db")


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


def test_the_log_has_its_length_before_there_is_much_in_it(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_RESERVED", 1_000_000)
    fill(store, "before", 3)

    store.prepare()

    assert log_of(store) == 1_000_000
    fill(store, "after", 3)
    store.prepare()
    assert log_of(store) == 1_000_000
    assert len(store.service("page", limit=1_000)) == 120
    # As after a power cut: what is left is the file and the log, zeros at its end.
    left = tmp_path / "left"
    left.mkdir()
    for name in ("s.db", "s.db-wal"):
        shutil.copy(tmp_path / name, left / name)
    check(left / "s.db")
    again = SqliteStore(left / "s.db")
    assert again.service("page", limit=1_000) == store.service("page", limit=1_000)
    again.close()
    store.close()
    assert not (tmp_path / "s.db-wal").exists(), "who closes it last takes it away"


def test_a_log_is_made_longer_beside_others_who_write(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_RESERVED", 4_000_000)
    others = subprocess.Popen([sys.executable, "-c", _WRITING, str(tmp_path / "s.db")])
    while not store.service("page", limit=1):
        time.sleep(0.01)

    store.prepare()

    assert others.wait(60) == 0
    assert len(store.service("page", limit=10_000)) == 2_000
    assert log_of(store) >= 4_000_000
    store.close()
    check(tmp_path / "s.db")


def test_without_room_for_a_long_log_there_is_a_short_one(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(log: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", log)

    monkeypatch.setattr("app.store.sqlite.store.lengthen", full)

    store.prepare()

    fill(store, "a", 1)
    assert len(store.service("page")) == 20
    store.close()


def test_a_log_that_was_brought_in_is_asked_for_as_a_whole(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int]] = []

    def advise(_: int, start: int, size: int, __: int) -> None:
        asked.append((start, start + size))

    # Not every system takes advice on files.
    monkeypatch.setattr(os, "posix_fadvise", advise, raising=False)
    monkeypatch.setattr(os, "POSIX_FADV_WILLNEED", 3, raising=False)
    monkeypatch.setattr(checkpoints, "_PAGES", 200)
    monkeypatch.setattr(checkpoints, "_READ_AHEAD", 100_000)

    fill(store, "a", 200)

    last = max(place for place, (start, _) in enumerate(asked) if start == 0)
    parts = asked[last:]
    assert all(end == start for (_, end), (start, _) in pairwise(parts))
    assert parts[-1][1] > 400_000
    store.close()


def test_beside_somebody_who_writes_for_long_the_log_stays_short(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.store.sqlite.store._BUSY_SECONDS", 0.1)
    with sqlite3.connect(tmp_path / "s.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")

        store.prepare()

        assert log_of(store) < 1_000_000
        other.execute("ROLLBACK")
    store.close()
