"""The GraphQL schema: the questions and changes of every area, and a type per kind from its declaration."""

from __future__ import annotations

from functools import cache
from typing import Any

import strawberry
from graphql import lexicographic_sort_schema, print_schema
from strawberry.extensions import ValidationCache
from strawberry.schema.config import StrawberryConfig

from app.api import fields, ingesting, mutations, queries
from app.api.causes import CauseMutations, CauseQueries
from app.api.checks import CheckedSchema, Checks
from app.api.columns import ColumnQueries
from app.api.execute import LevelByLevel, batched
from app.api.experiments import ExperimentQueries
from app.api.impact import ImpactQueries
from app.api.inputs import SCALARS
from app.api.remediations import RemediationMutations, RemediationQueries
from app.api.similar import SimilarQueries
from app.api.types import (
    Alias,
    Asked,
    Comparison,
    Correction,
    IdentityAnswer,
    Lineage,
    Node,
    NodeConnection,
    PathResult,
    SourceStatus,
    field,
)
from app.api.verdicts import CheckQueries
from app.api.versus import VersusQueries
from graph_schema.kinds import KINDS, NodeKind


@strawberry.type
class Query(
    CauseQueries,
    CheckQueries,
    ColumnQueries,
    ExperimentQueries,
    ImpactQueries,
    RemediationQueries,
    SimilarQueries,
    VersusQueries,
):
    """The questions; ``queries`` answers them."""

    node: Node | None = field(resolver=queries.node)
    nodes: list[Node | None] = field(
        "In the order asked for; null where there is no such node.", resolver=queries.nodes
    )
    resolve: list[Node] = field(
        "Every node so named, under any scope. git.sha takes a prefix; name, uri and the like find too.",
        resolver=queries.resolve,
    )
    find: NodeConnection = field(resolver=queries.find)
    search: NodeConnection = field(
        "Names, identifiers, property texts: by words and, where a model is there, by meaning. Best first.",
        resolver=queries.search,
    )
    lineage: Lineage = field(
        "What the thing came from and what it feeds, nearest first. Hops are negative upstream.\n"
        "kinds filters what is shown, not what is walked; edgeKinds replaces the kinds that carry lineage.\n"
        "first is at most 2,000, or 50,000 where only the table is asked for.",
        resolver=queries.lineage,
    )
    paths: PathResult = field(
        "Shortest first, downstream from the one to the other, else upstream. Each path begins at from.",
        resolver=queries.paths,
    )
    compare: Comparison = field(
        "What differs between two things, or, with leftAsOf and rightAsOf, in one thing between two times.",
        resolver=queries.compare,
    )
    sources: list[SourceStatus] = field(resolver=queries.sources)
    identity: IdentityAnswer = field(
        "Why two names are one thing, or why they are not.", resolver=mutations.identity
    )
    corrections: list[Correction] = field(
        "Everything that people have said and not withdrawn, oldest first.", resolver=mutations.said
    )


def _change(description: str, resolver: Any) -> Any:
    return strawberry.mutation(description=description, resolver=resolver)


@strawberry.type
class Mutation(CauseMutations, RemediationMutations):
    """What can be changed; ``mutations`` does it. Each answers with what it changed."""

    same: Correction = _change(
        "Two things are one, whatever sources say. It stands until it is withdrawn.", mutations.same
    )
    apart: Correction = _change("Two things are not one, whatever sources and rules say.", mutations.apart)
    withdraw: Correction = _change("Take a correction back.", mutations.withdraw)
    set_owner: Correction = _change(
        "A person or team (email=…, github.login=…, team=…) owns a thing.", mutations.set_owner
    )
    tag: Correction = _change("A thing carries a label.", mutations.tag)
    ingest: list[Asked] = _change(
        "Bring what is new at these sources, or at all that can be pulled, into the graph.\n"
        "Answers once they have begun. full reads them from the beginning; acceptRetirement believes a\n"
        "source from which very much vanished at once.",
        ingesting.ingest,
    )


#: Fields of one kind beyond those of every node: their types and how they are resolved.
_OWN_FIELDS: dict[NodeKind, dict[str, tuple[Any, Any]]] = {
    NodeKind.MODEL_VERSION: {"aliases": (list[Alias], batched(fields.aliases))}
}


def _type_of(kind: NodeKind) -> type:
    """The type of a kind."""
    own = _OWN_FIELDS.get(kind, {})
    body: dict[str, Any] = {name: field for name, (_, field) in own.items()}
    body["__annotations__"] = {name: annotation for name, (annotation, _) in own.items()}
    body["is_type_of"] = classmethod(lambda cls, value, info: value.kind == kind)
    return strawberry.type(type(kind.value, (Node,), body), description=KINDS[kind].what)


@cache
def schema() -> CheckedSchema:
    """The schema; it executes too."""
    return CheckedSchema(
        query=Query,
        mutation=Mutation,
        types=[_type_of(kind) for kind in NodeKind],
        extensions=[Checks, ValidationCache],
        execution_context_class=LevelByLevel,
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
    )


@cache
def sdl() -> str:
    """The schema as text, sorted: what ``schema.graphql`` holds."""
    return print_schema(lexicographic_sort_schema(schema()._schema)) + "\n"
