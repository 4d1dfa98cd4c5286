"""The store as one would write it without caring for speed: all current records, and everything worked out
anew from them whenever it is asked for. Independent of the writer and of both engines.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec

from graph_schema.claims import Joins, Keyed, Links, Names, Record, States
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.identifiers import head_of, leading
from graph_schema.identity import Candidate, Verdict, resolve
from graph_schema.kinds import RESERVED_PROPERTIES, NodeKind
from graph_schema.properties import Statement, default_name, merge
from graph_schema.store import Source
from graph_schema.times import Micros
from graph_schema.values import Direction

_pack = msgspec.msgpack.Encoder(order="deterministic").encode
_json = msgspec.json.Encoder(order="deterministic").encode


class SeenNode(NamedTuple):
    """A node as a reader sees it, in a form that compares."""

    id: str
    kind: NodeKind
    name: str
    identifiers: tuple[str, ...]
    url: str | None
    created_at: Micros | None
    gone_at: Micros | None
    stub: bool
    sources: tuple[str, ...]
    properties: bytes


class SeenEdge(NamedTuple):
    """An edge as a reader sees it. ``evidence`` and ``source`` are left out where a rule found it: their
    wording is the rule's own."""

    src: str
    dst: str
    kind: EdgeKind
    source: str | None
    valid_from: Micros | None
    valid_to: Micros | None
    evidence: str | None
    properties: bytes


class Seen(msgspec.Struct):
    """The whole graph as a reader sees it: nodes by id, and edges with how often each is there."""

    nodes: dict[str, SeenNode]
    edges: Counter[SeenEdge]
    classes: dict[str, frozenset[str]]


class _Held(msgspec.Struct):
    source: Source
    record: Record
    digest: bytes
    gone_at: Micros | None = None


class _Said(NamedTuple):
    """A claim with who made it."""

    source: str
    key: str
    claim: Any


_Link = tuple[Links, str | None]
"""An edge, and the source that states it; None where a rule found it in words of its own."""


def canonical(value: Any) -> bytes:
    """A JSON value as bytes that are equal exactly where the values are."""
    return _json(value)


def content_hash(record: Record) -> bytes:
    """What orders two states of a record that have one version. Any hash would do for the contract; it has
    to be the one that the store uses for both to prefer the same state."""
    return blake2b(_pack(record.claims), digest_size=16).digest()


