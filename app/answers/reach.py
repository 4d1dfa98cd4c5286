"""How strongly a change is felt downstream: for every node the best path to it, over arrays.

A path is as strong as where it begins, times what each of its edges lets through. A hop lets less through
the more of them there are; an inferred edge lets through less than a stated one, as it may not be there.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from app.answers.adjacency import Adjacency, Floats, Places
from graph_schema.times import Micros

#: What is left of an effect after one hop.
HOP = 0.85
#: How likely an inferred edge is right, as a factor of the paths that use it.
INFERRED = 0.85
#: What is the same thing feels the same; where that was inferred, nearly.
INFERRED_SAME = 0.95
#: Two paths are equally strong if they differ by no more than rounding.
_EQUAL = 1 + 1e-12


class Change(msgspec.Struct, frozen=True):
    """Nodes that got a better path in one round: ``edge`` is its last edge, a position in the flow edges, or
    ``~position`` in the ``SAME_AS`` edges; ``hops`` the length of the paths of that round."""

    places: Places
    edges: Places
    hops: int


class Reach(msgspec.Struct):
    """``strength`` by place, 0 where no path leads; ``hops`` of the best path, -1 likewise.

    ``beyond`` counts nodes one hop further than was asked for. ``floor``: no strength found so far is less.
    """

    graph: Adjacency
    strength: Floats
    hops: npt.NDArray[np.int16]
    beyond: int
    last: Places
    again: npt.NDArray[np.bool_]
    changes: list[Change]
    floor: float = np.inf

    def path(self, place: int) -> tuple[list[int], int]:
        """The beliefs along the best path to a place, from where it begins, ``SAME_AS`` among them; and how
        many of them were inferred."""
        beliefs: list[int] = []
        inferred = 0
        at, hops = place, int(self.hops[place])
        while True:
            # Where a better path came later, it may be too long for what lies behind it.
            known = hops > 0 and not self.again[at]
            edge = int(self.last[at]) if known else self._then(at, hops)
            if edge == _NONE:
                return beliefs[::-1], inferred
            half, position = (self.graph.flow, edge) if edge >= 0 else (self.graph.same, ~edge)
            beliefs.append(int(half.belief[position]))
            inferred += bool(half.inferred[position])
            hops -= edge >= 0
            at = int(half.src[position])

    def _then(self, place: int, hops: int) -> int:
        """The last edge of the best path to a place of at most so many hops; of none, where that is none."""
        for change in reversed(self.changes):
            if change.hops <= hops and (change.hops > 0) == (hops > 0):
                found = int(np.searchsorted(change.places, place))
                if found < len(change.places) and change.places[found] == place:
                    return int(change.edges[found])
        return _NONE


_NONE = np.iinfo(np.int32).min


def reach(
    graph: Adjacency,
    sources: Places,
    initial: Floats,
    max_hops: int,
    as_of: Micros | None = None,
    *,
    themselves: npt.NDArray[np.bool_] | None = None,
) -> Reach:
    """The best paths of 1 to ``max_hops`` hops from any of the sources; ``initial`` is what each begins with.

    A source is reached where another one, or a cycle, leads to it; those of the places ``themselves`` count
    as reached by the path without edges, too.

    Layer by layer (Bellman and Ford's, on the nodes that changed): exact for products of factors ≤ 1 within
    a bound of hops, linear in the edges where longer paths are seldom better, as with these factors.
    """
    size = len(graph.handles)
    start = _nothing(graph)
    np.maximum.at(start.strength, sources, initial)
    frontier = _same(start, distinct(sources, size), 0, as_of)
    state = _nothing(graph)
    state.changes.extend(start.changes)
    if themselves is not None:
        kept = frontier[themselves[frontier]]
        state.strength[kept], state.hops[kept] = start.strength[kept], 0
        state.floor = float(start.strength[kept].min(initial=np.inf))
    felt = start.strength
    for hop in range(1, max_hops + 1):
        if not len(frontier):
            break
        frontier = _same(state, _through(state, felt, frontier, hop, as_of), hop, as_of)
        felt = state.strength
    if not len(frontier):
        return state
    onward = graph.flow.dst[graph.flow.leaving(frontier, as_of)]
    unseen = (state.hops[onward] < 0) & (start.strength[onward] == 0)
    return msgspec.structs.replace(state, beyond=len(distinct(onward[unseen], size)))


def _nothing(graph: Adjacency) -> Reach:
    size = len(graph.handles)
    return Reach(
        graph,
        np.zeros(size),
        np.full(size, -1, dtype=np.int16),
        0,
        np.full(size, _NONE, dtype=np.int32),
        np.zeros(size, dtype=bool),
        [],
    )


def _through(state: Reach, begun: Floats, frontier: Places, hop: int, as_of: Micros | None) -> Places:
    flow = state.graph.flow
    edges = flow.leaving(frontier, as_of)
    here = begun[frontier]
    if len(here) and not flow.doubted and here.min() * _EQUAL >= here.max():
        through = float(here[0]) * HOP
        if through <= state.floor * _EQUAL:
            return _first(state, edges, flow.dst[edges], through, hop)
    felt = begun[flow.src[edges]]
    felt *= np.where(flow.inferred[edges], HOP * INFERRED, HOP) if flow.doubted else HOP
    return _improve(state, edges, flow.dst[edges], felt, hop)


def _first(state: Reach, edges: Places, dst: Places, through: float, hop: int) -> Places:
    """Where all feel the same and nobody felt less, only what was not reached before is better off."""
    new = np.flatnonzero(state.hops[dst] < 0)
    if not len(new):
        return np.empty(0, dtype=np.int32)
    dst = dst[new]
    state.strength[dst] = through
    state.floor = through
    return _taken(state, edges[new], dst, hop)


def _same(state: Reach, changed: Places, hop: int, as_of: Micros | None) -> Places:
    """Spread over what is the same thing; everything that changed in this round."""
    same = state.graph.same
    if not len(same):
        return changed
    everything, pending = [changed], changed
    while len(pending):
        edges = same.leaving(pending, as_of)
        felt = state.strength[same.src[edges]] * np.where(same.inferred[edges], INFERRED_SAME, 1.0)
        pending = _improve(state, ~edges, same.dst[edges], felt, hop)
        everything.append(pending)
    if len(everything) == 2:
        return changed
    return distinct(np.concatenate(everything), len(state.hops))


def _improve(state: Reach, edges: Places, dst: Places, felt: Floats, hop: int) -> Places:
    """Take what is better than what was found before; returns the places that changed, sorted."""
    before = state.strength[dst]
    better = np.flatnonzero(felt > before * _EQUAL)
    if not len(better):
        return np.empty(0, dtype=np.int32)
    if len(better) < len(dst):
        edges, dst, felt, before = edges[better], dst[better], felt[better], before[better]
    known = np.flatnonzero(before)
    if len(known):
        state.again[dst[known]] = True
    # Of several edges into one node the strongest, of equals the first, which is the one of the least source.
    if felt.min() * _EQUAL >= felt.max():
        state.strength[dst] = felt
    else:
        np.maximum.at(state.strength, dst, felt)
        wins = felt * _EQUAL >= state.strength[dst]
        edges, dst = edges[wins], dst[wins]
    state.floor = min(state.floor, float(felt.min()))
    return _taken(state, edges, dst, hop)


def _taken(state: Reach, edges: Places, dst: Places, hop: int) -> Places:
    """Note by which edges these were reached, of several into one node the first."""
    state.last[dst[::-1]] = edges[::-1]
    state.hops[dst] = hop
    places = distinct(dst[state.last[dst] == edges], len(state.hops))
    state.changes.append(Change(places, state.last[places], hop))
    return places


def distinct(places: Places, size: int) -> Places:
    """Each place once, in order, of ``size`` places there are."""
    if len(places) * 64 < size:
        ordered = np.sort(places)
        return ordered[np.flatnonzero(np.diff(ordered, prepend=-1))]
    # Sorting what is nearly everything costs more than marking it.
    marked = np.zeros(size, dtype=bool)
    marked[places] = True
    return np.flatnonzero(marked).astype(np.int32)
