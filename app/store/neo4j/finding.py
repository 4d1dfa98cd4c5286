"""Lists of nodes in order, page by page, narrowed by the indexes that the kinds declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    limit = max(_SCAN, wanted) if where else wanted
    for column in _columns(ordering, mark):
        behind = mark
        while True:
            text, values = page_query(column, narrow, ordering.descending, behind)
            page = rows(tx, text, **values, kind=NODE_CODES[kind], limit=limit)
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
    column: str, narrow: Mapping[str, list[str]], descending: bool, mark: tuple[Any, str] | None
) -> tuple[str, dict[str, Any]]:
    """The statement for one page in one order, and its parameters. ``narrow``: see :func:`narrowed`."""
    way, than = ("DESC", "<") if descending else ("ASC", ">")
    values: dict[str, Any] = dict(narrow)
    where = ["n.kind = $kind"]
    keys = ["kind"]
    if mark is not None:
        values["id"] = index_key(mark[1])
    if column in ("id", "undated"):
        # An index gives the nodes with one value of a property in the order of their ids, too.
        for kept in [kept for kept, wanted in narrow.items() if len(wanted) == 1][:1]:
            keys.append(kept)
            where.append(f"n.{kept} = ${kept}")
            values[kept] = narrow[kept][0]
        keys.append("id")
        where.append(f"n.id {than} $id" if mark is not None else "n.id IS NOT NULL")
        where += ["n.createdAt IS NULL"] if column == "undated" else []
    else:
        keys.append(column)
        where.append(f"n.{column} IS NOT NULL")
        if mark is not None:
            values["value"] = index_key(mark[0]) if column == "name" else mark[0]
            # One bound to seek by, and what of the bound itself is behind the mark; said in such a way that
            # the planner does not make two seeks and a sort of it.
            where.append(f"n.{column} {than}= $value")
            where.append(f"CASE WHEN n.{column} = $value THEN n.id {than} $id ELSE true END")
    where += [f"n.{kept} IN ${kept}" for kept in narrow if kept not in keys]
    order = ", ".join(f"n.{key} {way}" for key in dict.fromkeys([*keys, "id"]))
    # Left alone, the planner scans where it could seek, for the plan is made when the graph is empty.
    text = (
        f"MATCH (n:Item) USING INDEX SEEK n:Item({', '.join(keys)}) WHERE {' AND '.join(where)} AND n.live"
        f" WITH n ORDER BY {order} LIMIT $limit RETURN collect([{NODE.format('n')}])"
    )
    return text, values


def narrowed(kind: NodeKind, where: Sequence[Filter]) -> dict[str, list[str]]:
    """What the database can check: a declared property, as it is kept for its index, is one of these texts.

    Only such as let through everything that :func:`graph_schema.filters.matches` would."""
    narrow: dict[str, list[str]] = {}
    for condition in where:
        kept = indexed_property(condition.key)
        if condition.key not in KINDS[kind].properties or kept in narrow:
            continue
        wanted = condition.value if condition.op is FilterOp.IN else [condition.value]
        if condition.op in (FilterOp.EQ, FilterOp.IN) and all(codec.filterable(w) for w in wanted):
            narrow[kept] = wanted
    return narrow
