"""What was held at an earlier revision: identity, properties and beliefs as they were then."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

import msgspec

from app.store.answers import composed, order_value
from app.store.rows import NODE_CODES, NODE_KINDS, Fact, NodeRow
from app.store.sqlite.codec import EACH, EACH_1, EACH_3, NODE, decode_node, listed
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from graph_schema.values import Order, Ordering, Step

_fact = msgspec.msgpack.Decoder(Fact).decode
_lone = msgspec.msgpack.Decoder(list[Any]).decode

SourceNames = Mapping[int, tuple[str, str, str]]


def revision_at(db: sqlite3.Connection, known_at: Micros) -> int:
    """The last revision made at or before a time; 0 before the first."""
    row = db.execute("SELECT max(rev) FROM revision WHERE at <= ?", (known_at,)).fetchone()
    return row[0] or 0


def node_by_ident(db: sqlite3.Connection, iids: Collection[int], rev: int) -> dict[int, int]:
    """The node that each identifier named at a revision; absent where it named none."""
    asked = listed(iids)
    rows = db.execute(
        f"SELECT iid, nid FROM {EACH_1} k CROSS JOIN ident ON iid = k.value WHERE live AND since <= ?2"
        f" UNION ALL SELECT iid, nid FROM {EACH_1} k CROSS JOIN ident_past ON iid = k.value"
        " WHERE since <= ?2 AND until > ?2",
        (asked, rev),
    )
    return dict(rows.fetchall())


def nodes_of(db: sqlite3.Connection, iids: Collection[int], rev: int) -> list[int]:
    """Nodes that identifiers named at a revision; one that had died by then redirects to today's node."""
    named = node_by_ident(db, iids, rev)
    missing = [i for i in iids if i not in named]
    if missing:
        rows = db.execute(
            f"SELECT iid, nid FROM {EACH_1} k CROSS JOIN ident ON ident.iid = k.value WHERE since <= ?2"
            " OR EXISTS (SELECT 1 FROM ident_past p WHERE p.iid = ident.iid AND p.since <= ?2)",
            (listed(missing), rev),
        )
        named.update(rows.fetchall())
    handles = list(dict.fromkeys(named[i] for i in iids if i in named))
    existing = _members(db, handles, rev)
    return [h for h in handles if existing.get(h)]


def _members(db: sqlite3.Connection, handles: Collection[int], rev: int) -> dict[int, list[int]]:
    """Identifiers of each node at a revision."""
    asked = listed(handles)
    rows = db.execute(
        f"SELECT nid, iid FROM {EACH_1} k CROSS JOIN ident ON iid = k.value"
        " WHERE nid = iid AND live AND since <= ?2"
        f" UNION ALL SELECT nid, iid FROM {EACH_1} k CROSS JOIN ident ON nid = k.value"
        " WHERE nid <> iid AND live AND since <= ?2"
        f" UNION ALL SELECT nid, iid FROM {EACH_1} k CROSS JOIN ident_past ON nid = k.value"
        " WHERE since <= ?2 AND until > ?2",
        (asked, rev),
    )
    found: dict[int, list[int]] = defaultdict(list)
    for nid, iid in rows:
        found[nid].append(iid)
    return found


def nodes(
    db: sqlite3.Connection, handles: Collection[int], rev: int, names: SourceNames
) -> dict[int, NodeRow]:
    """Nodes as they were at a revision; those that did not exist are left out."""
    members = _members(db, handles, rev)
    iids = [i for ids in members.values() for i in ids]
    texts: dict[int, tuple[str, int, int]] = {
        row[0]: row[1:]
        for row in db.execute(
            f"SELECT iid, text, kind, nid FROM {EACH} k CROSS JOIN ident ON iid = k.value",
            (listed(iids),),
        )
    }
    facts = _facts(db, set(iids), {texts[i][2] for i in iids}, rev)
    found: dict[int, NodeRow] = {}
    for nid, ids in members.items():
        held = [f for i in ids for f in facts[i]]
        found[nid] = composed(nid, texts[ids[0]][1], [texts[i][0] for i in ids], held, names)
    return found


