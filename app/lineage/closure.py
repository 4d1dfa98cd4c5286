"""Classes of nodes that are the same thing: ``SAME_AS`` costs no hop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graph_schema.values import Direction, Step


def far_ends(steps: Iterable[Step], direction: Direction) -> set[int]:
    """The handles that steps in this direction lead to."""
    if direction is Direction.DOWNSTREAM:
        return {step.dst for step in steps}
    return {step.src for step in steps}


def adjacency(same: Iterable[Step]) -> dict[int, set[int]]:
    """Neighbours by ``SAME_AS``, in both directions."""
    neighbours: dict[int, set[int]] = {}
    for step in same:
        neighbours.setdefault(step[0], set()).add(step[1])
        neighbours.setdefault(step[1], set()).add(step[0])
    return neighbours


def spread(neighbours: Mapping[int, set[int]], hops: dict[int, int]) -> set[int]:
    """Give every node the least hop among those it is the same as, in place; returns those it changed."""
    changed: set[int] = set()
    # Nearest first: whatever is reached has its final hop at once.
    for start in sorted((node for node in neighbours if node in hops), key=lambda node: hops[node]):
        pending = [start]
        while pending:
            node = pending.pop()
            for other in neighbours.get(node, ()):
                if hops.get(other, hops[node] + 1) > hops[node]:
                    hops[other] = hops[node]
                    changed.add(other)
                    pending.append(other)
    return changed


def classes(members: Iterable[int], same: Iterable[Step]) -> dict[int, int]:
    """For each member, the least handle of its class: what stands for it where classes are one node."""
    neighbours = adjacency(same)
    leader: dict[int, int] = {}
    for start in sorted(members):
        if start in leader:
            continue
        leader[start] = start
        pending = [start]
        while pending:
            for other in neighbours.get(pending.pop(), ()):
                if other not in leader:
                    leader[other] = start
                    pending.append(other)
    return leader
