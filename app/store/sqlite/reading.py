"""Read verbs of the SQLite store as of now; :mod:`app.store.sqlite.past` reads what was held earlier."""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import Any

from app.store.answers import SourceNames, decode_cursor, encode_cursor, last_word, to_edge, to_node
from app.store.bonds import bonds_of
from app.store.digest import digest_of
from app.store.rows import NODE_CODES, NODE_KINDS, BeliefRow, NodeRow
from app.store.sqlite import past
from app.store.sqlite.codec import BELIEF, EACH, NODE, decode_node, listed
from app.store.sqlite.engine import SqliteEngine
from app.store.sqlite.expanding import expand
from app.store.sqlite.lookup import matching, origin_names, readable_origins, source_names
from app.store.sqlite.whole import backup_lines, columns, counts, open_references, refusals, state_lines
from app.store.text_query import fts_query
from graph_schema import filters
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier, BadInput
from graph_schema.identifiers import Identifier, commit_prefix, parse
from graph_schema.kinds import NodeKind
from graph_schema.schemes import SCHEMES
from graph_schema.store import Counts
from graph_schema.times import Micros
from graph_schema.values import (
    NOW,
    Ahead,
    Bond,
    Columns,
    Direction,
    Edge,
    Expansion,
    Filter,
    Hit,
    Label,
    Moment,
    Node,
    Order,
    Ordering,
    Page,
    Spaces,
)

_SCAN = 500


