"""What lies around failures in the graph: project, component, and all that is at most two hops away.

Read for many failures at once, in a number of store calls that does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

from app.lineage.closure import classes
from graph_schema.edges import EDGES, EdgeKind, Family
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Label, Node

_K = NodeKind
_FLOW = tuple(kind for kind in EdgeKind if EDGES[kind].family is Family.FLOW)
_UP = (*_FLOW, EdgeKind.HAS)
#: Neighbours of one failure that are kept, the nearest first.
_MOST = 60

#: What a kind of neighbour is called in an explanation. What is not named here is no neighbour.
SORTS: dict[NodeKind, str] = {
    _K.DATASET: "data set",
    _K.DATASET_VERSION: "data",
    _K.MODEL: "model",
    _K.MODEL_VERSION: "model version",
    _K.ARTIFACT: "artifact",
    _K.JOB: "pipeline",
    _K.EXPERIMENT: "experiment",
    _K.DEPLOYMENT: "deployment",
    _K.ENVIRONMENT: "environment",
    _K.RUNTIME: "runtime",
    _K.COMMIT: "commit",
    _K.REPOSITORY: "repository",
    _K.CHECK: "check",
    _K.RUN: "run",
    _K.JOB_RUN: "job run",
    _K.INCIDENT: "incident",
}


class Near(msgspec.Struct, frozen=True):
    """A neighbour: its handle, id, kind and name, how many hops away, and the neighbour of one hop by which
    it was reached (its own handle where it is that one)."""

    handle: int
    id: str
    kind: NodeKind
    name: str
    hops: int
    by: int

    @property
    def entity(self) -> str:
        """``sort:value``, as the ranking takes it."""
        return f"{SORTS[self.kind]}:{self.id}"


class Around(msgspec.Struct, frozen=True):
    """What lies around one failure. ``data``: the version that it read of each data set, by ids.
    ``checks``: its failed or passed checks; ``runtimes``: what it ran on."""

    near: tuple[Near, ...] = ()
    data: dict[str, str] = {}
    checks: tuple[int, ...] = ()
    runtimes: tuple[int, ...] = ()

    def first(self, kind: NodeKind) -> Near | None:
        """The nearest neighbour of a kind."""
        return next((near for near in self.near if near.kind is kind), None)


def around(store: GraphStore, handles: Sequence[int]) -> dict[int, Around]:
    """What lies around each of these nodes."""
    one = _step(store, handles, Direction.UPSTREAM, _UP)
    checks = _step(store, handles, Direction.DOWNSTREAM, (EdgeKind.CHECKED_BY,))
    direct = {other for found in one.values() for other in found}
    two = _step(store, sorted(direct), Direction.UPSTREAM, _UP)
    second = {other for found in two.values() for other in found}
    # What contains a neighbour of two hops is as near: the data set of a version, the repository of a commit.
    homes = _step(store, sorted(second), Direction.UPSTREAM, (EdgeKind.HAS,))
    checked = {other for found in checks.values() for other in found}
    every = sorted(direct | second | checked | {other for found in homes.values() for other in found})
    labels = dict(zip(every, store.labels(every), strict=True)) if every else {}
    return {
        handle: _around(handle, one.get(handle, set()), two, homes, checks.get(handle, set()), labels)
        for handle in handles
    }


def _around(
    handle: int,
    direct: Collection[int],
    two: dict[int, set[int]],
    homes: dict[int, set[int]],
    checks: Collection[int],
    labels: dict[int, Label],
) -> Around:
    found: dict[int, tuple[int, int]] = {}
    for other in sorted((*direct, *checks)):
        found.setdefault(other, (1, other))
    data: dict[str, str] = {}
    for by in sorted(direct):
        for other in sorted(two.get(by, ())):
            found.setdefault(other, (2, by))
            if labels[by].kind is _K.DATASET_VERSION and labels[other].kind is _K.DATASET:
                data[labels[other].id] = labels[by].id
            for home in sorted(homes.get(other, ())):
                found.setdefault(home, (2, by))
    found.pop(handle, None)
    near = [
        Near(other, labels[other].id, labels[other].kind, labels[other].name, hops, by)
        for other, (hops, by) in found.items()
        if labels[other].kind in SORTS
    ]
    near.sort(key=lambda each: (each.hops, each.id))
    return Around(
        tuple(near[:_MOST]),
        data,
        tuple(sorted(checks)),
        tuple(other for other in sorted(direct) if labels[other].kind is _K.RUNTIME),
    )


def _step(
    store: GraphStore, handles: Sequence[int], direction: Direction, kinds: Sequence[EdgeKind]
) -> dict[int, set[int]]:
    """By node, those one edge away, with what is the same thing as either end."""
    if not handles:
        return {}
    found = store.expand(handles, direction, kinds)
    if not found.steps:
        return {}
    down = direction is Direction.DOWNSTREAM
    ends = [(step.src, step.dst) if down else (step.dst, step.src) for step in found.steps]
    leader = classes({*handles, *(near for near, _ in ends)}, found.same)
    reached: dict[int, set[int]] = {}
    for near, far in ends:
        reached.setdefault(leader[near], set()).add(far)
    return {handle: reached[leader[handle]] for handle in handles if leader[handle] in reached}


def project(node: Node, around: Around) -> str | None:
    """The project that a failure belongs to: the repository of its code, else its experiment, else the
    namespace of its job, else where its own identifier says that it was reported, else its component."""
    for kind in (_K.REPOSITORY, _K.EXPERIMENT):
        if (near := around.first(kind)) is not None:
            return near.id
    if (job := around.first(_K.JOB)) is not None:
        return job.id.rpartition("/")[0] or job.id
    for text in node.identifiers:
        scheme, _, value = text.partition("=")
        if scheme in ("github.issue", "gitlab.issue"):
            host = "github.com" if scheme.startswith("github") else "gitlab.com"
            return f"git.remote={host}/{value.partition('#')[0].lower()}"
    labels = node.properties.get("labels")
    if isinstance(labels, dict):
        named = next((f"{key}={labels[key]}" for key in ("namespace", "team") if labels.get(key)), None)
        if named is not None:
            return named
    # What lies in no repository is at least the same script again.
    return component(node, around)


def component(node: Node, around: Around) -> str | None:
    """The part of the project that failed: a pipeline, a script, a deployment, a model."""
    for kind in (_K.JOB, _K.DEPLOYMENT):
        if (near := around.first(kind)) is not None and near.hops == 1:
            # A deployment's name has its revision behind it: the next one is the same component.
            return f"{SORTS[kind]}:{near.name.partition('@')[0]}"
    said = node.properties
    words = str(said.get("command") or "").split()
    script = next((w for w in words if w.endswith((".py", ".sh", ".ipynb", ".R", ".jl"))), None)
    tags = said.get("tags")
    if script is None and isinstance(tags, dict):
        script = tags.get("mlflow.source.name")
    if script:
        return f"script:{str(script).replace(chr(92), '/').rpartition('/')[2]}"
    labels = said.get("labels")
    if isinstance(labels, dict):
        for key in ("deployment", "service", "model", "job"):
            if labels.get(key):
                return f"{key}:{labels[key]}"
    model = around.first(_K.MODEL)
    return f"model:{model.name}" if model is not None else None
