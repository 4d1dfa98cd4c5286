"""What a score of impact rests on beside the graph: what is deployed where, what is critical, what hurt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from app.answers.adjacency import (
    Adjacency,
    Arrows,
    Flags,
    Floats,
    Half,
    Ints,
    adjacency,
)
from app.lineage.closure import far_ends
from app.lineage.states import have_states
from graph_schema.edges import EDGE_CODES, FLOW_KINDS, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros, parse_time
from graph_schema.values import ALWAYS, FOREVER, Ahead, Direction, Moment, Spaces, Step

NODE_CODES = {kind: code for code, kind in enumerate(NodeKind)}
#: Of how many earlier things of a sort it is looked at whether they hurt.
PRECEDENTS = 20
#: How far below such a thing an incident counts as its own.
PRECEDENT_HOPS = 6
#: Nodes up to which a store may read a walk ahead.
READ_AHEAD = 2_000
_CONSIDERED = 500
_SORTS = frozenset({NodeKind.DATASET, NodeKind.EXPERIMENT, NodeKind.JOB, NodeKind.MODEL, NodeKind.REPOSITORY})


class Walked(msgspec.Struct, frozen=True):
    """What one walk downstream found. ``unread`` counts neighbours in spaces that may not be read;
    ``stopped``: the walk ended for its size."""

    graph: Adjacency
    unread: int
    stopped: bool


def walk(
    store: GraphStore,
    handles: Collection[int],
    max_hops: int,
    moment: Moment,
    spaces: Spaces,
    *,
    most: int,
    commits: Collection[int] = (),
    evidence: bool = True,
) -> Walked:
    """Everything downstream of these nodes, and one hop further, as arrays: a call a hop, and two more. The
    walk ends where it passes ``most`` nodes.

    ``commits``: those of them whose change is looked for in later commits, too, which costs another call a
    hop. ``evidence``: whether it is to be known which edges were inferred.
    """
    seen = set(handles)
    frontier = set(handles)
    later = set(commits)
    steps: dict[int, Step] = {}
    hidden: dict[int, int] = {}
    ahead = Ahead(max_hops, READ_AHEAD)
    for _ in range(max_hops + 1):
        if not frontier or len(seen) > most:
            break
        found = store.expand(sorted(frontier), Direction.DOWNSTREAM, FLOW_KINDS, moment, spaces, ahead)
        ahead.hops -= 1
        hidden.update(found.hidden)
        ends = far_ends(found.steps, Direction.DOWNSTREAM)
        for step in found.same:
            ends.update((step.src, step.dst))
        for step in (*found.steps, *found.same):
            steps[step.belief] = step
        if held := sorted(frontier & later):
            onward = store.expand(held, Direction.DOWNSTREAM, (EdgeKind.PRECEDES,), moment, spaces)
            steps.update((step.belief, step) for step in onward.steps)
            later |= {step.dst for step in onward.steps}
            ends |= far_ends(onward.steps, Direction.DOWNSTREAM)
        frontier = ends - seen
        seen |= frontier
    stopped = len(seen) > most
    labels = store.labels(sorted(seen), known_at=moment.known_at)
    return Walked(
        _arrays(store, labels, list(steps.values()), moment, evidence), sum(hidden.values()), stopped
    )


def _arrays(
    store: GraphStore, labels: Sequence[Any], steps: Sequence[Step], moment: Moment, evidence: bool
) -> Adjacency:
    said = np.zeros(len(steps), dtype=bool)
    if evidence and steps:
        edges = store.edges([step.belief for step in steps], known_at=moment.known_at)
        said[:] = [edge.evidence is not None for edge in edges]
    columns = np.array([(s.src, s.dst, EDGE_CODES[s.kind], s.belief) for s in steps], dtype=np.int64).reshape(
        -1, 4
    )
    # The store has looked at the times already.
    always, forever = np.full(len(steps), ALWAYS), np.full(len(steps), FOREVER)
    handles = np.array([label.handle for label in labels], dtype=np.int64)
    kinds = np.array([NODE_CODES[label.kind] for label in labels], dtype=np.int8)
    arrows = Arrows(
        columns[:, 0], columns[:, 1], columns[:, 2].astype(np.int8), columns[:, 3], always, forever, said
    )
    return adjacency(handles, kinds, arrows)


class Deployments(msgspec.Struct, frozen=True):
    """Deployments and when they stood, in columns: by deployment (``handles`` sorted) the environment and the
    ends that its source states; by stretch of time its deployment's number, validity and share."""

    handles: Ints
    environment: list[str | None]
    started: Ints
    ended: Ints
    of: Ints
    since: Ints
    until: Ints
    share: Floats

    def at(self, time: Micros) -> tuple[Flags, Floats]:
        """Which stand at a time, and with what share of the traffic."""
        share = np.full(len(self.handles), -1.0)
        held = (self.since <= time) & (self.until > time)
        standing = np.zeros(len(self.handles), dtype=bool)
        standing[self.of[held]] = True
        np.maximum.at(share, self.of[held], self.share[held])
        # One of which no edge says when it stood: what its source says of it.
        told = np.ones(len(self.handles), dtype=bool)
        told[self.of] = False
        by_word = told & (self.started <= time) & (self.ended > time)
        return standing | by_word, np.where(share < 0, 1.0, share)


