"""What was held at an earlier revision: identity, properties and beliefs as they were then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from neo4j import ManagedTransaction

from app.store.answers import SourceNames, composed, order_value
from app.store.neo4j import codec
from app.store.neo4j.rows import listing, rows
from app.store.rows import NODE_CODES, NODE_KINDS, Fact, NodeRow
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from graph_schema.values import Order, Ordering

_REVISION = "MATCH (r:Revision) WHERE r.at <= $at RETURN r.rev ORDER BY r.at DESC LIMIT 1"
_NAMED = listing(
    "id, nid",
    "UNWIND $ids AS id MATCH (i:Item {num: id}) WHERE i:Ident AND i.dead IS NULL AND i.isince <= $rev"
    " WITH id, coalesce(i.names, id) AS nid",
    "UNWIND $ids AS id MATCH (p:PastIdent {iid: id}) WHERE p.since <= $rev AND p.until > $rev"
    " WITH id, p.nid AS nid",
)
_REDIRECTS = listing("id, coalesce(i.names, id)", "UNWIND $ids AS id MATCH (i:Item {num: id}) WHERE i:Ident")
_MEMBERS = listing(
    "id, iid",
    "UNWIND $ids AS id MATCH (i:Item {num: id})"
    " WHERE i:Ident AND i.names IS NULL AND i.dead IS NULL AND i.isince <= $rev WITH id, id AS iid",
    "UNWIND $ids AS id MATCH (i:Ident {names: id}) WHERE i.dead IS NULL AND i.isince <= $rev"
    " WITH id, i.num AS iid",
    "UNWIND $ids AS id MATCH (p:PastIdent {nid: id}) WHERE p.since <= $rev AND p.until > $rev"
    " WITH id, p.iid AS iid",
)
_TEXTS = listing(codec.IDENT.format("i"), "UNWIND $ids AS id MATCH (i:Item {num: id}) WHERE i:Ident")
_NODES = listing(
    codec.NODE.format("n"), "UNWIND $ids AS id MATCH (n:Item {num: id}) WHERE n.kind IS NOT NULL"
)
_PAST_FACTS = listing(
    "p.fact", "UNWIND $ids AS id MATCH (p:PastFact {iid: id}) WHERE p.since <= $rev AND p.until > $rev"
)
_OF_KIND = listing(
    "nid",
    "MATCH (i:Ident) WHERE i.ikind = $kind AND i.dead IS NULL AND i.isince <= $rev"
    " WITH coalesce(i.names, i.num) AS nid",
    "MATCH (p:PastIdent) WHERE p.since <= $rev AND p.until > $rev"
    " MATCH (i:Item {num: p.iid}) WHERE i.ikind = $kind WITH p.nid AS nid",
)
_BEGUN = listing(
    "id, coalesce(i.names, id)",
    "UNWIND $ids AS id MATCH (i:Item {num: id}) WHERE i:Ident AND (i.isince <= $rev"
    " OR EXISTS { MATCH (p:PastIdent {iid: id}) WHERE p.since <= $rev })",
)
BY_NAME = """
UNWIND $kinds AS kind MATCH (n:Item {kind: kind, name: $name}) WHERE n.live
MATCH (i:Ident {text: n.id}) WITH n, i ORDER BY n.id RETURN collect([i.num])
"""
_FACTS_THEN = listing("p.iid, p.fact", "MATCH (p:PastFact) WHERE p.since <= $rev AND p.until > $rev")
_COLUMNS = (
    "coalesce(e.src, s.num), coalesce(e.dst, d.num), coalesce(e.kind, type(e)), e.bid,"
    " e.since, e.until, e.oid"
)
_HELD = "e.recorded <= $rev AND coalesce(e.retired > $rev, true)"


def revision_at(tx: ManagedTransaction, known_at: Micros) -> int:
    """The last revision made at or before a time; 0 before the first."""
    found = tx.run(_REVISION, at=known_at).values()
    return found[0][0] if found else 0


def node_by_ident(tx: ManagedTransaction, iids: Collection[int], rev: int) -> dict[int, int]:
    """The node that each identifier named at a revision; absent where it named none."""
    return dict(rows(tx, _NAMED, ids=list(iids), rev=rev))


def nodes_of(tx: ManagedTransaction, iids: Collection[int], rev: int) -> list[int]:
    """Nodes that identifiers named at a revision; one that had died by then redirects to today's node."""
    named = node_by_ident(tx, iids, rev)
    missing = [i for i in iids if i not in named]
    if missing:
        named.update((iid, nid) for iid, nid in rows(tx, _BEGUN, ids=missing, rev=rev))
    handles = list(dict.fromkeys(named[i] for i in iids if i in named))
    existing = _members(tx, handles, rev)
    return [h for h in handles if existing.get(h)]


def _members(tx: ManagedTransaction, handles: Collection[int], rev: int) -> dict[int, list[int]]:
    """Identifiers of each node at a revision."""
    found: dict[int, list[int]] = defaultdict(list)
    for nid, iid in rows(tx, _MEMBERS, ids=list(set(handles)), rev=rev):
        found[nid].append(iid)
    return found


