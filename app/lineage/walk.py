"""The subgraph walk, written once for every store over ``expand``: one call a hop. The store is told how many
may follow, so that one far away can read them together.

Hops count lineage edges; ``SAME_AS`` is crossed at no cost in either direction. ``BOTH`` is the upstream
walk and the downstream walk, never a zig-zag. An answer that stops early says so, and why.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter

import msgspec

from app.lineage.closure import adjacency, far_ends, spread
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import NOW, Ahead, Direction, Label, Moment, Spaces, Step, Subgraph
from graph_schema.wording import counted

#: Nodes that one walk visits in one direction, whatever it shows; beyond, it stops and says so.
MAX_WALKED = 200_000
#: Of the nodes of a last hop that does not fit, at most this many are compared by id to choose which to show.
MAX_COMPARED = 100_000
#: Nodes that a walk which shows only some kinds may meet before it has shown enough.
FILTERED = 2_000
MAX_HOPS = 1_000


class _Walked(msgspec.Struct):
    """One direction of a walk. ``hops`` counts from 0 at the root; ``seen`` are the handles to show.

    ``ahead``: what the store may read ahead. ``crossed``: there was ``SAME_AS`` on the way, so that steps may
    have come twice."""

    direction: Direction
    hops: dict[int, int]
    seen: set[int]
    steps: list[Step]
    frontier: list[int]
    ahead: Ahead
    crossed: bool = False
    unread: dict[int, int] = msgspec.field(default_factory=dict)
    stopped: str | None = None


def lineage(
    store: GraphStore,
    root: int,
    direction: Direction = Direction.BOTH,
    max_hops: int = 3,
    *,
    kinds: Collection[NodeKind] = (),
    edge_kinds: Sequence[EdgeKind] = FLOW_KINDS,
    moment: Moment = NOW,
    first: int = 300,
    spaces: Spaces = None,
    stubs: bool = True,
) -> Subgraph:
    """What the node came from, what it feeds, or both: the node, others by (hops, id), edges between them.

    ``kinds`` filters what is shown, not what is walked: a model version's commit is found through the run
    even where runs are not shown. The root is always shown; edges are those between shown nodes.
    ``first`` bounds the nodes shown, nearest first; the walk itself ends after the hop that fills it.
    ``stubs`` asks for ``hidden_upstream`` and ``hidden_downstream`` of every node shown (neighbours that the
    walk did not reach or show); without it only the ends of the walk are looked beyond. Either way that is
    at most one more ``expand`` per direction. ``edge_kinds`` may name ``SAME_AS``; it is crossed anyway.

    Raises BadInput for limits that make no sense, and whatever the store raises.
    """
    _check(max_hops, first)
    followed = tuple(kind for kind in edge_kinds if kind is not EdgeKind.SAME_AS)
    ways = (Direction.UPSTREAM, Direction.DOWNSTREAM) if direction is Direction.BOTH else (direction,)
    walks = [_walk(store, root, way, max_hops, kinds, followed, moment, first, spaces) for way in ways]
    signed = _merge(walks)
    found = set().union(*(walk.seen for walk in walks))
    labels, total = _choose(store, root, signed, found, first, moment)
    shown = {label.handle for label in labels}
    steps = _once(walks)
    beyond = _look_beyond(store, walks, shown, found, signed, followed, moment, spaces, stubs)
    cut = len(signed) > len(shown)
    because = _reasons(walks, total, first, max_hops, beyond)
    return Subgraph(
        root=root,
        labels=labels,
        hops=[signed[label.handle] for label in labels],
        steps=[s for s in steps if s.src in shown and s.dst in shown] if cut else steps,
        total=total,
        complete=because is None,
        truncated_because=because,
        hidden_upstream=beyond.hidden[Direction.UPSTREAM],
        hidden_downstream=beyond.hidden[Direction.DOWNSTREAM],
    )


def _check(max_hops: int, first: int) -> None:
    if not 0 <= max_hops <= MAX_HOPS:
        raise BadInput(f"maxHops is {max_hops}; allowed are 0 to {MAX_HOPS}")
    if first < 1:
        raise BadInput(f"first is {first}; at least 1 node, the root, is shown")


def _walk(
    store: GraphStore,
    root: int,
    direction: Direction,
    max_hops: int,
    kinds: Collection[NodeKind],
    edge_kinds: Sequence[EdgeKind],
    moment: Moment,
    first: int,
    spaces: Spaces,
) -> _Walked:
    """Hop by hop in one direction, until nothing is left, the hops are used up or enough is found."""
    # One hop more than was asked for, to see what lies beyond. With a filter nobody knows when it is enough.
    ahead = Ahead(max_hops, max(first, FILTERED) if kinds else first)
    walked = _Walked(direction, {root: 0}, {root}, [], [root], ahead)
    if max_hops == 0:
        # What is the same thing as the root lies no hop away; the rest of the expansion is beyond.
        same = store.expand([root], direction, edge_kinds, moment, spaces, ahead).same
        _see(store, walked, _absorb(walked, 0, set(), same), kinds, moment)
        walked.steps = [s for s in same if s.src in walked.hops and s.dst in walked.hops]
        walked.crossed = True
        walked.frontier = sorted(walked.hops)
    for hop in range(1, max_hops + 1):
        if not walked.frontier:
            break
        ahead.hops = max_hops + 1 - hop
        expansion = store.expand(walked.frontier, direction, edge_kinds, moment, spaces, ahead)
        reached = _absorb(walked, hop, far_ends(expansion.steps, direction), expansion.same)
        walked.steps += expansion.steps
        if expansion.same:
            walked.steps += expansion.same
            walked.crossed = True
        walked.unread.update(expansion.hidden)
        _see(store, walked, reached, kinds, moment)
        if len(walked.seen) > first:
            walked.stopped = "first"
            break
        if len(walked.hops) > MAX_WALKED:
            walked.stopped = "walked"
            break
    return walked


def _see(
    store: GraphStore, walked: _Walked, reached: list[int], kinds: Collection[NodeKind], moment: Moment
) -> None:
    """Note which of the nodes reached are to be shown."""
    if not kinds:
        walked.seen.update(reached)
    elif reached:
        labels = store.labels(reached, known_at=moment.known_at)
        walked.seen.update(label.handle for label in labels if label.kind in kinds)


def _absorb(walked: _Walked, hop: int, reached: set[int], same: Sequence[Step]) -> list[int]:
    """Give what one expansion reached its hop; SAME_AS spreads it. Sets the frontier and returns it."""
    reached.difference_update(walked.hops)
    for handle in reached:
        walked.hops[handle] = hop
    if same:
        # A node that is the same as one nearer takes the nearer hop; it goes on with the new ones, as its
        # own edges may not have been asked for.
        reached |= spread(adjacency(same), walked.hops)
        reached.difference_update(walked.frontier)
    walked.frontier = sorted(reached)
    return walked.frontier


def _once(walks: Sequence[_Walked]) -> list[Step]:
    """The steps of all walks, each once: two walks share those of a cycle."""
    if len(walks) == 1 and not walks[0].crossed:
        return walks[0].steps
    return list({step.belief: step for walk in walks for step in walk.steps}.values())


def _merge(walks: Sequence[_Walked]) -> dict[int, int]:
    """Signed hops, negative upstream; a node on both sides (a cycle) keeps the nearer, ties upstream."""
    signed: dict[int, int] = {}
    for walk in walks:
        if walk.direction is Direction.UPSTREAM:
            signed = {handle: -hop for handle, hop in walk.hops.items()}
        elif not signed:
            signed = dict(walk.hops)
        else:
            for handle, hop in walk.hops.items():
                if handle not in signed or hop < -signed[handle]:
                    signed[handle] = hop
    return signed


def _choose(
    store: GraphStore, root: int, signed: dict[int, int], found: set[int], first: int, moment: Moment
) -> tuple[list[Label], int]:
    """The labels to show, the root's and then by (hops, id), and how many nodes were found."""
    wanted: Iterable[int] = found
    if len(found) > first:
        # Everything nearer than the hop that does not fit is shown; only that hop is chosen from by id.
        limit = heapq.nsmallest(first + 1, (abs(signed[handle]) for handle in found))[-1]
        last = sorted(handle for handle in found if abs(signed[handle]) == limit)[:MAX_COMPARED]
        wanted = [handle for handle in found if abs(signed[handle]) < limit] + last
    at_hop: dict[int, list[Label]] = {}
    for label in store.labels(list(wanted), known_at=moment.known_at):
        at_hop.setdefault(signed[label.handle], []).append(label)
    ordered: list[Label] = []
    for hop in sorted(at_hop, key=lambda hop: (abs(hop), hop)):
        ordered += sorted(at_hop[hop], key=attrgetter("id"))
    # What is the same thing as the root has no hops either, and may have a lesser id.
    ordered.sort(key=lambda label: label.handle != root)
    return ordered[:first], len(found)


