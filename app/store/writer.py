"""The writer: what a transaction does to the graph, once for both engines.

Whatever order records arrive in, the outcome is the same: records are ordered by version, identity is a
function of the join claims, derived edges a function of the claims under their key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from app.store.anchor import anchor_number
from app.store.batch import SAME_AS, Batch
from app.store.before import Before
from app.store.changed import note
from app.store.choice import choose
from app.store.claims import Reading, kinds_in, read
from app.store.conclusions import Conclusions
from app.store.engine import Engine
from app.store.finish import finish
from app.store.rows import (
    Fact,
    IdentRow,
    JoinRow,
    KeyedRow,
    Marks,
    RecordRow,
    SourceRow,
    from_json,
    pack,
    unpack_marks,
)
from app.store.stamps import restamp, settled
from graph_schema.claims import Claim, Record
from graph_schema.edges import EDGE_CODES
from graph_schema.errors import BadInput
from graph_schema.identity import Verdict
from graph_schema.kinds import NodeKind
from graph_schema.store import Derived, Held, KeyedClaim, RuleKey, Source, Written
from graph_schema.times import Micros


class Writer:
    """One transaction. Made anew by an engine for every attempt; implements
    :class:`graph_schema.store.Transaction`."""

    def __init__(self, engine: Engine, now: Micros, revision: int) -> None:
        self._engine = engine
        self._now = now
        self._revision = revision
        self._counters_before = dict(engine.counters())
        self._counters = dict(self._counters_before)
        self._sources = {row.name: row for row in engine.sources()}
        self._source_of = {row.sid: (row.name, row.type) for row in self._sources.values()}
        self._origins = dict(engine.origins())
        self._noted: set[int] = set()
        self.changed = False
        self._served = False

    @property
    def now(self) -> Micros:
        """The store's time at the start of the transaction, microseconds."""
        return self._now

    @property
    def revision(self) -> int:
        """The revision that this transaction makes, if it changes anything."""
        return self._revision

    def close(self) -> None:
        """Write the counters back; called by the store before it commits."""
        if self.changed:
            note(self._engine, self._revision, self._noted)
        if self.changed or self._served:
            # Leases are judged by this time, so it may not run backwards for service records either.
            self._counters["clock"] = self._now
        if self._counters != self._counters_before:
            self._engine.put_counters(self._counters)

    # writing -------------------------------------------------------------------------------------------

    def write(self, source: Source, records: Sequence[Record]) -> Written:
        """See :meth:`graph_schema.store.Transaction.write`."""
        written = Written()
        row = self._source(source)
        self._engine.expect(row.sid, records)
        held = self._engine.records(row.sid, [r.key for r in records])
        choice = choose(records, held, written)
        restamp(self._engine, list(choice.restamped.values()), choice.versions)
        if choice.work or choice.versions:
            self._write(row, held, list(choice.work.values()), choice.versions, written)
        if choice.returned:
            self.retire(source, choice.returned, None)
        return written

    def settled(self, source: Source, stamps: Sequence[tuple[str, int, bytes]]) -> set[str]:
        """See :meth:`graph_schema.store.Transaction.settled`."""
        row = self._sources.get(source.name)
        return set() if row is None else settled(self._engine, row.sid, stamps)

    def _write(
        self,
        source: SourceRow,
        held: dict[str, RecordRow],
        work: list[tuple[Record, bytes]],
        versions: dict[int, int],
        written: Written,
    ) -> None:
        batch = self._batch(written)
        batch.changes.versions = list(versions.items())
        kinds: dict[str, NodeKind | None] = {}
        for record, _ in work:
            kinds_in(record, kinds)
        batch.load(kinds.keys(), kinds)
        oid = self._origin((source.sid,))
        old = [(held[r.key], unpack_marks(held[r.key].marks)) for r, _ in work if r.key in held]
        before = Before(batch, old)
        for record, digest in work:
            row = held.get(record.key)
            reading = read(record, source, batch)
            if row is None:
                rid = self._counters["record"] = self._counters.get("record", 0) + 1
                marks = self._add(batch, source, rid, oid, reading)
                marks.stamp = record.stamp
                batch.changes.new_records.append(
                    RecordRow(rid, source.sid, record.key, record.type, record.version, digest, pack(marks))
                )
                written.new += 1
            else:
                marks = self._replace(batch, source, row, oid, reading, before)
                marks.stamp = record.stamp
                row.type, row.version, row.digest = record.type, record.version, digest
                row.marks = pack(marks)
                batch.changes.records.append(row)
                written.changed += 1
        if work:
            self.changed = True
        finish(batch)

    def _add(self, batch: Batch, source: SourceRow, rid: int, oid: int, reading: Reading) -> Marks:
        """Everything that a new record says."""
        for iid, (at, properties) in reading.facts.items():
            batch.fact_puts[iid].append(Fact(iid, rid, source.sid, at, self._revision, None, properties))
        links = [
            (content[0], content[1], content[2], batch.open_belief(content, oid, rid, None))
            for content in reading.links
        ]
        joins = [self._join(batch, join, oid, rid) for join in reading.joins]
        keyed = [self._keyed(batch, row, rid) for row in reading.keyed]
        return Marks(list(reading.facts), links, joins, keyed)

    def _replace(
        self, batch: Batch, source: SourceRow, row: RecordRow, oid: int, reading: Reading, before: Before
    ) -> Marks:
        """What a record says now, against what it said before: only the difference is touched."""
        marks = before.marks[row.rid]
        facts = dict(reading.facts)
        for iid in marks.facts:
            fact = before.fact(batch, iid, row.rid)
            if fact is not None and facts.get(iid) == (fact.at, fact.properties):
                del facts[iid]
            else:
                batch.fact_drops[iid].add(row.rid)
                batch.dropped.add(iid)
        for iid, (at, properties) in facts.items():
            batch.fact_puts[iid].append(Fact(iid, row.rid, source.sid, at, self._revision, None, properties))
        links: list[tuple[int, int, int, int]] = []
        wanted = Counter(reading.links)
        for belief in before.beliefs.get(row.rid, ()):
            if wanted[belief.content] > 0:
                wanted[belief.content] -= 1
                links.append((belief.kind, belief.src, belief.dst, belief.bid))
            else:
                batch.retire_belief(belief)
        for content in wanted.elements():
            links.append((content[0], content[1], content[2], batch.open_belief(content, oid, row.rid, None)))
        joins: list[tuple[int, int, int]] = []
        wanted_joins = {j.content: j for j in reading.joins}
        gone_joins = []
        for held in before.joins.get(row.rid, ()):
            if wanted_joins.pop(held.content, None) is not None:
                joins.append((held.jid, held.a, held.b))
            else:
                gone_joins.append(held)
        batch.drop_joins(gone_joins)
        joins += [self._join(batch, join, oid, row.rid) for join in wanted_joins.values()]
        keyed: list[int] = []
        wanted_keyed = {k.content: k for k in reading.keyed}
        for held_keyed in before.keyed.get(row.rid, ()):
            if wanted_keyed.pop(held_keyed.content, None) is not None:
                keyed.append(held_keyed.kid)
            else:
                batch.drop_keyed(held_keyed)
        keyed += [self._keyed(batch, k, row.rid) for k in wanted_keyed.values()]
        return Marks(list(reading.facts), links, joins, keyed)

    def _join(self, batch: Batch, row: JoinRow, oid: int, rid: int) -> tuple[int, int, int]:
        row.jid = self._counters["join"] = self._counters.get("join", 0) + 1
        row.oid, row.rid = oid, rid
        batch.add_join(row)
        return (row.jid, row.a, row.b)

    def _keyed(self, batch: Batch, row: KeyedRow, rid: int) -> int:
        row.kid = self._counters["keyed"] = self._counters.get("keyed", 0) + 1
        row.rid = rid
        batch.add_keyed(row)
        return row.kid

    # deriving ------------------------------------------------------------------------------------------

    def keyed(
        self,
        rule: str,
        key: str,
        *,
        role: str | None = None,
        since: Micros | None = None,
        until: Micros | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[KeyedClaim]:
        """See :meth:`graph_schema.store.Transaction.keyed`."""
        rows = self._engine.keyed(rule, key, role, since, until, descending, limit)
        return [self._claim(row, ref, by) for row, ref, by in rows]

    def ahead(self, keys: Collection[tuple[str, str]]) -> None:
        """See :meth:`graph_schema.store.Transaction.ahead`."""
        self._engine.ahead(keys)

    def _claim(self, row: KeyedRow, ref: IdentRow | None, by: IdentRow | None) -> KeyedClaim:
        return KeyedClaim(
            anchor=row.anchor,
            role=row.role,
            ref=ref.text if ref else None,
            node=ref.nid if ref else None,
            by=by.text if by else None,
            by_node=by.nid if by else None,
            at=row.at,
            until=row.until,
            data=from_json(row.data) if row.data else {},
            source=self._source_of[row.sid][0],
        )

    def matching(self, scheme: str, value: str) -> list[tuple[str, int]]:
        """See :meth:`graph_schema.store.Transaction.matching`."""
        return sorted((row.text, row.nid) for row in self._engine.matching(scheme, value))

    def derive(self, found: Mapping[RuleKey, Mapping[str, Sequence[Derived]]]) -> Written:
        """See :meth:`graph_schema.store.Transaction.derive`."""
        written = Written()
        anchors = {
            anchor_number(rule, key, anchor): (rule, f"{key} {anchor}", derived)
            for (rule, key), stated in found.items()
            for anchor, derived in stated.items()
        }
        if not anchors:
            return written
        held = self._engine.derived(anchors)
        held_joins = self._engine.joins_anchored(anchors)
        edges = [d.edge for _, _, derived in anchors.values() for d in derived]
        if not held and not held_joins and not edges:
            return written
        batch = self._batch(written)
        batch.load({e.src for e in edges} | {e.dst for e in edges}, {})
        wanted: Counter[tuple[Any, ...]] = Counter()
        joins: dict[tuple[Any, ...], JoinRow] = {}
        for number, (rule, place, stated) in anchors.items():
            for derived in stated:
                edge = derived.edge
                src, dst = batch.by_text[edge.src], batch.by_text[edge.dst]
                batch.check_edge(edge.kind, src, dst)
                oid = self._origin(tuple(sorted({self._sources[s].sid for s in derived.sources})))
                code = EDGE_CODES[edge.kind]
                data = batch.pack(edge.properties, edge.evidence)
                if code == SAME_AS:
                    join = JoinRow(
                        0, src.iid, dst.iid, Verdict.DERIVED, oid, 0, number, (rule, place),
                        edge.since, edge.until, data, False, None,
                    )  # fmt: skip
                    joins[(number, join.content, oid)] = join
                else:
                    content = (code, src.iid, dst.iid, edge.since, edge.until, data)
                    wanted[(number, content, oid)] = 1
        for belief in held:
            mark = (belief.anchor, belief.content, belief.oid)
            if wanted[mark] > 0:
                wanted[mark] -= 1
            else:
                batch.retire_belief(belief)
        for number, content, oid in wanted.elements():
            batch.open_belief(content, oid, 0, number)
        batch.drop_joins(gone := [r for r in held_joins if not joins.pop((r.anchor, r.content, r.oid), None)])
        for join in joins.values():
            self._join(batch, join, join.oid, 0)
        if batch.changes.new_beliefs or batch.changes.new_joins or gone or written.edges_retired:
            self.changed = True
            finish(batch)
        return written

    def conclude(self, found: Mapping[RuleKey, Mapping[str, Sequence[Claim]]]) -> Written:
        """See :meth:`graph_schema.store.Transaction.conclude`."""
        written = Written()
        for name, records in Conclusions(self._engine).restated(self._sources, found).items():
            row = self._sources[name]
            written.add(self.write(Source(row.name, row.type, row.space), records))
        written.new = written.changed = written.unchanged = written.stale = 0
        return written

    # retiring ------------------------------------------------------------------------------------------

    def held(self, source: Source, type: str, after: str = "", limit: int = 10_000) -> list[Held]:
        """See :meth:`graph_schema.store.Transaction.held`."""
        row = self._sources.get(source.name)
        if row is None:
            return []
        return [Held(key, gone) for key, gone in self._engine.held(row.sid, type, after, limit)]

    def retire(self, source: Source, keys: Sequence[str], at: Micros | None) -> int:
        """See :meth:`graph_schema.store.Transaction.retire`."""
        row = self._sources.get(source.name)
        if row is None:
            return 0
        records = self._engine.records(row.sid, keys)
        batch = self._batch(Written())
        changing = [r for r in records.values() if (r.gone_at is None) is not (at is None)]
        if not changing:
            return 0
        marks = {r.rid: unpack_marks(r.marks) for r in changing}
        batch.rows({iid for m in marks.values() for iid in m.facts})
        nodes = self._engine.nodes({batch.node_of(i) for m in marks.values() for i in m.facts})
        for record in changing:
            record.gone_at = at
            batch.changes.records.append(record)
            for iid in marks[record.rid].facts:
                for fact in nodes[batch.node_of(iid)].facts:
                    if fact.rid == record.rid and fact.iid == iid:
                        batch.fact_drops[iid].add(record.rid)
                        batch.fact_puts[iid].append(
                            Fact(iid, fact.rid, fact.sid, fact.at, self._revision, at, fact.properties)
                        )
        self.changed = True
        finish(batch)
        return len(changing)

    # service records -----------------------------------------------------------------------------------

    def service_get(self, collection: str, key: str) -> Any | None:
        """See :meth:`graph_schema.store.Transaction.service_get`."""
        return self._engine.service_get(collection, key)

    def service_put(self, collection: str, key: str, value: Any) -> None:
        """See :meth:`graph_schema.store.Transaction.service_put`."""
        self._served = True
        self._engine.service_put(collection, key, value)

    def service_delete(self, collection: str, key: str) -> None:
        """See :meth:`graph_schema.store.Transaction.service_delete`."""
        self._served = True
        self._engine.service_delete(collection, key)

    def service_list(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 1_000
    ) -> list[tuple[str, Any]]:
        """See :meth:`graph_schema.store.Transaction.service_list`."""
        return list(self._engine.service_list(collection, prefix, after, limit))

    # sources -------------------------------------------------------------------------------------------

    def _batch(self, written: Written) -> Batch:
        return Batch(self._engine, self._counters, self._source_of, self._revision, written, self._noted)

    def _source(self, source: Source) -> SourceRow:
        held = self._sources.get(source.name)
        if held is not None and held.type != source.type:
            # What it has written is weighed as what it was; under the same name nobody could tell them apart.
            raise BadInput(
                f"the source {source.name} is of type {held.type};"
                f" one of type {source.type} needs another name"
            )
        if held is None:
            sid = self._counters["source"] = self._counters.get("source", 0) + 1
            held = SourceRow(sid, source.name, source.type, source.space)
        elif held.space == source.space:
            return held
        else:
            held = SourceRow(held.sid, source.name, source.type, source.space)
        self._engine.put_source(held)
        self._sources[source.name] = held
        self._source_of[held.sid] = (held.name, held.type)
        return held

    def _origin(self, sids: tuple[int, ...]) -> int:
        oid = self._origins.get(sids)
        if oid is None:
            oid = self._counters["origin"] = self._counters.get("origin", 0) + 1
            self._origins[sids] = oid
            self._engine.put_origin(oid, sids)
        return oid
