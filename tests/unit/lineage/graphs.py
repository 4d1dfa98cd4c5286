"""Small graphs for walks, written as lines: ``1 > 2`` is an edge, ``1 = 2`` says they are the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.values import NOW, Direction, Edge, Expansion, Label, Moment, Step


def data(number: int) -> str:
    return f"dvc.md5={number:032x}"


def parse(text: str) -> list[tuple[str, int, int]]:
    edges = []
    for part in text.replace("\n", ",").split(","):
        if words := part.split():
            edges.append((words[1], int(words[0]), int(words[2])))
    return edges


class Graph:
    """A few read verbs over what was drawn; counts what it is asked."""

    def __init__(self, drawing: str) -> None:
        self.calls: list[str] = []
        self.kinds: dict[int, NodeKind] = {}
        self._nodes: list[str] = []
        self._steps: list[Step] = []
        self._same: list[Step] = []
        for sign, a, b in parse(drawing):
            kind = EdgeKind.SAME_AS if sign == "=" else EdgeKind.DERIVED_INTO
            step = Step(self.handle(a), self.handle(b), kind, len(self._steps) + len(self._same))
            (self._same if sign == "=" else self._steps).append(step)

    def handle(self, number: int) -> int:
        if data(number) not in self._nodes:
            self._nodes.append(data(number))
        return self._nodes.index(data(number))

    def labels(self, handles: Sequence[int], *, known_at: int | None = None) -> list[Label]:
        self.calls.append("labels")
        kind = NodeKind.DATASET_VERSION
        return [Label(h, self._nodes[h], self.kinds.get(h, kind), self._nodes[h]) for h in handles]

    def _close(self, handles: set[int], same: dict[int, Step]) -> set[int]:
        closed = set(handles)
        while True:
            near = [s for s in self._same if s.src in closed or s.dst in closed]
            same.update((s.belief, s) for s in near)
            more = {h for s in near for h in (s.src, s.dst)} - closed
            if not more:
                return closed
            closed |= more

    def expand(
        self,
        handles: Sequence[int],
        direction: Direction,
        kinds: Any,
        moment: Moment = NOW,
        spaces: Any = None,
    ) -> Expansion:
        self.calls.append("expand")
        same: dict[int, Step] = {}
        frontier = self._close(set(handles), same)
        down = direction is Direction.DOWNSTREAM
        steps = [s for s in self._steps if s.kind in kinds and (s.src if down else s.dst) in frontier]
        self._close({s.dst if down else s.src for s in steps}, same)
        return Expansion(steps, list(same.values()), {})

    def edges(self, beliefs: Sequence[int], *, known_at: int | None = None) -> list[Edge]:
        self.calls.append("edges")
        by = {s.belief: s for s in self._steps + self._same}
        return [
            Edge(src=self._nodes[by[b].src], dst=self._nodes[by[b].dst], kind=by[b].kind, source="drawn")
            for b in beliefs
        ]
