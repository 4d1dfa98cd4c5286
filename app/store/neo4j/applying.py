"""Writing changes: one statement for all tables, rows in the order of their keys.

Nothing is merged where it is known to be new: ids are given out by the one writer there is. Kinds are values
here, and come from the declarations all the same: a statement for each kind would cost a round trip each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from neo4j import ManagedTransaction

from app.store.neo4j import codec
from app.store.neo4j.known import Known
from app.store.neo4j.rows import PLANNED, rows, seek
from app.store.neo4j.schema import PAST
from app.store.rows import EDGE_KINDS, NODE_KINDS, BeliefRow, Changes, RecordRow, pack
from graph_schema.edges import EdgeKind
from graph_schema.errors import StoreError

#: Rows of one table in one statement.
_BATCH = 10_000
_SAME_AS = EdgeKind.SAME_AS.value

#: In this order. A belief that moves is taken away before it is made anew.
_TABLES = {
    "newRecords": "CREATE (n:Record) SET n = r",
    "records": f"{seek('n:Record', 'rkey', 'r.rkey')} SET n += r",
    "versions": f"{seek('n:Record', 'rkey', 'r[0]')} SET n.version = r[1]",
    "idents": f"{seek('n:Item', 'num', 'r[0]')} SET n.names = r[1], n.isince = r[2], n.dead = r[3]",
    "grown": "MERGE (n:Item {num: r[1].num}) SET n:$(r[0]), n += r[1]",
    "nodes": f"{seek('n:Item', 'num', 'r.num')} SET n += r",
    "pastIdents": "CREATE (n:PastIdent) SET n.iid = r[0], n.nid = r[1], n.since = r[2], n.until = r[3]",
    "pastFacts": "CREATE (n:PastFact) SET n.iid = r[0], n.since = r[1], n.until = r[2], n.fact = r[3]",
    # Without a word on types all edges of an empty graph are planned to be looked through.
    "goneBeliefs": "MATCH ()-[e:!PAST|PAST]->() WHERE id(e) = r DELETE e",
    "notDerived": f"{seek('n:Derived', 'anchor', 'r[0]')} WHERE n.belief = r[1] DELETE n",
    "derived": "CREATE (n:Derived) SET n.anchor = r[0], n.belief = r[1], n.src = r[2], n.dst = r[3]",
    "goneJoins": f"{seek('n:Join', 'jid', 'r')} DELETE n",
    "joins": f"{seek('n:Join', 'jid', 'r[0]')} SET n.accepted = r[1], n.belief = r[2]",
    "newJoins": "CREATE (n:Join) SET n = r",
    "goneKeyed": f"{seek('n:Keyed', 'kid', 'r')} DELETE n",
    "newKeyed": "CREATE (n:Keyed) SET n = r"
    f" WITH n, r OPTIONAL {seek('i:Item', 'num', 'r.ref')} SET n.tie = coalesce(i.text, '')",
}
WRITE = f"""{PLANNED}
CALL () {{ UNWIND $p.items AS r CREATE (n:Item:Ident:$(r[0])) SET n = r[1] RETURN collect(n) AS made }}
{" ".join(f"CALL () {{ UNWIND $p.{table} AS r {text} }}" for table, text in _TABLES.items())}
CALL () {{ UNWIND $p.met AS r MATCH (n) WHERE id(n) = r RETURN collect(n) AS met }}
CALL () {{ UNWIND $p.named AS r {seek("n:Item", "num", "r")} RETURN collect(n) AS named }}
WITH made + met + named AS ends
CALL (ends) {{
  UNWIND $p.beliefs AS r WITH ends[r[0]] AS s, ends[r[1]] AS d, r CREATE (s)-[e:$(r[2])]->(d) SET e = r[3]
}}
CALL (ends) {{ UNWIND $p.same AS r WITH ends[r] AS n SET n:Same }}
RETURN [n IN ends | [n.num, id(n)]]
"""

Rows = dict[str, Sequence[Any]]


def apply(tx: ManagedTransaction, changes: Changes, known: Known) -> None:
    """Write all changes."""
    beliefs = _beliefs(changes)
    tables = _tables(changes, known)
    made = tables.pop("items")
    most = max(map(len, (made, *tables.values())))
    for start in range(0, most, _BATCH):
        piece = slice(start, start + _BATCH)
        now = []
        if start + _BATCH >= most:
            # All items are there.
            now, beliefs = beliefs[:_BATCH], beliefs[_BATCH:]
        _write(tx, known, made[piece], {name: found[piece] for name, found in tables.items()}, now)
    for start in range(0, len(beliefs), _BATCH):
        _write(tx, known, [], {}, beliefs[start : start + _BATCH])


def _write(
    tx: ManagedTransaction, known: Known, made: Sequence[Any], tables: Rows, beliefs: Sequence[BeliefRow]
) -> None:
    """One statement. An edge says where in the list of items its ends are: those made here, those that
    Neo4j's own id is known of, those that are looked up."""
    new = [properties["num"] for _, properties in made]
    wanted = {n for b in beliefs for n in (b.src_nid, b.dst_nid)}.difference(new)
    met = sorted(wanted & known.places.keys())
    named = sorted(wanted - known.places.keys())
    ends = [*new, *met, *named]
    at = {num: position for position, num in enumerate(ends)}
    asked: Rows = {
        **tables,
        "items": made,
        "met": [known.places[num] for num in met],
        "named": named,
        "beliefs": [(at[b.src_nid], at[b.dst_nid], _type(b), codec.belief_properties(b)) for b in beliefs],
        "same": sorted({at[n] for b in beliefs if _type(b) == _SAME_AS for n in (b.src_nid, b.dst_nid)}),
    }
    found = rows(tx, WRITE, p=asked)
    if [num for num, _ in found] != ends:
        # Nothing is committed: the edges may have been drawn between others than were meant.
        raise StoreError("Neo4j did not find the items that edges were to be drawn between")
    known.places.update((num, place) for num, place in found)


