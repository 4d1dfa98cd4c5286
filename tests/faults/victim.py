"""What runs in processes that are killed. They are forked from a server that has imported everything."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from neo4j import ManagedTransaction

from app.store.neo4j.store import Neo4jStore
from app.store.sqlite.store import SqliteStore
from graph_schema.store import GraphStore, Transaction
from graph_schema.values import Fence
from ingestors.loop import Policy, ingest
from tests.faults.synthetic import Synthetic

T = TypeVar("T")

#: Chunks are small, so that there are many transactions to be killed in and between.
SHORT = Policy(lock=0.001)

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", __name__])


class Address(NamedTuple):
    """Where a store is: a file, or a Neo4j server's URL with its password."""

    place: str
    password: str | None = None

    def open(self) -> GraphStore:
        """The store, not yet migrated."""
        if self.password is None:
            return SqliteStore(Path(self.place))
        return Neo4jStore(self.place, self.password)


class Telling:
    """A store that tells when a transaction begins, so that somebody can choose when to strike."""

    def __init__(self, store: GraphStore, tell: Callable[[], None]) -> None:
        self._store = store
        self._tell = tell

    def transact(self, work: Callable[[Transaction], T], fence: Fence | None = None) -> T:
        self._tell()
        return self._store.transact(work, fence)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A process of its own that runs this function, within milliseconds."""
    process = _CONTEXT.Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def start_ingestion(address: Address, count: int, seed: int) -> tuple[BaseProcess, Connection]:
    """An ingestion in a process of its own, and where it sends a byte for each transaction that begins."""
    told, telling = _CONTEXT.Pipe(duplex=False)
    process = start(ingest_synthetic, address, count, seed, telling)
    telling.close()
    return process, told


def ingest_synthetic(address: Address, count: int, seed: int, telling: Connection) -> None:
    """Ingest the synthetic source. Exit code 0 when all of it is in."""
    store = address.open()
    store.migrate()
    told: Any = Telling(store, lambda: telling.send_bytes(b"."))
    report = ingest(told, Synthetic(count, seed), policy=SHORT)
    store.close()
    if report.error is not None:
        raise SystemExit(report.error)


def migrate_and_die(address: Address, statement: int) -> None:
    """Migrate, and be killed after the given statement. Ends with exit code 0 if there are not so many."""
    left = [statement]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if address.password is None:
        connect = sqlite3.connect

        class Counting(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                cursor = super().execute(*arguments)
                count()
                return cursor

        sqlite3.connect = lambda *args, **more: connect(*args, factory=Counting, **more)  # type: ignore
    else:
        run = ManagedTransaction.run

        def counting(self: ManagedTransaction, /, *arguments: Any, **more: Any) -> Any:
            result = run(self, *arguments, **more)
            if "IF NOT EXISTS" in arguments[0]:
                # The statement that came before it has been committed; this one may be.
                count()
            return result

        ManagedTransaction.run = counting  # type: ignore
    store = address.open()
    store.migrate()
    store.close()
