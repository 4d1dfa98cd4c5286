"""The engine of the Neo4j store: bulk reads inside one open transaction, and service records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from neo4j import ManagedTransaction

from app.store.neo4j import codec
from app.store.neo4j.applying import Seen, apply
from app.store.neo4j.codec import BELIEF, IDENT, JOIN, KEYED, NODE, index_key, text_json
from app.store.neo4j.keyed import KeyedClaims
from app.store.neo4j.rows import PLACED, listing, rows
from app.store.rows import (
    EDGE_KINDS,
    BeliefRow,
    Changes,
    IdentRow,
    JoinRow,
    KeyedRow,
    NodeRow,
    RecordRow,
    SourceRow,
    from_json,
)
from graph_schema.schemes import SCHEMES
from graph_schema.times import Micros

#: Stands for a service record that has been deleted in this transaction.
_GONE = object()

_I, _K = IDENT.format("i"), KEYED

_RECORDS = listing(
    "r.rid, r.rkey, r.type, r.version, r.digest, r.marks, r.goneAt",
    "UNWIND $keys AS key MATCH (r:Record {rkey: key})",
)
_HELD = """
MATCH (r:Record) WHERE r.rkey STARTS WITH $prefix AND r.rkey > $after AND r.type = $type
WITH r ORDER BY r.rkey LIMIT $limit RETURN collect([coalesce(r.fullKey, r.rkey), r.goneAt])
"""
_IDENTS = listing(f"{_I}, id(i)", f"{PLACED} UNWIND $texts AS text MATCH (i:Ident {{text: text}})")
_IDENTS_BY_ID = listing(
    f"{_I}, id(i)", f"{PLACED} UNWIND $ids AS id MATCH (i:Item {{num: id}}) WHERE i:Ident"
)
_MATCHING = listing(_I, "MATCH (i:Ident {text: $text})", "MATCH (i:Ident {bare: $text})")
_MEMBERS = listing(
    _I,
    "UNWIND $ids AS id MATCH (i:Item {num: id}) WHERE i:Ident AND i.names IS NULL",
    "UNWIND $ids AS id MATCH (i:Ident {names: id})",
)
_NODES = listing(NODE.format("n"), "UNWIND $ids AS id MATCH (n:Item {num: id}) WHERE n.kind IS NOT NULL")
_BELIEFS_TOUCHING = listing(
    BELIEF,
    "UNWIND $ids AS id MATCH (s:Item {num: id})-[e]->(d)",
    "UNWIND $ids AS id MATCH (d:Item {num: id})<-[e]-(s)",
)
_DERIVED = listing("x.belief", "UNWIND $anchors AS anchor MATCH (x:Derived {anchor: anchor})")
_JOINS = listing(JOIN, "UNWIND $ids AS id MATCH (j:Join {jid: id})")
_JOINS_ANCHORED = listing(JOIN, "UNWIND $ids AS id MATCH (j:Join {anchor: id})")
_JOINS_TOUCHING = listing(
    JOIN, "UNWIND $ids AS id MATCH (j:Join {a: id})", "UNWIND $ids AS id MATCH (j:Join {b: id})"
)
_KEYED_ROWS = listing(_K, "UNWIND $ids AS id MATCH (k:Keyed {kid: id})")
_KEYED_TOUCHING = listing(
    _K, "UNWIND $ids AS id MATCH (k:Keyed {ref: id})", "UNWIND $ids AS id MATCH (k:Keyed {by: id})"
)
_KEYED_KEYS = """
UNWIND $places AS place MATCH (k:Keyed) WHERE k.place = place AND k.role IS NOT NULL AND k.when IS NOT NULL
WITH DISTINCT place RETURN collect([place])
"""
_USED = """
UNWIND $asked AS x WITH x[0] AS iid, x[1] AS nid
WHERE EXISTS { MATCH (j:Join {a: iid}) WHERE j.anchor IS NULL }
   OR EXISTS { MATCH (j:Join {b: iid}) WHERE j.anchor IS NULL }
   OR EXISTS { MATCH (:Keyed {ref: iid}) } OR EXISTS { MATCH (:Keyed {by: iid}) }
   OR EXISTS { MATCH (n:Item {num: nid})-[e:!PAST]->() WHERE e.anchor IS NULL AND coalesce(e.src, nid) = iid }
   OR EXISTS { MATCH (n:Item {num: nid})<-[e:!PAST]-() WHERE e.anchor IS NULL AND coalesce(e.dst, nid) = iid }