def _tables(c: Changes, known: Known) -> Rows:
    """Rows of all tables, and the new ``items``."""
    return {
        **_item_tables(c),
        "newRecords": [_record(r) for r in c.new_records],
        "records": [_record(r) for r in c.records],
        "versions": [(known.rkeys[rid], version) for rid, version in c.versions],
        "pastIdents": c.past_idents,
        "pastFacts": [(p.fact.iid, p.fact.since, p.until, pack(p.fact)) for p in c.past_facts],
        # Whatever retires or moves was read in this transaction.
        "goneBeliefs": [known.arrows.pop(b.bid) for b, _, _ in (*c.retired, *c.moved)],
        "notDerived": list(_anchored(b for b, _, _ in c.retired)),
        "derived": list(_anchored(c.new_beliefs)),
        "goneJoins": c.gone_joins,
        "joins": [(j.jid, j.accepted, j.belief) for j in c.joins],
        "newJoins": [codec.join_properties(j) for j in c.new_joins],
        "goneKeyed": c.gone_keyed,
        "newKeyed": [codec.keyed_properties(k) for k in c.new_keyed],
    }


def _item_tables(c: Changes) -> Rows:
    """Identifiers and nodes; an identifier and a node of one number are made in one go."""
    items: list[tuple[list[str], dict[str, Any]]] = []
    made: set[int] = set()
    for ident in c.new_idents:
        properties = codec.ident_properties(ident)
        node = c.new_nodes.get(ident.iid)
        if node is None:
            items.append(([], properties))
        else:
            properties.update(codec.node_properties(node))
            items.append(([NODE_KINDS[node.kind].value], properties))
            made.add(ident.iid)
    return {
        "items": items,
        "idents": [
            (i.iid, None if i.nid == i.iid else i.nid, i.since, None if i.live else True)
            for i in c.idents.values()
        ],
        "grown": [
            (NODE_KINDS[node.kind].value, codec.node_properties(node))
            for node in c.new_nodes.values()
            if node.nid not in made
        ],
        "nodes": [codec.node_properties(n) for n in sorted(c.nodes.values(), key=lambda n: n.nid)],
    }


def _record(r: RecordRow) -> dict[str, Any]:
    text = f"{r.sid}/{r.key}"
    rkey = codec.index_key(text)
    return {
        "rkey": rkey, "rid": r.rid, "sid": r.sid, "fullKey": None if rkey is text else text, "type": r.type,
        "version": r.version, "digest": r.digest, "marks": r.marks, "goneAt": r.gone_at,
    }  # fmt: skip


def _beliefs(c: Changes) -> list[BeliefRow]:
    """Those to be made. A relationship keeps its type and its ends, so one that moves or retires is made
    anew."""
    made = [*(b for b, _, _ in (*c.retired, *c.moved)), *c.new_beliefs]
    return sorted(made, key=lambda b: (_type(b), b.src_nid, b.dst_nid))


def _type(belief: BeliefRow) -> str:
    return EDGE_KINDS[belief.kind].value if belief.retired is None else PAST


def _anchored(beliefs: Iterable[BeliefRow]) -> Iterator[tuple[int, int, int, int]]:
    """Derived beliefs are found by their anchor; those that stand for a join are found through it."""
    for b in beliefs:
        if b.anchor is not None and EDGE_KINDS[b.kind] is not EdgeKind.SAME_AS:
            yield b.anchor, codec.handle_of(b.bid, b.kind), b.src, b.dst
