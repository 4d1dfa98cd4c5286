"""What readers get: nodes, edges, pages and the moments they are asked for."""

from __future__ import annotations

from array import array
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros

T = TypeVar("T")

Spaces = frozenset[str] | None
"""The spaces a caller may read; None is all of them."""


class Direction(StrEnum):
    """Which way a walk goes. ``BOTH`` is the upstream walk and the downstream walk, not a zig-zag."""

    UPSTREAM = "UPSTREAM"
    DOWNSTREAM = "DOWNSTREAM"
    BOTH = "BOTH"


class Moment(msgspec.Struct, frozen=True):
    """A point in both times, in microseconds: ``as_of`` in the world, ``known_at`` in what Kinlore held."""

    as_of: Micros | None = None
    known_at: Micros | None = None


NOW = Moment()


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A thing. ``id`` is its leading identifier; ``created_at`` and ``gone_at`` are microseconds."""

    id: str
    kind: NodeKind
    name: str
    identifiers: tuple[str, ...]
    url: str | None = None
    properties: dict[str, Any] = msgspec.field(default_factory=dict)
    created_at: Micros | None = None
    gone_at: Micros | None = None
    stub: bool = False
    sources: tuple[str, ...] = ()
    handle: int = -1


class Label(NamedTuple):
    """The short form of a node for big answers."""

    handle: int
    id: str
    kind: NodeKind
    name: str


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """An edge between two nodes, by their ids. ``evidence`` says why a derived edge holds."""

    src: str
    dst: str
    kind: EdgeKind
    source: str
    valid_from: Micros | None = None
    valid_to: Micros | None = None
    evidence: str | None = None
    properties: dict[str, Any] = msgspec.field(default_factory=dict)


class Step(NamedTuple):
    """An edge as the store hands it to a walk: handles of its ends, kind, and the handle of the belief."""

    src: int
    dst: int
    kind: EdgeKind
    belief: int


class Expansion(msgspec.Struct, frozen=True):
    """One hop. ``steps`` leave the frontier in the direction asked for; ``same`` are the ``SAME_AS`` edges
    that close the nodes reached, and ``frontier`` closed with them; ``hidden`` counts what may not be read
    per frontier handle."""

    steps: list[Step]
    same: list[Step]
    hidden: dict[int, int]


class Ahead(msgspec.Struct):
    """Lets a store read the next hops of a walk before they are asked for: a hint, without an effect on what
    is answered. ``hops``: so many may follow the one that is asked for now; ``most``: read no further once
    about so many nodes were met. Each walk has its own, for one direction, kinds, moment and spaces: ``held``
    is where the store keeps what it has read for it."""

    hops: int
    most: int
    held: Any = None


#: What stands in a column of times where a validity is open.
ALWAYS, FOREVER = -(2**63), 2**63 - 1


class Columns(msgspec.Struct, frozen=True):
    """Nodes and edges in columns, as of a revision, each a machine's array of integers.

    Of nodes, by handle: ``nodes`` (64 bits) and ``kinds`` (8; the number of the kind in its declaration). Of
    edges, in any order: handles ``src`` and ``dst``, ``edge_kinds`` (8; ``EDGE_CODES``), ``beliefs``,
    ``since`` and ``until`` in microseconds (64), and whether there is ``evidence`` (8; 0 or 1).
    """

    revision: int
    nodes: array[int]
    kinds: array[int]
    src: array[int]
    dst: array[int]
    edge_kinds: array[int]
    beliefs: array[int]
    since: array[int]
    until: array[int]
    evidence: array[int]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A page of a list. ``next`` is the cursor of the following page, None at the end."""

    items: list[T]
    next: str | None = None


class Hit(msgspec.Struct, frozen=True):
    """A text or vector match: the node's handle and its score, higher is nearer."""

    handle: int
    score: float


class FilterOp(StrEnum):
    """Comparisons of a property filter."""

    EQ = "EQ"
    NE = "NE"
    LT = "LT"
    LTE = "LTE"
    GT = "GT"
    GTE = "GTE"
    IN = "IN"
    CONTAINS = "CONTAINS"
    EXISTS = "EXISTS"


class Filter(msgspec.Struct, frozen=True):
    """A condition on a property; dots descend (``params.lr``). See :mod:`graph_schema.filters`."""

    key: str
    op: FilterOp = FilterOp.EQ
    value: Any = None


class Order(StrEnum):
    """Orders of a list; ties are broken by id, so that paging never skips."""

    ID = "ID"
    NAME = "NAME"
    CREATED_AT = "CREATED_AT"


class Ordering(msgspec.Struct, frozen=True):
    """An order and its direction. Nodes without a creation time come last."""

    by: Order = Order.ID
    descending: bool = False


class Slot(msgspec.Struct, frozen=True):
    """A place whose occupant changes: a table, an alias, an image tag, a deployment name."""

    key: str
    occupants: tuple[tuple[Micros, str], ...]


class Subgraph(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a walk. ``hops`` is aligned with ``labels``; negative upstream of the root, positive
    downstream. ``total`` counts the nodes found before the cut; ``complete`` is False only with a reason."""

    root: int
    labels: list[Label]
    hops: list[int]
    steps: list[Step]
    total: int
    complete: bool
    truncated_because: str | None = None
    hidden_upstream: dict[int, int] = msgspec.field(default_factory=dict)
    hidden_downstream: dict[int, int] = msgspec.field(default_factory=dict)


class Bond(msgspec.Struct, frozen=True):
    """A claim on the identity of two identifiers, and whether it stands.

    ``verdict``: ``join`` (both name one node), ``said`` and ``apart`` (a person's word), ``same`` (a source's
    ``SAME_AS``), ``derived`` (a rule's). ``said_in`` is (source, record), or (rule, key) where derived.
    """

    verdict: str
    a: str
    b: str
    stands: bool
    said_in: tuple[str, str]
    evidence: str | None = None


class Fence(msgspec.Struct, frozen=True):
    """A lease and the token it was granted with; checked under the writer lock by the store's time."""

    lease: str
    token: int