def labels(
    db: sqlite3.Connection, handles: Collection[int], rev: int, names: SourceNames
) -> list[tuple[int, str, int, str]]:
    """(handle, id, kind, name) of nodes as they were at a revision. Most are still what they were: these are
    not put together again."""
    found = [
        row[:4]
        for row in db.execute(_UNCHANGED, (listed(handles), rev))
        if all(fact[4] <= rev for fact in _lone(row[4]))
    ]
    others = set(handles).difference(row[0] for row in found)
    if others:
        found += [(n.nid, n.id, n.kind, n.name) for n in nodes(db, others, rev, names).values()]
    return found


#: Nodes that no identifier has joined or left since a revision, and of which no fact has gone since.
_UNCHANGED = f"""
SELECT n.nid, n.id, n.kind, n.name, n.facts FROM {EACH_1} k
CROSS JOIN node n ON n.nid = k.value CROSS JOIN ident own ON own.iid = n.nid
WHERE n.live AND own.nid = n.nid AND own.live AND own.since <= ?2
AND NOT EXISTS (SELECT 1 FROM ident_past p WHERE p.nid = n.nid AND p.since <= ?2 AND p.until > ?2)
AND NOT EXISTS (SELECT 1 FROM fact_past f WHERE f.iid = n.nid AND f.since <= ?2 AND f.until > ?2)
AND NOT EXISTS (
  SELECT 1 FROM ident i WHERE i.nid = n.nid AND i.nid <> i.iid AND (i.since > ?2 OR EXISTS (
    SELECT 1 FROM fact_past f WHERE f.iid = i.iid AND f.since <= ?2 AND f.until > ?2)))
"""


def _facts(
    db: sqlite3.Connection, iids: set[int], current: Collection[int], rev: int
) -> dict[int, list[Fact]]:
    """Facts on identifiers at a revision: those that still stand, and those that do no more."""
    found: dict[int, list[Fact]] = defaultdict(list)
    for row in db.execute(
        f"SELECT {NODE} FROM {EACH} k CROSS JOIN node ON nid = k.value",
        (listed(current),),
    ):
        for fact in decode_node(row).facts:
            if fact.iid in iids and fact.since <= rev:
                found[fact.iid].append(fact)
    for (raw,) in db.execute(
        f"SELECT fact FROM {EACH_1} k CROSS JOIN fact_past ON iid = k.value WHERE since <= ?2 AND until > ?2",
        (listed(iids), rev),
    ):
        fact = _fact(raw)
        found[fact.iid].append(fact)
    return found


def named(db: sqlite3.Connection, name: str, rev: int, names: SourceNames) -> list[int]:
    """Nodes that had a name at a revision, by id."""
    # Names of today are in an index; of what is past, only facts that hold the text come into question.
    rows = db.execute(
        "SELECT DISTINCT iid FROM fact_past WHERE since <= ?1 AND until > ?1"
        " AND instr(fact, CAST(?2 AS BLOB))"
        f" UNION SELECT ident.iid FROM {EACH_3} k CROSS JOIN node ON node.kind = k.value AND node.name = ?2"
        " AND node.live CROSS JOIN ident ON ident.text = node.id",
        (rev, name, listed(range(len(NODE_KINDS)))),
    )
    handles = node_by_ident(db, [row[0] for row in rows], rev)
    found = [n for n in nodes(db, set(handles.values()), rev, names).values() if n.name == name]
    return [n.nid for n in sorted(found, key=lambda n: n.id)]


