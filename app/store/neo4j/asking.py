"""What the writer asks for inside a transaction: statements that read in bulk.

Each that has several parts is one text with all of them, also where some are empty: a text is planned once.
"""

from __future__ import annotations

from app.store.neo4j.codec import BELIEF, IDENT, JOIN, KEYED, NODE
from app.store.neo4j.rows import OF_PLACE, PLANNED, listing, seek, together
from app.store.rows import EDGE_KINDS
from graph_schema.edges import EdgeKind

_I, _E = IDENT.format("i"), f"{BELIEF}, id(e)"


def _seek_edge(kind: EdgeKind, value: str) -> str:
    """Like :func:`seek`, for the belief of this kind and number."""
    return f"MATCH (s)-[e:{kind} {{bid: {value}}}]->(d) USING INDEX SEEK e:{kind}(bid)"


RECORDS = listing(
    "r.rid, r.rkey, r.type, r.version, r.digest, r.marks, r.goneAt",
    f"UNWIND $p.keys AS key {seek('r:Record', 'rkey', 'key')}",
)
IDENTS = listing(f"{_I}, id(i)", f"UNWIND $p.texts AS text {seek('i:Ident', 'text', 'text')}")
IDENTS_BY_ID = listing(f"{_I}, id(i)", f"UNWIND $p.iids AS id {seek('i:Item', 'num', 'id')} WHERE i:Ident")
NODES = listing(
    NODE.format("n"), f"UNWIND $p.nids AS id {seek('n:Item', 'num', 'id')} WHERE n.kind IS NOT NULL"
)
_NODES_NAMED = listing(
    NODE.format("n"),
    f"UNWIND $p.facts AS id {seek('i:Item', 'num', 'id')} WITH DISTINCT coalesce(i.names, i.num) AS nid"
    f" {seek('n:Item', 'num', 'nid')} WHERE n.kind IS NOT NULL",
)
#: Of these places, those with any claim.
_OCCUPIED = listing(
    "place",
    f"UNWIND $p.places AS place WITH place WHERE EXISTS {{ {OF_PLACE} }}",
)
#: Those that stand for claims on identity, which go with them.
_SHOWN = (
    f"WITH DISTINCT j WHERE j.belief IS NOT NULL WITH j.belief AS bid {_seek_edge(EdgeKind.SAME_AS, 'bid')}"
)
_JOINS = listing(JOIN, f"UNWIND $p.jids AS id {seek('j:Join', 'jid', 'id')}")
_KEYED_ROWS = listing(KEYED, f"UNWIND $p.kids AS id {seek('k:Keyed', 'kid', 'id')}")
_JOINS_ANCHORED = listing(JOIN, f"UNWIND $p.anchors AS id {seek('j:Join', 'anchor', 'id')}")
_JOINS_SHOWN = listing(_E, f"UNWIND $p.jids AS id {seek('j:Join', 'jid', 'id')} {_SHOWN}")
_ANCHORED_SHOWN = listing(_E, f"UNWIND $p.anchors AS id {seek('j:Join', 'anchor', 'id')} {_SHOWN}")
_USED = f"""
UNWIND $p.asked AS x WITH x[0] AS iid, x[1] AS nid
WHERE EXISTS {{ {seek("j:Join", "a", "iid")} WHERE j.anchor IS NULL }}
   OR EXISTS {{ {seek("j:Join", "b", "iid")} WHERE j.anchor IS NULL }}
   OR EXISTS {{ {seek("k:Keyed", "ref", "iid")} }} OR EXISTS {{ {seek("k:Keyed", "by", "iid")} }}
   OR EXISTS {{
     {seek("n:Item", "num", "nid", "-[e:!PAST]->()")} WHERE e.anchor IS NULL AND coalesce(e.src, nid) = iid
   }}
   OR EXISTS {{
     {seek("n:Item", "num", "nid", "<-[e:!PAST]-()")} WHERE e.anchor IS NULL AND coalesce(e.dst, nid) = iid
   }}
RETURN collect([iid])
"""
_TOUCHING = listing(
    _E,
    f"UNWIND $p.nids AS id {seek('s:Item', 'num', 'id', '-[e]->(d)')}",
    f"UNWIND $p.nids AS id {seek('d:Item', 'num', 'id', '<-[e]-(s)')}",
)
_KEYED_TOUCHING = listing(
    KEYED,
    f"UNWIND $p.iids AS id {seek('k:Keyed', 'ref', 'id')}",
    f"UNWIND $p.iids AS id {seek('k:Keyed', 'by', 'id')}",
)

