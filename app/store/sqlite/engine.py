"""The engine of the SQLite store: bulk reads and writes inside one open transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from msgspec.structs import astuple

from app.store.rows import (
    BeliefRow,
    Changes,
    IdentRow,
    JoinRow,
    KeyedRow,
    Marks,
    NodeRow,
    RecordRow,
    SourceRow,
    from_json,
    pack,
    to_json,
)
from app.store.sqlite.codec import (
    BELIEF,
    EACH,
    EACH_1,
    IDENT,
    JOIN,
    KEYED,
    NODE,
    decode_node,
    encode_node,
    ident,
    join,
    listed,
)
from app.store.sqlite.lookup import matching, members, service_list
from app.store.text import text_of
from graph_schema.claims import Record
from graph_schema.times import Micros


class SqliteEngine:
    """Implements :class:`app.store.engine.Engine` on a connection with an open transaction."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def _in(self, sql: str, values: Iterable[Any]) -> Iterator[Any]:
        return self._db.execute(sql, (listed(values),))

    def sources(self) -> list[SourceRow]:
        return [SourceRow(*row) for row in self._db.execute("SELECT sid, name, type, space FROM source")]

    def put_source(self, row: SourceRow) -> None:
        self._db.execute(
            "INSERT INTO source(sid, name, type, space) VALUES(?, ?, ?, ?)"
            " ON CONFLICT(sid) DO UPDATE SET type = excluded.type, space = excluded.space",
            row,
        )

    def origins(self) -> dict[tuple[int, ...], int]:
        return {tuple(from_json(sids)): oid for oid, sids in self._db.execute("SELECT oid, sids FROM origin")}

    def put_origin(self, oid: int, sids: tuple[int, ...]) -> None:
        self._db.execute("INSERT INTO origin(oid, sids) VALUES(?, ?)", (oid, listed(sids)))

    def counters(self) -> dict[str, int]:
        return dict(self._db.execute("SELECT name, value FROM counter"))

    def put_counters(self, counters: dict[str, int]) -> None:
        self._db.executemany("INSERT OR REPLACE INTO counter(name, value) VALUES(?, ?)", counters.items())

    def expect(self, sid: int, records: Sequence[Record]) -> None:
        """Nothing is far away."""

    def recall(self, marks: Collection[Marks]) -> None:
        """Nothing is far away."""

    def records(self, sid: int, keys: Collection[str]) -> dict[str, RecordRow]:
        rows = self._db.execute(
            f"SELECT rid, sid, key, type, version, digest, marks, gone_at FROM {EACH_1} k"
            " CROSS JOIN record ON record.sid = ?2 AND record.key = k.value",
            (listed(keys), sid),
        )
        return {row[2]: RecordRow(*row) for row in rows}

    def held(self, sid: int, type: str, after: str, limit: int) -> list[tuple[str, Micros | None]]:
        return self._db.execute(
            "SELECT key, gone_at FROM record WHERE sid = ? AND key > ? AND type = ? ORDER BY key LIMIT ?",
            (sid, after, type, limit),
        ).fetchall()

    def idents(self, texts: Collection[str]) -> dict[str, IdentRow]:
        rows = self._in(
            f"SELECT {IDENT} FROM {EACH} k CROSS JOIN ident ON ident.text = k.value",
            texts,
        )
        return {row[1]: ident(row) for row in rows}

    def idents_by_id(self, iids: Collection[int]) -> dict[int, IdentRow]:
        rows = self._in(f"SELECT {IDENT} FROM {EACH} k CROSS JOIN ident ON iid = k.value", iids)
        return {row[0]: ident(row) for row in rows}

    def matching(self, scheme: str, value: str) -> list[IdentRow]:
        return [row for row in matching(self._db, scheme, value) if row.live]

    def members(self, nids: Collection[int]) -> list[IdentRow]:
        return members(self._db, nids)

    def nodes(self, nids: Collection[int]) -> dict[int, NodeRow]:
        if not nids:
            return {}
        rows = self._in(f"SELECT {NODE} FROM {EACH} k CROSS JOIN node ON nid = k.value", nids)
        return {row[0]: decode_node(row) for row in rows}

    def beliefs(self, links: Collection[tuple[int, int, int, int]]) -> list[BeliefRow]:
        if not links:
            return []
        rows = self._in(
            f"SELECT {BELIEF} FROM {EACH} k CROSS JOIN belief ON bid = k.value WHERE retired IS NULL",
            (link[3] for link in links),
        )
        return [BeliefRow(*row) for row in rows]

    def touching(
        self, nids: Collection[int], iids: Collection[int]
    ) -> tuple[list[BeliefRow], list[KeyedRow]]:
        return self._beliefs_touching(nids), self._keyed_touching(iids)

    def _beliefs_touching(self, nids: Collection[int]) -> list[BeliefRow]:
        found: dict[int, BeliefRow] = {}
        for end in ("src_nid", "dst_nid"):
            for state in ("IS NULL", "IS NOT NULL"):
                rows = self._in(
                    f"SELECT {BELIEF} FROM {EACH} k CROSS JOIN belief ON {end} = k.value"
                    f" WHERE retired {state}",
                    nids,
                )
                found.update((row[0], BeliefRow(*row)) for row in rows)
        return list(found.values())

    def derived(self, anchors: Collection[int]) -> list[BeliefRow]:
        rows = self._in(
            f"SELECT {BELIEF} FROM {EACH} k CROSS JOIN belief ON anchor = k.value"
            " WHERE anchor IS NOT NULL AND retired IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM joining j WHERE j.anchor = belief.anchor AND j.belief = bid)",
            anchors,
        )
        return [BeliefRow(*row) for row in rows]

    def joins(self, jids: Collection[int]) -> list[JoinRow]:
        if not jids:
            return []
        rows = self._in(
            f"SELECT {JOIN} FROM {EACH} k CROSS JOIN joining ON jid = k.value",
            jids,
        )
        return [join(row) for row in rows]

    def joins_anchored(self, anchors: Collection[int]) -> list[JoinRow]:
        rows = self._in(
            f"SELECT {JOIN} FROM {EACH} k CROSS JOIN joining ON anchor = k.value WHERE anchor IS NOT NULL",
            anchors,
        )
        return [join(row) for row in rows]

    def joins_touching(self, iids: Collection[int]) -> list[JoinRow]:
        found: dict[int, JoinRow] = {}
        for end in ("a", "b"):
            rows = self._in(
                f"SELECT {JOIN} FROM {EACH} k CROSS JOIN joining ON {end} = k.value",
                iids,
            )
            found.update((row[0], join(row)) for row in rows)
        return list(found.values())

    def keyed_rows(self, kids: Collection[int]) -> list[KeyedRow]:
        if not kids:
            return []
        rows = self._in(f"SELECT {KEYED} FROM {EACH} k CROSS JOIN keyed ON kid = k.value", kids)
        return [KeyedRow(*row) for row in rows]

    def _keyed_touching(self, iids: Collection[int]) -> list[KeyedRow]:
        found: dict[int, KeyedRow] = {}
        for end in ("ref", "by"):
            rows = self._in(
                f"SELECT {KEYED} FROM {EACH} k CROSS JOIN keyed ON {end} = k.value WHERE {end} IS NOT NULL",
                iids,
            )
            found.update((row[0], KeyedRow(*row)) for row in rows)
        return list(found.values())

    def keyed_keys(self, rule: str, keys: Collection[str]) -> set[str]:
        if self._db.execute("SELECT 1 FROM keyed WHERE rule = ? LIMIT 1", (rule,)).fetchone() is None:
            return set()
        rows = self._db.execute(
            f"SELECT k.value FROM {EACH} k"
            " WHERE EXISTS (SELECT 1 FROM keyed WHERE rule = ? AND key = k.value)",
            (listed(keys), rule),
        )
        return {row[0] for row in rows}

    def keyed(
        self,
        rule: str,
        key: str,
        role: str | None,
        since: Micros | None,
        until: Micros | None,
        descending: bool,
        limit: int | None,
    ) -> list[tuple[KeyedRow, IdentRow | None, IdentRow | None]]:
        where, values = ["k.rule = ?", "k.key = ?"], [rule, key]
        bounds: list[tuple[str, Any]] = [("k.role = ?", role), ("k.at >= ?", since), ("k.at < ?", until)]
        for condition, value in bounds:
            if value is not None:
                where.append(condition)
                values.append(value)
        way = "DESC" if descending else "ASC"
        idents = ", ".join(f"{t}.{c}" for t in ("r", "b") for c in IDENT.split(", "))
        columns = ", ".join(f"k.{c}" for c in KEYED.split(", "))
        rows = self._db.execute(
            f"SELECT {columns}, {idents} FROM keyed k LEFT JOIN ident r ON r.iid = k.ref"
            f" LEFT JOIN ident b ON b.iid = k.by WHERE {' AND '.join(where)}"
            f" ORDER BY k.at {way}, r.text {way}, k.anchor {way} LIMIT ?",
            (*values, -1 if limit is None else limit),
        )
        return [
            (
                KeyedRow(*row[:12]),
                ident(row[12:18]) if row[12] is not None else None,
                ident(row[18:24]) if row[18] is not None else None,
            )
            for row in rows
        ]

    def ahead(self, keys: Collection[tuple[str, str]]) -> None:
        """Nothing is far away."""

    def used(self, idents: Collection[IdentRow]) -> set[int]:
        asked = listed([[i.iid, i.nid] for i in idents])
        rows = self._db.execute(
            "WITH asked(iid, nid) AS"
            " (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
            " SELECT iid FROM asked a WHERE"
            " EXISTS (SELECT 1 FROM joining j WHERE j.a = a.iid AND j.anchor IS NULL) OR"
            " EXISTS (SELECT 1 FROM joining j WHERE j.b = a.iid AND j.anchor IS NULL) OR"
            " EXISTS (SELECT 1 FROM keyed k WHERE k.ref = a.iid AND k.ref IS NOT NULL) OR"
            " EXISTS (SELECT 1 FROM keyed k WHERE k.by = a.iid AND k.by IS NOT NULL) OR"
            " EXISTS (SELECT 1 FROM belief b WHERE b.src_nid = a.nid AND b.src = a.iid"
            " AND b.retired IS NULL AND b.anchor IS NULL) OR"
            " EXISTS (SELECT 1 FROM belief b WHERE b.dst_nid = a.nid AND b.dst = a.iid"
            " AND b.retired IS NULL AND b.anchor IS NULL)",
            (asked,),
        )
        return {row[0] for row in rows}

    def apply(self, changes: Changes) -> None:
        many = self._db.executemany
        c = changes
        if c.new_records:
            many(
                "INSERT INTO record VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                map(astuple, c.new_records),
            )
        if c.records:
            many(
                "UPDATE record SET type = ?, version = ?, digest = ?, marks = ?, gone_at = ? WHERE rid = ?",
                [(r.type, r.version, r.digest, r.marks, r.gone_at, r.rid) for r in c.records],
            )
        if c.versions:
            many("UPDATE record SET version = ?2 WHERE rid = ?1", c.versions)
        if c.new_idents:
            many(
                f"INSERT INTO ident({IDENT}) VALUES(?, ?, ?, ?, ?, ?)",
                map(astuple, c.new_idents),
            )
        if c.idents:
            many(
                "UPDATE ident SET nid = ?, since = ?, live = ? WHERE iid = ?",
                [(i.nid, i.since, i.live, i.iid) for i in c.idents.values()],
            )
        if c.past_idents:
            many("INSERT INTO ident_past(iid, nid, since, until) VALUES(?, ?, ?, ?)", c.past_idents)
        if c.new_nodes or c.nodes:
            self._put_nodes(c)
        if c.past_facts:
            many(
                "INSERT INTO fact_past(iid, since, until, fact) VALUES(?, ?, ?, ?)",
                [(p.fact.iid, p.fact.since, p.until, pack(p.fact)) for p in c.past_facts],
            )
        if c.moved or c.retired:
            many(
                "UPDATE belief SET src_nid = ?, dst_nid = ?, retired = ? WHERE bid = ?",
                [(b.src_nid, b.dst_nid, b.retired, b.bid) for b, _, _ in (*c.moved, *c.retired)],
            )
        if c.new_beliefs:
            many(
                f"INSERT INTO belief({BELIEF}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                map(astuple, c.new_beliefs),
            )
        self._put_claims(c)

    def _put_nodes(self, c: Changes) -> None:
        many = self._db.executemany
        marks = ", ".join("?" * 11)
        many(f"INSERT INTO node({NODE}) VALUES({marks})", map(encode_node, c.new_nodes.values()))
        many(
            "UPDATE node SET kind = ?2, id = ?3, name = ?4, created_at = ?5, gone_at = ?6, live = ?7,"
            " stub = ?8, facts = ?9, properties = ?10, identifiers = ?11 WHERE nid = ?1",
            map(encode_node, c.nodes.values()),
        )
        spoken = [n for n in c.nodes.values() if n.searchable]
        if spoken:
            many("DELETE FROM words WHERE rowid = ?", [(n.nid,) for n in spoken])
        speaking = (n for n in (*c.new_nodes.values(), *c.nodes.values()) if n.live and not n.stub)
        many("INSERT INTO words(rowid, text) VALUES(?, ?)", [(n.nid, text_of(n)) for n in speaking])

    def _put_claims(self, c: Changes) -> None:
        many = self._db.executemany
        if c.gone_joins:
            many("DELETE FROM joining WHERE jid = ?", [(j,) for j in c.gone_joins])
        if c.joins:
            many(
                "UPDATE joining SET accepted = ?, belief = ? WHERE jid = ?",
                [(j.accepted, j.belief, j.jid) for j in c.joins],
            )
        if c.new_joins:
            many(
                f"INSERT INTO joining({JOIN}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (j.jid, j.a, j.b, j.verdict, j.oid, j.rid, j.anchor, listed(j.tie), j.since, j.until,
                     j.data, j.accepted, j.belief)
                    for j in c.new_joins
                ],
            )  # fmt: skip
        if c.gone_keyed:
            many("DELETE FROM keyed WHERE kid = ?", [(k,) for k in c.gone_keyed])
        if c.new_keyed:
            many(
                f"INSERT INTO keyed({KEYED}) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                map(astuple, c.new_keyed),
            )

    def service_get(self, collection: str, key: str) -> Any | None:
        row = self._db.execute(
            "SELECT value FROM service WHERE collection = ? AND key = ?", (collection, key)
        ).fetchone()
        return None if row is None else from_json(row[0])

    def service_put(self, collection: str, key: str, value: Any) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO service(collection, key, value) VALUES(?, ?, ?)",
            (collection, key, to_json(value).decode()),
        )

    def service_delete(self, collection: str, key: str) -> None:
        self._db.execute("DELETE FROM service WHERE collection = ? AND key = ?", (collection, key))

    def service_list(self, collection: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, Any]]:
        return service_list(self._db, collection, prefix, after, limit)
