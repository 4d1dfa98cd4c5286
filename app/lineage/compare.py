"""What differs between two things, or in one thing between two times: properties, aliases, and the edges
around it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from app.lineage.aliases import moves_of, stays
from app.lineage.walk import lineage
from graph_schema.edges import EDGES, FLOW_KINDS, EdgeKind, Family
from graph_schema.errors import NotFound
from graph_schema.kinds import OBSERVED_PROPERTIES, NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Edge, Moment, Node, Spaces, Step

#: Nodes of one walk and children of one thing that are compared; where there are more, the answer says so.
MAX_NODES = 5_000
MAX_HOPS = 20
_DIRECT = tuple(kind for kind in EdgeKind if EDGES[kind].family in (Family.STRUCTURE, Family.OWNERSHIP))
#: What a difference in a group of properties usually means for the outcome, from 0 to 1.
_WEIGHTS = {"params": 1.0, "metrics": 0.8, "aliases": 0.8, "status": 0.6, "tags": 0.2}
_OTHER, _TIMES = 0.4, 0.05

_Key = tuple[EdgeKind, int, int]


class Difference(msgspec.Struct, frozen=True):
    """A value on both sides (None: not there). ``weight``, 0 to 1, orders: what matters comes first."""

    path: str
    left: Any
    right: Any
    weight: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """``added`` are edges that only the right side has, ``removed`` those that only the left has."""

    left: Node
    right: Node
    differences: list[Difference]
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
    sides = [
        _Side(store, handle, Moment(as_of, known_at), spaces, both_ways=left == right)
        for handle, as_of in ((left, left_as_of), (right, right_as_of))
    ]
    a, b = (side.edges for side in sides)
    gone = [a[key] for key in a.keys() - b.keys()]
    new = [b[key] for key in b.keys() - a.keys()]
    kept = sorted(a.keys() & b.keys())
    read = _reader(store, known_at, [*gone, *new, *(e for key in kept for e in (a[key], b[key]))])
    differences = [*_of_nodes(*(side.node for side in sides)), *_of_aliases(*sides)]
    for key in kept:
        if a[key] != b[key]:
            differences += _of_edges(read[a[key]], read[b[key]])
    reasons = list(dict.fromkeys(reason for side in sides for reason in side.reasons))
    return Comparison(
        left=sides[0].node,
        right=sides[1].node,
        differences=sorted(differences, key=lambda d: (-d.weight, d.path)),
        added=sorted((read[belief] for belief in new), key=_order),
        removed=sorted((read[belief] for belief in gone), key=_order),
        complete=not reasons,
        truncated_because="; ".join(reasons) or None,
    )


class _Side:
    """One thing at one moment: the node, and the beliefs around it by edge."""

    def __init__(
        self, store: GraphStore, root: int, moment: Moment, spaces: Spaces, *, both_ways: bool
    ) -> None:
        found = store.get([root], known_at=moment.known_at, spaces=spaces)[0]
        if found is None:
            raise NotFound("there is no such node at that time")
        self.node = found
        self.moment = moment
        self.edges: dict[_Key, int] = {}
        self.reasons: list[str] = []
        ways = (Direction.UPSTREAM, Direction.DOWNSTREAM) if both_ways else (Direction.UPSTREAM,)
        for way in ways:
            walk = lineage(
                store, root, way, MAX_HOPS, moment=moment, first=MAX_NODES, spaces=spaces, stubs=False
            )
            self._note(walk.steps)
            if walk.truncated_because is not None:
                self.reasons.append(walk.truncated_because)
        children: set[int] = set()
        parents: set[int] = set()
        for way in (Direction.UPSTREAM, Direction.DOWNSTREAM):
            steps = store.expand([root], way, _DIRECT, moment, spaces).steps
            self._note(steps)
            if way is Direction.DOWNSTREAM:
                children = {step.dst for step in steps if step.kind is EdgeKind.HAS}
            else:
                parents = {step.src for step in steps if step.kind is EdgeKind.HAS}
        if len(children) > MAX_NODES:
            self.reasons.append(f"only {MAX_NODES:,} of the {len(children):,} things it has were looked at")
        self.children = sorted(children)[:MAX_NODES]
        if both_ways and self.children:
            self._note(store.expand(self.children, Direction.UPSTREAM, FLOW_KINDS, moment, spaces).steps)
        versions = self.children if found.kind is NodeKind.MODEL else []
        models = [root] if found.kind is NodeKind.MODEL else sorted(parents)
        if found.kind is not NodeKind.MODEL_VERSION and not versions:
            models = []
        read = store.get([*versions, *models], known_at=moment.known_at, spaces=spaces)
        self.versions = [node for node in read[: len(versions)] if node is not None]
        self.moves = moves_of(node for node in read[len(versions) :] if node is not None)

    def _note(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.edges[step.kind, step.src, step.dst] = step.belief


def _reader(store: GraphStore, known_at: Micros | None, beliefs: Sequence[int]) -> dict[int, Edge]:
    asked = sorted(set(beliefs))
    return dict(zip(asked, store.edges(asked, known_at=known_at), strict=True)) if asked else {}


def _order(edge: Edge) -> tuple[Any, ...]:
    return (edge.valid_from or 0, edge.kind, edge.src, edge.dst)


# --- properties ----------------------------------------------------------------------------------------


def _of_nodes(left: Node, right: Node) -> Iterator[Difference]:
    if left.handle == right.handle:
        return
    a, b = dict(_flat("", left.properties)), dict(_flat("", right.properties))
    for path in sorted(a.keys() | b.keys()):
        if a.get(path) != b.get(path):
            yield Difference(path, a.get(path), b.get(path), _weight(path))


def _flat(prefix: str, properties: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in properties.items():
        # Who holds which alias is told from its history, by the time that is asked about.
        if key in OBSERVED_PROPERTIES or key == "aliases":
            continue
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(f"{path}.", value)
        else:
            yield path, value


def _weight(path: str) -> float:
    head = path.partition(".")[0]
    return _TIMES if head.endswith("At") else _WEIGHTS.get(head, _OTHER)


def _of_edges(left: Edge, right: Edge) -> Iterator[Difference]:
    """One edge in two states: a deployment's share of the traffic, for example."""
    for key in sorted(left.properties.keys() | right.properties.keys()):
        a, b = left.properties.get(key), right.properties.get(key)
        if a != b:
            yield Difference(f"{left.src} {left.kind} {left.dst}: {key}", a, b, _WEIGHTS["params"])


# --- aliases -------------------------------------------------------------------------------------------


def _of_aliases(left: _Side, right: _Side) -> Iterator[Difference]:
    """Who held each alias: a model's versions, or a version itself."""
    a, b = _aliases(left), _aliases(right)
    for name in sorted(a.keys() | b.keys()):
        if a.get(name) != b.get(name):
            yield Difference(f"aliases.{name}", a.get(name), b.get(name), _WEIGHTS["aliases"])


def _aliases(side: _Side) -> dict[str, Any]:
    at = side.moment.as_of if side.moment.as_of is not None else time.time_ns() // 1000
    held: dict[str, Any] = {}
    for version, name in ((side.node, True), *((each, each.name) for each in side.versions)):
        for stay in stays(version, side.moves):
            if stay.seen_at <= at and (stay.until is None or at < stay.until):
                held[stay.name] = name
    return held
