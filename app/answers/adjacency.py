"""A graph as arrays: every node's outgoing flow edges, and what is the same thing as it.

A commit's change is still there in the commits after it: their ``PRECEDES`` counts as flow here, no other.

Nodes are *places*: positions in ``handles``, which is sorted. Edges are sorted by source, then target, then
belief, so that two arrays of one graph are equal however they came about.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from graph_schema.edges import EDGE_CODES, FLOW_KINDS, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from graph_schema.values import ALWAYS, FOREVER

Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SAME_AS, PRECEDES = EDGE_CODES[EdgeKind.SAME_AS], EDGE_CODES[EdgeKind.PRECEDES]
_COMMIT = list(NodeKind).index(NodeKind.COMMIT)
_FLOW = np.zeros(len(EdgeKind), dtype=bool)
_FLOW[[EDGE_CODES[kind] for kind in FLOW_KINDS]] = True
#: Kinds whose evidence only says where it was stated: a stage of dvc.lock, events of a place, an alert.
_STATED = np.zeros(len(EdgeKind), dtype=bool)
_STATED[
    [
        EDGE_CODES[kind]
        for kind in (
            EdgeKind.DEPLOYED_AS,
            EdgeKind.DERIVED_INTO,
            EdgeKind.CHECKED_BY,
            EdgeKind.IMPLICATED_IN,
        )
    ]
] = True


class Arrows(msgspec.Struct, frozen=True):
    """Edges in columns: handles of the ends, code of the kind, belief, validity in microseconds (``ALWAYS``,
    ``FOREVER`` where open), and whether it comes with evidence. All of one length."""

    src: Ints
    dst: Ints
    kind: npt.NDArray[np.int8]
    belief: Ints
    since: Ints
    until: Ints
    evidence: Flags


class Half(msgspec.Struct, frozen=True):
    """Edges in rows by the node they leave: those of place ``p`` stand at ``first[p]`` to ``first[p + 1]``.

    ``inferred``: the edge was worked out from evidence, and not stated by a source; ``onward``: it leads from
    a commit to the next. ``since`` and ``until`` are None where no edge has ends. ``doubted``: if any was
    inferred.
    """

    first: Places
    src: Places
    dst: Places
    belief: Ints
    inferred: Flags
    onward: Flags
    since: Ints | None
    until: Ints | None
    doubted: bool

    def __len__(self) -> int:
        return len(self.dst)

    def leaving(self, places: Places, as_of: Micros | None) -> Places:
        """Positions of the edges that leave these places, in order, of those valid at the time."""
        starts = self.first[places]
        counts = self.first[places + 1] - starts
        ends = np.cumsum(counts, dtype=np.int32)
        if not len(ends) or not ends[-1]:
            return np.empty(0, dtype=np.int32)
        found: Places = np.repeat(starts - (ends - counts), counts)
        found += np.arange(len(found), dtype=np.int32)
        if as_of is not None and self.since is not None and self.until is not None:
            found = found[(self.since[found] <= as_of) & (self.until[found] > as_of)]
        return found


class Adjacency(msgspec.Struct, frozen=True):
    """A graph, or a part of it. ``kinds`` are codes of node kinds, in the order of the declaration.

    ``same`` holds every ``SAME_AS`` edge in both directions.
    """

    handles: Ints
    kinds: npt.NDArray[np.int8]
    flow: Half
    same: Half

    def places(self, handles: Sequence[int] | Ints) -> Places:
        """Where these nodes stand. Those that are not there are left out."""
        asked = np.asarray(handles, dtype=np.int64)
        found = placed(self.handles, None, asked)
        return found[found >= 0]


def adjacency(handles: Ints, kinds: npt.NDArray[np.int8], arrows: Arrows) -> Adjacency:
    """The graph of these nodes (``handles`` sorted, ``kinds`` aligned) and of the edges among them."""
    return Adjacency(handles, kinds, *halves(handles, kinds, arrows))


def halves(handles: Ints, kinds: npt.NDArray[np.int8], arrows: Arrows) -> tuple[Half, Half]:
    """Of these edges those that are flow, and those that say what is the same thing."""
    index = _index(handles)
    flows = np.flatnonzero(_FLOW[arrows.kind] | (arrows.kind == PRECEDES))
    sames = np.flatnonzero(arrows.kind == SAME_AS)
    return (
        _half(handles, kinds, index, arrows, flows, both=False),
        _half(handles, kinds, index, arrows, sames, both=True),
    )


def _index(handles: Ints) -> Places | None:
    """Place by handle, where the handles are dense enough for a table; -1 where there is none."""
    if not len(handles) or handles[-1] > 8 * len(handles) + 1_000_000:
        return None
    table = np.full(int(handles[-1]) + 1, -1, dtype=np.int32)
    table[handles] = np.arange(len(handles), dtype=np.int32)
    return table


def placed(handles: Ints, index: Places | None, asked: Ints) -> Places:
    """The place of each handle among sorted ones, -1 where it is not there. ``index``: see :func:`_index`."""
    if index is not None:
        inside = (asked >= 0) & (asked < len(index))
        return np.where(inside, index[np.where(inside, asked, 0)], -1).astype(np.int32)
    if not len(handles):
        return np.full(len(asked), -1, dtype=np.int32)
    found: Ints = np.minimum(np.searchsorted(handles, asked), len(handles) - 1)
    return np.where(handles[found] == asked, found, -1).astype(np.int32)


def _half(
    handles: Ints,
    kinds: npt.NDArray[np.int8],
    index: Places | None,
    arrows: Arrows,
    chosen: Ints,
    *,
    both: bool,
) -> Half:
    src = placed(handles, index, arrows.src[chosen])
    dst = placed(handles, index, arrows.dst[chosen])
    if both:
        src, dst, chosen = np.concatenate((src, dst)), np.concatenate((dst, src)), np.tile(chosen, 2)
    inside = (src >= 0) & (dst >= 0)
    inside &= (arrows.kind[chosen] != PRECEDES) | (kinds[src] == _COMMIT)
    src, dst, chosen = src[inside], dst[inside], chosen[inside]
    belief = arrows.belief[chosen]
    order = np.lexsort((belief, dst, src))
    src, dst, chosen = src[order], dst[order], chosen[order]
    since, until = arrows.since[chosen], arrows.until[chosen]
    timed = bool(len(chosen)) and (since.max() > ALWAYS or until.min() < FOREVER)
    inferred = (arrows.evidence & ~_STATED[arrows.kind])[chosen]
    first = np.zeros(len(handles) + 1, dtype=np.int32)
    np.cumsum(np.bincount(src, minlength=len(handles)), out=first[1:])
    return Half(
        first,
        src,
        dst,
        belief[order],
        inferred,
        (arrows.kind == PRECEDES)[chosen],
        since if timed else None,
        until if timed else None,
        bool(inferred.any()),
    )
