"""The GraphQL types, declared with Strawberry; those of the kinds are generated from their declarations."""

from __future__ import annotations

from functools import cache
from inspect import cleandoc
from typing import Any, TypeVar

import strawberry
from graphql import lexicographic_sort_schema, print_schema
from strawberry.extensions import ValidationCache
from strawberry.schema.config import StrawberryConfig

from app.api import fields, ingesting, mutations, queries
from app.api.checks import CheckedSchema, Checks
from app.api.execute import LevelByLevel, batched
from app.api.fields import Context
from app.api.inputs import JSON, SCALARS, DateTime, LineageTable
from app.lineage.identity import Identity
from graph_schema.edges import EdgeKind
from graph_schema.kinds import KINDS, NodeKind
from graph_schema.values import Direction

T = TypeVar("T", bound=type)


def _described(made: T) -> T:
    """A type whose docstring is its description."""
    return strawberry.type(made, description=cleandoc(made.__doc__ or ""))


def _field(description: str | None = None, **more: Any) -> Any:
    # Any: what a resolver returns stands behind the type and is no instance of it.
    return strawberry.field(description=description, **more)


def _history(root: Any, info: strawberry.Info[Context, None], first: int | None = 10) -> Any:
    # As in ``batched``: only where something else than LevelByLevel executes.
    return ingesting.history(info.context.of(info.path), [root], first)[0]


@strawberry.interface(description="A thing in the graph.")
class Node:
    """What every kind has; the values are those of ``graph_schema.values.Node``."""

    id: strawberry.ID = _field(
        "The leading identifier; any identifier the thing has, or ever had, works where an id is asked for."
    )
    kind: NodeKind
    name: str
    url: str | None
    identifiers: list[Identifier] = batched(fields.identifiers)
    properties: JSON = _field(
        "JSON under lowerCamelCase keys; a tool's own names stand one level down (params, metrics, tags)."
    )
    created_at: DateTime | None
    gone_at: DateTime | None = _field("Since when it is gone at its source. Its edges stay.")
    stub: bool = _field("Named by something else, not described by any source yet.")
    sources: list[str] = _field("Names of the sources that speak of it.")
    owners: list[Ownership] = batched(fields.owners)
    tags: list[Tagging] = batched(fields.tags)


@_described
class Identifier:
    """An identifier, spelled out in id: scheme=value, or scheme@scope=value."""

    id: strawberry.ID
    scheme: str
    scope: str | None
    value: str


@_described
class Alias:
    """A name that moves between versions. It moved here in (notBefore, seenAt]."""

    name: str
    not_before: DateTime | None
    seen_at: DateTime
    until: DateTime | None
    current: bool


@_described
class Ownership:
    """Who owns a thing, in which role."""

    owner: Node
    role: str | None


@_described
class Tagging:
    """A label, who or what put it there, and why."""

    tag: Node
    by: str
    evidence: str | None


@_described
class PageInfo:
    """Whether there is more, and where to go on."""

    has_next_page: bool
    end_cursor: str | None


@_described
class NodeEdge:
    """A node of a page, and where to go on after it."""

    cursor: str
    node: Node


@_described
class NodeConnection:
    """A page of nodes."""

    nodes: list[Node]
    edges: list[NodeEdge]
    page_info: PageInfo


@_described
class LineageNode:
    """
    hops is negative upstream; direction is BOTH for the root. hidden… counts neighbours that are not shown.
    """

    node: Node
    hops: int
    direction: Direction
    hidden_upstream: int
    hidden_downstream: int


@_described
class Edge:
    """Points from cause to effect. evidence says why an inferred edge holds."""

    src: strawberry.ID = strawberry.field(name="from")
    dst: strawberry.ID = strawberry.field(name="to")
    kind: EdgeKind
    source: str
    valid_from: DateTime | None
    valid_to: DateTime | None
    evidence: str | None
    properties: JSON


@_described
class Lineage:
    """A walk, typed and as a table."""

    root: Node = batched(fields.lineage_root)
    nodes: list[LineageNode] = batched(fields.lineage_nodes)
    edges: list[Edge] = batched(fields.lineage_edges)
    table: LineageTable = batched(fields.lineage_table)
    total_nodes: int = _field("Nodes found before the cut; at least so many where truncatedBecause says so.")
    complete: bool
    truncated_because: str | None


@_described
class PathResult:
    """total counts the paths within maxHops; null where that cannot be told."""

    paths: list[list[Edge]]
    total: int | None
    total_is_exact: bool
    complete: bool
    truncated_because: str | None