ASK_RECORDS = together(records=RECORDS)
ASK_IDENTS = together(idents=IDENTS)
ASK_BY_ID = together(idents=IDENTS_BY_ID)
ASK_NODES = together(nodes=NODES)
ASK_OCCUPIED = together(places=_OCCUPIED)
#: Of records that arrive: what is held of them, and of what they name.
ASK_ARRIVING = together(records=RECORDS, idents=IDENTS, places=_OCCUPIED)
#: What records that change have made beside edges, what it names, and the nodes that they speak of.
ASK_MADE = together(
    joins=_JOINS,
    shown=_JOINS_SHOWN,
    keyed=_KEYED_ROWS,
    idents=IDENTS_BY_ID,
    nodes=_NODES_NAMED,
)
ASK_JOINS = together(joins=_JOINS)
ASK_KEYED = together(keyed=_KEYED_ROWS)
ASK_USED = together(used=_USED.rstrip(), nodes=NODES)
ASK_TOUCHING = together(beliefs=_TOUCHING, keyed=_KEYED_TOUCHING)
#: All that is called like these identifiers, and the claims that tie it together or to something else.
ASK_CLUSTER = f"""{PLANNED}
UNWIND $p.iids AS id {seek("i:Item", "num", "id")}
WITH collect(coalesce(i.names, i.num)) + $p.nids AS found
UNWIND found AS nid WITH collect(DISTINCT nid) AS nids
CALL (nids) {{
  UNWIND nids AS nid
  CALL (nid) {{
    {seek("m:Item", "num", "nid")} WHERE m:Ident AND m.names IS NULL RETURN m
    UNION ALL {seek("m:Ident", "names", "nid")} RETURN m
  }}
  RETURN collect(m) AS members
}}
CALL (members) {{
  UNWIND members AS m
  CALL (m) {{ {seek("j:Join", "a", "m.num")} RETURN j UNION ALL {seek("j:Join", "b", "m.num")} RETURN j }}
  RETURN collect(DISTINCT j) AS joins
}}
RETURN [[nid IN nids | [nid]], [i IN members | [{_I}, id(i)]], [j IN joins | [{JOIN}]]]
"""
#: What is derived under these anchors: the handles of beliefs, what is at their ends, claims on identity.
ASK_DERIVED = together(
    handles=listing("x.belief", f"UNWIND $p.anchors AS id {seek('x:Derived', 'anchor', 'id')}"),
    idents=listing(
        f"{_I}, id(i)",
        f"UNWIND $p.anchors AS id {seek('x:Derived', 'anchor', 'id')} UNWIND [x.src, x.dst] AS num"
        f" WITH DISTINCT num {seek('i:Item', 'num', 'num')} WHERE i:Ident",
    ),
    joins=_JOINS_ANCHORED,
    shown=_ANCHORED_SHOWN,
)
#: Beliefs of one kind: Neo4j has no index over several, a union over all takes long to plan, and to find them
#: between their ends is planned, on an empty graph, as to look through all edges there are.
OF_KIND = tuple(
    listing(
        _E,
        f"{PLANNED} UNWIND $p.bids AS id {_seek_edge(kind, 'id')}",
    )
    for kind in EDGE_KINDS
)
HELD = """
MATCH (r:Record) WHERE r.rkey STARTS WITH $prefix AND r.rkey > $after AND r.type = $type
WITH r ORDER BY r.rkey LIMIT $limit RETURN collect([coalesce(r.fullKey, r.rkey), r.goneAt])
"""
MATCHING = listing(_I, "MATCH (i:Ident {text: $text})", "MATCH (i:Ident {bare: $text})")

#: What is asked for in most transactions.
EACH = (ASK_ARRIVING, ASK_MADE, ASK_CLUSTER, ASK_NODES, ASK_TOUCHING, ASK_USED, ASK_DERIVED, ASK_OCCUPIED)