def nodes(
    tx: ManagedTransaction, handles: Collection[int], rev: int, names: SourceNames
) -> dict[int, NodeRow]:
    """Nodes as they were at a revision; those that did not exist are left out."""
    members = _members(tx, handles, rev)
    iids = [i for ids in members.values() for i in ids]
    idents = {row[0]: codec.ident_row(row) for row in rows(tx, _TEXTS, ids=iids)}
    facts = _facts(tx, set(iids), {ident.nid for ident in idents.values()}, rev)
    found: dict[int, NodeRow] = {}
    for nid, ids in members.items():
        held = [f for i in ids for f in facts[i]]
        found[nid] = composed(nid, idents[ids[0]].kind, [idents[i].text for i in ids], held, names)
    return found


def _facts(
    tx: ManagedTransaction, iids: set[int], current: Collection[int], rev: int
) -> dict[int, list[Fact]]:
    """Facts on identifiers at a revision: those that still stand, and those that do no more."""
    found: dict[int, list[Fact]] = defaultdict(list)
    for row in rows(tx, _NODES, ids=list(current)):
        for fact in codec.node_row(row).facts:
            if fact.iid in iids and fact.since <= rev:
                found[fact.iid].append(fact)
    for (raw,) in rows(tx, _PAST_FACTS, ids=list(iids), rev=rev):
        fact = codec.fact_row(bytes(raw))
        found[fact.iid].append(fact)
    return found


def named(tx: ManagedTransaction, name: str, rev: int, names: SourceNames) -> list[int]:
    """Nodes that had a name at a revision, by id."""
    # Names of today are in an index; of what is past, only facts that hold the text come into question.
    said = name.encode()
    iids = {iid for iid, fact in rows(tx, _FACTS_THEN, rev=rev) if said in bytes(fact)}
    today = rows(tx, BY_NAME, kinds=list(range(len(NODE_KINDS))), name=codec.index_key(name))
    handles = node_by_ident(tx, iids | {row[0] for row in today}, rev)
    found = [n for n in nodes(tx, set(handles.values()), rev, names).values() if n.name == name]
    return [n.nid for n in sorted(found, key=lambda n: n.id)]


def of_kind(
    tx: ManagedTransaction,
    kind: NodeKind,
    rev: int,
    names: SourceNames,
    ordering: Ordering,
    mark: tuple[Any, str] | None,
) -> Iterator[NodeRow]:
    """All nodes of a kind at a revision, in order, behind a mark."""
    asked = {row[0] for row in rows(tx, _OF_KIND, kind=NODE_CODES[kind], rev=rev)}
    found = list(nodes(tx, asked, rev, names).values())
    found.sort(key=lambda n: n.id, reverse=ordering.descending)
    found.sort(key=lambda n: _sortable(n, ordering), reverse=ordering.descending)
    if ordering.by is Order.CREATED_AT:
        found.sort(key=lambda n: n.created_at is None)
    if mark is None:
        return iter(found)
    return (node for node in found if _behind(node, ordering, mark))


def _sortable(node: NodeRow, ordering: Ordering) -> Any:
    value = order_value(node, ordering)
    return (value is not None, value if value is not None else "")


def _behind(node: NodeRow, ordering: Ordering, mark: tuple[Any, str]) -> bool:
    """Whether a node comes after the mark; nodes without a value come last in either direction."""
    value, id_ = mark
    mine = order_value(node, ordering)
    if mine is None or value is None:
        if mine is not None or value is not None:
            return mine is None
        return node.id < id_ if ordering.descending else node.id > id_
    return bool((mine, node.id) < (value, id_) if ordering.descending else (mine, node.id) > (value, id_))


def beliefs_at(
    tx: ManagedTransaction, handles: Collection[int], end: str, codes: Collection[int], rev: int
) -> Iterable[tuple[int, int, int, int, int | None, int | None, int]]:
    """(src node, dst node, kind, belief, since, until, origin) held at a revision, by the nodes of then.

    Every belief, past ones too, hangs on the node that its identifier names today; so the way leads from
    the nodes of then over their identifiers to the nodes of today, and back.
    """
    members = _members(tx, handles, rev)
    iids = {i for ids in members.values() for i in ids}
    if not iids:
        return []
    today = {row[1] for row in rows(tx, _REDIRECTS, ids=list(iids))}
    types = "|".join([*(codec.edge_type(code) for code in codes), codec.PAST])
    pattern = f"(s)-[e:{types}]->(d)" if end == "src" else f"(d)<-[e:{types}]-(s)"
    start = "s" if end == "src" else "d"
    query = listing(
        _COLUMNS, f"UNWIND $ids AS id MATCH ({start}:Item {{num: id}}) MATCH {pattern} WHERE {_HELD}"
    )
    wanted, side = set(codes), 0 if end == "src" else 1
    held = []
    for row in rows(tx, query, ids=list(today), rev=rev):
        if not isinstance(row[2], int):
            row[2] = codec.edge_code(row[2])
        if row[2] in wanted and row[side] in iids:
            held.append(row)
    named = node_by_ident(tx, {i for row in held for i in row[:2]}, rev)
    return [(named[row[0]], named[row[1]], *row[2:7]) for row in held]
