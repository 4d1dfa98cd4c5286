"""Lineage of a fixed size on graphs of growing size: the answer may not grow dearer with the graph."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import neo4j

from app.lineage.walk import lineage
from app.store.neo4j import Neo4jStore
from app.store.sqlite import SqliteStore
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Moment
from ingestors.loop import ingest
from tests.benchmarks.measure import Figure, at_most, median_of, paired
from tests.benchmarks.organisation import Element, OrganisationSource, elements, identifier_of
from tests.neo4j_server import Neo4jServer

CLOSURE = 10_000
_LATER = 4_000_000_000_000_000


def run(folder: Path, sizes: Sequence[int], server: Neo4jServer | None) -> Iterator[Figure]:
    """Figures on SQLite for every size, and on Neo4j for the smallest that has such a closure."""
    seconds: dict[int, float] = {}
    for size in sizes:
        made = list(elements(size))
        store = SqliteStore(folder / f"{size}.db")
        store.migrate()
        ingest(store, OrganisationSource(made))
        start, count = downstream_of(made, CLOSURE)
        seconds[size] = median_of(lambda s=store, at=start: walk(s, at), 9)  # type: ignore[misc]
        yield Figure(
            f"SQLite: closure of {CLOSURE:,} nodes with edges, graph of {size:,}",
            f"{seconds[size] * 1000:.0f} ms (the whole downstream has {count:,})",
            "≤ 80 ms" if size == max(sizes) else "",
            seconds[size] <= 0.08 if size == max(sizes) else None,
        )
        store.close()
    least, most = min(sizes), max(sizes)
    growth = seconds[most] / seconds[least]
    yield at_most(f"SQLite: the same answer at {most:,} against {least:,} nodes", growth, 1.5, "closure")
    if server is not None:
        yield from _neo4j(server, min(s for s in sizes if s >= CLOSURE * 5))


def walk(store: GraphStore, start: int, moment: Moment | None = None) -> int:
    """A closure cut at the fixed size; the number of its steps."""
    (root,) = store.resolve(identifier_of(start))
    found = lineage(
        store, root, Direction.DOWNSTREAM, 1_000, moment=moment or Moment(), first=CLOSURE, stubs=False
    )
    if len(found.labels) != CLOSURE:
        raise RuntimeError(f"the closure has {len(found.labels)} nodes, not {CLOSURE}")
    return len(found.steps)


def downstream_of(made: Sequence[Element], least: int) -> tuple[int, int]:
    """The latest node with at least so many nodes downstream, and how many they are."""
    follows: dict[int, list[int]] = {}
    for element in made:
        for number in element.inputs:
            follows.setdefault(number, []).append(element.number)
    for start in range(len(made) - 1, -1, -max(1, len(made) // 400)):
        seen, todo = {start}, [start]
        while todo:
            for after in follows.get(todo.pop(), ()):
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        if len(seen) >= least * 1.05:
            return start, len(seen)
    raise RuntimeError("the graph is too small for such a closure")


def _neo4j(server: Neo4jServer, size: int) -> Iterator[Figure]:
    made = list(elements(size))
    store = Neo4jStore(server.url, server.password)
    store.migrate()
    ingest(store, OrganisationSource(made))
    start, _ = downstream_of(made, CLOSURE)
    (root,) = store.resolve(identifier_of(start))
    moment = Moment(as_of=_LATER)
    with server.driver() as driver:
        ours, theirs = paired(lambda: walk(store, start, moment), lambda: two_steps(driver, root), 7)
    store.close()
    detail = f"{ours * 1000:.0f} against {theirs * 1000:.0f} ms, graph of {size:,}, time predicate in both"
    yield at_most(f"Neo4j: closure of {CLOSURE:,} against two-step Cypher", ours / theirs, 1.5, detail)


def two_steps(driver: neo4j.Driver, root: int) -> int:
    """The closure by variable-length Cypher, then the edges among its nodes."""
    with driver.session(database="neo4j") as session:
        return session.execute_read(_two_steps, root)


def _two_steps(tx: neo4j.ManagedTransaction, root: int) -> int:
    held = "all(r IN rs WHERE (r.since IS NULL OR r.since <= $t) AND (r.until IS NULL OR r.until > $t))"
    nodes: list[dict[str, Any]] = tx.run(
        f"MATCH (s:Item {{num: $root}})-[rs:INPUT_TO|PRODUCED*0..1000]->(n) WHERE {held}"
        f" WITH DISTINCT n LIMIT {CLOSURE} RETURN n.num AS num, n.id AS id, n.name AS name, n.kind AS kind",
        root=root,
        t=_LATER,
    ).data()
    edges = tx.run(
        "UNWIND $nums AS i MATCH (a:Item {num: i})-[r:INPUT_TO|PRODUCED]->(b:Item)"
        " WHERE b.num IN $nums AND (r.since IS NULL OR r.since <= $t) AND (r.until IS NULL OR r.until > $t)"
        " RETURN a.num, b.num, type(r), r.bid",
        nums=[n["num"] for n in nodes],
        t=_LATER,
    ).values()
    if len(nodes) != CLOSURE:
        raise RuntimeError(f"the baseline found {len(nodes)} nodes, not {CLOSURE}")
    return len(edges)
