"""Keyed claims inside a transaction. Rules ask for a few under one key again and again: a key with few claims
is read at once and answered from memory, as long as nothing is written to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from neo4j import ManagedTransaction

from app.store.neo4j import codec
from app.store.neo4j.codec import IDENT, KEYED
from app.store.neo4j.rows import rows
from app.store.rows import IdentRow, KeyedRow
from graph_schema.times import Micros

Claim = tuple[KeyedRow, IdentRow | None, IdentRow | None]
"""A claim, and the identifiers that it names as ``ref`` and ``by``."""

#: A key with more claims than this is asked for what is needed of it.
_FEW = 64
_AT_ONCE = 200
_COLUMNS = f"{KEYED}, {IDENT.format('r')}, {IDENT.format('b')}"
_ORDER = "k.when, k.tie, k.anchor"
_WHOLE = f"""
UNWIND $places AS place CALL (place) {{
  MATCH (k:Keyed) WHERE k.place = place AND k.role IS NOT NULL AND k.when IS NOT NULL
  WITH k ORDER BY {_ORDER} LIMIT {_FEW + 1}
  OPTIONAL MATCH (r:Item {{num: k.ref}}) OPTIONAL MATCH (b:Item {{num: k.by}})
  WITH k, r, b ORDER BY {_ORDER} RETURN collect([{_COLUMNS}]) AS claims
}}
RETURN collect([place, claims])
"""


@cache
def keyed_query(role: bool, since: bool, until: bool, descending: bool) -> str:
    """Keyed claims of a place in order, by their index; the flags tell which conditions there are."""
    where = ["k.place = $place", "k.role = $role" if role else "k.role IS NOT NULL"]
    where += ["k.when >= $since"] if since else []
    where += ["k.when < $until"] if until else []
    # ``when`` is set even where there is no time; a window holds only what has one.
    where.append("k.at IS NOT NULL" if since or until else "k.when IS NOT NULL")
    columns = ("k.place", "k.role", "k.when") if role else ("k.when",)
    order = ", ".join(f"{c} {'DESC' if descending else 'ASC'}" for c in (*columns, "k.tie", "k.anchor"))
    return (
        f"MATCH (k:Keyed) WHERE {' AND '.join(where)} WITH k ORDER BY {order} LIMIT $limit"
        " OPTIONAL MATCH (r:Item {num: k.ref}) OPTIONAL MATCH (b:Item {num: k.by})"
        f" WITH k, r, b ORDER BY {order} RETURN collect([{_COLUMNS}])"
    )


class KeyedClaims:
    """What a transaction has read of keyed claims."""

    def __init__(self, tx: ManagedTransaction) -> None:
        self._tx = tx
        #: By place, all its claims in order; None where there are too many to keep.
        self._held: dict[str, list[Claim] | None] = {}

    def forget(self) -> None:
        """Something was written that may change an answer."""
        self._held.clear()

    def ahead(self, keys: Iterable[tuple[str, str]]) -> None:
        """These (rule, key) will be asked for: read those with few claims in few round trips."""
        places = {codec.place_of(rule, key) for rule, key in keys} - self._held.keys()
        ordered = sorted(places)
        for start in range(0, len(ordered), _AT_ONCE):
            for place, found in rows(self._tx, _WHOLE, places=ordered[start : start + _AT_ONCE]):
                self._held[place] = None if len(found) > _FEW else [_claim(row) for row in found]

    def find(
        self,
        rule: str,
        key: str,
        role: str | None,
        since: Micros | None,
        until: Micros | None,
        descending: bool,
        limit: int | None,
    ) -> list[Claim]:
        """See :meth:`app.store.engine.Engine.keyed`."""
        place = codec.place_of(rule, key)
        if place not in self._held:
            self.ahead([(rule, key)])
        held = self._held[place]
        if held is None:
            return self._ask(place, role, since, until, descending, limit)
        chosen = [claim for claim in held if _fits(claim[0], role, since, until)]
        if descending:
            chosen.reverse()
        return chosen if limit is None else chosen[:limit]

    def _ask(
        self,
        place: str,
        role: str | None,
        since: Micros | None,
        until: Micros | None,
        descending: bool,
        limit: int | None,
    ) -> list[Claim]:
        found = rows(
            self._tx,
            keyed_query(role is not None, since is not None, until is not None, descending),
            place=place,
            role=role,
            since=since,
            until=until,
            limit=2**62 if limit is None else limit,
        )
        return [_claim(row) for row in found]


def _fits(row: KeyedRow, role: str | None, since: Micros | None, until: Micros | None) -> bool:
    if role is not None and row.role != role:
        return False
    if since is None and until is None:
        return True
    return row.at is not None and (since is None or row.at >= since) and (until is None or row.at < until)


def _claim(row: Sequence[Any]) -> Claim:
    return (
        codec.keyed_row(row[:12]),
        codec.ident_row(row[12:18]) if row[12] is not None else None,
        codec.ident_row(row[18:24]) if row[18] is not None else None,
    )