def deployments(
    store: GraphStore, handles: Sequence[int], known_at: Micros | None, spaces: Spaces
) -> Deployments:
    """When these deployments stood, where, and with what share of the traffic; in four calls."""
    ordered = sorted(handles)
    number = {handle: place for place, handle in enumerate(ordered)}
    nodes = store.get(ordered, known_at=known_at, spaces=spaces) if ordered else []
    said: list[Mapping[str, Any]] = [{} if node is None else node.properties for node in nodes]
    environment = [_text(properties.get("environment")) for properties in said]
    asked = (EdgeKind.DEPLOYED_AS, EdgeKind.HAS)
    found = (
        store.expand(ordered, Direction.UPSTREAM, asked, Moment(None, known_at), spaces).steps
        if ordered
        else []
    )
    steps = [step for step in found if step.dst in number]
    edges = store.edges([step.belief for step in steps], known_at=known_at) if steps else []
    homes = sorted({step.src for step in steps if step.kind is EdgeKind.HAS})
    names = {label.handle: label.name for label in store.labels(homes, known_at=known_at)} if homes else {}
    rows = []
    for step, edge in zip(steps, edges, strict=True):
        if step.kind is EdgeKind.HAS:
            environment[number[step.dst]] = environment[number[step.dst]] or names[step.src]
        share = edge.properties.get("share") if step.kind is EdgeKind.DEPLOYED_AS else None
        rows.append(
            (
                number[step.dst],
                ALWAYS if edge.valid_from is None else edge.valid_from,
                FOREVER if edge.valid_to is None else edge.valid_to,
                # Where it stands says nothing of its share.
                -1.0 if step.kind is EdgeKind.HAS else _number(share),
            )
        )
    return Deployments(
        np.array(ordered, dtype=np.int64),
        environment,
        np.array([_time(p.get("startedAt"), ALWAYS) for p in said], dtype=np.int64),
        np.array([_time(p.get("endedAt"), FOREVER) for p in said], dtype=np.int64),
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.int64),
        np.array([row[2] for row in rows], dtype=np.int64),
        np.array([row[3] for row in rows], dtype=np.float64),
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 1.0
    return min(1.0, max(0.0, float(value)))


