"""What differs between two things, or in one thing between two times: properties, aliases, what each came
from, and the edges around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from app.lineage import origins
from app.lineage.commits import CommitRange
from app.lineage.differences import ALIAS, Difference, of_edges, of_properties, ordered
from app.lineage.sides import Side
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Edge, Moment, Node, Spaces

__all__ = ["Comparison", "Difference", "compare"]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """``differences`` begin with what matters; ``code`` are the commits between the two, by repository.
    ``added`` are edges that only the right side has, ``removed`` those that only the left has."""

    left: Node
    right: Node
    differences: list[Difference]
    code: list[CommitRange]
    added: list[Edge]
    removed: list[Edge]
    complete: bool
    truncated_because: str | None = None


def compare(
    store: GraphStore,
    left: int,
    right: int,
    *,
    left_as_of: Micros | None = None,
    right_as_of: Micros | None = None,
    known_at: Micros | None = None,
    spaces: Spaces = None,
) -> Comparison:
    """Compare two nodes, or one at two times of the world.

    Two nodes: their properties, what they came from, what belongs to them. One at two times: what it came
    from and fed, what belonged to it and where that came from (what stood in an environment), its aliases.
    """
    a, b = (
        Side(store, handle, Moment(as_of, known_at), spaces, both_ways=left == right)
        for handle, as_of in ((left, left_as_of), (right, right_as_of))
    )
    a.walk_standing(b.standing)
    b.walk_standing(a.standing)
    gone = [a.edges[key] for key in a.edges.keys() - b.edges.keys()]
    new = [b.edges[key] for key in b.edges.keys() - a.edges.keys()]
    changed = [key for key in sorted(a.edges.keys() & b.edges.keys()) if a.edges[key] != b.edges[key]]
    beliefs = [*gone, *new, *(side.edges[key] for key in changed for side in (a, b))]
    read = _reader(store, known_at, beliefs)
    differences = list(_of_aliases(a, b))
    if left != right:
        differences += of_properties(a.node.properties, b.node.properties)
    for key in changed:
        differences += of_edges(read[a.edges[key]], read[b.edges[key]])
    told = origins.told(store, a, b, known_at=known_at, spaces=spaces)
    reasons = list(dict.fromkeys(reason for side in (a, b) for reason in side.reasons))
    return Comparison(
        left=a.node,
        right=b.node,
        differences=ordered([*differences, *told.differences]),
        code=told.code,
        added=sorted((read[belief] for belief in new), key=_order),
        removed=sorted((read[belief] for belief in gone), key=_order),
        complete=not reasons,
        truncated_because="; ".join(reasons) or None,
    )


def _reader(store: GraphStore, known_at: Micros | None, beliefs: Sequence[int]) -> dict[int, Edge]:
    asked = sorted(set(beliefs))
    return dict(zip(asked, store.edges(asked, known_at=known_at), strict=True)) if asked else {}


def _order(edge: Edge) -> tuple[Any, ...]:
    return (edge.valid_from or 0, edge.kind, edge.src, edge.dst)


def _of_aliases(left: Side, right: Side) -> Iterator[Difference]:
    """Who held each alias: a model's versions, or a version itself."""
    a, b = left.aliases(), right.aliases()
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            yield Difference(f"aliases.{name}", a.get(name), b.get(name), ALIAS)
