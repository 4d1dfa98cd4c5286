"""What tests of the contract do again and again: open a store, write to it, look at all of it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Claim, Record
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source, Written
from graph_schema.times import Micros
from graph_schema.values import Direction, Edge, Moment, Node, Spaces
from ingestors import joins
from tests.contract.model import Seen, SeenEdge, SeenNode, canonical, closed
from tests.neo4j_server import Neo4jServer

EPOCH = 1_770_000_000_000_000
SECOND = 1_000_000

TRACKING = Source("tracking", "mlflow")
CODE = Source("code", "git")
PEOPLE = Source("people", "kinlore")

ALL_EDGES = tuple(kind for kind in EdgeKind if kind is not EdgeKind.SAME_AS)

#: Evidence that tests write themselves; all other is a rule's own wording.
OUR_EVIDENCE = (None, "seen", "told", "because")


class Clock:
    """Microseconds that advance by a second whenever they are asked for, unless they are held."""

    def __init__(self) -> None:
        self.now = EPOCH
        self.step = SECOND

    def __call__(self) -> int:
        self.now += self.step
        return self.now


def open_sqlite(path: Path, clock: Clock) -> GraphStore:
    """A SQLite store on a file."""
    return SqliteStore(path, clock=clock)


def open_neo4j(server: Neo4jServer, clock: Clock) -> GraphStore:
    """A store on the run's Neo4j."""
    from app.store.neo4j.store import Neo4jStore

    return Neo4jStore(server.url, server.password, clock=clock)


def clean_neo4j(server: Neo4jServer) -> None:
    """Take everything out of the graph, in batches. Constraints and indexes stay."""
    with server.driver() as driver, driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS").consume()


# writing -----------------------------------------------------------------------------------------------

_versions = count(1)


def record(key: str, *claims: Claim, version: int | None = None, type: str = "run") -> Record:
    """A record; without a version, newer than all before."""
    return Record(key, type, next(_versions) if version is None else version, claims)


def write(store: GraphStore, source: Source, *records: Record) -> Written:
    """Write in one transaction, and derive what follows."""
    return store.transact(lambda tx: joins.apply(tx, source, records))


def say(store: GraphStore, *claims: Claim, source: Source = TRACKING, key: str = "r") -> Written:
    """Write one record that says this."""
    return write(store, source, record(key, *claims))


# reading -----------------------------------------------------------------------------------------------


def node(store: GraphStore, text: str, **kwargs: Any) -> Node:
    """The one node that an identifier names."""
    handles = store.resolve(text, **kwargs)
    assert len(handles) == 1, f"{text} names {len(handles)} nodes"
    (found,) = store.get(handles, **kwargs)
    assert found is not None
    return found


def ids_of(
    store: GraphStore, text: str, *, known_at: Micros | None = None, spaces: Spaces = None
) -> list[str]:
    """Ids of the nodes that an identifier names, sorted."""
    handles = store.resolve(text, known_at=known_at, spaces=spaces)
    return sorted(label.id for label in store.labels(handles, known_at=known_at))


def everything(
    store: GraphStore, kinds: Iterable[NodeKind], known_at: Micros | None = None
) -> dict[str, Node]:
    """All nodes of these kinds by id."""
    found: dict[str, Node] = {}
    for kind in kinds:
        after: str | None = None
        while True:
            page = store.find(kind, first=100, after=after, known_at=known_at)
            assert not found.keys() & {n.id for n in page.items}, "a page repeats nodes"
            found.update((n.id, n) for n in page.items)
            after = page.next
            if after is None:
                break
    return found


def edges_from(
    store: GraphStore, handles: Sequence[int], moment: Moment, kinds: Sequence[EdgeKind] = ALL_EDGES
) -> list[Edge]:
    """All edges that leave these nodes, and the ``SAME_AS`` among what they touch."""
    found = store.expand(handles, Direction.DOWNSTREAM, kinds, moment)
    beliefs = sorted({step.belief for step in (*found.steps, *found.same)})
    return store.edges(beliefs, known_at=moment.known_at)


def see(store: GraphStore, kinds: Iterable[NodeKind], known_at: Micros | None = None) -> Seen:
    """The whole graph through the public verbs, in the model's form."""
    nodes = everything(store, kinds, known_at)
    handles = [n.handle for n in nodes.values()]
    edges = edges_from(store, handles, Moment(known_at=known_at)) if handles else []
    same = [(e.src, e.dst) for e in edges if e.kind is EdgeKind.SAME_AS]
    return Seen(
        {id: seen_node(n) for id, n in nodes.items()},
        Counter(seen_edge(e) for e in edges),
        closed(nodes, same),
    )


def seen_node(n: Node) -> SeenNode:
    """A node in the form that compares."""
    assert n.identifiers[0] == n.id, "the id is the first identifier"
    return SeenNode(
        n.id,
        n.kind,
        n.name,
        tuple(sorted(n.identifiers)),
        n.url,
        n.created_at,
        n.gone_at,
        n.stub,
        tuple(sorted(n.sources)),
        canonical(n.properties),
    )


def seen_edge(e: Edge) -> SeenEdge:
    """An edge in the form that compares."""
    ours = e.evidence in OUR_EVIDENCE
    return SeenEdge(
        e.src,
        e.dst,
        e.kind,
        e.source if ours else None,
        e.valid_from,
        e.valid_to,
        e.evidence if ours else None,
        canonical(e.properties),
    )


# engines -----------------------------------------------------------------------------------------------


def pretend_newer(store: GraphStore, request: pytest.FixtureRequest) -> None:
    """Make the store look as if a later version had migrated it. The one place that reaches inside."""
    if isinstance(store, SqliteStore):
        with closing(sqlite3.connect(store.path)) as db:
            db.execute("PRAGMA user_version = 999")
    else:
        server: Neo4jServer = request.getfixturevalue("neo4j_server")
        with server.driver() as driver, driver.session() as session:
            session.run("MATCH (s:State) SET s.version = 999").consume()


def unmigrated(engine: str, folder: Path, clock: Clock, request: pytest.FixtureRequest) -> GraphStore:
    """A store that nobody has migrated yet."""
    if engine == "sqlite":
        return open_sqlite(folder / "bare.db", clock)
    server: Neo4jServer = request.getfixturevalue("neo4j_server")
    clean_neo4j(server)
    return open_neo4j(server, clock)
