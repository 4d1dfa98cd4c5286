"""The store as a whole: its size, what it refuses, and digests."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from app.store.anchor import anchor_number
from app.store.columns import EVIDENCE_END, filled
from app.store.digest import belief_line, node_line, refusal_line
from app.store.refusal import refusal
from app.store.rows import EDGE_KINDS, NODE_KINDS, BeliefRow, from_json, to_json
from app.store.sqlite.codec import BELIEF, EACH, JOIN, NODE, decode_node, join, listed
from app.store.sqlite.lookup import matching, origin_names, source_names
from app.store.waiting import in_words, is_asked, waits
from graph_schema.edges import EDGE_CODES, EdgeKind
from graph_schema.store import Counts
from graph_schema.values import ALWAYS, FOREVER, Columns

_BATCH = 20_000
_TABLES = (
    ("revision", "rev"), ("source", "sid"), ("origin", "oid"), ("record", "rid"), ("ident", "iid"),
    ("ident_past", "iid, since, until"), ("node", "nid"), ("fact_past", "iid, since, until, fact"),
    ("belief", "bid"), ("joining", "jid"), ("keyed", "kid"), ("service", "collection, key"),
    ("vector", "model, nid"),
)  # fmt: skip


def counts(db: sqlite3.Connection) -> Counts:
    """See :meth:`graph_schema.store.GraphStore.counts`."""
    nodes = db.execute("SELECT kind, count(*) FROM node WHERE live GROUP BY kind").fetchall()
    edges = db.execute("SELECT kind, count(*) FROM belief WHERE retired IS NULL GROUP BY kind").fetchall()
    return Counts(
        {NODE_KINDS[k].value: n for k, n in nodes},
        {EDGE_KINDS[k].value: n for k, n in edges},
        db.execute("SELECT count(*) FROM record").fetchone()[0],
        db.execute("SELECT max(rev) FROM revision").fetchone()[0] or 0,
    )


def columns(db: sqlite3.Connection, kinds: Sequence[EdgeKind]) -> Columns:
    """See :meth:`graph_schema.store.GraphStore.columns`."""
    nodes = db.execute("SELECT nid, kind FROM node WHERE live ORDER BY nid")
    edges = db.execute(
        "SELECT src_nid, dst_nid, kind, bid, coalesce(since, ?2), coalesce(until, ?3),"
        " data IS NOT NULL AND substr(data, -2) = CAST(?4 AS BLOB) FROM belief"
        " WHERE retired IS NULL AND kind IN (SELECT value FROM json_each(?1))",
        (listed(EDGE_CODES[kind] for kind in kinds), ALWAYS, FOREVER, EVIDENCE_END),
    )
    revision = db.execute("SELECT max(rev) FROM revision").fetchone()[0] or 0
    return filled(revision, _batches(nodes), _batches(edges))


def _batches(rows: sqlite3.Cursor) -> Iterator[list[Any]]:
    while batch := rows.fetchmany(_BATCH):
        yield batch


def refusals(db: sqlite3.Connection) -> list[str]:
    """Claims on identity that do not stand, each told in a line."""
    rows = [join(r) for r in db.execute(f"SELECT {JOIN} FROM joining WHERE NOT accepted")]
    iids = {i for row in rows for i in (row.a, row.b)}
    texts = dict(
        db.execute(f"SELECT iid, text FROM {EACH} k CROSS JOIN ident ON iid = k.value", (listed(iids),))
    )
    return [refusal(row, texts[row.a], texts[row.b]) for row in rows]


def open_references(db: sqlite3.Connection) -> list[str]:
    """Edges that wait for the thing they name, or for it to be named clearly."""
    found = []
    for key, data, anchor in db.execute(
        "SELECT key, data, anchor FROM keyed WHERE rule = 'open' AND role = 'edge'"
    ):
        number = anchor_number("open", key, anchor)
        held = db.execute(
            "SELECT 1 FROM belief WHERE anchor = ? AND anchor IS NOT NULL AND retired IS NULL"
            " UNION ALL SELECT 1 FROM joining WHERE anchor = ? AND anchor IS NOT NULL",
            (number, number),
        ).fetchone()
        if held is None:
            found.append(in_words(from_json(data)))
    asked = db.execute("SELECT key, data FROM keyed WHERE rule = 'open' AND role = 'also'")
    for key, data in asked.fetchall():
        told = from_json(data)
        if is_asked(told) and waits(told, matching(db, *key.split("=", 1))):
            found.append(in_words(told))
    return found


def state_lines(db: sqlite3.Connection) -> Iterator[bytes | None]:
    """Everything that belongs to the state, a line each, in any order."""
    texts: dict[int, str] = dict(db.execute("SELECT iid, text FROM ident"))
    names = {sid: name for sid, (name, _, _) in source_names(db).items()}
    origins = origin_names(db)
    for row in db.execute(f"SELECT {NODE} FROM node WHERE live"):
        yield node_line(decode_node(row), texts, names)
    for row in db.execute(f"SELECT {BELIEF} FROM belief WHERE retired IS NULL"):
        yield belief_line(BeliefRow(*row), texts, origins)
    for text in refusals(db):
        yield refusal_line(text)


def backup_lines(db: sqlite3.Connection) -> Iterator[bytes]:
    """Every row of every table, in order."""
    for table, order in _TABLES:
        for row in db.execute(f"SELECT * FROM {table} ORDER BY {order}"):
            yield to_json([table, [v.hex() if isinstance(v, bytes) else v for v in row]])
