"""Lineage of a column, worked out when it is asked for from the pairs of columns on ``DERIVED_INTO``.

Columns are no nodes: they would outnumber all others. A step of this walk is a pair of columns of a
derivation, or a column that bears on all of a table (a filter, a key of a join): that leads to the table as a
whole, and from there to what was derived from it. ``SAME_AS`` is crossed at no cost. A derivation that does
not say its columns ends the walk there, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from app.lineage.closure import classes
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import NOW, Direction, Edge, Moment, Node, Spaces, Step
from graph_schema.wording import a_or_an, counted

MAX_HOPS = 100
#: Columns that one walk visits.
MAX_WALKED = 10_000
_LISTED = 30


class Place(NamedTuple):
    """A column of a state of data; None is the table as a whole."""

    handle: int
    column: str | None


class ColumnStep(NamedTuple):
    """A column goes into another. ``transformations`` are those that are told, ``masked`` whether one of them
    hides the values; ``edge`` is the derivation that says so."""

    src: Place
    dst: Place
    transformations: tuple[str, ...]
    masked: bool
    description: str | None
    edge: Edge


class Read(NamedTuple):
    """A run or deployment that reads a state of data in which the column arrived: as a whole, for which
    columns it takes is not recorded."""

    reader: int
    data: int


class ColumnLineage(msgspec.Struct, frozen=True, kw_only=True):
    """``places`` by hops, negative upstream, the root first. ``unknown`` are derivations on the way that do
    not say their columns; then, and where the walk was cut, ``complete`` is False and it is said why."""

    root: Place
    places: dict[Place, int]
    steps: list[ColumnStep]
    readers: list[Read]
    unknown: list[Edge]
    complete: bool
    truncated_because: str | None


def column_lineage(
    store: GraphStore,
    handle: int,
    column: str,
    direction: Direction = Direction.BOTH,
    max_hops: int = 20,
    *,
    moment: Moment = NOW,
    spaces: Spaces = None,
) -> ColumnLineage:
    """Where a column came from, what it went into, or both. A data set is taken for its newest state.

    Raises BadInput where there are no such columns, and for limits that make no sense.
    """
    if not 0 <= max_hops <= MAX_HOPS:
        raise BadInput(f"maxHops is {max_hops}; allowed are 0 to {MAX_HOPS}")
    node = _state(store, handle, moment, spaces)
    root = Place(node.handle, _spelled(node, column))
    ways = (Direction.UPSTREAM, Direction.DOWNSTREAM) if direction is Direction.BOTH else (direction,)
    walks = [_Walk(store, way, moment, spaces).run(root, max_hops) for way in ways]
    places: dict[Place, int] = {}
    for walk in walks:
        sign = -1 if walk.direction is Direction.UPSTREAM else 1
        for place, hops in walk.hops.items():
            places.setdefault(place, sign * hops)
    reached = [
        place.handle for walk in walks if walk.direction is Direction.DOWNSTREAM for place in walk.hops
    ]
    because = _reasons(walks, max_hops)
    return ColumnLineage(
        root=root,
        places=dict(sorted(places.items(), key=lambda item: (abs(item[1]), item[1], item[0][1] or ""))),
        steps=[step for walk in walks for step in walk.steps.values()],
        readers=_readers(store, sorted(set(reached)), moment, spaces),
        unknown=[edge for walk in walks for edge in walk.unknown.values()],
        complete=because is None,
        truncated_because=because,
    )


def _state(store: GraphStore, handle: int, moment: Moment, spaces: Spaces) -> Node:
    """The state of data that is meant; of a data set the newest."""
    (node,) = store.get([handle], known_at=moment.known_at, spaces=spaces)
    if node is None:
        raise NotFound("there is no such node at that time")
    if node.kind is NodeKind.DATASET:
        found = store.expand([handle], Direction.DOWNSTREAM, (EdgeKind.HAS,), moment, spaces)
        handles = sorted({step.dst for step in found.steps})
        states = [each for each in store.get(handles, known_at=moment.known_at, spaces=spaces) if each]
        if not states:
            raise BadInput(f"{node.id} has no state whose columns could be followed")
        node = max(states, key=lambda each: (each.created_at or 0, each.id))
    if node.kind is not NodeKind.DATASET_VERSION:
        raise BadInput(
            f"{node.id} is {a_or_an(node.kind)}; columns are those of a DatasetVersion or a Dataset"
        )
    return node


def _spelled(node: Node, column: str) -> str:
    """The column as the data spells it, where its columns are known."""
    known = node.properties.get("columns")
    statistics = node.properties.get("columnStatistics")
    names = [str(each) for each in known] if isinstance(known, list) else []
    if column in names or (isinstance(statistics, dict) and column in statistics) or not names:
        return column
    alike = [name for name in names if name.lower() == column.lower()]
    if len(alike) == 1:
        return alike[0]
    listed = ", ".join(names[:_LISTED]) + (", …" if len(names) > _LISTED else "")
    raise BadInput(f"{node.name} has no column {column[:100]!r}; it has {listed}")


class _Walk:
    """One direction of the walk, a call for steps and one for edges a hop."""

    def __init__(self, store: GraphStore, direction: Direction, moment: Moment, spaces: Spaces) -> None:
        self.direction = direction
        self.hops: dict[Place, int] = {}
        self.steps: dict[tuple[Any, ...], ColumnStep] = {}
        self.unknown: dict[int, Edge] = {}
        self.more = 0
        self.unread = 0
        self.full = False
        self._store = store
        self._moment = moment
        self._spaces = spaces

    def run(self, root: Place, max_hops: int) -> _Walk:
        """Hop by hop, until nothing is left or the hops are used up."""
        self.hops[root] = 0
        frontier = [root]
        for hop in range(1, max_hops + 2):
            if not frontier:
                break
            reached = self._hop(frontier, hop, beyond=hop > max_hops)
            if hop > max_hops:
                self.more = len(reached)
                break
            if len(self.hops) > MAX_WALKED:
                self.full = True
                break
            frontier = reached
        return self

    def _hop(self, frontier: Sequence[Place], hop: int, *, beyond: bool) -> list[Place]:
        """What one step leads to. ``beyond`` the limit it is only counted."""
        handles = sorted({place.handle for place in frontier})
        found = self._store.expand(
            handles, self.direction, (EdgeKind.DERIVED_INTO,), self._moment, self._spaces
        )
        self.unread += sum(found.hidden.values())
        edges = self._store.edges([step.belief for step in found.steps], known_at=self._moment.known_at)
        here = _columns_here(frontier, found.steps, found.same, self.direction)
        reached: list[Place] = []
        for step, edge in zip(found.steps, edges, strict=True):
            near, far = (step.src, step.dst) if self._down else (step.dst, step.src)
            at = here.get(near, set())
            told_nothing = not (edge.properties.get("columns") or edge.properties.get("transformations"))
            if told_nothing and at - {None} and not beyond:
                self.unknown[step.belief] = edge
            for one, other, told in _led(edge.properties, at, down=self._down):
                place = Place(far, other)
                if place not in self.hops:
                    reached.append(place)
                    if not beyond:
                        self.hops[place] = hop
                if not beyond:
                    # What is the same thing has the column too, at no cost.
                    self.hops.setdefault(Place(near, one), hop - 1)
                    self._note(Place(near, one), place, told, edge, step)
        return list(dict.fromkeys(reached))

    @property
    def _down(self) -> bool:
        return self.direction is Direction.DOWNSTREAM

    def _note(
        self, near: Place, far: Place, told: Sequence[Mapping[str, Any]], edge: Edge, step: Step
    ) -> None:
        src, dst = (near, far) if self._down else (far, near)
        said = [str(each["description"]) for each in told if each.get("description")]
        self.steps[src, dst, step.belief] = ColumnStep(
            src,
            dst,
            tuple(dict.fromkeys(str(each["how"]) for each in told if each.get("how"))),
            any(bool(each.get("masked")) for each in told),
            said[0] if said else None,
            edge,
        )


def _columns_here(
    frontier: Sequence[Place], steps: Iterable[Step], same: Sequence[Step], direction: Direction
) -> dict[int, set[str | None]]:
    """The columns that are followed from each node: its own, and those of what is the same."""
    down = direction is Direction.DOWNSTREAM
    near = {step.src if down else step.dst for step in steps}
    leader = classes({*near, *(place.handle for place in frontier)}, same)
    followed: dict[int, set[str | None]] = {}
    for place in frontier:
        followed.setdefault(leader[place.handle], set()).add(place.column)
    return {handle: followed.get(leader[handle], set()) for handle in near}


def _led(
    properties: Mapping[str, Any], at: set[str | None], *, down: bool
) -> Iterable[tuple[str | None, str | None, list[Mapping[str, Any]]]]:
    """What the columns at the near end go to, or come from: (near, far, what is told of how)."""
    told: dict[tuple[str, str | None], list[Mapping[str, Any]]] = {}
    for each in properties.get("transformations") or ():
        told.setdefault((each["from"], each.get("to")), []).append(each)
    pairs = dict.fromkeys([*((a, b) for a, b in properties.get("columns") or ()), *told])
    for source, target in pairs:
        near, far = (source, target) if down else (target, source)
        # What bears on all rows bears on every column.
        if near in at or (not down and near is None):
            for one in sorted(at, key=str) if near is None else (near,):
                yield one, far, told.get((source, target), [])
    if down and None in at:
        yield None, None, []


def _readers(store: GraphStore, handles: Sequence[int], moment: Moment, spaces: Spaces) -> list[Read]:
    if not handles:
        return []
    found = store.expand(handles, Direction.DOWNSTREAM, (EdgeKind.INPUT_TO,), moment, spaces)
    return [Read(step.dst, step.src) for step in sorted(found.steps, key=lambda s: (s.src, s.dst))]


def _reasons(walks: Sequence[_Walk], max_hops: int) -> str | None:
    reasons = []
    unknown = sum(len(walk.unknown) for walk in walks)
    if unknown:
        says = (
            "derivation does not say its columns" if unknown == 1 else "derivations do not say their columns"
        )
        reasons.append(f"{unknown:,} {says}: whether the column is in them is not known")
    more = sum(walk.more for walk in walks)
    if more:
        lie = "lies" if more == 1 else "lie"
        reasons.append(
            f"stopped at {counted(max_hops, 'hop')}: {counted(more, 'more column')} {lie} one hop further: "
            "raise maxHops"
        )
    if any(walk.full for walk in walks):
        reasons.append(f"stopped after {MAX_WALKED:,} columns: narrow with direction or maxHops")
    unread = sum(walk.unread for walk in walks)
    if unread:
        reasons.append(f"{unread:,} neighbours lie in spaces that you may not read")
    return "; ".join(reasons) or None
