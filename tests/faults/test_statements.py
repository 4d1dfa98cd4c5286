"""Rows 13 and 21: any statement may be the last that works. A write is there or not; a migration goes on."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from shutil import copy
from typing import Any

import pytest
from neo4j import ManagedTransaction
from neo4j.exceptions import ClientError

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Record
from graph_schema.errors import StoreError
from graph_schema.store import GraphStore, Source
from ingestors import joins
from ingestors.loop import ingest
from tests.faults.conftest import Figure
from tests.faults.synthetic import Synthetic
from tests.faults.victim import Address, migrate_and_die, start
from tests.neo4j_server import Neo4jServer
from tests.unit.ingestors.scripted import Scripted, listing

WRITER = Source("synthetic", "synthetic")


class Failing:
    """Lets so many statements work, then one fails: before it has done anything, or after."""

    def __init__(self) -> None:
        self.number = 0
        self.left: int | None = None
        self.after = False

    def at(self, number: int | None, *, after: bool = False) -> None:
        """Fail the statement of this number, from 1."""
        self.number, self.left, self.after = 0, number, after

    def run(self, statement: str, execute: Callable[[], Any], error: Exception) -> Any:
        if "ROLLBACK" in statement or self.left is None:
            return execute()
        self.number += 1
        if self.number != self.left:
            return execute()
        if self.after:
            execute()
        raise error


@pytest.fixture
def failing(engine: str, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Statements that the test can make fail, on either engine."""
    switch = Failing()
    if engine == "neo4j":
        run = ManagedTransaction.run

        def counted(tx: ManagedTransaction, query: str, /, *arguments: Any, **more: Any) -> Any:
            return switch.run(query, lambda: run(tx, query, *arguments, **more), ClientError("it fails"))

        monkeypatch.setattr(ManagedTransaction, "run", counted)
        return switch

    class Connection(sqlite3.Connection):
        def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("disk I/O error")
            return switch.run(
                statement, lambda: super(Connection, self).execute(statement, *arguments), error
            )

        def executemany(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
            error = sqlite3.OperationalError("disk I/O error")
            return switch.run(
                statement, lambda: super(Connection, self).executemany(statement, *arguments), error
            )

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **more: connect(*args, factory=Connection, **more))
    return switch


@pytest.fixture
def pages(engine: str) -> list[list[Any]]:
    """Records of two pages; the second replaces, joins and moves what the first says."""
    # Every statement is tried, so the work grows with their square; on Neo4j each costs milliseconds.
    source = Synthetic(40 if engine == "sqlite" else 14)
    records = [Record(i.key, i.type, i.version, tuple(source.to_claims(i))) for i in source.items]
    half = len(records) // 2
    return [records[:half], records[half:]]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_transaction_whose_nth_statement_fails_is_there_or_not(
    failing: Failing, store: GraphStore, pages: list[list[Any]], after: bool, figure: Figure
) -> None:
    store.transact(lambda tx: joins.apply(tx, WRITER, pages[0]))
    old = store.digest(), store.counts().records
    failures = old_states = new_states = 0
    number = 0

    while True:
        number += 1
        failing.at(number, after=after)
        try:
            store.transact(lambda tx: joins.apply(tx, WRITER, pages[1]))
            failing.at(None)
            break
        except StoreError as problem:
            assert "\n" not in str(problem)
        failing.at(None)
        failures += 1
        now = store.digest(), store.counts().records
        if now == old:
            old_states += 1
        else:
            # The commit itself was done, and only its answer went wrong.
            new_states += 1
    new = store.digest(), store.counts().records

    figure(f"failures: {failures}, old state", f"{old_states}, new state {new_states}")
    assert failures > 10
    assert new != old
    assert new_states <= 1
    store.transact(lambda tx: joins.apply(tx, WRITER, [*pages[0], *pages[1]]))
    assert (store.digest(), store.counts().records) == new


# migrations --------------------------------------------------------------------------------------------


def schema_of(path: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()


@pytest.fixture
def bare(engine: str, address: Callable[[], Address], request: pytest.FixtureRequest) -> Iterator[Address]:
    """A place where nothing has been migrated: on Neo4j without constraints and indexes too."""
    here = address()
    if engine == "neo4j":
        server: Neo4jServer = request.getfixturevalue("neo4j_server")
        with server.driver() as driver, driver.session() as session:
            for name, constraint in session.run("SHOW INDEXES YIELD name, owningConstraint").values():
                if name.startswith("kinlore_"):
                    session.run(f"DROP {'CONSTRAINT' if constraint else 'INDEX'} {name}").consume()
    yield here


def test_a_migration_that_is_killed_at_every_step_goes_on(
    bare: Address, sqlite_template: Path, figure: Figure
) -> None:
    killed = 0
    # On SQLite a step is one transaction. On Neo4j each statement is, but for the one that is cut off: the
    # next run goes on there.
    for statement in itertools.count(1):
        process = start(migrate_and_die, bare, statement if bare.password is None else 5)
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == -9
        killed += 1
        if killed % 10 == 0 and bare.password is None:
            check(bare)
    store = bare.open()
    again = store.migrate()

    figure("killed at", f"{killed} statements of a migration, and then it succeeds")
    assert killed > (30 if bare.password is None else 10)
    assert again.before == again.after
    if bare.password is None:
        assert schema_of(bare.place) == schema_of(str(sqlite_template))
    assert ingest(store, Scripted(listing("a", "b"))).error is None
    assert store.counts().nodes == {"Run": 2}
    store.close()


def check(here: Address) -> None:
    """Killed in the middle, the file is whole, and a store on a copy of it can be migrated."""
    place = Path(here.place)
    other = place.with_name("copy.db")
    copy(place, other)
    for suffix in ("-wal", "-shm"):
        if place.with_name(place.name + suffix).exists():
            copy(place.with_name(place.name + suffix), other.with_name(other.name + suffix))
    store = SqliteStore(other)
    store.migrate()
    store.close()
    with closing(sqlite3.connect(other)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    for path in other.parent.glob("copy.db*"):
        path.unlink()
