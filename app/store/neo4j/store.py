"""The Neo4j store: one writer at a time, held by a lock in the database, and readers beside it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar
from uuid import uuid4

from neo4j import ManagedTransaction
from neo4j.exceptions import ClientError, IncompleteCommit, Neo4jError

from app.store import conclusions
from app.store.fence import check_fence
from app.store.neo4j import asking
from app.store.neo4j.applying import WRITE
from app.store.neo4j.codec import text_json
from app.store.neo4j.connection import Connection
from app.store.neo4j.engine import Neo4jEngine
from app.store.neo4j.keyed import AHEAD, NEAR, Habits
from app.store.neo4j.reading import Reads
from app.store.neo4j.rows import PLANNED, seek
from app.store.neo4j.schema import MIGRATIONS, SCHEMA_VERSION, name_of
from app.store.neo4j.searching import Searches
from app.store.neo4j.services import SERVICES_PUT, service_key, service_rows
from app.store.neo4j.whole import Whole
from app.store.rows import SourceRow, from_json
from app.store.turns import Turns
from app.store.writer import Writer
from graph_schema.errors import SchemaMissing, SchemaTooNew, StoreBusy
from graph_schema.store import Migration, Transaction
from graph_schema.values import Fence

T = TypeVar("T")

_SECONDS = 60.0
_RETRY_SECONDS = 30.0
_REPLAYS = 5
_CLIENT_DAYS = 7
_TAKEN_BACK_SECONDS = 10.0
_PLAN_SECONDS = 60.0
#: Between two deposits, where more is arriving: so many times as long as one took, and seconds at most.
_REST, _MOST_REST = 2.0, 0.03
#: What most transactions ask for.
_CONCLUSIONS = (conclusions.COLLECTION, conclusions.SOURCES)

# Nothing is read before the lock is held: what another writer has committed is seen. Clauses take place one
# after another.
_BEGIN = f"""{PLANNED}
MATCH (l:Lock) SET l.writes = l.writes + 1
WITH l MATCH (s:State)
OPTIONAL {seek("c:Client", "key", "$p.client")}
WITH s, c, datetime.realtime() AS time
RETURN s.version, s.revision, s.at, s.counters, c.tx,
       time.epochSeconds * 1000000 + time.microsecond,
       COLLECT {{ MATCH (x:Source) RETURN [x.sid, x.name, x.type, x.space] }},
       COLLECT {{ MATCH (x:Origin) RETURN [x.oid, x.sids] }},
       COLLECT {{ UNWIND $p.services AS skey {seek("x:Service", "skey", "skey")} RETURN [skey, x.value] }}
"""
# The condition is for :data:`_FIRST`, which asks for nothing.
_END = f"""{PLANNED}
MATCH (s:State) WHERE $p.client IS NOT NULL SET s += $p.state
MERGE (c:Client {{key: $p.client}}) SET c.tx = $p.tx, c.at = $p.now
FOREACH (r IN $p.revisions | CREATE (:Revision {{rev: r, at: $p.now}}))
FOREACH (r IN $p.put | MERGE (x:Service {{skey: r.skey}})
  SET x.collection = r.collection, x.key = r.key, x.value = r.value)
