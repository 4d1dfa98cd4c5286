"""The engine of the Neo4j store: bulk reads inside one open transaction, and service records.

A statement costs some milliseconds of the writer lock, whatever it asks for. So what is known to be asked for
together is read at once, and nothing is read twice (:mod:`app.store.neo4j.known`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from neo4j import ManagedTransaction

from app.store.batch import open_key
from app.store.claims import named_in
from app.store.neo4j import codec
from app.store.neo4j.applying import apply
from app.store.neo4j.asking import (
    ASK_ARRIVING,
    ASK_BY_ID,
    ASK_CLUSTER,
    ASK_DERIVED,
    ASK_IDENTS,
    ASK_JOINS,
    ASK_KEYED,
    ASK_MADE,
    ASK_NODES,
    ASK_OCCUPIED,
    ASK_RECORDS,
    ASK_TOUCHING,
    ASK_USED,
    HELD,
    MATCHING,
    OF_KIND,
)
from app.store.neo4j.codec import index_key
from app.store.neo4j.keyed import Habits, KeyedClaims
from app.store.neo4j.known import Known
from app.store.neo4j.rows import gathered, rows
from app.store.neo4j.services import ServiceRecords
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
)
from graph_schema.claims import Record
from graph_schema.schemes import SCHEMES
from graph_schema.times import Micros


class Neo4jEngine:
    """Implements :class:`app.store.engine.Engine` on an open transaction.

    What every transaction reads first comes with it: ``counters``, ``sources`` and ``origins``, and
    ``services``, values of service records or None by collection and key. ``habits`` are those of
    :class:`app.store.neo4j.keyed.KeyedClaims`.
    """

    def __init__(
        self,
        tx: ManagedTransaction,
        counters: Mapping[str, int],
        sources: Iterable[SourceRow],
        origins: Mapping[tuple[int, ...], int],
        services: Mapping[tuple[str, str], str | None] | None = None,
        habits: Habits | None = None,
    ) -> None:
        self._tx = tx
        self._counters = dict(counters)
        self._sources = list(sources)
        self._origins = dict(origins)
        # A graph without keyed claims is not asked for them with every identifier.
        self._any_keyed = counters.get("keyed", 0) > 0
        self._known = Known()
        self._keyed = KeyedClaims(tx, self._known, defaultdict(set) if habits is None else habits)
        self.services = ServiceRecords(tx, services or {})

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

    def expect(self, sid: int, records: Sequence[Record]) -> None:
        known = self._known
        rkeys = {codec.record_key(sid, record.key) for record in records} - known.records.keys()
        texts = {text for record in records for text in named_in(record)} - known.texts.keys()
        places = self._places("open", {key for text in texts if (key := open_key(text)) is not None})
        if rkeys or texts:
            found, idents, occupied = gathered(
                self._tx,
                ASK_ARRIVING,
                keys=list(rkeys),
                texts=[index_key(text) for text in texts],
                places=list(places),
            )
            known.take_records(rkeys, found)
            known.take_idents(idents, texts)
            known.take_occupied(places, occupied)

    def records(self, sid: int, keys: Collection[str]) -> dict[str, RecordRow]:
        known, asked = self._known, {codec.record_key(sid, key): key for key in keys}
        if missing := asked.keys() - known.records.keys():
            (found,) = gathered(self._tx, ASK_RECORDS, keys=list(missing))
            known.take_records(missing, found)
        return known.record_rows(sid, asked)

    def held(self, sid: int, type: str, after: str, limit: int) -> list[tuple[str, Micros | None]]:
        prefix = f"{sid}/"
        found = rows(self._tx, HELD, prefix=prefix, after=index_key(prefix + after), type=type, limit=limit)
        return [(key.removeprefix(prefix), gone_at) for key, gone_at in found]

    def idents(self, texts: Collection[str]) -> dict[str, IdentRow]:
        known = self._known
        if missing := set(texts) - known.texts.keys():
            (found,) = gathered(self._tx, ASK_IDENTS, texts=[index_key(text) for text in missing])
            known.take_idents(found, missing)
        iids = [iid for text in texts if (iid := known.texts[text]) is not None]
        return {row.text: row for row in known.ident_rows(iids).values()}

    def idents_by_id(self, iids: Collection[int]) -> dict[int, IdentRow]:
        if missing := set(iids) - self._known.idents.keys():
            (found,) = gathered(self._tx, ASK_BY_ID, iids=list(missing))
            self._known.take_idents(found)
        return self._known.ident_rows(iids)

    def matching(self, scheme: str, value: str) -> list[IdentRow]:
        found = self._keyed.matching(f"{scheme}={value}")
        return [row for row in (matching(self._tx, scheme, value) if found is None else found) if row.live]

    def members(self, nids: Collection[int]) -> list[IdentRow]:
        if missing := set(nids) - self._known.members.keys():
            self._cluster((), missing)
        return [row for nid in set(nids) for row in self._known.ident_rows(self._known.members[nid]).values()]

    def nodes(self, nids: Collection[int]) -> dict[int, NodeRow]:
        if missing := set(nids) - self._known.nodes.keys():
            (found,) = gathered(self._tx, ASK_NODES, nids=list(missing))
            self._known.take_nodes(found, missing)
        return self._known.node_rows(nids)

    def recall(self, marks: Collection[Marks]) -> None:
        known = self._known
        links = [link for m in marks for link in m.links]
        joins = [join for m in marks for join in m.joins]
        facts = {iid for m in marks for iid in m.facts}
        iids = facts.union(*(one[1:3] for one in (*links, *joins))) - known.idents.keys()
        held, shown, keyed, idents, nodes = gathered(
            self._tx,
            ASK_MADE,
            jids=[join[0] for join in joins],
            kids=[kid for m in marks for kid in m.keyed],
            iids=list(iids),
            facts=list(facts),
        )
        known.beliefs.update((row[0], row) for row in shown)
        known.joins.update((row[0], row) for row in held)
        known.keyed.update((row[0], row) for row in keyed)
        known.take_idents(idents)
        known.take_nodes(nodes)

    def beliefs(self, links: Collection[tuple[int, int, int, int]]) -> list[BeliefRow]:
        known = self._known.beliefs
        self._read((link[3], link[0]) for link in links)
        return self._known.take_beliefs(row for link in links if (row := known.get(link[3])) is not None)

    def _read(self, beliefs: Iterable[tuple[int, int]]) -> None:
        """Read those that are not known, from (id, edge code)."""
        by_kind: dict[int, list[int]] = defaultdict(list)
        for bid, kind in beliefs:
            if bid not in self._known.beliefs:
                by_kind[kind].append(bid)
        for kind, bids in by_kind.items():
            found = rows(self._tx, OF_KIND[kind], p={"bids": bids})
            self._known.beliefs.update((row[0], row) for row in found)

    def derived(self, anchors: Collection[int]) -> list[BeliefRow]:
        known = self._known.beliefs
        handles, idents, joins, shown = gathered(self._tx, ASK_DERIVED, anchors=list(anchors))
        self._known.take_idents(idents)
        self._known.take_anchored(anchors, joins)
        known.update((row[0], row) for row in shown)
        held = [codec.belief_of(row[0]) for row in handles]
        self._read(held)
        return self._known.take_beliefs(row for bid, _ in held if (row := known.get(bid)) is not None)

    def joins(self, jids: Collection[int]) -> list[JoinRow]:
        known = self._known
        if missing := set(jids) - known.joins.keys():
            (found,) = gathered(self._tx, ASK_JOINS, jids=list(missing))
            known.joins.update((row[0], row) for row in found)
        return [codec.join_row(row) for jid in jids if (row := known.joins.get(jid)) is not None]

    def joins_anchored(self, anchors: Collection[int]) -> list[JoinRow]:
        known = self._known.anchored
        if not known.keys() >= set(anchors):
            self.derived(anchors)
        return [codec.join_row(row) for anchor in anchors for row in known[anchor]]

    def joins_touching(self, iids: Collection[int]) -> list[JoinRow]:
        if missing := set(iids) - self._known.touching.keys():
            self._cluster(missing, ())
        return self._known.joins_of(iids)

    def _cluster(self, iids: Collection[int], nids: Collection[int]) -> None:
        """Read these nodes and those that these identifiers name: what they are called, and all that is
        claimed of their identity."""
        asked = {"iids": list(iids), "nids": list(nids)}
        found, idents, joins = rows(self._tx, ASK_CLUSTER, p=asked)
        self._known.take_cluster((row[0] for row in found), idents, joins)

    def keyed_rows(self, kids: Collection[int]) -> list[KeyedRow]:
        known = self._known
        if missing := set(kids) - known.keyed.keys():
            (found,) = gathered(self._tx, ASK_KEYED, kids=list(missing))
            known.keyed.update((row[0], row) for row in found)
        claims = [codec.keyed_row(row) for kid in kids if (row := known.keyed.get(kid)) is not None]
        self._keyed.touch(claims)
        return claims

    def touching(
        self, nids: Collection[int], iids: Collection[int]
    ) -> tuple[list[BeliefRow], list[KeyedRow]]:
        beliefs, keyed = gathered(self._tx, ASK_TOUCHING, nids=list(nids), iids=list(iids))
        claims = [codec.keyed_row(row) for row in {row[0]: row for row in keyed}.values()]
        self._keyed.touch(claims)
        return self._known.take_beliefs(beliefs), claims

    def keyed_keys(self, rule: str, keys: Collection[str]) -> set[str]:
        known = self._known
        if not self._any_keyed:
            return set()
        if missing := self._places(rule, keys):
            (found,) = gathered(self._tx, ASK_OCCUPIED, places=list(missing))
            known.take_occupied(missing, found)
        return {key for key in keys if known.occupied[codec.place_of(rule, key)]}

    def _places(self, rule: str, keys: Iterable[str]) -> set[str]:
        """Places of which it is not known yet whether there is any claim."""
        if not self._any_keyed:
            return set()
        return {codec.place_of(rule, key) for key in keys} - self._known.occupied.keys()

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
        nids = {i.nid for i in idents} - self._known.nodes.keys()
        used, nodes = gathered(self._tx, ASK_USED, asked=[[i.iid, i.nid] for i in idents], nids=list(nids))
        self._known.take_nodes(nodes, nids)
        return {row[0] for row in used}

    def apply(self, changes: Changes) -> None:
        self._any_keyed = self._any_keyed or bool(changes.new_keyed)
        self._keyed.touch(changes.new_keyed)
        if changes.new_keyed or changes.gone_keyed or changes.idents:
            self._keyed.forget()
        if changes.new_idents:
            self._keyed.forget_matching()
        apply(self._tx, changes, self._known)
        self._known.forget(changes)

    # service records -----------------------------------------------------------------------------------

    def service_get(self, collection: str, key: str) -> Any | None:
        return self.services.get(collection, key)

    def service_put(self, collection: str, key: str, value: Any) -> None:
        self.services.put(collection, key, value)

    def service_delete(self, collection: str, key: str) -> None:
        self.services.delete(collection, key)

    def service_list(self, collection: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, Any]]:
        return self.services.listed(collection, prefix, after, limit)


def matching(tx: ManagedTransaction, scheme: str, value: str) -> list[IdentRow]:
    """Identifiers of a scheme with this value, under any scope, dead ones too."""
    if scheme not in SCHEMES:
        return []
    found = rows(tx, MATCHING, text=index_key(f"{scheme}={value}"))
    return list({row[0]: codec.ident_row(row) for row in found}.values())
