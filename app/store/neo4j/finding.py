"""Lists of nodes in order, page by page, narrowed by the indexes that the kinds declare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from neo4j import ManagedTransaction

from app.store.neo4j import codec
from app.store.neo4j.codec import NODE, index_key
from app.store.neo4j.rows import rows
from app.store.neo4j.schema import indexed_property
from app.store.rows import NODE_CODES, NodeRow
from graph_schema.kinds import KINDS, NodeKind
from graph_schema.values import Filter, FilterOp, Order, Ordering

_SCAN = 500
_MOST = 5_000


def ordered(
    tx: ManagedTransaction,
    kind: NodeKind,
    where: Sequence[Filter],
    ordering: Ordering,
    mark: tuple[Any, str] | None,
    wanted: int,
) -> Iterator[NodeRow]:
    """Live nodes of a kind behind a mark, in order. Narrowed where an index can; the caller filters."""
    narrow = narrowed(kind, where)
    values = {**narrow, "kind": NODE_CODES[kind]}
    limit = max(_SCAN, wanted) if where else wanted
    for column in _columns(ordering, mark):
        behind = mark
        while True:
            text, more = page_query(column, tuple(narrow), ordering.descending, behind)
            page = rows(tx, text, **values, **more, limit=limit)
            for row in page:
                yield codec.node_row(row)
            if len(page) < limit:
                break
            last = codec.node_row(page[-1])
            value = {"name": last.name, "createdAt": last.created_at}.get(column)
            behind = (value, last.id)
            limit = min(_MOST, 2 * limit)
        # What follows is in another order, from its start.
        mark = None


def _columns(ordering: Ordering, mark: tuple[Any, str] | None) -> tuple[str, ...]:
    if ordering.by is Order.ID:
        return ("id",)
    if ordering.by is Order.NAME:
        return ("name",)
    # Nodes without a creation time come last in either direction.
    return ("undated",) if mark is not None and mark[0] is None else ("createdAt", "undated")


def page_query(
    column: str, narrow: Sequence[str], descending: bool, mark: tuple[Any, str] | None
) -> tuple[str, dict[str, Any]]:
    """The statement for one page in one order, and its parameters."""
    way, than = ("DESC", "<") if descending else ("ASC", ">")
    values: dict[str, Any] = {}
    if mark is not None:
        values["id"] = index_key(mark[1])
    if column in ("id", "undated"):
        condition = f"n.id {than} $id" if mark is not None else "n.id IS NOT NULL"
        if column == "undated":
            condition += " AND n.createdAt IS NULL"
        order = f"n.kind {way}, n.id {way}"
    else:
        condition = f"n.{column} IS NOT NULL"
        if mark is not None:
            values["value"] = index_key(mark[0]) if column == "name" else mark[0]
            # One bound to seek by, and what of the bound itself is behind the mark; said in such a way that
            # the planner does not make two seeks and a sort of it.
            behind = f"CASE WHEN n.{column} = $value THEN n.id {than} $id ELSE true END"
            condition = f"n.{column} {than}= $value AND {behind}"
        order = f"n.kind {way}, n.{column} {way}, n.id {way}"
    # Left alone, the planner scans where it could seek, for the plan is made when the graph is empty.
    key = narrow[0] if narrow else "id" if column == "undated" else column
    conditions = "".join(f" AND n.{kept} IN ${kept}" for kept in narrow)
    text = (
        f"MATCH (n:Item) USING INDEX SEEK n:Item(kind, {key})"
        f" WHERE n.kind = $kind AND {condition}{conditions} AND n.live"
        f" WITH n ORDER BY {order} LIMIT $limit RETURN collect([{NODE.format('n')}])"
    )
    return text, values


def narrowed(kind: NodeKind, where: Sequence[Filter]) -> dict[str, Any]:
    """What the database can check, by its index: a declared property equals one of some texts.

    Only such as let through everything that :func:`graph_schema.filters.matches` would."""
    narrow: dict[str, Any] = {}
    for condition in where:
        kept = indexed_property(condition.key)
        if condition.key not in KINDS[kind].properties or kept in narrow:
            continue
        wanted = condition.value if condition.op is FilterOp.IN else [condition.value]
        if condition.op in (FilterOp.EQ, FilterOp.IN) and all(codec.filterable(w) for w in wanted):
            narrow[kept] = wanted
    return narrow
