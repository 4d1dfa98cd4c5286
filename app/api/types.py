"""The GraphQL types that several questions share, declared with Strawberry."""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, TypeVar

import strawberry

from app.api import fields, ingesting
from app.api.execute import batched
from app.api.fields import Context
from app.api.inputs import JSON, DateTime, LineageTable
from app.lineage.identity import Identity
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.values import Direction

T = TypeVar("T", bound=type)


def described(made: T) -> T:
    """A type whose docstring is its description."""
    return strawberry.type(made, description=cleandoc(made.__doc__ or ""))


def field(description: str | None = None, **more: Any) -> Any:
    """A field; ``more`` is what ``strawberry.field`` takes."""
    # Any: what a resolver returns stands behind the type and is no instance of it.
    return strawberry.field(description=description, **more)


def _history(root: Any, info: strawberry.Info[Context, None], first: int | None = 10) -> Any:
    # As in ``batched``: only where something else than LevelByLevel executes.
    return ingesting.history(info.context.of(info.path), [root], first)[0]


@strawberry.interface(description="A thing in the graph.")
class Node:
    """What every kind has; the values are those of ``graph_schema.values.Node``."""

    id: strawberry.ID = field(
        "The leading identifier; any identifier the thing has, or ever had, works where an id is asked for."
    )
    kind: NodeKind
    name: str
    url: str | None
    identifiers: list[Identifier] = batched(fields.identifiers)
    properties: JSON = field(
        "JSON under lowerCamelCase keys; a tool's own names stand one level down (params, metrics, tags)."
    )
    created_at: DateTime | None
    gone_at: DateTime | None = field("Since when it is gone at its source. Its edges stay.")
    stub: bool = field("Named by something else, not described by any source yet.")
    sources: list[str] = field("Names of the sources that speak of it.")
    owners: list[Ownership] = batched(fields.owners)
    tags: list[Tagging] = batched(fields.tags)


@described
class Identifier:
    """An identifier, spelled out in id: scheme=value, or scheme@scope=value."""

    id: strawberry.ID
    scheme: str
    scope: str | None
    value: str


@described
class Alias:
    """A name that moves between versions. It moved here in (notBefore, seenAt]."""

    name: str
    not_before: DateTime | None
    seen_at: DateTime
    until: DateTime | None
    current: bool


@described
class Ownership:
    """Who owns a thing, in which role."""

    owner: Node
    role: str | None


@described
class Tagging:
    """A label, who or what put it there, and why."""

    tag: Node
    by: str
    evidence: str | None


@described
class PageInfo:
    """Whether there is more, and where to go on."""

    has_next_page: bool
    end_cursor: str | None


@described
class NodeEdge:
    """A node of a page, and where to go on after it."""

    cursor: str
    node: Node


@described
class NodeConnection:
    """A page of nodes."""

    nodes: list[Node]
    edges: list[NodeEdge]
    page_info: PageInfo


@described
class LineageNode:
    """
    hops is negative upstream; direction is BOTH for the root. hidden… counts neighbours that are not shown.
    """

    node: Node
    hops: int
    direction: Direction
    hidden_upstream: int
    hidden_downstream: int


@described
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


@described
class Lineage:
    """A walk, typed and as a table."""

    root: Node = batched(fields.lineage_root)
    nodes: list[LineageNode] = batched(fields.lineage_nodes)
    edges: list[Edge] = batched(fields.lineage_edges)
    table: LineageTable = batched(fields.lineage_table)
    total_nodes: int = field("Nodes found before the cut; at least so many where truncatedBecause says so.")
    complete: bool
    truncated_because: str | None


@described
class PathResult:
    """total counts the paths within maxHops; null where that cannot be told."""

    paths: list[list[Edge]]
    total: int | None
    total_is_exact: bool
    complete: bool
    truncated_because: str | None


@described
class Ingestion:
    """One ingestion of a source, and how it ended. Records by outcome, graph elements by change."""

    started: DateTime
    duration: float = field("Seconds.")
    run: int | None = field("Its number; grows with every run of the source.")
    items: int = field("What the source delivered.")
    new: int
    changed: int
    unchanged: int
    stale: int = field("Older than what was held, and left out.")
    nodes: int
    edges: int
    edges_retired: int
    dead_letters: int = field("Items that were refused, each kept with its reason.")
    retired: int = field("Records that are gone at the source.")
    returned: int = field("Records that are there again.")
    first: bool
    complete: bool = field("Whether all of the source was seen, so that what was not seen is gone.")
    stopped: bool
    error: str | None
    warnings: list[str]


@described
class Difference:
    """
    A value that differs; null where that side has none. weight, 0 to 1: what matters comes first; 0.05 and
    less is noise. text says it in words; where the values are names of things, leftNodes and rightNodes are
    these.
    """

    path: str
    left: JSON | None
    right: JSON | None
    weight: float
    text: str | None
    left_nodes: list[Node]
    right_nodes: list[Node]


@described
class CommitRange:
    """
    The commits between the code of two things, newest first: added only right reaches, removed only left.
    At most 50 of each are listed. complete is false where no common ancestor was found.
    """

    left: Node
    right: Node
    repository: Node | None
    added: list[Node]
    removed: list[Node]
    added_count: int
    removed_count: int
    complete: bool


@described
class Comparison:
    """
    What matters comes first. code are the commits between, by repository. added are edges that only the
    right side has, removed those that only the left has.
    """

    left: Node
    right: Node
    differences: list[Difference]
    code: list[CommitRange]
    added: list[Edge]
    removed: list[Edge]
    complete: bool
    truncated_because: str | None


@described
class SourceStatus:
    """A configured source, or one that has written before. counts are those of its last ingestion."""

    name: str
    type: str
    space: str
    enabled: bool
    disabled_because: str | None
    pulls: bool = field("Whether there is something to pull.")
    accepts: bool = field("Whether it is pushed to.")
    schedule: str | None = field("How often it is pulled, as configured: 5m, or a cron line in UTC.")
    interval: float | None = field(
        "Seconds between two runs now: longer than the schedule where pulling takes long or fails."
    )
    next_run: DateTime | None = field("Null where no server pulls it by itself.")
    running: bool = field("Whether somebody ingests it now.")
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
    last_delivery: DateTime | None = field("When the last thing that was pushed arrived, of what is applied.")
    dead_letters: int
    counts: JSON
    warnings: list[str]
    coverage: list[str]


@described
class Asked:
    """An ingestion that was asked for and has begun: history will have it under this number."""

    source: SourceStatus
    run: int


@described
class IdentityAnswer:
    """How two things stand to each other, and why: a line for each claim that says so, in order."""

    left: Node
    right: Node
    identity: Identity
    because: list[str]


@described
class Correction:
    """
    What somebody said: that two things are the same or apart, who owns a thing, which label it carries, what
    caused a failure, how far an incident is, what was tried on a failure.
    """

    id: strawberry.ID = field("What it is withdrawn by.")
    verdict: str = field(
        "same, apart, owner, tag; cause, no cause; incident, or a state of one (acknowledged, mitigated,\n"
        "resolved, closed); remediation, attempt, judged."
    )
    a: strawberry.ID = field("What it is about.")
    b: strawberry.ID = field("The other thing, the owner, the label, the cause, the remediation; else a.")
    by: str | None
    why: str | None
    role: str | None
    at: DateTime
    changed: bool = field("Whether saying it, or taking it back, changed the graph.")


@described
class Evidence:
    """Something that speaks for an answer. kind says what sort; weight is its share of the score."""

    kind: str
    text: str
    weight: float
    node: Node | None