WITH s
CALL () {{ UNWIND $p.gone AS skey {seek("x:Service", "skey", "skey")} DELETE x }}
CALL () {{ UNWIND $p.forget AS before MATCH (x:Client) WHERE x.at < before DELETE x }}
"""
#: What a writer asks for while it holds the lock, asked beforehand for nothing.
_FIRST = (*asking.EACH, AHEAD, NEAR, WRITE, _END)
_NOTHING = {"spans": [], "before": 0, "after": 0}
_DEPOSIT = f"MATCH (v:State) WHERE v.version = $version {SERVICES_PUT} RETURN count(*)"
_VERSION = "MATCH (s:State) RETURN s.version"
_FOUND_STATE = """
MERGE (l:Lock {key: 0}) ON CREATE SET l.writes = 0
MERGE (s:State {key: 0}) ON CREATE SET s.version = 0, s.revision = 0, s.at = 0, s.counters = '{}'
"""
# A constraint owns an index of its name.
_PRESENT = "SHOW INDEXES YIELD name, owningConstraint"
_FOUNDATIONS = tuple(
    f"CREATE CONSTRAINT kinlore_{key}_key IF NOT EXISTS FOR (n:{key}) REQUIRE n.key IS UNIQUE"
    for key in ("Lock", "State")
)
_REACHED = "MATCH (s:State) WHERE s.version < $version SET s.version = $version"


class Neo4jStore(Reads, Searches, Whole):
    """Implements :class:`graph_schema.store.GraphStore` on a Neo4j server, 5.26 or later.

    ``url`` is ``neo4j://user@host:7687``. ``seconds`` bounds one transaction, its wait for the writer lock
    included; a server that has answered before and went away is waited for ``retry_seconds``.
    ``clock`` gives microseconds since 1970 instead of the server's own time, for tests.
    Safe to use from several threads, and beside other processes.
    """

    def __init__(
        self,
        url: str,
        password: str | None,
        *,
        database: str = "neo4j",
        seconds: float = _SECONDS,
        retry_seconds: float = _RETRY_SECONDS,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._connection = Connection(
            url, password, database=database, seconds=seconds, retry_seconds=retry_seconds
        )
        self._clock = clock
        self._client = uuid4().hex
        self._sequence = 0
        self._lock = Turns()
        self._habits: Habits = defaultdict(set)

    def close(self) -> None:
        """See :meth:`graph_schema.store.GraphStore.close`."""
        self._connection.close()

    # migrations ----------------------------------------------------------------------------------------

    def migrate(self) -> Migration:
        """See :meth:`graph_schema.store.GraphStore.migrate`."""
        connection = self._connection
        with connection.told():
            before = connection.read(self._version)
            if before == SCHEMA_VERSION:
                return Migration(before, SCHEMA_VERSION)
            self._make(_FOUNDATIONS)
            connection.write(lambda tx: tx.run(_FOUND_STATE).consume())
            for number in range(before, SCHEMA_VERSION):
                self._step(MIGRATIONS[number], number + 1)
        return Migration(before, SCHEMA_VERSION)

    def prepare(self) -> None:
        """See :meth:`graph_schema.store.GraphStore.prepare`. The server sees to that itself."""

    def _step(self, statements: tuple[str, ...], version: int) -> None:
        """Neo4j commits each change of the schema by itself: all are repeatable, the version comes last."""
        connection = self._connection
        self._make(statements)
        connection.await_indexes()
        connection.write(lambda tx: tx.run(_REACHED, version=version).consume())

    def _make(self, statements: tuple[str, ...]) -> None:
        """Make the constraints and indexes that are not there."""
        connection = self._connection
        present: dict[str, str | None] = connection.read(lambda tx: dict(tx.run(_PRESENT).values()))
        for statement in statements:
            name, constrains = name_of(statement), statement.startswith("CREATE CONSTRAINT")
            # An index without its constraint constrains nothing: whoever was making it was killed.
            if name not in present or (constrains and present[name] is None):
                self._make_one(statement)

    def _make_one(self, statement: str) -> None:
        """Of a client that was killed the server takes back what was half-made, which takes it a moment."""
        deadline = time.monotonic() + _TAKEN_BACK_SECONDS
        while True:
            try:
                self._connection.change_schema(statement)
                return
            except ClientError as error:
                if "AlreadyExists" not in (error.code or "") or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _version(self, tx: ManagedTransaction) -> int:
        rows = tx.run(_VERSION).values()
        return self._checked(rows[0][0] if rows else 0)

    def _checked(self, version: int) -> int:
        if version > SCHEMA_VERSION:
            raise SchemaTooNew(
                f"{self._connection.address} has schema {version}, made by a newer Kinlore;"
                f" this one knows up to {SCHEMA_VERSION}"
            )
        return version

    # writing -------------------------------------------------------------------------------------------

    def transact(self, work: Callable[[Transaction], T], fence: Fence | None = None) -> T:
        """See :meth:`graph_schema.store.GraphStore.transact`.

        A commit whose reply is lost is tried again under the same number: under the lock it shows whether
        the number has been committed, and then ``work`` is not run again."""
        connection = self._connection
        if not self._lock.acquire(timeout=connection.seconds):
            raise StoreBusy(
                f"another writer has held {connection.address} for more than {connection.seconds:g} s"
            )
        try:
            attempt = _Attempt(self, work, fence, self._sequence + 1)
            with connection.told(lambda: attempt.waiting):
                if self._sequence == 0:
                    self._plan()
                self._commit(lambda: connection.write(attempt))
            self._sequence += 1
            (result,) = attempt.result
            return result
        finally:
            self._lock.release()

    def deposit(self, rows: Sequence[tuple[str, str, Any]]) -> float:
        """See :meth:`graph_schema.store.GraphStore.deposit`.

        Nobody else writes these records, so the writer lock has nothing to protect: a transaction of its own,
        beside the one that holds it. Done twice it is the same, so a lost reply needs no number. One costs
        the server some milliseconds, whatever is in it, and whoever holds the lock waits for those."""
        connection, made = self._connection, service_rows(rows)
        began = time.monotonic()
        with connection.told():
            found = self._commit(lambda: connection.put(_DEPOSIT, rows=made, version=SCHEMA_VERSION))
        if found < len(made):
            connection.read(self._version)
            raise self._unmigrated()
        return min(_MOST_REST, _REST * (time.monotonic() - began))

    def _plan(self) -> None:
        """Have the server plan what a writer asks for, before anybody has to wait for the lock: one that has
        just been started takes seconds for that, any other some milliseconds. What comes of it is not
        needed: a server that does not get there in time plans when it is asked."""
        with suppress(_Planned, Neo4jError):
            self._connection.write(_ask_for_nothing, _PLAN_SECONDS)

    def _commit(self, once: Callable[[], T]) -> T:
        """What is repeated where nobody knows whether it was committed."""
        for _ in range(_REPLAYS - 1):
            try:
                return once()
            except IncompleteCommit:
                continue
        return once()

    def _unmigrated(self) -> SchemaMissing:
        return SchemaMissing(f"{self._connection.address} has no current Kinlore schema: run kinlore migrate")


class _Planned(Exception):
    """Ends a transaction that is not to be committed."""


def _ask_for_nothing(tx: ManagedTransaction) -> None:
    # Plans for transactions that have written are kept apart.
    tx.run("CREATE ()").consume()
    for statement in _FIRST:
        tx.run(statement, p=_NOTHING).consume()
    raise _Planned


class _Attempt(Generic[T]):
    """One transaction of one client, as often as it takes."""

    def __init__(
        self, store: Neo4jStore, work: Callable[[Transaction], T], fence: Fence | None, number: int
    ) -> None:
        self._store = store
        self._work = work
        self._fence = fence
        self._number = number
        self.waiting = False
        self.result: list[T] = []

    def __call__(self, tx: ManagedTransaction) -> None:
        store = self._store
        asked = [_CONCLUSIONS] if self._fence is None else [_CONCLUSIONS, ("lease", self._fence.lease)]
        by_key = {service_key(*at): at for at in asked}
        self.waiting = True
        rows = tx.run(_BEGIN, p={"client": store._client, "services": list(by_key)}).values()
        self.waiting = False
        if not rows or store._checked(rows[0][0]) < SCHEMA_VERSION:
            raise store._unmigrated()
        _, revision, last, counters, committed, time, sources, origins, services = rows[0]
        if self.result and committed == self._number:
            return
        held = from_json(counters)
        now = max(time if store._clock is None else store._clock(), last + 1, held.get("clock", 0) + 1)
        engine = Neo4jEngine(
            tx,
            held,
            [SourceRow(*row) for row in sources],
            {tuple(sids): oid for oid, sids in origins},
            {**dict.fromkeys(asked), **{by_key[skey]: value for skey, value in services}},
            store._habits,
        )
        if self._fence is not None:
            check_fence(self._fence, engine.service_get("lease", self._fence.lease), now)
        writer = Writer(engine, now, revision + 1)
        self.result = [self._work(writer)]
        writer.close()
        self._end(tx, engine, revision + 1 if writer.changed else None, now)

    def _end(self, tx: ManagedTransaction, engine: Neo4jEngine, revision: int | None, now: int) -> None:
        """What every transaction writes last. ``revision``: the one that it makes."""
        put, gone = engine.services.unwritten()
        state: dict[str, Any] = {"counters": text_json(engine.counters())}
        if revision is not None:
            state.update(revision=revision, at=now)
        written = {
            "state": state,
            "client": self._store._client,
            "tx": self._number,
            "now": now,
            "revisions": [] if revision is None else [revision],
            "put": put,
            "gone": gone,
            "forget": [now - _CLIENT_DAYS * 86_400_000_000] if self._number == 1 else [],
        }
        tx.run(_END, p=written).consume()
