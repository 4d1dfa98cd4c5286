"""Lineage of columns."""

from __future__ import annotations

from typing import NamedTuple

import strawberry

from app.api.fields import Context
from app.api.inputs import DateTime
from app.api.types import Edge, Node, described, field
from app.lineage.columns import ColumnLineage as Found
from app.lineage.columns import column_lineage
from app.lineage.lookup import find_one
from graph_schema import values
from graph_schema.values import Direction, Moment

Info = strawberry.Info[Context, None]


@described
class ColumnLineage:
    """Where a column came from and what it went into, by the pairs of columns that derivations say."""

    root: Node = field("The state of data; of a data set the newest.")
    column: str
    nodes: list[ColumnNode]
    edges: list[ColumnEdge]
    readers: list[ColumnReader] = field(
        "What reads data in which the column arrived. Which columns it takes is not recorded."
    )
    unknown: list[Edge] = field("Derivations on the way that do not say their columns.")
    complete: bool
    truncated_because: str | None


@described
class ColumnNode:
    """A column of a state of data. hops is negative upstream."""

    node: Node
    column: str | None = field(
        "Null is the table as a whole: a filter or a key of a join bears on all of it."
    )
    hops: int


@described
class ColumnEdge:
    """One column goes into another."""

    src: strawberry.ID = strawberry.field(name="from")
    from_column: str | None
    dst: strawberry.ID = strawberry.field(name="to")
    to_column: str | None
    transformations: list[str] = field("As OpenLineage spells them: DIRECT/IDENTITY, INDIRECT/FILTER.")
    masked: bool = field("Whether the values are hidden on the way.")
    description: str | None
    source: str
    valid_from: DateTime | None
    evidence: str | None


@described
class ColumnReader:
    """A run or deployment, and the state of data that it reads."""

    node: Node
    reads: strawberry.ID


class ColumnsAnswer(NamedTuple):
    """The answer, in the form of the schema."""

    root: values.Node
    column: str | None
    nodes: list[ColumnNodeView]
    edges: list[ColumnEdgeView]
    readers: list[ColumnReaderView]
    unknown: list[values.Edge]
    complete: bool
    truncated_because: str | None


class ColumnNodeView(NamedTuple):
    """A column of a node, with the hops."""

    node: values.Node
    column: str | None
    hops: int


class ColumnEdgeView(NamedTuple):
    """A step between two columns."""

    src: str
    from_column: str | None
    dst: str
    to_column: str | None
    transformations: tuple[str, ...]
    masked: bool
    description: str | None
    source: str
    valid_from: int | None
    evidence: str | None


class ColumnReaderView(NamedTuple):
    """Who reads which state of data."""

    node: values.Node
    reads: str


def _column_lineage(
    info: Info,
    id: strawberry.ID,
    column: str,
    direction: Direction = Direction.BOTH,
    max_hops: int | None = 20,
    as_of: DateTime | None = strawberry.UNSET,
    known_at: DateTime | None = strawberry.UNSET,
) -> ColumnsAnswer:
    ask = info.context.of(info.path)
    times = {"as_of": as_of, "known_at": known_at}
    ask.moment = Moment(**{name: time for name, time in times.items() if time is not strawberry.UNSET})
    handle = find_one(ask.store, id, known_at=ask.moment.known_at, spaces=ask.spaces)
    hops = 20 if max_hops is None else max_hops
    found = column_lineage(ask.store, handle, column, direction, hops, moment=ask.moment, spaces=ask.spaces)
    handles = {place.handle for place in found.places} | {r for read in found.readers for r in read}
    return _shown(found, ask.readable(sorted(handles)))


def _shown(found: Found, nodes: dict[int, values.Node]) -> ColumnsAnswer:
    edges = [
        ColumnEdgeView(
            nodes[step.src.handle].id,
            step.src.column,
            nodes[step.dst.handle].id,
            step.dst.column,
            step.transformations,
            step.masked,
            step.description,
            step.edge.source,
            step.edge.valid_from,
            step.edge.evidence,
        )
        for step in found.steps
        if step.src.handle in nodes and step.dst.handle in nodes
    ]
    return ColumnsAnswer(
        nodes[found.root.handle],
        found.root.column,
        [
            ColumnNodeView(nodes[p.handle], p.column, hops)
            for p, hops in found.places.items()
            if p.handle in nodes
        ],
        sorted(edges, key=lambda edge: (edge.src, edge.from_column or "", edge.dst, edge.to_column or "")),
        [
            ColumnReaderView(nodes[read.reader], nodes[read.data].id)
            for read in found.readers
            if read.reader in nodes and read.data in nodes
        ],
        found.unknown,
        found.complete,
        found.truncated_because,
    )


@strawberry.type
class ColumnQueries:
    """Questions about columns."""

    column_lineage: ColumnLineage = field(
        "Where a column of a state of data, or of a data set, came from and what it went into.",
        resolver=_column_lineage,
    )
