"""The way to the server: one driver, managed transactions only, and every failure told in one clear line."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit

from neo4j import (
    READ_ACCESS,
    WRITE_ACCESS,
    Driver,
    GraphDatabase,
    ManagedTransaction,
    Query,
    Session,
    unit_of_work,
)
from neo4j.exceptions import (
    AuthError,
    DriverError,
    IncompleteCommit,
    Neo4jError,
    ServiceUnavailable,
    SessionExpired,
)

from app.store.neo4j.rows import rows
from graph_schema.errors import BadInput, StoreBusy, StoreError, StoreUnavailable

T = TypeVar("T")

_CONNECT_SECONDS = 5.0
#: Constraints and indexes over a graph of millions take longer than any other transaction may.
_SCHEMA_SECONDS = 3_600.0
_FETCH = 10_000
_TIMED_OUT = (
    "TransactionTimedOut",
    "TransactionTimedOutClientConfiguration",
    "LockAcquisitionTimeout",
    "LockClientStopped",
)


class Connection:
    """A driver and the database behind it. Safe to share between threads.

    ``url`` is ``neo4j://user@host:7687`` or another scheme of the driver; the user defaults to ``neo4j``.
    ``seconds`` bounds a transaction, its wait for the writer lock included; ``retry_seconds`` bounds how
    long a server that has answered before is waited for.
    """

    def __init__(
        self,
        url: str,
        password: str | None,
        *,
        database: str,
        seconds: float,
        retry_seconds: float,
    ) -> None:
        parts = urlsplit(url)
        self.user = parts.username or "neo4j"
        self.database = database
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self.address = f"{parts.scheme}://{host}:{parts.port or 7687}"
        self.seconds = seconds
        self._bookmarks = GraphDatabase.bookmark_manager()
        self._known = False
        self._closed = False
        self._lock = threading.Lock()
        # What the server notes about a query is for its author; on the terminal it is noise.
        logging.getLogger("neo4j").setLevel(logging.CRITICAL)
        try:
            self._driver: Driver = GraphDatabase.driver(
                self.address,
                auth=(self.user, password or ""),
                notifications_min_severity="OFF",
                connection_timeout=_CONNECT_SECONDS,
                connection_acquisition_timeout=max(_CONNECT_SECONDS, seconds),
                max_transaction_retry_time=retry_seconds,
                fetch_size=_FETCH,
                user_agent="kinlore",
            )
        except (DriverError, ValueError) as error:
            raise StoreUnavailable(f"{self.address} is no address of a Neo4j server: {error}") from None

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._driver.close()

    def read(self, work: Callable[[ManagedTransaction], T]) -> T:
        """Run ``work`` in a read transaction; it may be repeated."""
        with self.told(), self._session(READ_ACCESS) as session:
            return session.execute_read(unit_of_work(timeout=self.seconds)(work))

    def ask(self, query: str, **parameters: Any) -> list[Any]:
        """The one list that a reading statement gives, by a single round trip: in a transaction of its own,
        which is neither begun nor committed by messages. What can be tried again is, as in :meth:`read`."""
        with self.told():
            # A server that has never answered is not tried again.
            self._meet()
            try:
                with self._session(READ_ACCESS) as session:
                    found: list[Any] = session.run(
                        Query(query, timeout=self.seconds),
                        parameters,
                    ).single(strict=True)[0]
                    return found
            except (DriverError, Neo4jError) as error:
                if not error.is_retryable():
                    raise
            return self.read(lambda tx: rows(tx, query, **parameters))

    def write(self, work: Callable[[ManagedTransaction], T], seconds: float | None = None) -> T:
        """Run ``work`` in a write transaction of at most so many seconds (else as :attr:`seconds` says); it
        may be repeated.

        Raises IncompleteCommit where nobody knows whether it was committed."""
        with self._session(WRITE_ACCESS) as session:
            return session.execute_write(unit_of_work(timeout=seconds or self.seconds)(work))

    def put(self, query: str, **parameters: Any) -> Any:
        """The one value that a writing statement gives, in a transaction of its own by a single round trip.
        For a statement that may be done twice: where nobody knows whether it was, it is done again."""
        try:
            with self._session(WRITE_ACCESS) as session:
                statement = Query(query, timeout=self.seconds)
                return session.run(statement, parameters).single(strict=True)[0]
        except (DriverError, Neo4jError) as error:
            if not error.is_retryable():
                raise
        return self.write(lambda tx: tx.run(query, parameters).single(strict=True)[0])

    def change_schema(self, statement: str) -> None:
        """One statement that changes constraints or indexes, in a transaction of its own."""
        self.write(lambda tx: tx.run(statement).consume(), _SCHEMA_SECONDS)

    def await_indexes(self) -> None:
        """Wait until all indexes are full: only then may anybody rely on them."""
        statement = "CALL db.awaitIndexes($seconds)"
        self.write(lambda tx: tx.run(statement, seconds=int(_SCHEMA_SECONDS)).consume(), _SCHEMA_SECONDS)

    def _session(self, access: str) -> Session:
        if self._closed:
            raise StoreUnavailable(f"the store at {self.address} has been closed")
        self._meet()
        return self._driver.session(
            database=self.database, default_access_mode=access, bookmark_manager=self._bookmarks
        )

    def _meet(self) -> None:
        """Before the first use, see whether there is a server: one that never answered is not waited for."""
        if self._known:
            return
        with self._lock:
            if not self._known:
                # What listens and never answers would else be waited for as long as for a free connection.
                with self._driver.session(
                    database=self.database,
                    default_access_mode=READ_ACCESS,
                    connection_acquisition_timeout=_CONNECT_SECONDS,
                ) as session:
                    session.run("RETURN 1").consume()
                self._known = True

    @contextmanager
    def told(self, waiting: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Tell failures of the driver and the server as :class:`StoreError`. ``waiting``: for the lock."""
        try:
            yield
        except (DriverError, Neo4jError, OSError) as error:
            raise self._told(error, waiting()) from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise BadInput(f"Neo4j cannot hold a value: {error}") from error

    def _told(self, error: Exception, waiting: bool) -> StoreError:
        if isinstance(error, AuthError):
            return StoreUnavailable(
                f"{self.address} refuses the password of user {self.user}: set KINLORE_STORE__PASSWORD"
            )
        if isinstance(error, IncompleteCommit):
            return StoreUnavailable(f"{self.address} went away while a write was being committed")
        if isinstance(error, ServiceUnavailable | SessionExpired | OSError):
            return StoreUnavailable(f"{self.address} does not answer: is Neo4j running there?")
        if isinstance(error, Neo4jError):
            code = error.code or ""
            if code.endswith(_TIMED_OUT):
                if waiting:
                    return StoreBusy(
                        f"another writer has held {self.address} for more than {self.seconds:g} s"
                    )
                return StoreUnavailable(
                    f"{self.address} took more than {self.seconds:g} s for one transaction"
                )
            if code.endswith("DatabaseNotFound"):
                return StoreUnavailable(f"{self.address} has no database named {self.database!r}")
            if "No space left" in str(error):
                return StoreUnavailable(f"the disk of {self.address} is full; nothing was written")
            return StoreUnavailable(f"{self.address}: {code}: {_first_line(error.message or '')}")
        return StoreUnavailable(f"{self.address}: {_first_line(str(error))}")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:300]