def of_kind(
    db: sqlite3.Connection,
    kind: NodeKind,
    rev: int,
    names: SourceNames,
    ordering: Ordering,
    mark: tuple[Any, str] | None,
) -> Iterator[NodeRow]:
    """All nodes of a kind at a revision, in order, behind a mark."""
    rows = db.execute(
        "SELECT nid FROM ident WHERE kind = ?1 AND live AND since <= ?2"
        " UNION SELECT p.nid FROM ident_past p JOIN ident i ON i.iid = p.iid"
        " WHERE i.kind = ?1 AND p.since <= ?2 AND p.until > ?2",
        (NODE_CODES[kind], rev),
    )
    found = list(nodes(db, [row[0] for row in rows], rev, names).values())
    found.sort(key=lambda n: n.id, reverse=ordering.descending)
    found.sort(key=lambda n: _sortable(n, ordering), reverse=ordering.descending)
    if ordering.by is Order.CREATED_AT:
        found.sort(key=lambda n: n.created_at is None)
    if mark is None:
        return iter(found)
    return iter(found[_behind(found, ordering, mark) :])


def _sortable(node: NodeRow, ordering: Ordering) -> Any:
    value = order_value(node, ordering)
    return (value is not None, value if value is not None else "")


def _behind(found: list[NodeRow], ordering: Ordering, mark: tuple[Any, str]) -> int:
    """How many nodes lie at or before the mark."""
    value, id_ = mark
    passed = 0
    for node in found:
        mine = order_value(node, ordering)
        if mine is None and value is None:
            before = node.id >= id_ if ordering.descending else node.id <= id_
        elif mine is None or value is None:
            before = mine is not None
        elif ordering.descending:
            before = (mine, node.id) >= (value, id_)
        else:
            before = (mine, node.id) <= (value, id_)
        if not before:
            break
        passed += 1
    return passed


class Then(NamedTuple):
    """A revision, and what a walk on it has learnt: the past does not change, so it holds for the whole walk.
    ``same``: of the nodes asked about, the ``SAME_AS`` edges that held and may be read."""

    rev: int
    same: dict[int, list[Step]]


#: (end, least code, greatest code): edges of these kinds that have a node at this end.
Sides = tuple[tuple[str, int, int], ...]


def beliefs_at(
    db: sqlite3.Connection, handles: Collection[int], sides: Sides, rev: int
) -> list[tuple[int, int, int, int, int | None, int | None, int]]:
    """(node asked about, node at the other end, kind, belief, since, until, origin) held at a revision, by
    the nodes of then. The kind of one that enters the node asked about is given as ``~kind``.

    Every belief, past ones too, hangs on the node that its identifier names today; so the way leads from
    the nodes of then over their identifiers to the nodes of today, and back.
    """
    return db.execute(_held_at(sides), (listed(handles), rev)).fetchall()


@cache
def _held_at(sides: Sides) -> str:
    """What stood at a revision, of what still stands and of what does no more: each has its indexes."""
    members = (
        f"SELECT nid, iid, nid FROM {EACH_1} k CROSS JOIN ident ON iid = k.value"
        " WHERE nid = iid AND live AND since <= ?2"
        f" UNION ALL SELECT nid, iid, nid FROM {EACH_1} k CROSS JOIN ident ON nid = k.value"
        " WHERE nid <> iid AND live AND since <= ?2"
        f" UNION ALL SELECT p.nid, p.iid, i.nid FROM {EACH_1} k CROSS JOIN ident_past p ON p.nid = k.value"
        " CROSS JOIN ident i ON i.iid = p.iid WHERE p.since <= ?2 AND p.until > ?2"
    )
    held = []
    for end, low, high in sides:
        far, kind = ("dst", "kind") if end == "src" else ("src", "~kind")
        named = (
            f"coalesce((SELECT nid FROM ident WHERE iid = {far} AND live AND since <= ?2),"
            f" (SELECT nid FROM ident_past WHERE iid = {far} AND since <= ?2 AND until > ?2))"
        )
        held += [
            f"SELECT m.nid, {named}, {kind}, bid, since, until, oid FROM m CROSS JOIN belief"
            f" ON {end}_nid = m.today AND kind BETWEEN {low} AND {high}"
            f" WHERE {state} AND recorded <= ?2 AND {end} = m.iid"
            for state in ("retired IS NULL", "retired IS NOT NULL AND retired > ?2")
        ]
    return f"WITH m(nid, iid, today) AS MATERIALIZED ({members}) {' UNION ALL '.join(held)}"
