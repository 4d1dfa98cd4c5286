"""Ingestion through the whole pipeline, against a raw upsert of the same elements by the bare driver."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import neo4j

from app.jobs.runs import polite_lock
from app.store.neo4j import Neo4jStore
from app.store.sqlite import SqliteStore
from graph_schema.store import GraphStore
from ingestors.loop import Policy, ingest
from tests.benchmarks.measure import Figure, at_least, timed
from tests.benchmarks.organisation import Element, OrganisationSource, edge_kind, elements, identifier_of
from tests.neo4j_server import Neo4jServer

_BATCH = 5_000
_json = msgspec.json.Encoder().encode


def run(folder: Path, count: int, server: Neo4jServer | None) -> Iterator[Figure]:
    """Figures for both engines on ``count`` nodes."""
    made = list(elements(count))
    edges = sum(len(e.inputs) for e in made)
    size = f"{count:,} nodes, {edges:,} edges"
    raw, _ = timed(lambda: raw_sqlite(folder / "raw.db", made))
    store: GraphStore = SqliteStore(folder / "ours.db")
    yield from _ours("SQLite", store, made, raw, size, count + edges)
    store.close()
    if server is not None:
        with server.driver() as driver:
            driver.execute_query("CREATE CONSTRAINT raw IF NOT EXISTS FOR (n:Raw) REQUIRE n.id IS UNIQUE")
            driver.execute_query("CALL db.awaitIndexes()")
            raw, _ = timed(lambda: raw_neo4j(driver, made))
            with driver.session(database="neo4j") as session:
                # Only a transaction of its own making can be split.
                session.run(
                    "MATCH (n:Raw) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 10000 ROWS"
                ).consume()
        store = Neo4jStore(server.url, server.password)
        yield from _ours("Neo4j", store, made, raw, size, count + edges)
        store.close()


def _ours(
    engine: str, store: GraphStore, made: Sequence[Element], raw: float, size: str, count: int
) -> Iterator[Figure]:
    store.migrate()
    # As `kinlore ingest` writes where no server runs.
    policy = Policy(lock=polite_lock(store))
    first, report = timed(lambda: ingest(store, OrganisationSource(made), policy=policy))
    if report.error is not None or report.new != len(made):
        raise RuntimeError(f"the ingestion did not load everything: {report}")
    again, report = timed(lambda: ingest(store, OrganisationSource(made), policy=policy))
    if report.unchanged != len(made):
        raise RuntimeError(f"the second ingestion found changes: {report}")
    detail = f"{size}; {count / first:,.0f} against {count / raw:,.0f} elements/s"
    yield at_least(f"{engine}: pipeline ingest against a raw upsert", raw / first, 0.6, detail)
    yield at_least(
        f"{engine}: resync without changes against the first load", first / again, 8, f"{again:.1f} s"
    )


def raw_sqlite(path: Path, made: Sequence[Element]) -> None:
    """The same nodes and edges, upserted by the bare driver into two plain tables with the same pragmas."""
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "cache_size = -64000",
        "mmap_size = 1073741824",
    ):
        db.execute(f"PRAGMA {pragma}")
    db.execute("PRAGMA wal_autocheckpoint = 4000")
    db.execute("CREATE TABLE node(id TEXT PRIMARY KEY, kind TEXT, properties TEXT)")
    db.execute(
        "CREATE TABLE edge(src TEXT, dst TEXT, kind TEXT, properties TEXT, PRIMARY KEY(src, dst, kind))"
    )
    db.execute("CREATE INDEX edge_in ON edge(dst, kind)")
    for start in range(0, len(made), _BATCH):
        batch = made[start : start + _BATCH]
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO node VALUES(?, ?, ?) ON CONFLICT(id) DO UPDATE SET kind = excluded.kind,"
            " properties = excluded.properties",
            [(e.id, e.kind.value, _json(e.properties).decode()) for e in batch],
        )
        db.execute("COMMIT")
    for batch_edges in _edge_batches(made):
        db.execute("BEGIN IMMEDIATE")
        db.executemany(
            "INSERT INTO edge VALUES(?, ?, ?, NULL) ON CONFLICT(src, dst, kind) DO UPDATE SET"
            " properties = excluded.properties",
            [(src, dst, kind) for src, dst, kind in batch_edges],
        )
        db.execute("COMMIT")
    db.close()


def raw_neo4j(driver: neo4j.Driver, made: Sequence[Element]) -> None:
    """The same nodes and edges by ``UNWIND … MERGE``, nodes first, one constraint, rows sorted."""
    with driver.session(database="neo4j") as session:
        for start in range(0, len(made), _BATCH):
            rows = [
                {"id": e.id, "kind": e.kind.value, "properties": _json(e.properties).decode()}
                for e in made[start : start + _BATCH]
            ]
            session.execute_write(_merge_nodes, rows)
        for batch in _edge_batches(made):
            for kind in ("INPUT_TO", "PRODUCED"):
                chosen = [{"src": s, "dst": d} for s, d, k in sorted(batch) if k == kind]
                session.execute_write(_merge_edges, kind, chosen)


def _merge_nodes(tx: neo4j.ManagedTransaction, rows: list[dict[str, Any]]) -> None:
    tx.run(
        "UNWIND $rows AS row MERGE (n:Raw {id: row.id}) SET n.kind = row.kind, n.properties = row.properties",
        rows=rows,
    ).consume()


def _merge_edges(tx: neo4j.ManagedTransaction, kind: str, rows: list[dict[str, Any]]) -> None:
    ends = "UNWIND $rows AS r MATCH (a:Raw {id: r.src}) MATCH (b:Raw {id: r.dst})"
    statements = {
        "INPUT_TO": f"{ends} MERGE (a)-[:INPUT_TO]->(b)",
        "PRODUCED": f"{ends} MERGE (a)-[:PRODUCED]->(b)",
    }
    tx.run(statements[kind], rows=rows).consume()


def _edge_batches(made: Sequence[Element]) -> Iterator[list[tuple[str, str, str]]]:
    batch: list[tuple[str, str, str]] = []
    for element in made:
        kind = edge_kind(element).value
        batch.extend((identifier_of(i), element.id, kind) for i in element.inputs)
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
