"""Bringing the write-ahead log into the database file, beside the writers instead of in their commits."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.store.turns import Turns
from graph_schema.errors import StoreError

#: Pages written, roughly, after which the log is brought in; rows that what a commit writes beside its own
#: ones counts as.
_PAGES, _EACH = 4_000, 4
#: Pages that a row may be worth at least and at most: many rows share a page, and each has several indices.
_LEAST_SHARE, _MOST_SHARE = 0.05, 2.0
#: Pages in the log (128 MiB) from which on it is to be used from its start again, for which writers have to
#: wait: mostly some milliseconds, now and then as long as the disk likes. A long log costs readers nothing,
#: for what has been brought in they read from the file.
_LONG_LOG = 32_000
#: Bytes that a log may have until then: pages of 4 KiB with their headers, and what comes in meanwhile.
_RESERVED = (_LONG_LOG + 12_000) * (4_096 + 24)
#: What is appended at a time. Linux keeps what was written at once in one piece of its memory, and looks
#: through all of a piece whenever a page of it is written.
_ZEROS = bytes(4_096)
#: Bytes that Linux reads ahead at most when it is asked to once.
_READ_AHEAD = 1 << 20


def lengthen(log: str) -> None:
    """Append zeros to a log until it has the length that it may get to. To be called while nobody writes.
    What follows the last valid frame of a log means nothing to SQLite (https://sqlite.org/walformat.html), as
    what is left of its earlier use does not.

    Where a log grows, somebody who flushes it has blocks of the disk assigned to it, which may have to be
    looked for on the disk; meanwhile the file system (ext4) lets nobody append to it.
    """
    with Path(log).open("r+b", buffering=0) as file:
        missing = _RESERVED - file.seek(0, os.SEEK_END)
        while missing > 0:
            missing -= file.write(_ZEROS[:missing])


def use_of(log: str) -> bytes:
    """Differs each time that a log is used from its start again (https://sqlite.org/walformat.html)."""
    with suppress(OSError), Path(log).open("rb", buffering=0) as file:
        return file.read(32)[12:24]
    return b""


def keep_in_memory(log: str) -> None:
    """Have what of a log is no longer in memory read again, beside all else.

    Frames do not begin where pages of memory do, so whoever overwrites a log that is used from its start
    again needs what is there; memory that was not used for a while may have been given to others.
    """
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError), Path(log).open("rb", buffering=0) as file:
            for start in range(0, os.fstat(file.fileno()).st_size, _READ_AHEAD):
                os.posix_fadvise(file.fileno(), start, _READ_AHEAD, os.POSIX_FADV_WILLNEED)


def flush(log: str) -> None:
    """Have it all on the disk."""
    with Path(log).open("r+b", buffering=0) as file:
        os.fsync(file.fileno())


class Checkpoints:
    """Keeps the log of one database short. ``lock`` is the writer lock; ``connect`` gives a connection.

    SQLite does this by itself within a commit, which then takes some 20 ms instead of one, and as long as
    the disk likes where it is busy: all of that under the writer lock.

    How much of the log is in use stands in files that must not be opened: to close them gives up all locks
    that SQLite has on them. So what was written is estimated, from the rows that changed and from how many
    pages these came to until the last time. (On the log itself it has no locks.)
    """

    def __init__(self, lock: Turns, connect: Callable[[], sqlite3.Connection]) -> None:
        self._lock = lock
        self._connect = connect
        self._db: sqlite3.Connection | None = None
        self._log = ""
        self._one = threading.Lock()
        self._rows = 0
        self._changes = 0
        #: Pages a row; pages in the log when it was last looked at, and in which use of it.
        self._share = 1.0
        self._pages, self._use = 0, b""

    def committed(self, changes: int) -> None:
        """To be told under the writer lock. ``changes``: the rows that the writer has changed so far."""
        self._rows += changes - self._changes + _EACH
        self._changes = changes

    def bring_in(self) -> None:
        """Bring in the log where it may have grown long, unless another thread does. To be called when the
        writer lock has been given back."""
        if self._rows * self._share < _PAGES or not self._one.acquire(blocking=False):
            return
        rows, self._rows = self._rows, 0
        try:
            # What was committed stands whatever becomes of this, which is tried again: a disk may be full.
            with suppress(sqlite3.Error, StoreError):
                self._shorten(rows)
        finally:
            self._one.release()

    def end(self) -> None:
        """Wait for what is under way and close the connection; ``connect`` has to give no other then."""
        with self._one:
            if self._db is not None:
                self._db.close()
                self._db = None

    def _shorten(self, rows: int) -> None:
        if self._db is None:
            self._db = self._connect()
            self._log = f"{self._db.execute('PRAGMA database_list').fetchone()[2]}-wal"
        _, pages, _ = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        use = use_of(self._log)
        grown = pages - self._pages if use == self._use else pages
        self._share = min(_MOST_SHARE, max(_LEAST_SHARE, grown / max(1, rows)))
        self._pages, self._use = pages, use
        if pages >= _LONG_LOG:
            # Only a log with nothing left in it is used from its start again: what others have written
            # meanwhile has to come in before they go on. It is little.
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with self._lock:
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        keep_in_memory(self._log)