def _time(value: Any, default: Micros) -> Micros:
    """A time as sources write it: microseconds, or ISO 8601."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return parse_time(value)
        except BadInput:
            return default
    return default


def tagged(store: GraphStore, tags: Collection[str], moment: Moment, spaces: Spaces) -> Ints:
    """Handles of what carries one of these labels, and of what belongs to it; sorted."""
    found = [
        handle
        for tag in sorted(tags)
        for handle in store.resolve(f"tag={tag}", known_at=moment.known_at, spaces=spaces)
    ]
    if not found:
        return np.empty(0, dtype=np.int64)
    up = store.expand(found, Direction.UPSTREAM, (EdgeKind.TAGGED,), moment, spaces).steps
    marked = {step.src for step in up}
    if marked:
        down = store.expand(sorted(marked), Direction.DOWNSTREAM, (EdgeKind.HAS,), moment, spaces).steps
        marked |= {step.dst for step in down}
    return np.array(sorted(marked), dtype=np.int64)


class Precedents(msgspec.Struct, frozen=True):
    """Earlier things of the sort of each node: versions of the same data set, commits of the repository;
    which of the nodes are commits, and which have states, with their names."""

    of: dict[int, list[int]]
    commits: list[int]
    groups: Mapping[int, str]

    @property
    def all(self) -> list[int]:
        """Each once."""
        return sorted({handle for group in self.of.values() for handle in group})


def precedents(store: GraphStore, handles: Sequence[int], moment: Moment, spaces: Spaces) -> Precedents:
    """Up to ``PRECEDENTS`` others of the sort of each of these nodes, the latest; in four calls."""
    up = store.expand(sorted(handles), Direction.UPSTREAM, (EdgeKind.HAS,), moment, spaces).steps
    parents = {step.src for step in up}
    labels = store.labels(sorted(parents.union(handles)), known_at=moment.known_at)
    kinds = {label.handle: label.kind for label in labels}
    asked_about = set(handles)
    groups = have_states([label for label in labels if label.handle in asked_about])
    commits = [handle for handle in handles if kinds[handle] is NodeKind.COMMIT]
    sorts = [parent for parent in sorted(parents) if kinds[parent] in _SORTS]
    if not sorts:
        return Precedents({}, commits, groups)
    down = store.expand(sorts, Direction.DOWNSTREAM, (EdgeKind.HAS,), moment, spaces).steps
    children: dict[int, set[int]] = {}
    for step in down:
        children.setdefault(step.src, set()).add(step.dst)
    others: dict[int, set[int]] = {}
    for step in up:
        others.setdefault(step.dst, set()).update(children.get(step.src, ()))
    # What came last into the graph, where there are very many.
    near = {
        handle: sorted(group - {handle}, reverse=True)[:_CONSIDERED]
        for handle, group in others.items()
        if handle in asked_about
    }
    asked = sorted({other for group in near.values() for other in group})
    made = {
        node.handle: node.created_at or 0
        for node in (store.get(asked, known_at=moment.known_at, spaces=spaces) if asked else [])
        if node is not None and (moment.as_of is None or (node.created_at or 0) <= moment.as_of)
    }
    return Precedents(
        {
            handle: sorted((o for o in group if o in made), key=lambda o: (-made[o], -o))[:PRECEDENTS]
            for handle, group in near.items()
        },
        commits,
        groups,
    )


def troubled(graph: Adjacency, hops: int = PRECEDENT_HOPS, as_of: Micros | None = None) -> Flags:
    """By place, whether an incident lies at most so many hops downstream."""
    marked: Flags = graph.kinds == NODE_CODES[NodeKind.INCIDENT]
    if not marked.any():
        return marked
    _back(graph.same, marked, as_of, FOREVER)
    for _ in range(hops):
        # That an incident came after a later commit says nothing of this one.
        _back(graph.flow, marked, as_of, 1)
        _back(graph.same, marked, as_of, FOREVER)
    return marked


def _back(half: Half, marked: Flags, as_of: Micros | None, rounds: int) -> None:
    """Mark what edges lead to what is marked, so many times over or until nothing is new."""
    while len(half) and rounds > 0:
        hit = marked[half.dst] & ~marked[half.src] & ~half.onward
        if as_of is not None and half.since is not None and half.until is not None:
            hit &= (half.since <= as_of) & (half.until > as_of)
        if not hit.any():
            return
        marked[half.src[hit]] = True
        rounds -= 1
