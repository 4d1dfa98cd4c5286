"""Writing changes: one statement a table, rows in batches and in the order of their keys.

Nothing is merged where it is known to be new: ids are given out by the one writer there is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from neo4j import ManagedTransaction

from app.store.neo4j import codec
from app.store.neo4j.codec import index_key
from app.store.neo4j.rows import PLACED, rows
from app.store.neo4j.schema import PAST
from app.store.rows import EDGE_KINDS, NODE_KINDS, BeliefRow, Changes, NodeRow, RecordRow, pack
from graph_schema.edges import EDGE_CODES, EdgeKind

_BATCH = 10_000
_SAME_AS = EDGE_CODES[EdgeKind.SAME_AS]

_NEW_RECORDS = "UNWIND $rows AS r CREATE (n:Record) SET n = r"
_RECORDS = "UNWIND $rows AS r MATCH (n:Record {rkey: r.rkey}) SET n += r"
_VERSIONS = "UNWIND $rows AS r MATCH (n:Record {rkey: r[0]}) SET n.version = r[1]"
_PLACES = "RETURN collect([n.num, id(n)])"
_NEW_IDENTS = f"{PLACED} UNWIND $rows AS r CREATE (n:Item:Ident) SET n = r {_PLACES}"
_PLACES_OF = f"{PLACED} UNWIND $nums AS num MATCH (n:Item {{num: num}}) {_PLACES}"
_IDENTS = """
UNWIND $rows AS r MATCH (n:Item {num: r.num}) SET n.names = r.names, n.isince = r.isince, n.dead = r.dead
"""
_PAST_IDENTS = (
    "UNWIND $rows AS r CREATE (n:PastIdent) SET n.iid = r[0], n.nid = r[1], n.since = r[2], n.until = r[3]"
)
_NODES = "UNWIND $rows AS r MATCH (n:Item {num: r.num}) SET n += r"
_PAST_FACTS = (
    "UNWIND $rows AS r CREATE (n:PastFact) SET n.iid = r[0], n.since = r[1], n.until = r[2], n.fact = r[3]"
)
_DERIVED = "UNWIND $rows AS r CREATE (n:Derived) SET n.anchor = r[0], n.belief = r[1]"
_NOT_DERIVED = "UNWIND $rows AS r MATCH (n:Derived {anchor: r[0]}) WHERE n.belief = r[1] DELETE n"
_GONE_JOINS = "UNWIND $rows AS r MATCH (n:Join {jid: r}) DELETE n"
_JOINS = "UNWIND $rows AS r MATCH (n:Join {jid: r[0]}) SET n.accepted = r[1], n.belief = r[2]"
_NEW_JOINS = "UNWIND $rows AS r CREATE (n:Join) SET n = r"
_GONE_KEYED = "UNWIND $rows AS r MATCH (n:Keyed {kid: r}) DELETE n"
_NEW_KEYED = """
UNWIND $rows AS r CREATE (n:Keyed) SET n = r
WITH n, r OPTIONAL MATCH (i:Item {num: r.ref}) SET n.tie = coalesce(i.text, '')
"""
_SAME = "UNWIND $nums AS num MATCH (n:Item {num: num}) SET n:Same"


def _new_nodes(kind: str) -> str:
    return f"{PLACED} UNWIND $rows AS r CREATE (n:Item:Ident:{kind}) SET n = r {_PLACES}"


def _grown_nodes(kind: str) -> str:
    return f"UNWIND $rows AS r MERGE (n:Item {{num: r.num}}) SET n:{kind}, n += r"


def _new_beliefs(type_: str) -> str:
    return (
        f"{PLACED} UNWIND $rows AS r MATCH (s) WHERE id(s) = r[0] MATCH (d) WHERE id(d) = r[1]"
        f" CREATE (s)-[e:{type_}]->(d) SET e = r[2]"
    )


def _gone_beliefs(type_: str) -> str:
    return f"UNWIND $rows AS r MATCH ()-[e:{type_} {{bid: r}}]->() DELETE e"


# Labels and types come from the declarations.
_NEW_NODES = tuple(_new_nodes(kind) for kind in NODE_KINDS)
_GROWN_NODES = tuple(_grown_nodes(kind) for kind in NODE_KINDS)
_NEW_BELIEFS = tuple(_new_beliefs(kind) for kind in (*EDGE_KINDS, PAST))
_GONE_BELIEFS = tuple(_gone_beliefs(kind) for kind in (*EDGE_KINDS, PAST))
_PAST = len(EDGE_KINDS)


def _record(r: RecordRow) -> dict[str, Any]:
    text = f"{r.sid}/{r.key}"
    rkey = index_key(text)
    return {
        "rkey": rkey, "rid": r.rid, "sid": r.sid, "fullKey": None if rkey is text else text, "type": r.type,
        "version": r.version, "digest": r.digest, "marks": r.marks, "goneAt": r.gone_at,
    }  # fmt: skip


class Seen:
    """What a transaction has met so far: keys of records by their id, and where in the store items lie.

    Neo4j's own ids are good within the transaction. By them an edge costs a third of what it costs by an
    index, which is locked for each look."""

    def __init__(self) -> None:
        self.rkeys: dict[int, str] = {}
        self.places: dict[int, int] = {}


def apply(tx: ManagedTransaction, changes: Changes, seen: Seen) -> None:
    """Write all changes."""
    c = changes

    def many(query: str, rows: Sequence[Any]) -> None:
        for start in range(0, len(rows), _BATCH):
            tx.run(query, rows=rows[start : start + _BATCH])

    def placed(query: str, items: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(items), _BATCH):
            found = rows(tx, query, rows=items[start : start + _BATCH])
            seen.places.update((num, place) for num, place in found)

    many(_NEW_RECORDS, [_record(r) for r in c.new_records])
    many(_RECORDS, [_record(r) for r in c.records])
    many(_VERSIONS, [(seen.rkeys[rid], version) for rid, version in c.versions])
    _put_items(many, placed, c)
    many(_PAST_IDENTS, c.past_idents)
    many(_PAST_FACTS, [(p.fact.iid, p.fact.since, p.until, pack(p.fact)) for p in c.past_facts])
    _put_beliefs(tx, many, c, seen.places)
    many(_GONE_JOINS, c.gone_joins)
    many(_JOINS, [(j.jid, j.accepted, j.belief) for j in c.joins])
    many(_NEW_JOINS, [codec.join_properties(j) for j in c.new_joins])
    many(_GONE_KEYED, c.gone_keyed)
    many(_NEW_KEYED, [codec.keyed_properties(k) for k in c.new_keyed])


def _put_items(many: Any, placed: Any, c: Changes) -> None:
    """Identifiers and nodes; an identifier and a node of one number are made in one go."""
    alone: list[dict[str, Any]] = []
    both: dict[int, list[dict[str, Any]]] = defaultdict(list)
    made: set[int] = set()
    for ident in c.new_idents:
        properties = codec.ident_properties(ident)
        node = c.new_nodes.get(ident.iid)
        if node is None:
            alone.append(properties)
        else:
            properties.update(codec.node_properties(node))
            both[node.kind].append(properties)
            made.add(ident.iid)
    for kind, properties_of in both.items():
        placed(_NEW_NODES[kind], properties_of)
    placed(_NEW_IDENTS, alone)
    many(
        _IDENTS,
        [
            {
                "num": i.iid,
                "names": None if i.nid == i.iid else i.nid,
                "isince": i.since,
                "dead": None if i.live else True,
            }
            for i in c.idents.values()
        ],
    )
    grown: dict[int, list[NodeRow]] = defaultdict(list)
    for node in c.new_nodes.values():
        if node.nid not in made:
            grown[node.kind].append(node)
    for kind, nodes in grown.items():
        many(_GROWN_NODES[kind], [codec.node_properties(n) for n in nodes])
    many(_NODES, [codec.node_properties(n) for n in sorted(c.nodes.values(), key=lambda n: n.nid)])


def _put_beliefs(tx: ManagedTransaction, many: Any, c: Changes, places: dict[int, int]) -> None:
    """A relationship keeps its type and its ends, so one that moves or retires is made anew."""
    gone: dict[int, list[int]] = defaultdict(list)
    made: dict[int, list[BeliefRow]] = defaultdict(list)
    for belief, _, _ in c.retired:
        gone[belief.kind].append(belief.bid)
        # It may have retired earlier in this transaction, and move now.
        gone[_PAST].append(belief.bid)
        made[_PAST].append(belief)
    for belief, _, _ in c.moved:
        place = belief.kind if belief.retired is None else _PAST
        gone[place].append(belief.bid)
        made[place].append(belief)
    for place, bids in gone.items():
        many(_GONE_BELIEFS[place], bids)
    for belief in c.new_beliefs:
        made[belief.kind].append(belief)
    ends = {n for beliefs in made.values() for b in beliefs for n in (b.src_nid, b.dst_nid)}
    unknown = sorted(ends - places.keys())
    if unknown:
        places.update((num, place) for num, place in rows(tx, _PLACES_OF, nums=unknown))
    for place, beliefs in made.items():
        beliefs.sort(key=lambda b: (b.src_nid, b.dst_nid))
        many(
            _NEW_BELIEFS[place],
            [(places[b.src_nid], places[b.dst_nid], codec.belief_properties(b)) for b in beliefs],
        )
    same = {n for b in made.get(_SAME_AS, ()) for n in (b.src_nid, b.dst_nid)}
    if same:
        tx.run(_SAME, nums=sorted(same))
    _put_anchors(many, (b for b, _, _ in c.retired), c.new_beliefs)


def _put_anchors(many: Any, retired: Iterable[BeliefRow], new: Iterable[BeliefRow]) -> None:
    """Derived beliefs are found by their anchor; those that stand for a join are found through it."""

    def anchored(beliefs: Iterable[BeliefRow]) -> list[tuple[int, int]]:
        return [
            (b.anchor, codec.handle_of(b.bid, b.kind))
            for b in beliefs
            if b.anchor is not None and b.kind != _SAME_AS
        ]

    many(_NOT_DERIVED, anchored(retired))
    many(_DERIVED, anchored(new))
