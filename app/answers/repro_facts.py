"""What the graph knows of a run that somebody wants to repeat."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from app.answers.repro import Input, Known
from app.lineage.walk import lineage
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Edge, Moment, Node, Spaces, Step

_RUNS = (NodeKind.RUN, NodeKind.JOB_RUN)
_MAX_NODES = 5_000


def known_of(store: GraphStore, handle: int, *, known_at: int | None = None, spaces: Spaces = None) -> Known:
    """What is known of a run, or of the run that lies nearest upstream of anything else.

    In a fixed number of store calls. Raises BadInput where no run, or more than one, lies nearest."""
    return _Reader(store, Moment(known_at=known_at), spaces).read(handle)


class _Reader:
    def __init__(self, store: GraphStore, moment: Moment, spaces: Spaces) -> None:
        self.store, self.moment, self.spaces = store, moment, spaces

    def read(self, handle: int) -> Known:
        run = self._run(handle)
        around = self._expand(
            [run.handle], (EdgeKind.INPUT_TO, EdgeKind.CODE_FOR, EdgeKind.RUNTIME_OF, EdgeKind.HAS)
        )
        by_kind: dict[EdgeKind, list[int]] = defaultdict(list)
        for step in around:
            by_kind[step.kind].append(step.src)
        nodes = self._nodes({step.src for step in around})
        # Within one command, several runs of another tool share its code and the way it was started.
        within = [h for h in by_kind[EdgeKind.HAS] if h in nodes and nodes[h].kind in _RUNS]
        if within and not by_kind[EdgeKind.CODE_FOR]:
            more = self._expand(within, (EdgeKind.CODE_FOR, EdgeKind.RUNTIME_OF))
            around = [*around, *more]
            for step in more:
                by_kind[step.kind].append(step.src)
            nodes |= self._nodes({step.src for step in more})
        edges = self._edges(around)
        data = list(dict.fromkeys(by_kind[EdgeKind.INPUT_TO]))
        introduced = self._expand(data, (EdgeKind.INTRODUCED,))
        commits = {step.src for step in introduced}
        nodes |= self._nodes(commits)
        homes = self._homes({*by_kind[EdgeKind.CODE_FOR], *commits})
        nodes |= self._nodes({parent for parents in homes.values() for parent in parents})
        brought = self._edges(introduced)
        code = self._code(around, edges, nodes)
        about = dict(edges[code.belief].properties) if code is not None else {}
        return Known(
            run=run,
            properties=self._properties(run, [nodes[h] for h in within if h in nodes]),
            commit=None if code is None else nodes[code.src],
            repository=None if code is None else self._home(code.src, homes, nodes, NodeKind.REPOSITORY),
            dirty=about.get("dirty", run.properties.get("dirty")),
            diff=about.get("diff", run.properties.get("diff")),
            folder=about.get("folder"),
            inputs=[
                self._input(h, around, edges, introduced, brought, homes, nodes) for h in data if h in nodes
            ],
            runtimes=[nodes[h] for h in dict.fromkeys(by_kind[EdgeKind.RUNTIME_OF]) if h in nodes],
        )

    def _run(self, handle: int) -> Node:
        node = self._nodes([handle]).get(handle)
        if node is None:
            raise NotFound("there is no such node at that time")
        if node.kind in _RUNS:
            return node
        walk = lineage(
            self.store, handle, Direction.UPSTREAM, 20, kinds=_RUNS, moment=self.moment, first=_MAX_NODES,
            spaces=self.spaces, stubs=False,
        )  # fmt: skip
        runs = [
            (-hop, label) for hop, label in zip(walk.hops, walk.labels, strict=True) if label.kind in _RUNS
        ]
        if not runs:
            raise BadInput(f"{node.id} is no run, and none is known that it came from")
        nearest = [label for hop, label in runs if hop == runs[0][0]]
        if len(nearest) > 1:
            listed = ", ".join(label.id for label in nearest[:3])
            raise BadInput(f"{node.id} came from {len(nearest)} runs: name one of them, {listed}")
        return self._nodes([nearest[0].handle])[nearest[0].handle]

    def _properties(self, run: Node, within: Iterable[Node]) -> dict[str, Any]:
        """The run's own; the command where only the run around it has one."""
        found = dict(run.properties)
        for each in within:
            for key in ("command", "script"):
                if key in each.properties:
                    found.setdefault(key, each.properties[key])
        return found

    def _code(
        self, steps: Iterable[Step], edges: Mapping[int, Edge], nodes: Mapping[int, Node]
    ) -> Step | None:
        """The commit; of several, the one of which more is said."""
        code = [step for step in steps if step.kind is EdgeKind.CODE_FOR and step.src in nodes]
        return max(code, key=lambda s: (len(edges[s.belief].properties), nodes[s.src].id), default=None)

    def _input(
        self,
        handle: int,
        around: Iterable[Step],
        edges: Mapping[int, Edge],
        introduced: Iterable[Step],
        brought: Mapping[int, Edge],
        homes: Mapping[int, list[int]],
        nodes: Mapping[int, Node],
    ) -> Input:
        """Data with a commit that introduced it: under the path that the run read, if one did; of several,
        the earliest."""
        node = nodes[handle]
        read = next(
            (
                path
                for step in around
                if step.src == handle and (path := edges[step.belief].properties.get("path"))
            ),
            node.properties.get("path"),
        )

        def order(step: Step) -> tuple[bool, int, str]:
            edge = brought[step.belief]
            return (edge.properties.get("path") != read, edge.valid_from or 0, edge.src)

        held = sorted((s for s in introduced if s.dst == handle and s.src in nodes), key=order)
        if not held:
            return Input(node=node, path=None if read is None else str(read))
        path = brought[held[0].belief].properties.get("path") or read
        return Input(
            node=node,
            path=None if path is None else str(path),
            commit=nodes[held[0].src],
            repository=self._home(held[0].src, homes, nodes, NodeKind.REPOSITORY),
        )

    def _homes(self, handles: Collection[int]) -> dict[int, list[int]]:
        found: dict[int, list[int]] = defaultdict(list)
        for step in self._expand(handles, (EdgeKind.HAS,)):
            found[step.dst].append(step.src)
        return found

    def _home(
        self, handle: int, homes: Mapping[int, list[int]], nodes: Mapping[int, Node], kind: NodeKind
    ) -> Node | None:
        parents = [nodes[h] for h in homes.get(handle, ()) if h in nodes and nodes[h].kind is kind]
        # One that has a remote can be cloned by anybody.
        return min(parents, key=lambda n: (n.id.startswith("git.remote=file:"), n.id), default=None)

    def _expand(self, handles: Collection[int], kinds: tuple[EdgeKind, ...]) -> list[Step]:
        if not handles:
            return []
        return self.store.expand(sorted(handles), Direction.UPSTREAM, kinds, self.moment, self.spaces).steps

    def _edges(self, steps: Iterable[Step]) -> dict[int, Edge]:
        beliefs = sorted({step.belief for step in steps})
        read = self.store.edges(beliefs, known_at=self.moment.known_at) if beliefs else []
        return dict(zip(beliefs, read, strict=True))

    def _nodes(self, handles: Iterable[int]) -> dict[int, Node]:
        asked = sorted(set(handles))
        found = self.store.get(asked, known_at=self.moment.known_at, spaces=self.spaces) if asked else []
        return {node.handle: node for node in found if node is not None}