class Reads:
    """Half of the store: everything that only reads."""

    def __init__(self) -> None:
        self._matrices: dict[str, tuple[Any, Any]] = {}

    @abstractmethod
    def _read(self) -> AbstractContextManager[sqlite3.Connection]: ...

    # nodes ---------------------------------------------------------------------------------------------

    def resolve(self, text: str, *, known_at: Micros | None = None, spaces: Spaces = None) -> list[int]:
        """See :meth:`graph_schema.store.GraphStore.resolve`."""
        with self._read() as db:
            iids = self._identifiers(db, text)
            if known_at is not None:
                rev = past.revision_at(db, known_at)
                handles = past.nodes_of(db, iids, rev)
                if text.startswith("name="):
                    handles = past.named(db, parse(text).value, rev, source_names(db))
            else:
                rows = db.execute(
                    f"SELECT DISTINCT ident.nid FROM {EACH} k CROSS JOIN ident ON iid = k.value"
                    " CROSS JOIN node ON node.nid = ident.nid AND node.live",
                    (listed(iids),),
                )
                handles = [row[0] for row in rows]
            if spaces is not None:
                nodes = self._get(db, handles, known_at, spaces)
                handles = [h for h, node in zip(handles, nodes, strict=True) if node is not None]
            return handles

    def _identifiers(self, db: sqlite3.Connection, text: str) -> list[int]:
        """Identifiers that a text may mean: exact first, and only then by scope, prefix or look-up."""
        try:
            asked = parse(text)
        except BadIdentifier:
            prefix = commit_prefix(text)
            if prefix is None:
                raise
            rows = db.execute(
                "SELECT iid FROM ident WHERE text >= ? AND text < ? ORDER BY text LIMIT 50",
                (f"git.sha={prefix}", f"git.sha={prefix}g"),
            )
            return [row[0] for row in rows]
        if not SCHEMES[asked.scheme].joins:
            return self._found(db, asked)
        row = db.execute("SELECT iid FROM ident WHERE text = ?", (str(asked),)).fetchone()
        if row is not None:
            return [row[0]]
        if asked.scope is None:
            found = matching(db, asked.scheme, asked.value)
            # What names something now comes before what only redirects.
            return [i.iid for i in found if i.live] or [i.iid for i in found]
        return []

    def _found(self, db: sqlite3.Connection, asked: Identifier) -> list[int]:
        if asked.scheme == "name":
            rows = db.execute(
                f"SELECT ident.iid FROM {EACH} k CROSS JOIN node ON node.kind = k.value"
                " AND node.name = ? AND node.live CROSS JOIN ident ON ident.text = node.id ORDER BY node.id",
                (listed(range(len(NODE_KINDS))), asked.value),
            )
        else:
            rows = db.execute(
                "SELECT DISTINCT ref FROM keyed WHERE rule = 'find' AND key = ? AND ref IS NOT NULL",
                (str(asked),),
            )
        return [row[0] for row in rows]

    def get(
        self, handles: Sequence[int], *, known_at: Micros | None = None, spaces: Spaces = None
    ) -> list[Node | None]:
        """See :meth:`graph_schema.store.GraphStore.get`."""
        with self._read() as db:
            return self._get(db, handles, known_at, spaces)

    def _get(
        self, db: sqlite3.Connection, handles: Sequence[int], known_at: Micros | None, spaces: Spaces
    ) -> list[Node | None]:
        names = source_names(db)
        found = self._node_rows(db, handles, known_at, names)
        return [to_node(found[h], names, spaces) if h in found else None for h in handles]

    def _node_rows(
        self, db: sqlite3.Connection, handles: Sequence[int], known_at: Micros | None, names: SourceNames
    ) -> dict[int, NodeRow]:
        if known_at is not None:
            return past.nodes(db, handles, past.revision_at(db, known_at), names)
        rows = db.execute(
            f"SELECT {NODE} FROM {EACH} k CROSS JOIN node ON nid = k.value WHERE live", (listed(handles),)
        )
        return {row[0]: decode_node(row) for row in rows}

    def heard(self, handles: Sequence[int], *, known_at: Micros | None = None) -> list[Micros | None]:
        """See :meth:`graph_schema.store.GraphStore.heard`."""
        with self._read() as db:
            found = self._node_rows(db, handles, known_at, source_names(db))
            revisions = {fact.since for row in found.values() for fact in row.facts}
            known = f"SELECT rev, at FROM {EACH} k CROSS JOIN revision ON rev = k.value"
            times = dict(db.execute(known, (listed(revisions),)))
        return [last_word(found[h], times) if h in found else None for h in handles]

    def labels(self, handles: Sequence[int], *, known_at: Micros | None = None) -> list[Label]:
        """See :meth:`graph_schema.store.GraphStore.labels`."""
        with self._read() as db:
            if known_at is not None:
                rows = past.labels(db, handles, past.revision_at(db, known_at), source_names(db))
            else:
                rows = db.execute(
                    f"SELECT nid, id, kind, name FROM {EACH} k CROSS JOIN node ON nid = k.value",
                    (listed(handles),),
                ).fetchall()
            by_handle = {row[0]: Label(row[0], row[1], NODE_KINDS[row[2]], row[3]) for row in rows}
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
        items: list[Node] = []
        with self._read() as db:
            names = source_names(db)
            if known_at is not None:
                rows = past.of_kind(db, kind, past.revision_at(db, known_at), names, ordering, mark)
            else:
                rows = _ordered(db, kind, ordering, mark)
            for row in rows:
                node = to_node(row, names, spaces)
                if node is not None and filters.matches(node, where):
                    items.append(node)
                    if len(items) > first:
                        break
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
        """See :meth:`graph_schema.store.GraphStore.expand`. Nothing is far, so only what a walk
        learns of an earlier state is kept for its next hops."""
        if direction is Direction.BOTH:
            raise BadInput("one hop goes UPSTREAM or DOWNSTREAM")
        with self._read() as db:
            return expand(db, handles, direction, kinds, moment, readable_origins(db, spaces), ahead)

    def edges(self, beliefs: Sequence[int], *, known_at: Micros | None = None) -> list[Edge]:
        """See :meth:`graph_schema.store.GraphStore.edges`."""
        with self._read() as db:
            rows = db.execute(
                f"SELECT {BELIEF} FROM {EACH} k CROSS JOIN belief ON bid = k.value",
                (listed(beliefs),),
            )
            found = {row[0]: BeliefRow(*row) for row in rows}
            origins = origin_names(db)
            ids: dict[int, str]
            if known_at is not None:
                rev = past.revision_at(db, known_at)
                iids = {i for b in found.values() for i in (b.src, b.dst)}
                named = past.node_by_ident(db, iids, rev)
                nodes = past.nodes(db, set(named.values()), rev, source_names(db))
                ids = {iid: nodes[nid].id for iid, nid in named.items()}
                return [to_edge(b, ids[b.src], ids[b.dst], origins) for b in (found[i] for i in beliefs)]
            nids = {n for b in found.values() for n in (b.src_nid, b.dst_nid)}
            ids = dict(
                db.execute(
                    f"SELECT nid, id FROM {EACH} k CROSS JOIN node ON nid = k.value",
                    (listed(nids),),
                )
            )
        return [to_edge(b, ids[b.src_nid], ids[b.dst_nid], origins) for b in (found[i] for i in beliefs)]

    # search --------------------------------------------------------------------------------------------

    def search_text(
        self, text: str, kinds: Sequence[NodeKind] = (), first: int = 20, *, spaces: Spaces = None
    ) -> list[Hit]:
        """See :meth:`graph_schema.store.GraphStore.search_text`."""
        query = fts_query(text)
        if query is None:
            return []
        codes = [NODE_CODES[k] for k in kinds]
        hits: list[Hit] = []
        with self._read() as db:
            rows = db.execute(
                "SELECT words.rowid, bm25(words) AS score FROM words JOIN node ON node.nid = words.rowid"
                " WHERE words MATCH ?1 AND (?2 = '[]' OR node.kind IN (SELECT value FROM json_each(?2)))"
                " ORDER BY score, words.rowid",
                (query, listed(codes)),
            )
            while len(hits) < first:
                page = rows.fetchmany(_SCAN if spaces is not None else first)
                if not page:
                    break
                visible = (
                    [row[0] for row in page]
                    if spaces is None
                    else [
                        n.handle for n in self._get(db, [r[0] for r in page], None, spaces) if n is not None
                    ]
                )
                allowed = set(visible)
                hits.extend(Hit(row[0], -row[1]) for row in page if row[0] in allowed)
        return hits[:first]

    def vectors(self, model: str, handles: Sequence[int]) -> list[tuple[str, bytes] | None]:
        """See :meth:`graph_schema.store.GraphStore.vectors`."""
        from app.store.sqlite.vectors import held

        with self._read() as db:
            return held(db, model, handles)

    def search_vectors(
        self, model: str, vector: Sequence[float], kinds: Sequence[NodeKind] = (), first: int = 20
    ) -> list[Hit]:
        """See :meth:`graph_schema.store.GraphStore.search_vectors`."""
        from app.store.sqlite.vectors import Matrix, state

        with self._read() as db:
            now = state(db, model)
            held = self._matrices.get(model)
            if held is None or held[0] != now:
                held = (now, Matrix(db, model))
                self._matrices[model] = held
            found = held[1].nearest(db, vector, [NODE_CODES[k] for k in kinds], first)
        return [Hit(nid, score) for nid, score in found]

    # the whole -----------------------------------------------------------------------------------------

    def counts(self) -> Counts:
        """See :meth:`graph_schema.store.GraphStore.counts`."""
        with self._read() as db:
            return counts(db)

    def columns(self, kinds: Sequence[EdgeKind]) -> Columns:
        """See :meth:`graph_schema.store.GraphStore.columns`."""
        with self._read() as db:
            return columns(db, kinds)

    def bonds(self, handles: Sequence[int], *, spaces: Spaces = None) -> list[Bond]:
        """See :meth:`graph_schema.store.GraphStore.bonds`."""
        with self._read() as db:
            return bonds_of(SqliteEngine(db), handles, spaces)

    def refusals(self) -> list[str]:
        """See :meth:`graph_schema.store.GraphStore.refusals`."""
        with self._read() as db:
            return sorted(refusals(db))

    def open_references(self) -> list[str]:
        """See :meth:`graph_schema.store.GraphStore.open_references`."""
        with self._read() as db:
            return sorted(open_references(db))

    def digest(self) -> str:
        """See :meth:`graph_schema.store.GraphStore.digest`."""
        with self._read() as db:
            return digest_of(state_lines(db))

    def backup_digest(self) -> str:
        """See :meth:`graph_schema.store.GraphStore.backup_digest`."""
        total = sha256()
        with self._read() as db:
            for line in backup_lines(db):
                total.update(line)
        return total.hexdigest()


