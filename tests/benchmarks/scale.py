"""A graph of millions on Neo4j: from a commit to an incident, and lineage against raw Cypher.

Takes minutes to fill, so it is run when asked for: ``python -m tests.benchmarks scale``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import neo4j
import numpy as np

from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.lineage.paths import paths
from app.store.neo4j import Neo4jStore
from graph_schema.edges import FLOW_KINDS
from tests.benchmarks.imported import Made, fill, sample, write
from tests.benchmarks.measure import Figure, at_most, timed
from tests.neo4j_server import Neo4jServer

_ASKED = 100
_FIRST = 1_000
_HOPS = 5
_LINEAGE = """query($id: ID!, $first: Int!, $hops: Int!) {
  lineage(id: $id, direction: DOWNSTREAM, maxHops: $hops, first: $first) {
    nodes { hops node { id kind name url createdAt properties } }
    edges { from to kind source validFrom }
    totalNodes complete
  }
}"""
_TYPES = "|".join(FLOW_KINDS)
# What a client would write: the nodes with what is shown of them, then the edges among them.
_NODES = (
    f"MATCH (s:Ident {{text: $id}}) MATCH (s)-[:{_TYPES}*0..{_HOPS}]->(n) WITH DISTINCT n LIMIT $first"
    " RETURN n.num, n.id, n.name, n.kind, n.createdAt, n.properties"
)
_AMONG = (
    f"UNWIND $nums AS i MATCH (a:Item {{num: i}})-[r:{_TYPES}]->(b:Item) WHERE b.num IN $nums"
    " RETURN a.id, b.id, type(r), r.since, r.oid"
)


def run(folder: Path, nodes: int) -> Iterator[Figure]:
    """Figures on a server of its own with so many nodes and five times as many edges."""
    files = folder / "files"
    files.mkdir()
    written, made = timed(lambda: write(files, nodes))
    server = Neo4jServer(folder / "neo4j", heap="4g", pagecache="3g")
    try:
        filled, _ = timed(lambda: fill(server, files))
        yield Figure(
            f"Neo4j: filled with {made.nodes:,} nodes and {made.edges:,} edges",
            f"written in {written:.0f} s, imported and indexed in {filled:.0f} s",
        )
        store = Neo4jStore(server.url, server.password)
        yield _five_hops(store, made)
        with server.driver() as driver:
            yield _lineage(store, driver, made)
        store.close()
    finally:
        server.stop()


def _five_hops(store: Neo4jStore, made: Made) -> Figure:
    """The paths from commits to incidents that they led to."""
    seconds = []
    asked = sample(made, _ASKED + 10)
    for number, (commit, incident) in enumerate(asked):
        took, found = timed(lambda c=commit, i=incident: _between(store, c, i))  # type: ignore[misc]
        if not any(len(path) == _HOPS for path in found):
            raise RuntimeError(f"no path of {_HOPS} hops leads from {commit} to {incident}")
        # The first ones find nothing in memory yet.
        if number >= 10:
            seconds.append(took)
    p50, p95 = (float(np.percentile(seconds, share)) * 1000 for share in (50, 95))
    return Figure(
        f"Neo4j: commit to incident in {_HOPS} hops, {made.nodes:,} nodes, p95",
        f"{p95:.0f} ms (p50 {p50:.0f} ms, {len(seconds)} pairs)",
        "< 200 ms",
        p95 < 200,
    )


def _between(store: Neo4jStore, commit: str, incident: str) -> list[Any]:
    (start,), (end,) = store.resolve(commit), store.resolve(incident)
    return paths(store, start, end, _HOPS).paths


def _lineage(store: Neo4jStore, driver: neo4j.Driver, made: Made) -> Figure:
    """Downstream of commits, typed by GraphQL, against two statements of Cypher for as much; in turns."""
    ours, theirs, sizes = [], [], []
    for number, (commit, _) in enumerate(sample(made, 40)):
        first, given = timed(lambda c=commit: _typed(store, c))  # type: ignore[misc]
        second, found = timed(lambda c=commit: _raw(driver, c))  # type: ignore[misc]
        if number >= 10:
            ours.append(first)
            theirs.append(second)
            sizes.append(len(given["nodes"]))
            if len(given["nodes"]) != found and given["totalNodes"] <= _FIRST:
                raise RuntimeError(f"{commit}: {len(given['nodes'])} nodes against {found}")
    a, b = float(np.median(ours)), float(np.median(theirs))
    detail = f"{a * 1000:.0f} against {b * 1000:.0f} ms, {np.median(sizes):.0f} nodes in the median"
    return at_most(f"Neo4j: lineage of ≤ {_FIRST:,} nodes, typed, against raw Cypher", a / b, 2, detail)


def _typed(store: Neo4jStore, commit: str) -> dict[str, Any]:
    asked = Request(_LINEAGE, {"id": commit, "first": _FIRST, "hops": _HOPS})
    given = answer(asked, lambda: Ask(store, None, list))
    if "errors" in given:
        raise RuntimeError(str(given["errors"]))
    found: dict[str, Any] = given["data"]["lineage"]
    return found


def _raw(driver: neo4j.Driver, commit: str) -> int:
    with driver.session(database="neo4j") as session:
        nodes = session.run(_NODES, id=commit, first=_FIRST).values()
        session.run(_AMONG, nums=[row[0] for row in nodes]).values()
    return len(nodes)
