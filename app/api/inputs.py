"""What queries are written with: scalars, enums and inputs, the enums taken from the declarations."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NewType

import strawberry

from app.lineage.identity import Identity
from graph_schema.edges import EDGES, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import KINDS, NodeKind
from graph_schema.times import Micros, format_time, parse_time
from graph_schema.values import Direction, FilterOp, Order

DateTime = NewType("DateTime", int)
"""Microseconds here, ISO 8601 on the wire."""
JSON = NewType("JSON", object)
LineageTable = NewType("LineageTable", dict[str, Any])


def _read_time(value: Any) -> Micros:
    if not isinstance(value, str):
        raise BadInput(f"{value!r} is no time; write a time as 2026-01-31T10:00:00Z")
    return parse_time(value)


SCALARS: Mapping[object, Any] = {
    DateTime: strawberry.scalar(
        name="DateTime",
        description="ISO 8601, in UTC in answers: 2026-01-31T10:00:00Z.",
        serialize=format_time,
        parse_value=_read_time,
    ),
    JSON: strawberry.scalar(name="JSON", description="Any JSON value."),
    LineageTable: strawberry.scalar(
        name="LineageTable",
        description=(
            'The answer of a walk in columns: {"ids", "kinds", "names", "hops", "from", "to", "edgeKinds"}.\n'
            "The first four have one entry a node, the others one an edge; from and to are indices into ids."
        ),
    ),
}


def _enum(declared: type[Enum], what: Mapping[Any, Any] | None = None, **named: Any) -> None:
    """An enum of the schema from one of ours: its values are the names of the members."""
    made: Any = strawberry.enum(declared, **named)
    for value in made.__strawberry_definition__.values:
        value.description = None if what is None else what[declared(value.value)].what


_enum(NodeKind, KINDS)
_enum(EdgeKind, EDGES)
_enum(Direction, description="BOTH is the upstream walk and the downstream walk, not a zig-zag.")
_enum(FilterOp)
_enum(Identity, description="How two things stand to each other.")
_enum(Order, name="NodeOrderField")


@strawberry.input(
    description=(
        "A condition on a field or property; dots descend (params.lr). EXISTS takes true, false or nothing."
    )
)
class PropertyFilter:
    """See ``graph_schema.values.Filter``."""

    key: str
    op: FilterOp = FilterOp.EQ
    value: JSON | None = strawberry.UNSET


@strawberry.input
class NodeOrder:
    """See ``graph_schema.values.Ordering``."""

    by: Order = Order.ID
    descending: bool = False
