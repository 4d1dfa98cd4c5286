"""The shortest paths between two nodes along the arrows, and how many there are where that can be counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice, pairwise, zip_longest
from typing import TYPE_CHECKING

import msgspec

from app.lineage.closure import adjacency, classes, far_ends, spread
from app.lineage.states import States, have_states, states_of
from app.lineage.walk import MAX_HOPS
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.store import GraphStore
from graph_schema.values import NOW, Ahead, Direction, Edge, Moment, Spaces, Step
from graph_schema.wording import counted

if TYPE_CHECKING:
    import networkx as nx

#: Nodes that the search for paths visits before it stops and says so.
MAX_EXPLORED = 50_000
MAX_PATHS = 100
#: While no more nodes than this were visited, looking for longer paths than asked for costs next to nothing.
FEW = 5_000
#: Nodes up to which a side is read ahead: the other side may be the one that goes on.
AHEAD = 500


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """Paths from one node to another, shortest first, then by the ids they pass.

    Each path begins at the node asked from; its edges keep their own direction, so that a path which runs
    upstream is read against the arrows. ``SAME_AS`` edges are part of it and cost no hop. ``total`` counts
    paths of at most the hops asked for, taking what is the same thing as one and parallel edges as one;
    None where it cannot be told. ``total_is_exact`` is False where a limit was hit or there is a cycle.
    """

    paths: list[list[Edge]]
    total: int | None
    total_is_exact: bool
    complete: bool
    truncated_because: str | None = None


class _Between(msgspec.Struct):
    """What lies between two nodes: the edges that may be on a path, and whether they are all there is."""

    steps: dict[int, Step]
    same: dict[int, Step]
    whole: bool
    stopped: bool


def paths(
    store: GraphStore,
    start: int,
    end: int,
    max_hops: int = 20,
    first: int = 3,
    *,
    edge_kinds: Sequence[EdgeKind] = FLOW_KINDS,
    moment: Moment = NOW,
    spaces: Spaces = None,
) -> Paths:
    """The ``first`` shortest paths downstream from ``start`` to ``end``; if there are none, upstream.
    What has states, such as a data set, is one with the last of them.

    Raises BadInput for limits that make no sense, and whatever the store raises.
    """
    if not 0 <= max_hops <= MAX_HOPS:
        raise BadInput(f"maxHops is {max_hops}; allowed are 0 to {MAX_HOPS}")
    if not 1 <= first <= MAX_PATHS:
        raise BadInput(f"first is {first}; allowed are 1 to {MAX_PATHS} paths")
    followed = tuple(kind for kind in edge_kinds if kind is not EdgeKind.SAME_AS)
    groups = have_states(store.labels([start, end], known_at=moment.known_at))
    states = states_of(store, groups, moment, spaces)
    found = _search(store, start, end, states, max_hops, first, followed, moment, spaces)
    if found.total == 0:
        against = _search(store, end, start, states, max_hops, first, followed, moment, spaces)
        if against.total != 0:
            return msgspec.structs.replace(against, paths=[path[::-1] for path in against.paths])
        return found if not found.complete else against
    return found


def _search(
    store: GraphStore,
    source: int,
    target: int,
    states: States,
    max_hops: int,
    first: int,
    edge_kinds: Sequence[EdgeKind],
    moment: Moment,
    spaces: Spaces,
) -> Paths:
    between = _explore(store, source, target, states, max_hops, edge_kinds, moment, spaces)
    handles = {source, target}
    for step in (*between.steps.values(), *between.same.values()):
        handles.update((step.src, step.dst))
    leader = classes(handles, between.same.values())
    begin, finish = leader[source], leader[target]
    hop: dict[tuple[int, int], Step] = {}
    for step in sorted(between.steps.values(), key=lambda s: (s.kind, s.belief)):
        ends = leader[step.src], leader[step.dst]
        if ends[0] != ends[1]:
            hop.setdefault(ends, step)
    useful = _useful(hop, begin, finish)
    graph = _graph(store, useful, moment)
    chains, total, longer = _shortest(graph, begin, finish, max_hops, first)
    longer |= not between.whole
    exact = total is not None and not longer
    routes = [_route(chain, hop, between.same.values(), source, target) for chain in chains]
    edges = store.edges([step.belief for route in routes for step in route], known_at=moment.known_at)
    taken = iter(edges)
    reasons = [*_why(len(chains), total, longer, between.stopped, max_hops), *states.left_out]
    because = "; ".join(reasons) or None
    return Paths(
        paths=[list(islice(taken, len(route))) for route in routes],
        total=total,
        total_is_exact=exact,
        complete=because is None,
        truncated_because=because,
    )


def _explore(
    store: GraphStore,
    source: int,
    target: int,
    states: States,
    max_hops: int,
    edge_kinds: Sequence[EdgeKind],
    moment: Moment,
    spaces: Spaces,
) -> _Between:
    """Walk from both ends, the smaller frontier first, until one side is whole or the hops are used up.

    Where little was met, it goes on beyond the hops: that mostly shows that nothing longer exists."""
    between = _Between({}, {}, whole=False, stopped=False)
    ways = (Direction.DOWNSTREAM, Direction.UPSTREAM)
    between.same.update((step.belief, step) for step in (*states.steps, *states.same))
    as_one = adjacency(between.same.values())
    hops: list[dict[int, int]] = [{source: 0}, {target: 0}]
    for known in hops:
        spread(as_one, known)
    frontiers = [sorted(known) for known in hops]
    depth = [0, 0]
    ahead = (Ahead(max_hops, AHEAD), Ahead(max_hops, AHEAD))
    while all(frontiers):
        if sum(depth) > 2 * max_hops or (sum(depth) >= max_hops and sum(map(len, hops)) > FEW):
            break
        side = 0 if len(frontiers[0]) <= len(frontiers[1]) else 1
        expansion = store.expand(frontiers[side], ways[side], edge_kinds, moment, spaces, ahead[side])
        depth[side] += 1
        known = hops[side]
        reached = far_ends(expansion.steps, ways[side]) - known.keys()
        for handle in reached:
            known[handle] = depth[side]
        if expansion.same:
            reached |= spread(adjacency(expansion.same), known)
            between.same.update((step.belief, step) for step in expansion.same)
        between.steps.update((step.belief, step) for step in expansion.steps)
        frontiers[side] = sorted(reached.difference(frontiers[side]))
        if len(known) > MAX_EXPLORED:
            between.stopped = sum(depth) < max_hops
            return between
    between.whole = not all(frontiers)
    return between


def _useful(hop: Mapping[tuple[int, int], Step], begin: int, finish: int) -> list[tuple[int, int]]:
    """The edges that lie on some way from begin to finish."""
    after: dict[int, list[int]] = {}
    before: dict[int, list[int]] = {}
    for a, b in hop:
        after.setdefault(a, []).append(b)
        before.setdefault(b, []).append(a)
    forward, backward = _reach(after, begin), _reach(before, finish)
    both = forward & backward
    return [(a, b) for a, b in hop if a in both and b in both]


def _reach(following: Mapping[int, list[int]], start: int) -> set[int]:
    reached, pending = {start}, [start]
    while pending:
        for other in following.get(pending.pop(), ()):
            if other not in reached:
                reached.add(other)
                pending.append(other)
    return reached


def _graph(store: GraphStore, edges: Sequence[tuple[int, int]], moment: Moment) -> nx.DiGraph[int]:
    """The edges as a networkx graph, added by the ids of their ends: ties come out the same everywhere."""
    import networkx

    graph: nx.DiGraph[int] = networkx.DiGraph()
    handles = sorted({handle for edge in edges for handle in edge})
    ids = {label.handle: label.id for label in store.labels(handles, known_at=moment.known_at)}
    graph.add_edges_from(sorted(edges, key=lambda edge: (ids[edge[0]], ids[edge[1]])))
    return graph


def _shortest(
    graph: nx.DiGraph[int], begin: int, finish: int, max_hops: int, first: int
) -> tuple[list[list[int]], int | None, bool]:
    """Chains of classes, shortest first; how many lie within the hops; whether there are longer ones."""
    import networkx

    if begin == finish:
        return [[begin]], 1, False
    if begin not in graph or finish not in graph:
        return [], 0, False
    chains: list[list[int]] = []
    for chain in networkx.shortest_simple_paths(graph, begin, finish):
        if len(chain) - 1 > max_hops:
            return chains, len(chains), True
        if len(chains) == first:
            break
        chains.append(chain)
    else:
        return chains, len(chains), False
    if networkx.is_directed_acyclic_graph(graph):
        return chains, *_count(graph, begin, finish, max_hops)
    return chains, None, False


def _count(graph: nx.DiGraph[int], begin: int, finish: int, max_hops: int) -> tuple[int, bool]:
    """How many paths of at most ``max_hops`` edges there are, and whether there are longer ones.

    There are no cycles, and every node lies on a way to the end: what outgrows the limit is longer."""
    import networkx

    longer = False
    lengths: dict[int, list[int]] = {begin: [1]}
    for node in networkx.topological_sort(graph):
        if node == finish:
            continue
        counts = [0, *lengths[node]]
        longer = longer or any(counts[max_hops + 1 :])
        for other in graph[node]:
            sums = zip_longest(lengths.get(other, ()), counts[: max_hops + 1], fillvalue=0)
            lengths[other] = [a + b for a, b in sums]
    return sum(lengths[finish]), longer


def _route(
    chain: Sequence[int],
    hop: Mapping[tuple[int, int], Step],
    same: Collection[Step],
    source: int,
    target: int,
) -> list[Step]:
    """The edges of a chain of classes, with the ``SAME_AS`` steps that lead from where one edge arrives to
    where the next one leaves."""
    route: list[Step] = []
    at = source
    for ends in pairwise(chain):
        step = hop[ends]
        route += _bridge(same, at, step.src)
        route.append(step)
        at = step.dst
    return route + _bridge(same, at, target)


def _bridge(same: Collection[Step], start: int, end: int) -> list[Step]:
    """The fewest ``SAME_AS`` edges from one member of a class to another, in either direction."""
    if start == end:
        return []
    neighbours: dict[int, list[tuple[int, Step]]] = {}
    for step in same:
        neighbours.setdefault(step.src, []).append((step.dst, step))
        neighbours.setdefault(step.dst, []).append((step.src, step))
    came: dict[int, tuple[int, Step] | None] = {start: None}
    pending = [start]
    for node in pending:
        for other, step in sorted(neighbours.get(node, ()), key=lambda pair: pair[1].belief):
            if other not in came:
                came[other] = (node, step)
                pending.append(other)
    route: list[Step] = []
    back = came.get(end)
    while back is not None:
        route.append(back[1])
        back = came[back[0]]
    return route[::-1]


def _why(shown: int, total: int | None, longer: bool, stopped: bool, max_hops: int) -> list[str]:
    """Why these are not all the paths there are, in words."""
    reasons = []
    if total is None:
        reasons.append(f"{shown} paths shown of an unknown number, as there is a cycle between: raise first")
    elif total > shown:
        least = "at least " if longer else ""
        reasons.append(f"{shown:,} of {least}{total:,} paths shown: raise first")
    if stopped:
        reasons.append(f"stopped after exploring {MAX_EXPLORED:,} nodes: narrow with asOf or maxHops")
    elif longer:
        length = counted(max_hops, "hop")
        reasons.append(f"paths longer than {length} were left out or not looked for: raise maxHops")
    return reasons
