"""One side of a comparison: a thing at a moment, what it came from, and the edges around it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from app.lineage.aliases import moves_of, stays
from app.lineage.walk import lineage
from graph_schema.edges import EDGES, FLOW_KINDS, EdgeKind, Family
from graph_schema.errors import NotFound
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Label, Moment, Spaces, Step

#: Nodes of one walk and children of one thing that are compared; where there are more, the answer says so.
MAX_NODES = 5_000
MAX_HOPS = 20
#: Things that stand in an environment whose origins are walked.
MAX_STANDING = 20
_DIRECT = tuple(kind for kind in EdgeKind if EDGES[kind].family in (Family.STRUCTURE, Family.OWNERSHIP))

Key = tuple[EdgeKind, int, int]


class Side:
    """``edges`` are the beliefs around the thing by edge; ``hops`` are the nodes that it came from, by how
    far they are; ``flow`` are the steps between those, ``labels`` what they are called."""

    def __init__(
        self, store: GraphStore, root: int, moment: Moment, spaces: Spaces, *, both_ways: bool
    ) -> None:
        found = store.get([root], known_at=moment.known_at, spaces=spaces)[0]
        if found is None:
            raise NotFound("there is no such node at that time")
        self.node = found
        self.moment = moment
        self.edges: dict[Key, int] = {}
        self.reasons: list[str] = []
        self.hops: dict[int, int] = {}
        self.labels: dict[int, Label] = {}
        self.flow: dict[int, Step] = {}
        self._store, self._spaces = store, spaces
        self._walk(root, Direction.UPSTREAM)
        if both_ways:
            self._walk(root, Direction.DOWNSTREAM)
        children: set[int] = set()
        parents: set[int] = set()
        for way in (Direction.UPSTREAM, Direction.DOWNSTREAM):
            steps = store.expand([root], way, _DIRECT, moment, spaces).steps
            self._note(steps)
            if way is Direction.DOWNSTREAM:
                children = {step.dst for step in steps if step.kind is EdgeKind.HAS}
            else:
                parents = {step.src for step in steps if step.kind is EdgeKind.HAS}
        if len(children) > MAX_NODES:
            self.reasons.append(f"only {MAX_NODES:,} of the {len(children):,} things it has were looked at")
        self.children = sorted(children)[:MAX_NODES]
        #: What was released into an environment and stands there: it is compared as if it were named.
        self.standing: list[int] = []
        if both_ways and self.children:
            steps = store.expand(self.children, Direction.UPSTREAM, FLOW_KINDS, moment, spaces).steps
            self._note(steps)
            self.standing = sorted({step.src for step in steps if step.kind is EdgeKind.DEPLOYED_AS})
        versions = self.children if found.kind is NodeKind.MODEL else []
        models = [root] if found.kind is NodeKind.MODEL else sorted(parents)
        if found.kind is not NodeKind.MODEL_VERSION and not versions:
            models = []
        read = store.get([*versions, *models], known_at=moment.known_at, spaces=spaces)
        self._versions = [node for node in read[: len(versions)] if node is not None]
        self._moves = moves_of(node for node in read[len(versions) :] if node is not None)

    def walk_standing(self, others: Iterable[int]) -> None:
        """Walk what stands here and not on the other side back to where it came from."""
        fresh = sorted(set(self.standing).difference(others))
        if len(fresh) > MAX_STANDING:
            self.reasons.append(
                f"the origins of only {MAX_STANDING} of {len(fresh):,} things that stood there were compared"
            )
        for handle in fresh[:MAX_STANDING]:
            self._walk(handle, Direction.UPSTREAM, noted=False)

    def _walk(self, start: int, way: Direction, *, noted: bool = True) -> None:
        found = lineage(
            self._store, start, way, MAX_HOPS, moment=self.moment, first=MAX_NODES, spaces=self._spaces,
            stubs=False,
        )  # fmt: skip
        if noted:
            self._note(found.steps)
        if found.truncated_because is not None:
            self.reasons.append(found.truncated_because)
        if way is Direction.UPSTREAM:
            for label, hop in zip(found.labels, found.hops, strict=True):
                self.labels[label.handle] = label
                self.hops[label.handle] = min(-hop, self.hops.get(label.handle, -hop))
            self.flow.update((step.belief, step) for step in found.steps)

    def _note(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.edges[step.kind, step.src, step.dst] = step.belief

    def aliases(self) -> dict[str, Any]:
        """Who held each alias then: a model's versions by name, or True for a version itself."""
        at = self.moment.as_of if self.moment.as_of is not None else time.time_ns() // 1000
        held: dict[str, Any] = {}
        for version, name in ((self.node, True), *((each, each.name) for each in self._versions)):
            for stay in stays(version, self._moves):
                if stay.seen_at <= at and (stay.until is None or at < stay.until):
                    held[stay.name] = name
        return held