RETURN collect([iid])
"""
_SERVICE = listing("s.value", "MATCH (s:Service {skey: $skey})")
_SERVICES_DELETE = "UNWIND $skeys AS skey MATCH (s:Service {skey: skey}) DELETE s"
SERVICES_PUT = """
UNWIND $rows AS r MERGE (s:Service {skey: r.skey})
SET s.collection = r.collection, s.key = r.key, s.value = r.value
"""
SERVICES = """
MATCH (s:Service) WHERE s.skey STARTS WITH $start AND s.skey > $after
AND s.collection = $collection AND s.key STARTS WITH $prefix
WITH s ORDER BY s.skey LIMIT $limit RETURN collect([s.key, s.value])
"""


_BELIEFS = tuple(
    listing(BELIEF, f"UNWIND $ids AS id MATCH (s)-[e:{kind} {{bid: id}}]->(d)") for kind in EDGE_KINDS
)


def service_key(collection: str, key: str) -> str:
    """What a service record is found by."""
    return index_key(f"{collection}/{key}")


def service_rows(records: Iterable[tuple[str, str, Any]]) -> list[dict[str, Any]]:
    """Rows of ``SERVICES_PUT`` for (collection, key, value)."""
    made = [
        {"skey": service_key(name, key), "collection": name, "key": key, "value": text_json(value)}
        for name, key, value in records
    ]
    # Locks are taken in one order.
    return sorted(made, key=lambda row: row["skey"])


def service_range(collection: str, prefix: str, after: str, limit: int) -> dict[str, Any]:
    """Parameters of ``SERVICES``."""
    return {
        "collection": collection,
        "prefix": prefix,
        "start": codec.key_prefix(f"{collection}/{prefix}"),
        "after": service_key(collection, after) if after else codec.key_prefix(f"{collection}/"),
        "limit": limit,
    }


class Neo4jEngine:
    """Implements :class:`app.store.engine.Engine` on an open transaction.

    What every transaction reads first comes with it: ``counters``, ``sources`` and ``origins``.
    Service records are written when the transaction ends, all at once.
    """

    def __init__(
        self,
        tx: ManagedTransaction,
        counters: Mapping[str, int],
        sources: Iterable[SourceRow],
        origins: Mapping[tuple[int, ...], int],
    ) -> None:
        self._tx = tx
        self._counters = dict(counters)
        self._sources = list(sources)
        self._origins = dict(origins)
        # A graph without keyed claims is not asked for them with every identifier.
        self._any_keyed = counters.get("keyed", 0) > 0
        self._seen = Seen()
        self._keyed = KeyedClaims(tx)
        self._services: dict[tuple[str, str], Any] = {}

    def _rows(self, query: str, **parameters: Any) -> list[list[Any]]:
        return rows(self._tx, query, **parameters)

    def sources(self) -> list[SourceRow]:
        return self._sources

    def put_source(self, row: SourceRow) -> None:
        self._tx.run(
            "MERGE (s:Source {sid: $sid}) SET s.name = $name, s.type = $type, s.space = $space",
            row._asdict(),
        )

    def origins(self) -> dict[tuple[int, ...], int]:
        return self._origins

    def put_origin(self, oid: int, sids: tuple[int, ...]) -> None:
        self._tx.run("CREATE (:Origin {oid: $oid, sids: $sids})", oid=oid, sids=list(sids))

    def counters(self) -> dict[str, int]:
        return self._counters

    def put_counters(self, counters: dict[str, int]) -> None:
        self._counters = dict(counters)

    def records(self, sid: int, keys: Collection[str]) -> dict[str, RecordRow]:
        asked = {index_key(f"{sid}/{key}"): key for key in keys}
        found: dict[str, RecordRow] = {}
        for rid, rkey, type_, version, digest, marks, gone_at in self._rows(_RECORDS, keys=list(asked)):
            self._seen.rkeys[rid] = rkey
            key = asked[rkey]
            found[key] = RecordRow(rid, sid, key, type_, version, bytes(digest), bytes(marks), gone_at)
        return found

    def held(self, sid: int, type: str, after: str, limit: int) -> list[tuple[str, Micros | None]]:
        prefix = f"{sid}/"
        found = self._rows(_HELD, prefix=prefix, after=index_key(prefix + after), type=type, limit=limit)
        return [(key.removeprefix(prefix), gone_at) for key, gone_at in found]

    def idents(self, texts: Collection[str]) -> dict[str, IdentRow]:
        found = self._rows(_IDENTS, texts=[index_key(text) for text in texts])
        self._seen.places.update((row[0], row[6]) for row in found)
        return {row[1]: codec.ident_row(row) for row in found}

    def idents_by_id(self, iids: Collection[int]) -> dict[int, IdentRow]:
        if not iids:
            return {}
        found = self._rows(_IDENTS_BY_ID, ids=list(iids))
        self._seen.places.update((row[0], row[6]) for row in found)
        return {row[0]: codec.ident_row(row) for row in found}

    def matching(self, scheme: str, value: str) -> list[IdentRow]:
        return [row for row in matching(self._tx, scheme, value) if row.live]

    def members(self, nids: Collection[int]) -> list[IdentRow]:
        if not nids:
            return []
        return [codec.ident_row(row) for row in self._rows(_MEMBERS, ids=list(nids))]

    def nodes(self, nids: Collection[int]) -> dict[int, NodeRow]:
        if not nids:
            return {}
        return {row[0]: codec.node_row(row) for row in self._rows(_NODES, ids=list(nids))}

    def beliefs(self, links: Collection[tuple[int, int, int, int]]) -> list[BeliefRow]:
        return self._beliefs((link[3], link[0]) for link in links)

    def _beliefs(self, asked: Iterable[tuple[int, int]]) -> list[BeliefRow]:
        by_kind: dict[int, list[int]] = defaultdict(list)
        for bid, kind in asked:
            by_kind[kind].append(bid)
        return [
            codec.belief_row(row)
            for kind, bids in by_kind.items()
            for row in self._rows(_BELIEFS[kind], ids=bids)
        ]

    def beliefs_touching(self, nids: Collection[int]) -> list[BeliefRow]:
        found = self._rows(_BELIEFS_TOUCHING, ids=list(nids))
        return list({row[0]: codec.belief_row(row) for row in found}.values())

    def derived(self, anchors: Collection[int]) -> list[BeliefRow]:
        handles = self._rows(_DERIVED, anchors=list(anchors))
        return self._beliefs(codec.belief_of(row[0]) for row in handles)

    def joins(self, jids: Collection[int]) -> list[JoinRow]:
        if not jids:
            return []
        return [codec.join_row(row) for row in self._rows(_JOINS, ids=list(jids))]

    def joins_anchored(self, anchors: Collection[int]) -> list[JoinRow]:
        return [codec.join_row(row) for row in self._rows(_JOINS_ANCHORED, ids=list(anchors))]

    def joins_touching(self, iids: Collection[int]) -> list[JoinRow]:
        found = self._rows(_JOINS_TOUCHING, ids=list(iids))
        return list({row[0]: codec.join_row(row) for row in found}.values())

    def keyed_rows(self, kids: Collection[int]) -> list[KeyedRow]:
        if not kids:
            return []
        return [codec.keyed_row(row) for row in self._rows(_KEYED_ROWS, ids=list(kids))]

    def keyed_touching(self, iids: Collection[int]) -> list[KeyedRow]:
        found = self._rows(_KEYED_TOUCHING, ids=list(iids))
        return list({row[0]: codec.keyed_row(row) for row in found}.values())

    def keyed_keys(self, rule: str, keys: Collection[str]) -> set[str]:
        if not self._any_keyed:
            return set()
        asked = {codec.place_of(rule, key): key for key in keys}
        return {asked[row[0]] for row in self._rows(_KEYED_KEYS, places=list(asked))}

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
        return self._keyed.find(rule, key, role, since, until, descending, limit)

    def ahead(self, keys: Collection[tuple[str, str]]) -> None:
        if self._any_keyed:
            self._keyed.ahead(keys)

    def used(self, idents: Collection[IdentRow]) -> set[int]:
        if not idents:
            return set()
        return {row[0] for row in self._rows(_USED, asked=[[i.iid, i.nid] for i in idents])}

    def apply(self, changes: Changes) -> None:
        self._any_keyed = self._any_keyed or bool(changes.new_keyed)
        if changes.new_keyed or changes.gone_keyed or changes.idents:
            self._keyed.forget()
        apply(self._tx, changes, self._seen)

    # service records -----------------------------------------------------------------------------------

    def service_get(self, collection: str, key: str) -> Any | None:
        if (collection, key) in self._services:
            value = self._services[collection, key]
            return None if value is _GONE else value
        found = self._rows(_SERVICE, skey=service_key(collection, key))
        return from_json(found[0][0]) if found else None

    def service_put(self, collection: str, key: str, value: Any) -> None:
        # Through JSON, so that what is read back in this transaction is what later ones read.
        self._services[collection, key] = from_json(text_json(value))

    def service_delete(self, collection: str, key: str) -> None:
        self._services[collection, key] = _GONE

    def service_list(self, collection: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, Any]]:
        self.flush()
        return services(self._tx, collection, prefix, after, limit)

    def flush(self) -> None:
        """Write the service records that were put or deleted."""
        put = [(*at, value) for at, value in self._services.items() if value is not _GONE]
        gone = [service_key(*at) for at, value in self._services.items() if value is _GONE]
        if put:
            self._tx.run(SERVICES_PUT, rows=service_rows(put))
        if gone:
            self._tx.run(_SERVICES_DELETE, skeys=gone)
        self._services.clear()


def matching(tx: ManagedTransaction, scheme: str, value: str) -> list[IdentRow]:
    """Identifiers of a scheme with this value, under any scope, dead ones too."""
    if scheme not in SCHEMES:
        return []
    found = rows(tx, _MATCHING, text=index_key(f"{scheme}={value}"))
    return list({row[0]: codec.ident_row(row) for row in found}.values())


def services(
    tx: ManagedTransaction, collection: str, prefix: str, after: str, limit: int
) -> list[tuple[str, Any]]:
    """Service records by key, whose key has the prefix and lies behind ``after``."""
    found = rows(tx, SERVICES, **service_range(collection, prefix, after, limit))
    return [(key, from_json(value)) for key, value in found]