class _Beyond(msgspec.Struct):
    """What lies behind the ends of the walk: how many nodes, and per node shown the neighbours not shown."""

    nodes: int
    unread: int
    hidden: dict[Direction, dict[int, int]]


def _look_beyond(
    store: GraphStore,
    walks: Sequence[_Walked],
    shown: set[int],
    found: set[int],
    signed: dict[int, int],
    edge_kinds: Sequence[EdgeKind],
    moment: Moment,
    spaces: Spaces,
    stubs: bool,
) -> _Beyond:
    """One more expansion per direction: of the walk's ends, and of what it did not go through (``stubs``)."""
    beyond = _Beyond(0, 0, {Direction.UPSTREAM: {}, Direction.DOWNSTREAM: {}})
    walked = {walk.direction: walk for walk in walks}
    for direction, hidden in beyond.hidden.items():
        walk = walked.get(direction)
        ends = set(walk.frontier) if walk is not None else set()
        if walk is not None and walk.stopped:
            ends &= shown
        asked = set(ends)
        if stubs:
            went = walk.hops.keys() if walk is not None else ()
            asked.update(shown.difference(went))
        steps: list[Step] = list(walk.steps) if walk is not None and len(shown) < len(found) else []
        if asked:
            ahead = Ahead(0, 0) if walk is None else walk.ahead
            ahead.hops = 0
            expansion = store.expand(sorted(asked), direction, edge_kinds, moment, spaces, ahead)
            steps += expansion.steps
            if walk is not None:
                onward = [step for step in expansion.steps if _near(step, direction) in ends]
                beyond.nodes += len(far_ends(onward, direction).difference(walk.hops))
            beyond.unread += sum(count for handle, count in expansion.hidden.items() if handle in ends)
            hidden.update(expansion.hidden)
        if walk is not None:
            beyond.unread += sum(walk.unread.values())
            hidden.update((handle, count) for handle, count in walk.unread.items() if handle in shown)
        _count_hidden(hidden, steps, direction, shown, found, signed)
    return beyond