class Model:
    """All current records; :meth:`see` works out the graph."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], _Held] = {}
        self.sources: dict[str, Source] = {}

    def copy(self) -> Model:
        """The same state, to be changed on its own."""
        other = Model()
        other.held = {key: msgspec.structs.replace(held) for key, held in self.held.items()}
        other.sources = dict(self.sources)
        return other

    # writing -------------------------------------------------------------------------------------------

    def write(self, source: Source, records: Iterable[Record]) -> None:
        """Of all states of a record that ever came, the one with the greatest (version, hash) stands."""
        self.sources[source.name] = source
        for record in records:
            key, digest = (source.name, record.key), content_hash(record)
            before = self.held.get(key)
            if before is None or (record.version, digest) > (before.record.version, before.digest):
                self.held[key] = _Held(source, record, digest)

    def retire(self, source: Source, keys: Sequence[str], at: Micros | None) -> None:
        """Records gone at the source, or back again."""
        for key in keys:
            held = self.held.get((source.name, key))
            if held is not None and (held.gone_at is None) is not (at is None):
                held.gone_at = at

    # reading -------------------------------------------------------------------------------------------

    def see(self) -> Seen:
        """The graph, from nothing but the records."""
        return _Graph(self).seen()


class _Graph:
    def __init__(self, model: Model) -> None:
        self.model = model
        self.said = [
            _Said(source, key, claim)
            for (source, key), held in sorted(model.held.items())
            for claim in _unique(held.record.claims)
        ]
        self.kinds = self._kinds()
        self.joins = list(self._joins())
        exact = [c for c, _ in self.joins if c.verdict in (Verdict.JOIN, Verdict.APART)]
        self.node_of = self._nodes(exact)
        self.links = list(self._links())
        for number, (edge, source) in enumerate([*self._slots(), *self._open(), *self._content()]):
            if edge.kind is EdgeKind.SAME_AS:
                candidate = Candidate(Verdict.DERIVED, edge.src, edge.dst, ("rule", str(number)))
                self.joins.append((candidate, (edge, source)))
            else:
                self.links.append((edge, source))

    def _kinds(self) -> dict[str, NodeKind]:
        """Every identifier that a claim names exactly, with its kind."""
        kinds: dict[str, NodeKind | None] = {}
        for _, _, claim in self.said:
            stated: NodeKind | None = None
            if isinstance(claim, Names):
                texts, stated = claim.ids, claim.kind
            elif isinstance(claim, States):
                texts, stated = (claim.id,), claim.kind
            elif isinstance(claim, Links):
                texts = tuple(t for t in (claim.src, claim.dst) if not _is_open(t))
            elif isinstance(claim, Keyed):
                texts = tuple(t for t in (claim.ref, claim.by) if t is not None)
            elif isinstance(claim, Joins):
                texts = (claim.a, claim.b)
            else:
                texts = (claim.id,)
            for text in texts:
                kinds[text] = stated or kinds.get(text) or head_of(text.partition("=")[0]).kind
        return {text: kind for text, kind in kinds.items() if kind is not None}

    def _joins(self) -> Iterable[tuple[Candidate, Any]]:
        for source, key, claim in self.said:
            tie = (source, key)
            if isinstance(claim, Names):
                lead = leading(claim.ids, claim.kind)
                for text in claim.ids:
                    yield Candidate(Verdict.JOIN, lead, text, tie), None
            elif isinstance(claim, Joins):
                if claim.verdict == "apart":
                    yield Candidate(Verdict.APART, claim.a, claim.b, tie), None
                else:
                    edge = Links(EdgeKind.SAME_AS, claim.a, claim.b, evidence=claim.why)
                    yield Candidate(Verdict.SAID, claim.a, claim.b, tie), (edge, source)
            elif isinstance(claim, Links) and claim.kind is EdgeKind.SAME_AS and not _has_open(claim):
                yield Candidate(Verdict.SAME, claim.src, claim.dst, tie), (claim, source)

    def _nodes(self, candidates: Sequence[Candidate]) -> dict[str, str]:
        """The id of the node of every identifier. Only exact joins make nodes, whatever else is said."""
        groups = resolve(self.kinds, self.kinds, candidates).groups
        return {text: leading(group, self.kinds[text]) for group in groups for text in group}

    def _links(self) -> Iterable[_Link]:
        for source, _, claim in self.said:
            if isinstance(claim, Links) and claim.kind is not EdgeKind.SAME_AS and not _has_open(claim):
                yield claim, source

    # rules ---------------------------------------------------------------------------------------------

    def _slots(self) -> Iterable[_Link]:
        """A use joins the occupant with the greatest (from, id) at or before its time that had not ended
        and is not its own product."""
        keyed = [c for _, _, c in self.said if isinstance(c, Keyed) and c.rule == "slot"]
        for _, _, use in self.said:
            if not (isinstance(use, Keyed) and use.rule == "slot" and use.role == "uses"):
                continue
            there = [
                o
                for o in keyed
                if o.role == "occupies" and o.key == use.key and o.at <= use.at
                if o.until is None or o.until > use.at
                if o.by is None or self.node_of[o.by] != self.node_of[use.ref]
            ]
            if there:
                occupant = max(there, key=lambda o: (o.at, o.ref))
                data = dict(use.data)
                yield Links(EdgeKind(data.pop("edge")), occupant.ref, use.ref, use.at, None, data), None

    def _open(self) -> Iterable[_Link]:
        """An edge with an end that names no scope holds where exactly one node answers to it."""
        answers: dict[str, set[str]] = defaultdict(set)
        for text in self.kinds:
            head, _, value = text.partition("=")
            name, at, _ = head.partition("@")
            if at:
                answers[f"{name}={value}"].add(text)
        for source, _, claim in self.said:
            if isinstance(claim, Links) and _has_open(claim):
                ends = []
                for text in (claim.src, claim.dst):
                    found = answers[text] if _is_open(text) else {text}
                    ends.append(min(found) if len({self.node_of[t] for t in found}) == 1 else None)
                if None not in ends:
                    edge = msgspec.structs.replace(claim, src=ends[0], dst=ends[1])
                    yield edge, source if claim.evidence else None

    def _content(self) -> Iterable[_Link]:
        """Equal content across kinds is the same thing: one edge from each kind that has it to the next."""
        owners: dict[tuple[str, str], dict[NodeKind, str]] = defaultdict(dict)
        for _, _, claim in self.said:
            for text in claim.ids if isinstance(claim, Names) else ():
                head, _, value = text.partition("=")
                if head_of(head).scheme.content:
                    owners[head.partition("@")[0], value][claim.kind] = text
        for kinds in owners.values():
            there = [kinds[kind] for kind in NodeKind if kind in kinds]
            for a, b in pairwise(there):
                yield Links(EdgeKind.SAME_AS, a, b), None

    # what a reader sees --------------------------------------------------------------------------------

    def seen(self) -> Seen:
        """Nodes, edges and ``SAME_AS`` classes."""
        candidates = [c for c, _ in self.joins]
        accepted = resolve(self.kinds, self.kinds, candidates).accepted
        edges: Counter[SeenEdge] = Counter(self._edge(*link) for link in self.links)
        same: list[tuple[str, str]] = []
        for (candidate, link), stands in zip(self.joins, accepted, strict=True):
            ends = self.node_of[candidate.a], self.node_of[candidate.b]
            if link is not None and stands and ends[0] != ends[1]:
                edges[self._edge(*link)] += 1
                same.append(ends)
        nodes = {node.id: node for node in self._seen_nodes()}
        return Seen(nodes, edges, closed(nodes, same))

    def _edge(self, edge: Links, source: str | None) -> SeenEdge:
        return SeenEdge(
            self.node_of[edge.src],
            self.node_of[edge.dst],
            edge.kind,
            source,
            edge.since,
            edge.until,
            edge.evidence if source is not None else None,
            canonical(edge.properties or {}),
        )

    def _seen_nodes(self) -> Iterable[SeenNode]:
        members: dict[str, list[str]] = defaultdict(list)
        for text, node in self.node_of.items():
            members[node].append(text)
        facts: dict[str, list[tuple[Statement, Micros | None]]] = defaultdict(list)
        for source, key, claim in self.said:
            held = self.model.held[source, key]
            type = self.model.sources[source].type
            if isinstance(claim, States):
                statement = Statement(source, type, claim.at, claim.properties)
                facts[self.node_of[claim.id]].append((statement, held.gone_at))
            elif isinstance(claim, Names):
                # Naming a thing is a fact about it, though it says nothing of what it is like.
                statement = Statement(source, type, None, {})
                lead = leading(claim.ids, claim.kind)
                facts[self.node_of[lead]].append((statement, held.gone_at))
        for node, texts in members.items():
            kind = self.kinds[node]
            properties = merge(kind, [statement for statement, _ in facts[node]])
            gone = [at for _, at in facts[node]]
            created = properties.get("createdAt")
            yield SeenNode(
                node,
                kind,
                str(properties.get("name") or default_name(kind, node)),
                tuple(sorted(texts)),
                properties.get("url") or None,
                created if type_is_int(created) else None,
                max(gone) if gone and None not in gone else None,  # type: ignore[type-var]
                not facts[node],
                tuple(sorted({statement.source for statement, _ in facts[node]})),
                canonical({k: v for k, v in properties.items() if k not in RESERVED_PROPERTIES}),
            )


def type_is_int(value: object) -> bool:
    """Whether a JSON value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def _unique(claims: Sequence[Any]) -> list[Any]:
    """A record that says the same twice has said it once."""
    found: dict[bytes, Any] = {_pack(claim): claim for claim in claims}
    return list(found.values())


