"""Read verbs of the Neo4j store. What was held earlier is read by :mod:`app.store.neo4j.past`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from neo4j import ManagedTransaction

from app.store.answers import SourceNames, decode_cursor, encode_cursor, last_word, to_edge, to_node
from app.store.neo4j import codec, past
from app.store.neo4j.codec import BELIEF, NODE, index_key
from app.store.neo4j.connection import Connection
from app.store.neo4j.engine import matching
from app.store.neo4j.expanding import Then
from app.store.neo4j.finding import ordered
from app.store.neo4j.hops import Hops
from app.store.neo4j.rows import listing, rows
from app.store.neo4j.schema import PAST
from app.store.neo4j.services import services
from app.store.rows import EDGE_KINDS, NODE_KINDS, BeliefRow, NodeRow
from graph_schema import filters
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier, BadInput
from graph_schema.identifiers import Identifier, commit_prefix, parse
from graph_schema.kinds import NodeKind
from graph_schema.schemes import SCHEMES
from graph_schema.times import Micros
from graph_schema.values import (
    NOW,
    Ahead,
    Direction,
    Edge,
    Expansion,
    Filter,
    Label,
    Moment,
    Node,
    Ordering,
    Page,
    Spaces,
)

T = TypeVar("T")

_SOURCES = listing("s.sid, s.name, s.type, s.space", "MATCH (s:Source)")
ORIGINS = listing("o.oid, o.sids", "MATCH (o:Origin)")
# Who says what is few rows, and read along: what would be another round trip is none.
_ALL_SOURCES = "COLLECT { MATCH (s:Source) RETURN [s.sid, s.name, s.type, s.space] }"
_ALL_ORIGINS = "COLLECT { MATCH (o:Origin) RETURN [o.oid, o.sids] }"
_WHO = f"RETURN [{_ALL_SOURCES}, {_ALL_ORIGINS}]"
_LIVE_OF = """
UNWIND $ids AS id MATCH (i:Item {num: id}) MATCH (n:Item {num: coalesce(i.names, id)}) WHERE n.live
WITH DISTINCT n.num AS num RETURN collect([num])
"""
_BY_TEXT = listing("i.num", "MATCH (i:Ident {text: $text})")
_NAMED = listing(
    "n.num",
    "MATCH (i:Ident {text: $text}) OPTIONAL MATCH (n:Item {num: coalesce(i.names, i.num)}) WHERE n.live",
)
_BY_PREFIX = """
MATCH (i:Ident) WHERE i.text STARTS WITH $prefix
WITH i ORDER BY i.text LIMIT 50 RETURN collect([i.num])
"""
_FOUND = """
MATCH (k:Keyed) WHERE k.place = $place AND k.role IS NOT NULL AND k.when IS NOT NULL AND k.ref IS NOT NULL
WITH DISTINCT k.ref AS ref RETURN collect([ref])
"""
_RECORDED = listing("r.rev, r.at", "UNWIND $ids AS id MATCH (r:Revision {rev: id})")
_NODES = listing(NODE.format("n"), "UNWIND $ids AS id MATCH (n:Item {num: id}) WHERE n.live")
_NODES_AND_WHO = (
    "UNWIND $ids AS id MATCH (n:Item {num: id}) WHERE n.live"
    f" WITH collect([{NODE.format('n')}]) AS found RETURN [found, {_ALL_SOURCES}]"
)
_LABELS = listing(
    "id, coalesce(n.fullId, n.id), n.kind, coalesce(n.fullName, n.name)",
    "UNWIND $ids AS id MATCH (n:Item {num: id}) WHERE n.kind IS NOT NULL",
)
_ENDS = "coalesce(s.fullId, s.id), coalesce(d.fullId, d.id)"
_PAST_EDGES = listing(f"{BELIEF}, {_ENDS}", f"UNWIND $ids AS id MATCH (s)-[e:{PAST} {{bid: id}}]->(d)")
# The columns are spelled out once, after all kinds: so the statement is planned in a fifth of the time.
_EDGES = "\n".join(
    (
        "CALL {",
        " UNION ALL ".join(
            f"UNWIND $ids{code} AS id MATCH ()-[e:{type_} {{bid: id}}]->() RETURN e"
            for code, type_ in enumerate(EDGE_KINDS)
        ),
        f"}} WITH e, startNode(e) AS s, endNode(e) AS d WITH collect([{BELIEF}, {_ENDS}]) AS found",
        f"RETURN [found, {_ALL_SOURCES}, {_ALL_ORIGINS}]",
    )
)


def source_names(tx: ManagedTransaction) -> dict[int, tuple[str, str, str]]:
    """(name, type, space) of every source by its id."""
    return _by_source(rows(tx, _SOURCES))


def origin_names(tx: ManagedTransaction) -> dict[int, tuple[str, ...]]:
    """Names of the sources behind each origin."""
    return _named_origins(*rows(tx, _WHO))


def _named_origins(sources: list[list[Any]], origins: list[list[Any]]) -> dict[int, tuple[str, ...]]:
    names = {row[0]: row[1] for row in sources}
    return {oid: tuple(names[sid] for sid in sids) for oid, sids in origins}


def _by_source(sources: list[list[Any]]) -> dict[int, tuple[str, str, str]]:
    return {row[0]: (row[1], row[2], row[3]) for row in sources}


class Reads:
    """Half of the store: nodes and edges, as of now and as of then."""

    _connection: Connection

    def _read(self, work: Callable[[ManagedTransaction], T]) -> T:
        return self._connection.read(work)

    # nodes ---------------------------------------------------------------------------------------------

    def resolve(self, text: str, *, known_at: Micros | None = None, spaces: Spaces = None) -> list[int]:
        """See :meth:`graph_schema.store.GraphStore.resolve`."""
        exact = _exact(text) if known_at is None and spaces is None else None
        if exact is not None and (named := self._connection.ask(_NAMED, text=index_key(exact))):
            return [row[0] for row in named if row[0] is not None]

        def work(tx: ManagedTransaction) -> list[int]:
            iids = _identifiers(tx, text)
            if known_at is not None:
                rev = past.revision_at(tx, known_at)
                if text.startswith("name="):
                    handles = past.named(tx, parse(text).value, rev, source_names(tx))
                else:
                    handles = past.nodes_of(tx, iids, rev)
            else:
                handles = [row[0] for row in rows(tx, _LIVE_OF, ids=iids)]
            if spaces is not None:
                nodes = get(tx, handles, known_at, spaces)
                handles = [h for h, node in zip(handles, nodes, strict=True) if node is not None]
            return handles

        return self._read(work)

    def get(
        self, handles: Sequence[int], *, known_at: Micros | None = None, spaces: Spaces = None
    ) -> list[Node | None]:
        """See :meth:`graph_schema.store.GraphStore.get`."""
        if known_at is not None:
            return self._read(lambda tx: get(tx, handles, known_at, spaces))
        found, sources = self._connection.ask(_NODES_AND_WHO, ids=list(handles))
        return _told(handles, {row[0]: codec.node_row(row) for row in found}, _by_source(sources), spaces)

    def heard(self, handles: Sequence[int], *, known_at: Micros | None = None) -> list[Micros | None]:
        """See :meth:`graph_schema.store.GraphStore.heard`."""

        def work(tx: ManagedTransaction) -> list[Micros | None]:
            found = node_rows(tx, handles, known_at, source_names(tx))
            revisions = {fact.since for row in found.values() for fact in row.facts}
            times = dict(rows(tx, _RECORDED, ids=sorted(revisions)))
            return [last_word(found[h], times) if h in found else None for h in handles]

        return self._read(work)

    def labels(self, handles: Sequence[int], *, known_at: Micros | None = None) -> list[Label]:
        """See :meth:`graph_schema.store.GraphStore.labels`."""

        def then(tx: ManagedTransaction) -> Iterable[Sequence[Any]]:
            found = past.nodes(tx, handles, past.revision_at(tx, known_at or 0), source_names(tx))
            return [(n.nid, n.id, n.kind, n.name) for n in found.values()]

        told = self._connection.ask(_LABELS, ids=list(handles)) if known_at is None else self._read(then)
        by_handle = {row[0]: Label(row[0], row[1], NODE_KINDS[row[2]], row[3]) for row in told}
        return [by_handle[h] for h in handles]

    def find(
        self,
        kind: NodeKind,
        where: Sequence[Filter] = (),
        ordering: Ordering = Ordering(),  # noqa: B008 - frozen
        first: int = 50,
        after: str | None = None,
        *,
        known_at: Micros | None = None,
        spaces: Spaces = None,
    ) -> Page[Node]:
        """See :meth:`graph_schema.store.GraphStore.find`."""
        filters.check(where)
        if first < 1:
            raise BadInput(f"a page has at least one item, not {first}")
        mark = decode_cursor(after, ordering) if after else None

        def work(tx: ManagedTransaction) -> list[Node]:
            items: list[Node] = []
            names = source_names(tx)
            if known_at is not None:
                nodes = past.of_kind(tx, kind, past.revision_at(tx, known_at), names, ordering, mark)
            else:
                nodes = ordered(tx, kind, where, ordering, mark, first + 1)
            for row in nodes:
                node = to_node(row, names, spaces)
                if node is not None and filters.matches(node, where):
                    items.append(node)
                    if len(items) > first:
                        break
            return items

        items = self._read(work)
        more = len(items) > first
        return Page(items[:first], encode_cursor(items[first - 1], ordering) if more else None)

    # edges ---------------------------------------------------------------------------------------------

    def expand(
        self,
        handles: Sequence[int],
        direction: Direction,
        kinds: Sequence[EdgeKind],
        moment: Moment = NOW,
        spaces: Spaces = None,
        ahead: Ahead | None = None,
    ) -> Expansion:
        """See :meth:`graph_schema.store.GraphStore.expand`."""
        if direction is Direction.BOTH:
            raise BadInput("one hop goes UPSTREAM or DOWNSTREAM")
        held = None if ahead is None else ahead.held
        if not isinstance(held, Hops | Then):
            origins = None if spaces is None else _readable(spaces, *self._connection.ask(_WHO))
            held = (Hops if moment.known_at is None else Then)(direction, kinds, moment, origins)
            if ahead is not None:
                ahead.held = held
        return held.expand(self._connection, handles, ahead)

    def edges(self, beliefs: Sequence[int], *, known_at: Micros | None = None) -> list[Edge]:
        """See :meth:`graph_schema.store.GraphStore.edges`."""
        found, origins = self._beliefs(beliefs)
        if known_at is None:
            return [to_edge(b, src, dst, origins) for b, src, dst in (found[i] for i in beliefs)]

        def work(tx: ManagedTransaction) -> dict[int, str]:
            rev = past.revision_at(tx, known_at)
            named = past.node_by_ident(tx, {i for b, _, _ in found.values() for i in (b.src, b.dst)}, rev)
            nodes = past.nodes(tx, set(named.values()), rev, source_names(tx))
            return {iid: nodes[nid].id for iid, nid in named.items()}

        ids = self._read(work)
        return [to_edge(b, ids[b.src], ids[b.dst], origins) for b, _, _ in (found[i] for i in beliefs)]

    def _beliefs(
        self, handles: Iterable[int]
    ) -> tuple[dict[int, tuple[BeliefRow, str, str]], dict[int, tuple[str, ...]]]:
        """(belief, source id, target id) by handle, and who says what. What has retired meanwhile is found
        among the past."""
        asked: dict[str, list[int]] = {f"ids{code}": [] for code in range(len(EDGE_KINDS))}
        missing = set(handles)
        for handle in sorted(missing):
            bid, kind = codec.belief_of(handle)
            asked[f"ids{kind}"].append(bid)
        found: dict[int, tuple[BeliefRow, str, str]] = {}

        def take(told: list[list[Any]]) -> None:
            for row in told:
                belief = codec.belief_row(row)
                handle = codec.handle_of(belief.bid, belief.kind)
                found[handle] = (belief, row[14], row[15])
                missing.discard(handle)

        told, sources, origins = self._connection.ask(_EDGES, **asked)
        take(told)
        if missing:
            take(self._connection.ask(_PAST_EDGES, ids=[codec.belief_of(handle)[0] for handle in missing]))
            # What says so may be younger than the list of who says what.
            sources, origins = self._connection.ask(_WHO)
        return found, _named_origins(sources, origins)

    def service(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 1_000
    ) -> list[tuple[str, Any]]:
        """See :meth:`graph_schema.store.GraphStore.service`."""
        return self._read(lambda tx: services(tx, collection, prefix, after, limit))


def get(
    tx: ManagedTransaction, handles: Sequence[int], known_at: Micros | None, spaces: Spaces
) -> list[Node | None]:
    """Nodes by handle, in order."""
    names = source_names(tx)
    return _told(handles, node_rows(tx, handles, known_at, names), names, spaces)


def _told(
    handles: Sequence[int], found: Mapping[int, NodeRow], names: SourceNames, spaces: Spaces
) -> list[Node | None]:
    return [to_node(found[h], names, spaces) if h in found else None for h in handles]


def node_rows(
    tx: ManagedTransaction, handles: Sequence[int], known_at: Micros | None, names: SourceNames
) -> dict[int, NodeRow]:
    """Rows of nodes by handle, as of a time."""
    if known_at is not None:
        return past.nodes(tx, handles, past.revision_at(tx, known_at), names)
    return {row[0]: codec.node_row(row) for row in rows(tx, _NODES, ids=list(handles))}


def _readable(spaces: Collection[str], sources: list[list[Any]], origins: list[list[Any]]) -> list[int]:
    """Origins that a caller may read: all of whose sources lie in their spaces."""
    names = _by_source(sources)
    return [oid for oid, sids in origins if all(names[sid][2] in spaces for sid in sids)]


def _exact(text: str) -> str | None:
    """The identifier that a text spells out, where it is of a scheme that joins."""
    try:
        asked = parse(text)
    except BadIdentifier:
        return None
    return str(asked) if SCHEMES[asked.scheme].joins else None


def _identifiers(tx: ManagedTransaction, text: str) -> list[int]:
    """Identifiers that a text may mean: exact first, and only then by scope, prefix or look-up."""
    try:
        asked = parse(text)
    except BadIdentifier:
        prefix = commit_prefix(text)
        if prefix is None:
            raise
        return [row[0] for row in rows(tx, _BY_PREFIX, prefix=f"git.sha={prefix}")]
    if not SCHEMES[asked.scheme].joins:
        return _found(tx, asked)
    exact = rows(tx, _BY_TEXT, text=index_key(str(asked)))
    if exact:
        return [exact[0][0]]
    if asked.scope is None:
        found = matching(tx, asked.scheme, asked.value)
        # What names something now comes before what only redirects.
        return [i.iid for i in found if i.live] or [i.iid for i in found]
    return []


def _found(tx: ManagedTransaction, asked: Identifier) -> list[int]:
    if asked.scheme == "name":
        found = rows(tx, past.BY_NAME, kinds=list(range(len(NODE_KINDS))), name=index_key(asked.value))
    else:
        found = rows(tx, _FOUND, place=codec.place_of("find", str(asked)))
    return [row[0] for row in found]
