"""What lies up- or downstream of things, with the times of its edges: read hop by hop, then walked here."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from graph_schema.edges import EdgeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Edge, Moment, Node, Spaces, Step

#: Nodes that one reading visits before it stops and says so.
MAX_READ = 20_000
MAX_HOPS = 60
#: How far an edge is to be trusted: as stated by a tool, as derived by a rule, as the same thing elsewhere.
STATED, DERIVED, TWIN = 1.0, 0.95, 0.9
#: What these lead to was made so, and by nothing else.
_MAKES = frozenset({EdgeKind.PRODUCED, EdgeKind.DERIVED_INTO, EdgeKind.PACKAGED_IN})
#: A hop costs next to nothing: of two ways equally certain the shorter is shown.
_HOP = 0.001


class Link(msgspec.Struct, frozen=True):
    """An edge between two handles, and since when it holds (None: nobody says): what made a thing lies before
    its first use, also where it was told of later."""

    src: int
    dst: int
    edge: Edge
    since: Micros | None

    @property
    def certainty(self) -> float:
        """How far it is to be trusted, 0 to 1."""
        if self.edge.kind is EdgeKind.SAME_AS:
            return TWIN
        return STATED if self.edge.evidence is None else DERIVED


class Region(msgspec.Struct):
    """Edges by what they lead to (``into``) and by what they leave (``out``). ``SAME_AS`` is in both, either
    way round. ``stopped``: there was more than is read; ``hidden`` counts what may not be read."""

    into: dict[int, list[Link]] = msgspec.field(default_factory=dict)
    out: dict[int, list[Link]] = msgspec.field(default_factory=dict)
    handles: set[int] = msgspec.field(default_factory=set)
    beliefs: set[int] = msgspec.field(default_factory=set)
    stopped: bool = False
    hidden: int = 0

    def add(self, step: Step, edge: Edge, since: Micros | None) -> None:
        """Note an edge, once, and since when it holds."""
        if step.belief in self.beliefs:
            return
        self.beliefs.add(step.belief)
        ways = [(step.src, step.dst)]
        if step.kind is EdgeKind.SAME_AS:
            ways.append((step.dst, step.src))
        for src, dst in ways:
            link = Link(src, dst, edge, since)
            self.out.setdefault(src, []).append(link)
            self.into.setdefault(dst, []).append(link)
        self.handles.update((step.src, step.dst))


def read(
    store: GraphStore,
    starts: Iterable[int],
    direction: Direction,
    kinds: Sequence[EdgeKind],
    *,
    until: Micros,
    known_at: Micros | None = None,
    spaces: Spaces = None,
    ends: frozenset[EdgeKind] = frozenset(),
    region: Region | None = None,
) -> Region:
    """Everything from these nodes on along edges that held by ``until`` (microseconds).

    An edge that makes a thing held when that was used, whenever it is said to: with DVC, what a run read is
    often committed after the run. Two store calls a hop. ``ends``: edges that are noted, and not followed
    further.
    """
    found = Region() if region is None else region
    seen = set(starts)
    found.handles |= seen
    held: list[tuple[Step, Edge]] = []
    late: list[tuple[Step, Edge, Micros]] = []
    used = dict.fromkeys(seen, until)
    frontier = sorted(seen)
    moment = Moment(known_at=known_at)
    for _ in range(MAX_HOPS):
        if not frontier or len(seen) > MAX_READ:
            break
        expansion = store.expand(frontier, direction, kinds, moment, spaces)
        steps = [*expansion.steps, *expansion.same]
        found.hidden += sum(expansion.hidden.values())
        fresh: set[int] = set()
        for step, edge in zip(
            steps, store.edges([s.belief for s in steps], known_at=known_at) if steps else [], strict=True
        ):
            if edge.valid_from is not None and edge.valid_from > until:
                if step.kind not in _MAKES:
                    continue
                late.append((step, edge, edge.valid_from))
            else:
                held.append((step, edge))
            if step.kind not in ends:
                fresh.update((step.src, step.dst))
        frontier = sorted(fresh - seen)
        seen.update(frontier)
    found.stopped = bool(frontier)
    for step, edge in held:
        found.add(step, edge, edge.valid_from)
    for step, edge, since in _before_use(held, late, used, until):
        found.add(step, edge, since)
    return found


def _before_use(
    held: Iterable[tuple[Step, Edge]],
    late: Sequence[tuple[Step, Edge, Micros]],
    used: dict[int, Micros],
    until: Micros,
) -> list[tuple[Step, Edge, Micros]]:
    """Of the edges that are said to hold later only, those that make what was used by then, each with when
    that was first used. ``used`` has when things were at the latest. What is known to have been made by then
    was made again later, and so was what is told of twice."""
    twins: list[tuple[int, int]] = []
    known: set[tuple[int, EdgeKind]] = set()
    first: dict[tuple[int, EdgeKind], Micros] = {}
    for step, _, since in late:
        made = step.dst, step.kind
        first[made] = min(since, first.get(made, since))
    for step, edge in held:
        known.add((step.dst, step.kind))
        if step.kind is EdgeKind.SAME_AS:
            twins += [(step.src, step.dst), (step.dst, step.src)]
        else:
            when = until if edge.valid_from is None else edge.valid_from
            used[step.src] = min(when, used.get(step.src, when))
    makes = [
        (step, edge)
        for step, edge, since in late
        if (step.dst, step.kind) not in known and since == first[step.dst, step.kind]
    ]
    while True:
        before = dict(used)
        ways = [*twins, *((step.src, step.dst) for step, _ in makes)]
        for src, dst in ways:
            if dst in used:
                used[src] = min(used[dst], used.get(src, used[dst]))
        if used == before:
            return [(step, edge, used[step.dst]) for step, edge in makes if step.dst in used]


def masks(region: Region, roots: Mapping[int, int], upstream: bool = True) -> dict[int, int]:
    """For every node, the bits of the roots that it leads to (``upstream``), else that lead to it."""
    ways = region.into if upstream else region.out
    held = dict(roots)
    pending = list(roots)
    while pending:
        node = pending.pop()
        for link in ways.get(node, ()):
            other = link.src if upstream else link.dst
            bits = held.get(other, 0) | held[node]
            if bits != held.get(other, 0):
                held[other] = bits
                pending.append(other)
    return held


def best_paths(region: Region, end: int) -> dict[int, tuple[float, Link | None]]:
    """For every node that leads to ``end``: the cost (-log of certainty) of the most certain way, and the
    first edge of it. ``end`` has none."""
    found: dict[int, tuple[float, Link | None]] = {end: (0.0, None)}
    queue: list[tuple[float, int]] = [(0.0, end)]
    while queue:
        cost, node = heapq.heappop(queue)
        if cost > found[node][0]:
            continue
        for link in region.into.get(node, ()):
            more = cost - math.log(link.certainty) + _HOP
            if link.src not in found or more < found[link.src][0] - 1e-12:
                found[link.src] = (more, link)
                heapq.heappush(queue, (more, link.src))
    return found


def way(paths: Mapping[int, tuple[float, Link | None]], start: int) -> list[Link]:
    """The edges from ``start`` to the end, in their order."""
    links: list[Link] = []
    link = paths[start][1]
    while link is not None:
        links.append(link)
        link = paths[link.dst][1]
    return links


def certainty(links: Iterable[Link]) -> float:
    """Of a whole way: that all of its edges are right."""
    return math.prod(link.certainty for link in links)


def arrivals(region: Region, start: int, since: Micros, spared: Collection[int] = ()) -> dict[int, Micros]:
    """When what happened at ``start`` had reached each node downstream: the earliest time by which all edges
    of some way there held, and never before ``since``. ``spared`` did not get it as their code."""
    at = {start: since}
    queue = [(since, start)]
    while queue:
        when, node = heapq.heappop(queue)
        if when > at[node]:
            continue
        for link in region.out.get(node, ()):
            if link.dst in spared and link.edge.kind is EdgeKind.CODE_FOR:
                continue
            reached = when if link.since is None else max(when, link.since)
            if reached < at.get(link.dst, reached + 1):
                at[link.dst] = reached
                heapq.heappush(queue, (reached, link.dst))
    return at


def nodes_of(
    store: GraphStore, handles: Iterable[int], known_at: Micros | None, spaces: Spaces
) -> dict[int, Node]:
    """The nodes that are there and may be read."""
    asked = sorted(set(handles))
    found = store.get(asked, known_at=known_at, spaces=spaces) if asked else []
    return {handle: node for handle, node in zip(asked, found, strict=True) if node is not None}
