"""Bringing the write-ahead log into the database file, beside the writers instead of in their commits."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress

from app.store.turns import Turns
from graph_schema.errors import StoreError

#: Pages written, roughly, after which the log is brought in; what a commit writes beside its rows.
_PAGES, _EACH = 4_000, 4
#: Pages in the log from which on it is to be used from its start again, for which writers have to wait.
_LONG_LOG = 8_000


class Checkpoints:
    """Keeps the log of one database short; to be told after each commit, when the writer lock is free again.

    SQLite does this by itself within a commit, which then takes some 20 ms instead of one, and as long as
    the disk likes where it is busy: all of that under the writer lock. ``connect`` gives a connection.
    """

    def __init__(self, lock: Turns, connect: Callable[[], sqlite3.Connection]) -> None:
        self._lock = lock
        self._connect = connect
        self._db: sqlite3.Connection | None = None
        self._one = threading.Lock()
        self._written = 0
        self._changes = 0

    def committed(self, changes: int) -> None:
        """Bring in the log where it may have grown long; nothing where another thread is about to.
        ``changes``: the rows that the writer has changed since it was connected.

        How long the log is stands in files that must not be opened: to close them gives up SQLite's locks."""
        if not self._one.acquire(blocking=False):
            return
        try:
            self._written += changes - self._changes + _EACH
            self._changes = changes
            if self._written >= _PAGES:
                self._written = 0
                # The commit stands whatever becomes of this, which is tried again: a disk may be full.
                with suppress(sqlite3.Error, StoreError):
                    self._bring_in()
        finally:
            self._one.release()

    def _bring_in(self) -> None:
        if self._db is None:
            self._db = self._connect()
        _, pages, _ = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages >= _LONG_LOG:
            # Only a log with nothing left in it is used from its start again: what others have written
            # meanwhile has to come in before they go on. It is little.
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with self._lock:
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
