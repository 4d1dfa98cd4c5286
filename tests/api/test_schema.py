"""The schema: committed, sorted, complete, and every field of it has a value."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path

import msgspec
import pytest
from graphql import GraphQLInterfaceType, GraphQLObjectType, is_introspection_type

import app.api
from app.api import fields, queries
from app.api.queries import WIRING
from app.api.status import SourceStatus
from app.api.types import schema, sdl
from app.lineage.paths import Paths
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.values import Edge, Node, Subgraph

COMMITTED = Path(app.api.__file__).with_name("schema.graphql")

#: The values behind each type, for looking whether they have what the schema promises.
BEHIND: dict[str, type] = {
    "Alias": fields.Alias,
    "Edge": Edge,
    "Identifier": fields.IdentifierView,
    "Lineage": fields.LineageAnswer,
    "LineageNode": fields.LineageNode,
    "NodeConnection": queries.NodeConnection,
    "NodeEdge": queries.NodeEdge,
    "Ownership": fields.Ownership,
    "PageInfo": queries.PageInfo,
    "PathResult": Paths,
    "SourceStatus": SourceStatus,
    "Tagging": fields.Tagging,
    **dict.fromkeys(NodeKind, Node),
}


def test_the_committed_schema_is_this_one() -> None:
    assert COMMITTED.read_text() == sdl(), "write it anew: kinlore schema > app/api/schema.graphql"


def test_kinds_are_those_declared() -> None:
    types = schema().type_map

    assert set(types["NodeKind"].values) == {kind.name for kind in NodeKind}  # type: ignore[attr-defined]
    assert set(types["EdgeKind"].values) == set(EdgeKind)  # type: ignore[attr-defined]
    node = types["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    assert {kind.name for kind in schema().get_possible_types(node)} == set(NodeKind)


def object_types() -> list[GraphQLObjectType]:
    return [
        kind
        for kind in schema().type_map.values()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
    ]


@pytest.mark.parametrize("kind", object_types(), ids=lambda kind: kind.name)
def test_every_field_has_a_value(kind: GraphQLObjectType) -> None:
    if kind.name == "Query":
        assert set(WIRING.roots) == set(kind.fields)
        return
    behind = BEHIND[kind.name]
    for name in kind.fields:
        place = (kind.name, name)
        attribute = WIRING.attributes.get(place, name)
        if place not in WIRING.batches:
            if attribute.startswith("graph."):
                assert attribute.removeprefix("graph.") in Subgraph.__struct_fields__
            elif issubclass(behind, msgspec.Struct):
                assert attribute in behind.__struct_fields__
            else:
                assert attrgetter(attribute)(behind) is not None


def test_nothing_is_wired_that_the_schema_does_not_have() -> None:
    known = {(kind.name, name) for kind in object_types() for name in kind.fields}

    assert {(str(kind), name) for kind, name in (*WIRING.batches, *WIRING.attributes)} <= known


def test_everything_is_described_or_speaks_for_itself() -> None:
    for kind in NodeKind:
        assert schema().type_map[kind].description