@_described
class Ingestion:
    """One ingestion of a source, and how it ended. Records by outcome, graph elements by change."""

    started: DateTime
    duration: float = _field("Seconds.")
    run: int | None = _field("Its number; grows with every run of the source.")
    items: int = _field("What the source delivered.")
    new: int
    changed: int
    unchanged: int
    stale: int = _field("Older than what was held, and left out.")
    nodes: int
    edges: int
    edges_retired: int
    dead_letters: int = _field("Items that were refused, each kept with its reason.")
    retired: int = _field("Records that are gone at the source.")
    returned: int = _field("Records that are there again.")
    first: bool
    complete: bool = _field("Whether all of the source was seen, so that what was not seen is gone.")
    stopped: bool
    error: str | None
    warnings: list[str]


@_described
class Difference:
    """A value that differs; null where that side has none. weight, 0 to 1: what matters comes first."""

    path: str
    left: JSON | None
    right: JSON | None
    weight: float


@_described
class Comparison:
    """added are edges that only the right side has, removed those that only the left has."""

    left: Node
    right: Node
    differences: list[Difference]
    added: list[Edge]
    removed: list[Edge]
    complete: bool
    truncated_because: str | None


@_described
class SourceStatus:
    """A configured source, or one that has written before. counts are those of its last ingestion."""

    name: str
    type: str
    space: str
    enabled: bool
    disabled_because: str | None
    pulls: bool = _field("Whether there is something to pull.")
    accepts: bool = _field("Whether it is pushed to.")
    schedule: str | None = _field("How often it is pulled, as configured: 5m, or a cron line in UTC.")
    interval: float | None = _field(
        "Seconds between two runs now: longer than the schedule where pulling takes long or fails."
    )
    next_run: DateTime | None = _field("Null where no server pulls it by itself.")
    running: bool = _field("Whether somebody ingests it now.")
    running_since: DateTime | None
    running_by: str | None
    history: list[Ingestion] = strawberry.field(
        resolver=_history,
        description="The last ingestions, the newest first; first is at most 100.",
        metadata={"batch": ingesting.history},
    )
    last_started: DateTime | None
    last_finished: DateTime | None
    last_success: DateTime | None
    last_error: str | None
    last_error_at: DateTime | None
    last_delivery: DateTime | None = _field(
        "When the last thing that was pushed arrived, of what is applied."
    )
    dead_letters: int
    counts: JSON
    warnings: list[str]
    coverage: list[str]


@_described
class Asked:
    """An ingestion that was asked for and has begun: history will have it under this number."""

    source: SourceStatus
    run: int


@_described
class IdentityAnswer:
    """How two things stand to each other, and why: a line for each claim that says so, in order."""

    left: Node
    right: Node
    identity: Identity
    because: list[str]


@_described
class Correction:
    """What somebody said: that two things are the same or apart, who owns a thing, which label it carries."""

    id: strawberry.ID = _field("What it is withdrawn by.")
    verdict: str = _field("same, apart, owner or tag.")
    a: strawberry.ID = _field("What it is about.")
    b: strawberry.ID = _field("The other thing, the owner, or the label.")
    by: str | None
    why: str | None
    role: str | None
    at: DateTime
    changed: bool = _field("Whether saying it, or taking it back, changed the graph.")


@strawberry.type
class Query:
    """The questions; ``queries`` answers them."""

    node: Node | None = _field(resolver=queries.node)
    nodes: list[Node | None] = _field(
        "In the order asked for; null where there is no such node.", resolver=queries.nodes
    )
    resolve: list[Node] = _field(
        "Every node so named, under any scope. git.sha takes a prefix; name, uri and the like find too.",
        resolver=queries.resolve,
    )
    find: NodeConnection = _field(resolver=queries.find)
    search: NodeConnection = _field(
        "Full text: names, identifiers, property texts. Best first.", resolver=queries.search
    )
    lineage: Lineage = _field(
        "What the thing came from and what it feeds, nearest first. Hops are negative upstream.\n"
        "kinds filters what is shown, not what is walked; edgeKinds replaces the kinds that carry lineage.\n"
        "first is at most 2,000, or 50,000 where only the table is asked for.",
        resolver=queries.lineage,
    )
    paths: PathResult = _field(
        "Shortest first, downstream from the one to the other, else upstream. Each path begins at from.",
        resolver=queries.paths,
    )
    compare: Comparison = _field(
        "What differs between two things, or, with leftAsOf and rightAsOf, in one thing between two times.",
        resolver=queries.compare,
    )
    sources: list[SourceStatus] = _field(resolver=queries.sources)
    identity: IdentityAnswer = _field(
        "Why two names are one thing, or why they are not.", resolver=mutations.identity
    )
    corrections: list[Correction] = _field(
        "Everything that people have said and not withdrawn, oldest first.", resolver=mutations.said
    )


def _change(description: str, resolver: Any) -> Any:
    return strawberry.mutation(description=description, resolver=resolver)


@strawberry.type
class Mutation:
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
