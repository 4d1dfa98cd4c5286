"""GraphQL against the store calls behind it: what the service adds to an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.lineage.walk import lineage
from app.store.sqlite import SqliteStore
from graph_schema.values import Direction, Subgraph
from ingestors.loop import ingest
from tests.benchmarks.closures import CLOSURE, downstream_of
from tests.benchmarks.measure import Figure, at_most, paired
from tests.benchmarks.organisation import OrganisationSource, elements, identifier_of

_TYPED = 1_000
_COLUMNAR_QUERY = """query($id: ID!, $n: Int!) {
  lineage(id: $id, direction: DOWNSTREAM, maxHops: 1000, first: $n) { table complete }
}"""
_TYPED_QUERY = """query($id: ID!, $n: Int!) {
  lineage(id: $id, direction: DOWNSTREAM, maxHops: 1000, first: $n) {
    nodes { hops node { id kind name url createdAt properties } }
    edges { from to kind source validFrom }
    complete
  }
}"""


def run(folder: Path, size: int) -> Iterator[Figure]:
    """Figures on a graph of so many nodes."""
    made = list(elements(size))
    store = SqliteStore(folder / "answers.db")
    store.migrate()
    ingest(store, OrganisationSource(made))
    start, _ = downstream_of(made, CLOSURE)
    name = identifier_of(start)

    def walk(first: int) -> Subgraph:
        (root,) = store.resolve(name)
        return lineage(store, root, Direction.DOWNSTREAM, 1_000, first=first, stubs=False)

    def ask(query: str, first: int) -> dict[str, Any]:
        given = answer(Request(query, {"id": name, "n": first}), lambda: Ask(store, None, list))
        if "errors" in given:
            raise RuntimeError(str(given["errors"]))
        return given

    def full() -> Any:
        graph = walk(_TYPED)
        nodes = store.get([label.handle for label in graph.labels])
        return nodes, store.edges([step.belief for step in graph.steps])

    if len(ask(_TYPED_QUERY, _TYPED)["data"]["lineage"]["nodes"]) != _TYPED:
        raise RuntimeError("the typed answer is not of the size that is measured")
    ours, theirs = paired(lambda: ask(_COLUMNAR_QUERY, CLOSURE), lambda: walk(CLOSURE))
    detail = f"{ours * 1000:.0f} against {theirs * 1000:.0f} ms, {CLOSURE:,} nodes"
    yield at_most("GraphQL in columns against the store call", ours / theirs, 1.3, detail)
    ours, theirs = paired(lambda: ask(_TYPED_QUERY, _TYPED), full)
    detail = f"{ours * 1000:.0f} against {theirs * 1000:.0f} ms, {_TYPED:,} nodes with their edges"
    yield at_most("GraphQL typed against walk, get and edges", ours / theirs, 2, detail)
    store.close()
