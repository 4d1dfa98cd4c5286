"""Verbs about the whole graph: its size, its refusals and its digests."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any, TypeVar

from neo4j import ManagedTransaction

from app.store.anchor import anchor_number
from app.store.bonds import bonds_of
from app.store.columns import EVIDENCE_END, filled
from app.store.digest import belief_line, digest_of, node_line, refusal_line
from app.store.neo4j import codec
from app.store.neo4j.codec import BELIEF, IDENT, JOIN, KEYED, NODE
from app.store.neo4j.connection import Connection
from app.store.neo4j.engine import Neo4jEngine, matching
from app.store.neo4j.reading import ORIGINS, origin_names, source_names
from app.store.neo4j.rows import listing, rows
from app.store.neo4j.schema import PAST
from app.store.refusal import refusal
from app.store.rows import EDGE_KINDS, NODE_KINDS, SourceRow, from_json, to_json
from app.store.waiting import in_words, is_asked, waits
from graph_schema.edges import EDGE_CODES, EdgeKind
from graph_schema.errors import StoreBusy
from graph_schema.store import Counts
from graph_schema.values import ALWAYS, FOREVER, Bond, Columns, Spaces

T = TypeVar("T")

_TRIES = 5
_ITEMS = 5_000
_REVISION = "MATCH (s:State) RETURN s.revision"
_WRITES = "MATCH (l:Lock) RETURN l.writes"
_NODE_COUNTS = "MATCH (n:Item) WHERE n.live RETURN n.kind, count(*)"
# Each is answered from Neo4j's count store.
_EDGE_COUNTS = " UNION ALL ".join(
    f"MATCH ()-[e:{type_}]->() WITH count(e) AS n RETURN {code} AS kind, n"
    for code, type_ in enumerate(EDGE_KINDS)
)
_TYPES = "|".join(EDGE_KINDS)
_CODES = {kind.value: code for kind, code in EDGE_CODES.items()}
_LAST = "MATCH (n:Item) WHERE n.num > 0 RETURN n.num ORDER BY n.num DESC LIMIT 1"
# Without the hint a small graph is read from end to end for each range.
_RANGE = "USING INDEX {0}:Item(num) WHERE {0}.num > $low AND {0}.num <= $high"
_TEXTS = listing("i.num, coalesce(i.fullText, i.text)", f"MATCH (i:Item) {_RANGE.format('i')} AND i:Ident")
_LIVE = listing(NODE.format("n"), f"MATCH (n:Item) {_RANGE.format('n')} AND n.live")
_BELIEFS = listing(BELIEF, f"MATCH (s:Item) {_RANGE.format('s')} MATCH (s)-[e:{_TYPES}]->(d)")
_LIVE_KINDS = listing("n.num, n.kind", f"MATCH (n:Item) {_RANGE.format('n')} AND n.live")
_COLUMNS = (
    "s.num, d.num, type(e), e.bid, coalesce(e.since, $always), coalesce(e.until, $forever),"
    " coalesce(e.data ENDS WITH $end, false)"
)
_ENDS = {"always": ALWAYS, "forever": FOREVER, "end": EVIDENCE_END}
_REFUSED = listing(JOIN, "MATCH (j:Join) WHERE NOT j.accepted")
_WAITING = listing("k.key, k.data, k.anchor", "MATCH (k:Keyed) WHERE k.rule = 'open' AND k.role = 'edge'")
_ASKED = listing("k.key, k.data", "MATCH (k:Keyed) WHERE k.rule = 'open' AND k.role = 'also'")
_ANSWERED = listing(
    "id",
    "UNWIND $ids AS id MATCH (x:Derived {anchor: id})",
    "UNWIND $ids AS id MATCH (x:Join {anchor: id})",
)
_TEXTS_OF = listing("id, coalesce(i.fullText, i.text)", "UNWIND $ids AS id MATCH (i:Item {num: id})")

#: Everything that is held, each table in an order of its own.
_TABLES = (
    ("revision", "MATCH (r:Revision) RETURN r.rev, r.at ORDER BY r.rev"),
    ("source", "MATCH (s:Source) RETURN s.sid, s.name, s.type, s.space ORDER BY s.sid"),
    ("origin", "MATCH (o:Origin) RETURN o.oid, o.sids ORDER BY o.oid"),
    (
        "record",
        "MATCH (r:Record) RETURN r.rid, r.sid, coalesce(r.fullKey, r.rkey), r.type, r.version, r.digest,"
        " r.marks, r.goneAt ORDER BY r.rid",
    ),
    ("ident", f"MATCH (i:Ident) RETURN {IDENT.format('i')} ORDER BY i.num"),
    (
        "past ident",
        "MATCH (p:PastIdent) RETURN p.iid, p.nid, p.since, p.until ORDER BY p.iid, p.since, p.until, p.nid",
    ),
    ("node", f"MATCH (n:Item) WHERE n.kind IS NOT NULL RETURN {NODE.format('n')} ORDER BY n.num"),
    (
        "past fact",
        "MATCH (p:PastFact) RETURN p.iid, p.since, p.until, p.fact ORDER BY p.iid, p.since, p.until",
    ),
    ("belief", f"MATCH (s:Item)-[e:{_TYPES}|{PAST}]->(d) RETURN {BELIEF} ORDER BY e.bid"),
    ("join", f"MATCH (j:Join) RETURN {JOIN} ORDER BY j.jid"),
    ("keyed", f"MATCH (k:Keyed) RETURN {KEYED} ORDER BY k.kid"),
    ("service", "MATCH (s:Service) RETURN s.collection, s.key, s.value ORDER BY s.collection, s.key"),
)
_MODELS = "MATCH (m:VectorModel) RETURN m.key, m.label ORDER BY m.key"


class Whole:
    """The part of the store that looks at everything. Neo4j reads what is committed, statement by statement;
    answers that need several are asked for again where a writer came in between."""

    _connection: Connection

    def counts(self) -> Counts:
        """See :meth:`graph_schema.store.GraphStore.counts`."""

        def work(tx: ManagedTransaction) -> Counts:
            nodes = {NODE_KINDS[kind].value: n for kind, n in tx.run(_NODE_COUNTS).values()}
            edges = {EDGE_KINDS[kind].value: n for kind, n in tx.run(_EDGE_COUNTS).values() if n}
            records = tx.run("MATCH (r:Record) RETURN count(r)").values()[0][0]
            revision = tx.run(_REVISION).values()
            return Counts(nodes, edges, records, revision[0][0] if revision else 0)

        return self._steady(work)

    def columns(self, kinds: Sequence[EdgeKind]) -> Columns:
        """See :meth:`graph_schema.store.GraphStore.columns`."""
        query = listing(_COLUMNS, f"MATCH (s:Item) {_RANGE.format('s')} MATCH (s)-[e:{'|'.join(kinds)}]->(d)")

        def work(tx: ManagedTransaction) -> Columns:
            revision = tx.run(_REVISION).values()
            last = tx.run(_LAST).values()
            lows = range(0, last[0][0] if last else 0, _ITEMS)
            nodes = (rows(tx, _LIVE_KINDS, low=low, high=low + _ITEMS) for low in lows)
            edges = (
                [_column(row) for row in rows(tx, query, low=low, high=low + _ITEMS, **_ENDS)]
                for low in (lows if kinds else ())
            )
            ordered = (sorted(batch) for batch in nodes)
            return filled(revision[0][0] if revision else 0, ordered, edges)

        return self._steady(work)

    def bonds(self, handles: Sequence[int], *, spaces: Spaces = None) -> list[Bond]:
        """See :meth:`graph_schema.store.GraphStore.bonds`."""

        def work(tx: ManagedTransaction) -> list[Bond]:
            sources = [SourceRow(sid, *about) for sid, about in source_names(tx).items()]
            origins = {tuple(sids): oid for oid, sids in rows(tx, ORIGINS)}
            return bonds_of(Neo4jEngine(tx, {}, sources, origins), handles, spaces)

        return self._steady(work)

    def refusals(self) -> list[str]:
        """See :meth:`graph_schema.store.GraphStore.refusals`."""
        return self._connection.read(lambda tx: sorted(_refusals(tx)))

    def open_references(self) -> list[str]:
        """See :meth:`graph_schema.store.GraphStore.open_references`."""
        return self._connection.read(_open_references)

    def digest(self) -> str:
        """See :meth:`graph_schema.store.GraphStore.digest`."""
        return self._steady(lambda tx: digest_of(_state_lines(tx)))

    def backup_digest(self) -> str:
        """See :meth:`graph_schema.store.GraphStore.backup_digest`."""

        def work(tx: ManagedTransaction) -> str:
            total = sha256()
            for name, row in _everything(tx):
                plain = [bytes(v).hex() if isinstance(v, bytes | bytearray) else v for v in row]
                total.update(to_json([name, plain]))
            return total.hexdigest()

        return self._steady(work)

    def _steady(self, work: Callable[[ManagedTransaction], T]) -> T:
        """Run a read of several statements over one state."""

        def attempt(tx: ManagedTransaction) -> tuple[T, bool]:
            before = tx.run(_WRITES).values()
            found = work(tx)
            return found, tx.run(_WRITES).values() == before

        for _ in range(_TRIES):
            found, steady = self._connection.read(attempt)
            if steady:
                return found
        raise StoreBusy(f"the graph changed during each of {_TRIES} attempts to read all of it")


def _column(row: list[Any]) -> tuple[int, ...]:
    src, dst, type_, bid, since, until, evidence = row
    code = _CODES[type_]
    return (src, dst, code, codec.handle_of(bid, code), since, until, evidence)


def _everything(tx: ManagedTransaction) -> Iterator[tuple[str, Iterable[Any]]]:
    for name, query in _TABLES:
        for record in tx.run(query):
            yield name, record.values()
    for model, label in tx.run(_MODELS).values():
        query = f"MATCH (v:{label}) RETURN v.num, v.digest, v.embedding ORDER BY v.num"
        for record in tx.run(query):
            yield "vector", [model, *record.values()]


def _refusals(tx: ManagedTransaction) -> list[str]:
    refused = [codec.join_row(row) for row in rows(tx, _REFUSED)]
    ends = {i for row in refused for i in (row.a, row.b)}
    texts = dict(rows(tx, _TEXTS_OF, ids=list(ends)))
    return [refusal(row, texts[row.a], texts[row.b]) for row in refused]


def _open_references(tx: ManagedTransaction) -> list[str]:
    waiting = {anchor_number("open", key, anchor): data for key, data, anchor in rows(tx, _WAITING)}
    answered = {row[0] for row in rows(tx, _ANSWERED, ids=list(waiting))}
    found = [in_words(from_json(data)) for number, data in waiting.items() if number not in answered]
    for key, data in rows(tx, _ASKED):
        told = from_json(data)
        if is_asked(told) and waits(told, matching(tx, *key.split("=", 1))):
            found.append(in_words(told))
    return sorted(found)


def _ranged(tx: ManagedTransaction, query: str) -> Iterator[list[Any]]:
    """Rows of all items, a range of numbers at a time."""
    last = tx.run(_LAST).values()
    for low in range(0, last[0][0] if last else 0, _ITEMS):
        yield from rows(tx, query, low=low, high=low + _ITEMS)


def _state_lines(tx: ManagedTransaction) -> Iterator[bytes | None]:
    texts = dict(_ranged(tx, _TEXTS))
    names = {sid: name for sid, (name, _, _) in source_names(tx).items()}
    origins = origin_names(tx)
    for row in _ranged(tx, _LIVE):
        yield node_line(codec.node_row(row), texts, names)
    for row in _ranged(tx, _BELIEFS):
        yield belief_line(codec.belief_row(row), texts, origins)
    for text in _refusals(tx):
        yield refusal_line(text)
