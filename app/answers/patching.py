"""A graph in memory, brought up to date from the nodes that changed: mostly few, whatever the graph's size.

All edges of a node that changed are taken out and read anew; all others stand as they stood. What comes of it
is equal, array by array, to what reading the whole graph gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec
import numpy as np

from app.answers.adjacency import Adjacency, Arrows, Flags, Half, Ints, Places, halves
from app.answers.impact_facts import NODE_CODES, Deployments, deployments
from graph_schema.edges import EDGE_CODES, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import ALWAYS, FOREVER, NOW, Direction, Node, Step

_DEPLOYMENT = NODE_CODES[NodeKind.DEPLOYMENT]


def patched(
    store: GraphStore,
    graph: Adjacency,
    deployed: Deployments,
    touched: Collection[int],
    kinds: Sequence[EdgeKind],
) -> tuple[Adjacency, Deployments]:
    """The graph and its deployments as the store has them now, where only these nodes changed since.
    ``kinds``: of the edges that the graph is made of. In nine store calls at most."""
    asked = sorted(touched)
    live = [node for node in store.get(asked) if node is not None]
    down = store.expand(asked, Direction.DOWNSTREAM, kinds, NOW)
    up = store.expand(asked, Direction.UPSTREAM, kinds, NOW)
    among = set(asked)
    steps = {step.belief: step for step in (*down.steps, *up.steps) if step.src in among or step.dst in among}
    changed = np.array(asked, dtype=np.int64)
    renewed = _graph(graph, changed, live, _arrows(store, list(steps.values())))
    return renewed, _deployments(store, deployed, live, asked)


def _arrows(store: GraphStore, steps: Sequence[Step]) -> Arrows:
    edges = store.edges([step.belief for step in steps]) if steps else []

    def column(values: Iterable[int]) -> Ints:
        return np.fromiter(values, dtype=np.int64, count=len(steps))

    return Arrows(
        column(step.src for step in steps),
        column(step.dst for step in steps),
        column(EDGE_CODES[step.kind] for step in steps).astype(np.int8),
        column(step.belief for step in steps),
        column(ALWAYS if edge.valid_from is None else edge.valid_from for edge in edges),
        column(FOREVER if edge.valid_to is None else edge.valid_to for edge in edges),
        column(edge.evidence is not None for edge in edges).astype(bool),
    )


def _graph(graph: Adjacency, changed: Ints, live: Sequence[Node], arrows: Arrows) -> Adjacency:
    """The nodes and edges of the graph that did not change, and those that were read anew."""
    gone = np.zeros(len(graph.handles), dtype=bool)
    gone[graph.places(changed)] = True
    fresh = {node.handle: NODE_CODES[node.kind] for node in live}
    handles = np.concatenate((graph.handles[~gone], np.array(sorted(fresh), dtype=np.int64)))
    codes = np.array([fresh[handle] for handle in sorted(fresh)], dtype=np.int8)
    kinds = np.concatenate((graph.kinds[~gone], codes))
    order = np.argsort(handles, kind="stable")
    handles, kinds = handles[order], kinds[order]
    # Where what stood at a place before stands now; of what changed, nothing is looked up.
    moved = np.searchsorted(handles, graph.handles).astype(np.int32)
    flow, same = halves(handles, kinds, arrows)
    return Adjacency(
        handles, kinds, _merged(graph.flow, gone, moved, flow), _merged(graph.same, gone, moved, same)
    )


def _merged(old: Half, gone: Flags, moved: Places, new: Half) -> Half:
    """What did not change of one, and all of the other. No two of them have both ends in common, so their
    order is that of their ends."""
    kept = np.flatnonzero(~(gone[old.src] | gone[old.dst]))
    src, dst = moved[old.src[kept]], moved[old.dst[kept]]
    size = len(new.first) - 1
    key = src.astype(np.int64) * size + dst
    at = np.searchsorted(key, new.src.astype(np.int64) * size + new.dst)
    timed = old.since is not None or new.since is not None
    since = (
        np.insert(_times(old.since, ALWAYS, kept), at, _all(new.since, ALWAYS, len(new))) if timed else None
    )
    until = (
        np.insert(_times(old.until, FOREVER, kept), at, _all(new.until, FOREVER, len(new))) if timed else None
    )
    if (
        since is not None
        and until is not None
        and (not len(since) or (since.max() == ALWAYS and until.min() == FOREVER))
    ):
        since = until = None
    src = np.insert(src, at, new.src)
    inferred = np.insert(old.inferred[kept], at, new.inferred)
    first = np.zeros(size + 1, dtype=np.int32)
    np.cumsum(np.bincount(src, minlength=size), out=first[1:])
    return Half(
        first,
        src,
        np.insert(dst, at, new.dst),
        np.insert(old.belief[kept], at, new.belief),
        inferred,
        np.insert(old.onward[kept], at, new.onward),
        since,
        until,
        bool(inferred.any()),
    )


def _times(column: Ints | None, otherwise: int, chosen: Ints) -> Ints:
    return np.full(len(chosen), otherwise, dtype=np.int64) if column is None else column[chosen]


def _all(column: Ints | None, otherwise: int, size: int) -> Ints:
    return np.full(size, otherwise, dtype=np.int64) if column is None else column


def _deployments(
    store: GraphStore, held: Deployments, live: Sequence[Node], touched: Sequence[int]
) -> Deployments:
    """Those that changed are read anew, and those in an environment that did: it may have another name."""
    homes = [node.handle for node in live if node.kind is NodeKind.ENVIRONMENT]
    inside = store.expand(homes, Direction.DOWNSTREAM, (EdgeKind.HAS,), NOW).steps if homes else []
    again = {node.handle for node in live if node.kind is NodeKind.DEPLOYMENT} | {s.dst for s in inside}
    fresh = deployments(store, sorted(again), None, None)
    out = np.isin(held.handles, np.array(sorted(again.union(touched)), dtype=np.int64))
    if not len(fresh.handles) and not out.any():
        return held
    handles = np.concatenate((held.handles[~out], fresh.handles))
    order = np.argsort(handles, kind="stable")
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    kept = np.flatnonzero(~out)
    place = np.full(len(held.handles), -1, dtype=np.int64)
    place[kept] = number[: len(kept)]
    rows = place[held.of] >= 0
    environment = [held.environment[n] for n in kept] + fresh.environment

    def joined(ours: np.ndarray, theirs: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        return np.concatenate((ours[chosen], theirs))

    return msgspec.structs.replace(
        held,
        handles=handles[order],
        environment=[environment[n] for n in order],
        started=joined(held.started, fresh.started, ~out)[order],
        ended=joined(held.ended, fresh.ended, ~out)[order],
        of=np.concatenate((place[held.of[rows]], number[len(kept) :][fresh.of])),
        since=joined(held.since, fresh.since, rows),
        until=joined(held.until, fresh.until, rows),
        share=joined(held.share, fresh.share, rows),
    )