def _near(step: Step, direction: Direction) -> int:
    return step.src if direction is Direction.DOWNSTREAM else step.dst


def _count_hidden(
    hidden: dict[int, int],
    steps: Iterable[Step],
    direction: Direction,
    shown: set[int],
    found: set[int],
    signed: dict[int, int],
) -> None:
    """Count neighbours that are not shown, but for those that only the filter on kinds leaves out."""
    behind: dict[int, set[int]] = {}
    for step in steps:
        node, other = (step.src, step.dst) if direction is Direction.DOWNSTREAM else (step.dst, step.src)
        if node not in shown or other in shown or step.kind is EdgeKind.SAME_AS:
            continue
        if other in found or other not in signed:
            behind.setdefault(node, set()).add(other)
    for node, others in behind.items():
        hidden[node] = hidden.get(node, 0) + len(others)


def _reasons(walks: Sequence[_Walked], total: int, first: int, max_hops: int, beyond: _Beyond) -> str | None:
    """Why the answer is not all there is, in words; None where it is."""
    reasons = []
    stopped = {walk.stopped for walk in walks}
    if total > first:
        least = "at least " if stopped - {None} or beyond.nodes else ""
        reasons.append(f"stopped at {first:,} nodes of {least}{total:,}: raise first or narrow with kinds")
    if "walked" in stopped:
        reasons.append(f"stopped after walking {MAX_WALKED:,} nodes: narrow with edgeKinds, asOf or maxHops")
    if beyond.nodes and total <= first:
        more = "1 more node lies" if beyond.nodes == 1 else f"{beyond.nodes:,} more nodes lie"
        reasons.append(f"stopped at {counted(max_hops, 'hop')}: {more} one hop further: raise maxHops")
    if beyond.unread:
        reasons.append(f"{beyond.unread:,} neighbours lie in spaces that you may not read")
    return "; ".join(reasons) or None
