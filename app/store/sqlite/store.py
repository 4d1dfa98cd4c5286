"""The SQLite store: one file, one writer, readers that never wait for it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, LifoQueue
from typing import Any, TypeVar

from app.store.fence import check_fence
from app.store.sqlite.checkpoints import Checkpoints, flush, lengthen
from app.store.sqlite.engine import SqliteEngine
from app.store.sqlite.lookup import service_list
from app.store.sqlite.reading import Reads
from app.store.sqlite.schema import MIGRATIONS, SCHEMA_VERSION
from app.store.turns import Turns
from app.store.writer import Writer
from graph_schema.errors import SchemaMissing, SchemaTooNew, StoreBusy, StoreError, StoreUnavailable
from graph_schema.store import Migration, Transaction
from graph_schema.values import Fence

T = TypeVar("T")

_BUSY_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
_PAGE_CACHE_KIB = 64_000
_MMAP_BYTES = 1 << 30


class SqliteStore(Reads):
    """Implements :class:`graph_schema.store.GraphStore` on a file. ``path`` may not exist yet.

    Safe to use from several threads and several processes. ``clock`` gives microseconds since 1970.
    """

    def __init__(
        self, path: Path | str, *, clock: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self._clock = clock
        self._lock = Turns()
        self._writer: sqlite3.Connection | None = None
        self._idle: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._closed = False
        self._checkpoints = Checkpoints(self._lock, self._connect)

    # connections ---------------------------------------------------------------------------------------

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            raise StoreUnavailable(f"the store {self.path} has been closed")
        try:
            db = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA cache_size = -{_PAGE_CACHE_KIB}")
            db.execute(f"PRAGMA mmap_size = {_MMAP_BYTES}")
            db.execute("PRAGMA temp_store = MEMORY")
            db.execute("PRAGMA wal_autocheckpoint = 0")
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        return db

    def _unavailable(self, error: sqlite3.Error) -> StoreError:
        text = str(error)
        if "locked" in text or "busy" in text:
            return StoreBusy(f"another writer has held {self.path} for more than {_BUSY_SECONDS:.0f} s")
        if "full" in text:
            return StoreUnavailable(f"the disk that holds {self.path} is full; nothing was written")
        if "unable to open" in text:
            return StoreUnavailable(f"cannot open {self.path}: its folder is missing or may not be written")
        if "readonly" in text:
            return StoreUnavailable(f"{self.path} may not be written")
        if "not a database" in text or "malformed" in text:
            return StoreUnavailable(f"{self.path} is not a readable SQLite database ({text})")
        if "no such table" in text:
            return SchemaMissing(f"{self.path} has no Kinlore schema yet: run kinlore migrate")
        return StoreUnavailable(f"{self.path}: {text}")

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """A connection on one consistent state."""
        try:
            db = self._idle.get_nowait()
        except Empty:
            db = self._connect()
        try:
            db.execute("BEGIN")
            yield db
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
            self._idle.put(db)
            if self._closed:
                self._close_idle()

    # lifecycle -----------------------------------------------------------------------------------------

    def migrate(self) -> Migration:
        """See :meth:`graph_schema.store.GraphStore.migrate`."""
        with self._lock:
            db = self._writing()
            before = self._version(db)
            try:
                for number in range(before, SCHEMA_VERSION):
                    db.execute("BEGIN IMMEDIATE")
                    if self._version(db) == number:
                        for statement in MIGRATIONS[number]:
                            db.execute(statement)
                        db.execute(f"PRAGMA user_version = {number + 1}")
                    db.execute("COMMIT")
            except sqlite3.Error as error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise self._unavailable(error) from error
            return Migration(before, SCHEMA_VERSION)

    def prepare(self) -> None:
        """See :meth:`graph_schema.store.GraphStore.prepare`. The log gets the length that it will have."""
        # Without the room for that, or beside somebody who writes all the time, it grows when it has to.
        with suppress(OSError, StoreBusy):
            with self._lock:
                db = self._writing()
                try:
                    db.execute("BEGIN IMMEDIATE")
                    log = f"{db.execute('PRAGMA database_list').fetchone()[2]}-wal"
                    lengthen(log)
                except sqlite3.Error as error:
                    raise self._unavailable(error) from error
                finally:
                    if db.in_transaction:
                        db.execute("ROLLBACK")
            flush(log)

    def _version(self, db: sqlite3.Connection) -> int:
        try:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])
        except sqlite3.Error as error:
            raise self._unavailable(error) from error
        if version > SCHEMA_VERSION:
            raise SchemaTooNew(
                f"{self.path} has schema {version}, made by a newer Kinlore;"
                f" this one knows up to {SCHEMA_VERSION}"
            )
        return version

    def _writing(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def close(self) -> None:
        """See :meth:`graph_schema.store.GraphStore.close`. A connection that another thread uses is closed
        when that is done with it: closed under its hands, it would take the process along."""
        self._closed = True
        self._checkpoints.end()
        # Who waits for another process to write may wait for long, and has nothing to commit yet.
        if self._lock.acquire(timeout=_CLOSE_SECONDS):
            try:
                if self._writer is not None:
                    self._writer.close()
                    self._writer = None
            finally:
                self._lock.release()
        self._close_idle()

    def _close_idle(self) -> None:
        with suppress(Empty):
            while True:
                self._idle.get_nowait().close()

    # writing -------------------------------------------------------------------------------------------

    def transact(self, work: Callable[[Transaction], T], fence: Fence | None = None) -> T:
        """See :meth:`graph_schema.store.GraphStore.transact`."""
        result = self._transact(work, fence)
        self._checkpoints.bring_in()
        return result

    def _transact(self, work: Callable[[Transaction], T], fence: Fence | None = None) -> T:
        with self._lock:
            db = self._writing()
            try:
                db.execute("BEGIN IMMEDIATE")
                if self._version(db) < SCHEMA_VERSION:
                    raise SchemaMissing(f"{self.path} has no current Kinlore schema: run kinlore migrate")
                last = db.execute("SELECT rev, at FROM revision ORDER BY rev DESC LIMIT 1").fetchone()
                revision, before = last or (0, 0)
                engine = SqliteEngine(db)
                now = max(self._clock(), before + 1, engine.counters().get("clock", 0) + 1)
                if fence is not None:
                    check_fence(fence, engine.service_get("lease", fence.lease), now)
                writer = Writer(engine, now, revision + 1)
                result = work(writer)
                writer.close()
                if writer.changed:
                    db.execute("INSERT INTO revision(rev, at) VALUES(?, ?)", (revision + 1, now))
                db.execute("COMMIT")
                self._checkpoints.committed(db.total_changes)
                return result
            except sqlite3.Error as error:
                raise self._unavailable(error) from error
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def deposit(self, rows: Sequence[tuple[str, str, Any]]) -> float:
        """See :meth:`graph_schema.store.GraphStore.deposit`. A file has one writer: this waits its turn,
        and leaves the log to other writers, for somebody waits for an answer."""

        def work(tx: Transaction) -> None:
            for collection, key, value in rows:
                tx.service_put(collection, key, value)

        self._transact(work)
        return 0.0

    def put_vectors(self, model: str, rows: Sequence[tuple[int, str, Sequence[float]]]) -> None:
        """See :meth:`graph_schema.store.GraphStore.put_vectors`."""
        from app.store.sqlite.vectors import put

        with self._lock:
            db = self._writing()
            try:
                db.execute("BEGIN IMMEDIATE")
                put(db, model, rows)
                db.execute("COMMIT")
                self._checkpoints.committed(db.total_changes)
            except sqlite3.Error as error:
                raise self._unavailable(error) from error
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")
        self._checkpoints.bring_in()

    def service(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 1_000
    ) -> list[tuple[str, Any]]:
        """See :meth:`graph_schema.store.GraphStore.service`."""
        with self._read() as db:
            return service_list(db, collection, prefix, after, limit)