def _is_open(text: str) -> bool:
    return head_of(text.partition("=")[0]).is_open


def _has_open(claim: Links) -> bool:
    return _is_open(claim.src) or _is_open(claim.dst)


def closed(nodes: Iterable[str], same: Iterable[tuple[str, str]]) -> dict[str, frozenset[str]]:
    """For each node, everything that is ``SAME_AS`` it, itself included."""
    classes = {node: frozenset([node]) for node in nodes}
    for a, b in same:
        whole = classes[a] | classes[b]
        classes.update(dict.fromkeys(whole, whole))
    return classes


def holds(edge: SeenEdge, as_of: Micros | None) -> bool:
    """Whether an edge is there at a time in the world."""
    if as_of is None:
        return True
    return (edge.valid_from is None or edge.valid_from <= as_of) and (
        edge.valid_to is None or as_of < edge.valid_to
    )


def walk(
    seen: Seen, root: str, direction: Direction, max_hops: int, as_of: Micros | None = None
) -> dict[str, int]:
    """Nodes with their hops along flow edges; ``SAME_AS`` costs nothing. Hop by hop over all edges."""
    edges = [e for e in seen.edges if holds(e, as_of)]
    same = [(e.src, e.dst) for e in edges if e.kind is EdgeKind.SAME_AS]
    classes = closed(seen.nodes, same)
    hops = dict.fromkeys(classes[root], 0)
    flow = [(e.src, e.dst) for e in edges if e.kind in FLOW_KINDS]
    if direction is Direction.UPSTREAM:
        flow = [(dst, src) for src, dst in flow]
    for hop in range(1, max_hops + 1):
        reached = {other for near, far in flow if near in hops for other in classes[far]}
        for node in reached.difference(hops):
            hops[node] = hop
    return hops
