"""From rows to the values that readers get, the same for both engines."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from typing import Any

from app.store.rows import EDGE_KINDS, NODE_KINDS, BeliefRow, Fact, NodeRow, from_json, to_json
from graph_schema.errors import BadInput
from graph_schema.identifiers import leading
from graph_schema.kinds import RESERVED_PROPERTIES
from graph_schema.properties import Statement, default_name, merge
from graph_schema.values import Edge, Node, Order, Ordering

SourceNames = Mapping[int, tuple[str, str, str]]
"""(name, type, space) of a source by its id."""


def to_node(row: NodeRow, sources: SourceNames, spaces: Collection[str] | None) -> Node | None:
    """A node for readers; None where the caller may read nothing that is said of it."""
    facts = row.facts
    properties, name, url = row.properties, row.name, row.url
    created, gone = row.created_at, row.gone_at
    if spaces is not None and facts:
        visible = [f for f in facts if sources[f.sid][2] in spaces]
        if not visible:
            return None
        if len(visible) < len(facts):
            row = composed(row.nid, row.kind, row.identifiers, visible, sources)
            properties, name, url = row.properties, row.name, row.url
            created, gone = row.created_at, row.gone_at
        facts = visible
    return Node(
        id=row.id,
        kind=NODE_KINDS[row.kind],
        name=name,
        identifiers=tuple(sorted(row.identifiers, key=lambda t: (t != row.id, t))),
        url=url,
        properties={k: v for k, v in properties.items() if k not in RESERVED_PROPERTIES},
        created_at=created,
        gone_at=gone,
        stub=row.stub,
        sources=tuple(sorted({sources[f.sid][0] for f in facts})),
        handle=row.nid,
    )


def last_word(row: NodeRow, recorded: Mapping[int, int]) -> int | None:
    """When something new was last said of a node, in microseconds; ``recorded``: the times of revisions."""
    times = [fact.at if fact.at is not None else recorded[fact.since] for fact in row.facts]
    return max(times, default=None)


def composed(nid: int, kind: int, identifiers: list[str], facts: list[Fact], sources: SourceNames) -> NodeRow:
    """What facts come to, as a node with these identifiers."""
    declared = NODE_KINDS[kind]
    properties = (
        merge(declared, [Statement(*sources[f.sid][:2], f.at, f.properties) for f in facts]) if facts else {}
    )
    gone = [f.gone_at for f in facts]
    all_gone = bool(gone) and all(g is not None for g in gone)
    lead = identifiers[0] if len(identifiers) == 1 else leading(identifiers, declared)
    name, url, created = properties.get("name"), properties.get("url"), properties.get("createdAt")
    return NodeRow(
        nid,
        kind,
        lead,
        str(name) if name else default_name(declared, lead),
        str(url) if url else None,
        created if isinstance(created, int) and not isinstance(created, bool) else None,
        max(g for g in gone if g is not None) if all_gone else None,
        True,
        not facts,
        facts,
        properties,
        sorted(identifiers),
    )


def to_edge(belief: BeliefRow, src: str, dst: str, origins: Mapping[int, tuple[str, ...]]) -> Edge:
    """An edge for readers. ``src`` and ``dst`` are ids of nodes; ``origins`` gives source names."""
    properties, evidence = from_json(belief.data) if belief.data else ({}, None)
    return Edge(
        src=src,
        dst=dst,
        kind=EDGE_KINDS[belief.kind],
        source="+".join(sorted(origins[belief.oid])),
        valid_from=belief.since,
        valid_to=belief.until,
        evidence=evidence,
        properties=properties,
    )


def order_value(node: Node | NodeRow, ordering: Ordering) -> Any:
    """What a node is ordered by, besides its id."""
    if ordering.by is Order.NAME:
        return node.name
    if ordering.by is Order.CREATED_AT:
        return node.created_at
    return None


def encode_cursor(node: Node | NodeRow, ordering: Ordering) -> str:
    """Where a page ended: the order, the value and the id. Opaque to callers."""
    mark = [ordering.by.value, ordering.descending, order_value(node, ordering), node.id]
    return base64.urlsafe_b64encode(to_json(mark)).decode().rstrip("=")


def decode_cursor(cursor: str, ordering: Ordering) -> tuple[Any, str]:
    """(value, id) to go on after. Raises BadInput for a cursor that is not of this list."""
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        by, descending, value, id_ = from_json(raw)
    except Exception:
        raise BadInput("the cursor is not one that this service gave out") from None
    if (by, descending) != (ordering.by.value, ordering.descending) or not isinstance(id_, str):
        raise BadInput("the cursor belongs to a list in another order")
    return value, id_
