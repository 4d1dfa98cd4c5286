"""Rows that both engines keep, whatever they call their tables. Ids are integers given by the writer.

Rows hold no cycles, so the garbage collector need not look at them: a load makes millions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from graph_schema.edges import EdgeKind
from graph_schema.identity import Verdict
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros

NODE_KINDS: tuple[NodeKind, ...] = tuple(NodeKind)
NODE_CODES: dict[NodeKind, int] = {kind: code for code, kind in enumerate(NODE_KINDS)}
EDGE_KINDS: tuple[EdgeKind, ...] = tuple(EdgeKind)

pack = msgspec.msgpack.Encoder(order="deterministic").encode
to_json = msgspec.json.Encoder(order="deterministic").encode
from_json = msgspec.json.Decoder().decode


class SourceRow(NamedTuple):
    """A source that has written."""

    sid: int
    name: str
    type: str
    space: str


class Marks(msgspec.Struct, array_like=True, gc=False):
    """What a record holds, by row id: enough to withdraw it without reading it again.

    ``facts``: identifiers it speaks of. ``links``: (edge code, source ident, target ident, belief).
    ``joins``, ``keyed``: row ids with the identifiers they touch. ``stamp``: as in :class:`Record`.
    """

    facts: list[int]
    links: list[tuple[int, int, int, int]]
    joins: list[tuple[int, int, int]]
    keyed: list[int]
    stamp: bytes = b""


unpack_marks = msgspec.msgpack.Decoder(Marks).decode


class RecordRow(msgspec.Struct, gc=False):
    """A record as held. ``digest`` is of its claims; ``marks`` is packed :class:`Marks`."""

    rid: int
    sid: int
    key: str
    type: str
    version: int
    digest: bytes
    marks: bytes
    gone_at: Micros | None = None


class IdentRow(msgspec.Struct, gc=False):
    """An identifier, and the node it names since revision ``since``. Once dead it only redirects."""

    iid: int
    text: str
    kind: int
    nid: int
    since: int
    live: bool = True


class Fact(msgspec.Struct, array_like=True, gc=False):
    """What a record says of an identifier's node: the part of :class:`NodeRow` that is kept per source."""

    iid: int
    rid: int
    sid: int
    at: Micros | None
    since: int
    gone_at: Micros | None
    properties: dict[str, Any]


class PastFact(NamedTuple):
    """A fact that no longer stands, held in revisions ``since ≤ r < until``."""

    fact: Fact
    until: int


class NodeRow(msgspec.Struct, gc=False):
    """A node as it stands: the facts of all its identifiers, and what they come to.

    ``searchable``: its text was in the index when it was read. Stubs are not: they say nothing in words.
    """

    nid: int
    kind: int
    id: str
    name: str
    url: str | None
    created_at: Micros | None
    gone_at: Micros | None
    live: bool
    stub: bool
    facts: list[Fact]
    properties: dict[str, Any]
    identifiers: list[str]
    searchable: bool = False


class BeliefRow(msgspec.Struct, gc=False):
    """An edge that is or was believed. Immutable but for ``retired``, and for the node ids, which follow
    the identifiers that it was claimed with. ``rid`` 0: derived, found again by ``anchor``."""

    bid: int
    kind: int
    src: int
    dst: int
    src_nid: int
    dst_nid: int
    oid: int
    rid: int
    anchor: int | None
    since: Micros | None
    until: Micros | None
    recorded: int
    retired: int | None
    data: bytes | None

    @property
    def content(self) -> tuple[int, int, int, Micros | None, Micros | None, bytes | None]:
        """What makes two beliefs of one record the same."""
        return (self.kind, self.src, self.dst, self.since, self.until, self.data)


class JoinRow(msgspec.Struct, gc=False):
    """A claim on identity. ``belief`` is the edge it stands as, where it is an accepted ``SAME_AS``."""

    jid: int
    a: int
    b: int
    verdict: int
    oid: int
    rid: int
    anchor: int | None
    tie: tuple[str, str]
    since: Micros | None
    until: Micros | None
    data: bytes | None
    accepted: bool
    belief: int | None

    @property
    def content(self) -> tuple[int, int, int, Micros | None, Micros | None, bytes | None]:
        """What makes two of them the same."""
        return (self.verdict, self.a, self.b, self.since, self.until, self.data)

    @property
    def is_edge(self) -> bool:
        """Whether it shows as a ``SAME_AS`` edge when accepted."""
        return self.verdict in (Verdict.SAID, Verdict.SAME, Verdict.DERIVED)


class KeyedRow(msgspec.Struct, gc=False):
    """A keyed claim. ``ref`` and ``by`` are identifiers."""

    kid: int
    rule: str
    key: str
    role: str
    ref: int | None
    by: int | None
    at: Micros | None
    until: Micros | None
    data: bytes | None
    rid: int
    sid: int
    anchor: str

    @property
    def content(self) -> tuple[Any, ...]:
        """What makes two of them the same."""
        return (self.rule, self.key, self.role, self.ref, self.by, self.at, self.until, self.data)


class Changes(msgspec.Struct):
    """Everything a write does to the tables, in the order in which an engine has to apply it.

    ``versions``: (record, version) where nothing else changed. ``past_idents``: (ident, node, since, until),
    what an identifier named before. ``moved`` and ``retired`` carry beliefs with the node ids that they had
    before; a belief is in at most one of the two, and both write the node ids that it has now.
    """

    new_records: list[RecordRow] = msgspec.field(default_factory=list)
    records: list[RecordRow] = msgspec.field(default_factory=list)
    versions: list[tuple[int, int]] = msgspec.field(default_factory=list)
    new_idents: list[IdentRow] = msgspec.field(default_factory=list)
    idents: dict[int, IdentRow] = msgspec.field(default_factory=dict)
    past_idents: list[tuple[int, int, int, int]] = msgspec.field(default_factory=list)
    new_nodes: dict[int, NodeRow] = msgspec.field(default_factory=dict)
    nodes: dict[int, NodeRow] = msgspec.field(default_factory=dict)
    past_facts: list[PastFact] = msgspec.field(default_factory=list)
    moved: list[tuple[BeliefRow, int, int]] = msgspec.field(default_factory=list)
    retired: list[tuple[BeliefRow, int, int]] = msgspec.field(default_factory=list)
    new_beliefs: list[BeliefRow] = msgspec.field(default_factory=list)
    gone_joins: list[int] = msgspec.field(default_factory=list)
    joins: list[JoinRow] = msgspec.field(default_factory=list)
    new_joins: list[JoinRow] = msgspec.field(default_factory=list)
    gone_keyed: list[int] = msgspec.field(default_factory=list)
    new_keyed: list[KeyedRow] = msgspec.field(default_factory=list)
