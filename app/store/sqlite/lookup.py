"""Look-ups that readers and the writer share."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from typing import Any

from app.store.rows import IdentRow, from_json
from app.store.sqlite.codec import EACH, EACH_1, IDENT, ident, listed
from graph_schema.schemes import SCHEMES
from graph_schema.values import Spaces


def service_list(
    db: sqlite3.Connection, collection: str, prefix: str, after: str, limit: int
) -> list[tuple[str, Any]]:
    """Service records by key, whose key has the prefix and lies behind ``after``."""
    rows = db.execute(
        "SELECT key, value FROM service WHERE collection = ?1 AND key > ?2 AND key >= ?3"
        " AND substr(key, 1, length(?3)) = ?3 ORDER BY key LIMIT ?4",
        (collection, after, prefix, limit),
    )
    return [(key, from_json(value)) for key, value in rows]


def members(db: sqlite3.Connection, nids: Collection[int]) -> list[IdentRow]:
    """Identifiers that name these nodes now (dead ones redirect to them)."""
    if not nids:
        return []
    asked = listed(nids)
    rows = db.execute(
        f"SELECT {IDENT} FROM {EACH_1} k CROSS JOIN ident ON iid = k.value WHERE nid = iid"
        f" UNION ALL SELECT {IDENT} FROM {EACH_1} k CROSS JOIN ident ON nid = k.value WHERE nid <> iid",
        (asked,),
    )
    return [ident(row) for row in rows]


def matching(db: sqlite3.Connection, scheme: str, value: str) -> list[IdentRow]:
    """Identifiers of a scheme with this value, under any scope, dead ones too."""
    heads = [scheme]
    if SCHEMES[scheme].scoped or SCHEMES[scheme].content:
        heads.extend(_scopes(db, scheme))
    rows = db.execute(
        f"SELECT {IDENT} FROM {EACH} k CROSS JOIN ident ON ident.text = k.value",
        (listed(f"{head}={value}" for head in heads),),
    )
    return [ident(row) for row in rows]


def _scopes(db: sqlite3.Connection, scheme: str) -> Iterator[str]:
    """Every ``scheme@scope`` in use, hopping from one to the next in the index."""
    start, end = f"{scheme}@", f"{scheme}A"
    while True:
        row = db.execute(
            "SELECT text FROM ident WHERE text >= ? AND text < ? ORDER BY text LIMIT 1", (start, end)
        ).fetchone()
        if row is None:
            return
        head = row[0].partition("=")[0]
        yield head
        start = f"{head}>"  # the character after "="


def source_names(db: sqlite3.Connection) -> dict[int, tuple[str, str, str]]:
    """(name, type, space) of every source by its id."""
    return {row[0]: row[1:] for row in db.execute("SELECT sid, name, type, space FROM source")}


def origin_names(db: sqlite3.Connection) -> dict[int, tuple[str, ...]]:
    """Names of the sources behind each origin."""
    names = source_names(db)
    return {
        oid: tuple(names[sid][0] for sid in from_json(sids))
        for oid, sids in db.execute("SELECT oid, sids FROM origin")
    }


def readable_origins(db: sqlite3.Connection, spaces: Spaces) -> list[int] | None:
    """Origins that a caller may read, all of whose sources lie in their spaces; None is all of them."""
    if spaces is None:
        return None
    names = source_names(db)
    return [
        oid
        for oid, sids in db.execute("SELECT oid, sids FROM origin")
        if all(names[sid][2] in spaces for sid in from_json(sids))
    ]
