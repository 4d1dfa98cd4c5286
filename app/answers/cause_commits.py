"""Commits between the code of one state and that of those before it, and whose code they are."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from app.answers.cause_graph import Region, nodes_of
from app.answers.last_good import along
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Node, Spaces

E, K = EdgeKind, NodeKind
#: Steps back in history from what was used last, and commits that are looked at.
MAX_STEPS, MAX_COMMITS = 60, 400


class Code(msgspec.Struct):
    """``between`` are commits that come after the oldest used code of their repository and lead to what was
    used later. ``homes`` has the repositories of commits, ``names`` what these are called. ``cut``: there
    were more commits than were looked at."""

    between: set[int]
    homes: dict[int, int]
    names: dict[int, str]
    cut: bool = False


def code_of(
    store: GraphStore,
    region: Region,
    paths: Mapping[int, object],
    held: dict[int, int],
    nodes: dict[int, Node],
    known_at: Micros | None,
    spaces: Spaces,
) -> Code:
    """Walk back from the code that was used, as far as the oldest code used of the same repository.

    The order of commits becomes part of the region, so that paths lead through it, and ``held`` tells which
    states had a commit. Two store calls a step, for all repositories at once.
    """
    used = [h for h, n in nodes.items() if n.kind is K.COMMIT and _runs(region, h)]
    found = Code(set(), {}, {})
    for step, _ in along(store, used, Direction.UPSTREAM, E.HAS, known_at, spaces):
        found.homes[step.dst] = step.src
    oldest: dict[int, Micros] = {}
    for handle in used:
        home, made = found.homes.get(handle), nodes[handle].created_at
        if home is not None and made is not None:
            oldest[home] = min(made, oldest.get(home, made))
    back = {h: oldest[home] for h, home in found.homes.items() if home in oldest}
    fresh: set[int] = set()
    frontier = sorted(h for h in back if (nodes[h].created_at or 0) > back[h])
    for _ in range(MAX_STEPS):
        steps = along(store, frontier, Direction.UPSTREAM, E.PRECEDES, known_at, spaces)
        following: set[int] = set()
        for step, edge in steps:
            # The edge holds since the later of the two was made.
            if edge.valid_from is not None and edge.valid_from <= back[step.dst]:
                continue
            region.add(step, edge, edge.valid_from)
            if step.src not in back:
                back[step.src] = back[step.dst]
                fresh.add(step.src)
                following.add(step.src)
                found.homes[step.src] = found.homes[step.dst]
        frontier = sorted(following)
        if not frontier or len(fresh) > MAX_COMMITS:
            break
    found.cut = bool(frontier)
    read = nodes_of(store, fresh, known_at, spaces)
    for handle, node in read.items():
        if (node.created_at or 0) > back[handle]:
            found.between.add(handle)
            nodes[handle] = node
    _inherit(region, held)
    homes = sorted(set(found.homes.values()))
    found.names = {label.handle: label.name for label in store.labels(homes, known_at=known_at)}
    return found


def _runs(region: Region, handle: int) -> bool:
    return any(link.edge.kind is E.CODE_FOR for link in region.out.get(handle, ()))


def _inherit(region: Region, held: dict[int, int]) -> None:
    """What led to a state led there with all that came before it."""
    pending = [h for h, links in region.into.items() if any(link.edge.kind is E.PRECEDES for link in links)]
    while pending:
        handle = pending.pop()
        for link in region.into.get(handle, ()):
            bits = held.get(link.src, 0) | held.get(handle, 0)
            if link.edge.kind is E.PRECEDES and bits != held.get(link.src, 0):
                held[link.src] = bits
                pending.append(link.src)