def _ordered(
    db: sqlite3.Connection, kind: NodeKind, ordering: Ordering, mark: tuple[Any, str] | None
) -> Iterator[NodeRow]:
    """Live nodes of a kind behind a mark, in order, a batch at a time."""
    way, than = ("DESC", "<") if ordering.descending else ("ASC", ">")
    code = NODE_CODES[kind]
    behind_id = (f"AND id {than} ?", (mark[1],)) if mark else ("", ())
    parts: list[tuple[str, str, tuple[Any, ...]]]
    if ordering.by is Order.ID:
        parts = [(behind_id[0], f"id {way}", behind_id[1])]
    elif ordering.by is Order.NAME:
        parts = [(f"AND (name, id) {than} (?, ?)" if mark else "", f"name {way}, id {way}", mark or ())]
    else:
        # Nodes without a creation time come last in either direction.
        undated = ("AND created_at IS NULL", f"id {way}", ())
        dated = "AND created_at IS NOT NULL"
        by_time = f"created_at {way}, id {way}"
        if mark is None:
            parts = [(dated, by_time, ()), undated]
        elif mark[0] is None:
            parts = [(f"{undated[0]} {behind_id[0]}", undated[1], behind_id[1])]
        else:
            parts = [(f"{dated} AND (created_at, id) {than} (?, ?)", by_time, mark), undated]
    for condition, order, values in parts:
        rows = db.execute(
            f"SELECT {NODE} FROM node WHERE kind = ? AND live {condition} ORDER BY {order}", (code, *values)
        )
        while page := rows.fetchmany(_SCAN):
            for row in page:
                yield decode_node(row)
