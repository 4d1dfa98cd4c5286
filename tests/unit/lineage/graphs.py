"""Small graphs for walks, written as lines: ``1 > 2`` is an edge, ``1 = 2`` says they are the same thing.

Numbers are data set versions, ``r3`` is a run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.store.sqlite import SqliteStore
from graph_schema.claims import Links, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import Source
from ingestors import joins

Draw = Callable[[str], "Graph"]


def identifier(word: str) -> str:
    return f"mlflow.run_id={word}" if word.startswith("r") else f"md5@dataset_version={int(word):032x}"


def word_of(text: str) -> int | str:
    scheme, _, value = text.partition("=")
    return value if scheme == "mlflow.run_id" else int(value, 16)


def edge_kind(a: str, sign: str, b: str) -> EdgeKind:
    if sign == "=":
        return EdgeKind.SAME_AS
    if a.startswith("r"):
        return EdgeKind.PRODUCED
    return EdgeKind.INPUT_TO if b.startswith("r") else EdgeKind.DERIVED_INTO


class Graph:
    """A SQLite store with what was drawn; ``calls`` are the verbs that it was asked for."""

    def __init__(self, drawing: str, file: Path) -> None:
        self.calls: list[str] = []
        self._store = SqliteStore(file)
        self._store.migrate()
        self.draw(drawing)

    def draw(self, drawing: str, space: str = "default") -> None:
        """Add to it, by a source of this space."""
        claims: list[Any] = []
        for number, part in enumerate(drawing.replace("\n", ",").split(",")):
            if words := part.split():
                a, sign, b = words
                claims.append(Links(edge_kind(a, sign, b), identifier(a), identifier(b), since=number))
        for end in {end for link in claims for end in (link.src, link.dst)}:
            kind = NodeKind.RUN if end.startswith("mlflow") else NodeKind.DATASET_VERSION
            claims.append(Names(kind, (end,)))
        record = Record("drawing", "drawing", 1, tuple(claims))
        source = Source(f"drawn in {space}", "test", space)
        self._store.transact(lambda tx: joins.apply(tx, source, [record]))

    def handle(self, word: int | str) -> int:
        (handle,) = self._store.resolve(identifier(str(word)))
        return handle

    def __getattr__(self, verb: str) -> Any:
        self.calls.append(verb)
        return getattr(self._store, verb)
