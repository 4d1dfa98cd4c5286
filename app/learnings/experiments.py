"""Runs with an alike configuration: what was already tried, how it ended, and what differs.

A run's settings are its parameters, the data that it read, its code and its runtime; a planned
configuration has parameters only, and is compared by these.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from app.learnings.configurations import USUAL, Alike, Configurations, Run
from app.learnings.scalars import Scalar, flat, tells_apart
from app.lineage.differences import Difference
from app.store.changed import follow
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Node, Spaces
from graph_schema.wording import a_or_an, counted

#: Where settings of a run come from beside its parameters; a planned configuration has none of these.
_AROUND = {EdgeKind.INPUT_TO: "data", EdgeKind.CODE_FOR: "code", EdgeKind.RUNTIME_OF: "runtime"}
_NOT_PLANNED = tuple(f"{name}:" for name in _AROUND.values())
_WORKED = {"FINISHED": True, "COMPLETE": True, "FAILED": False, "KILLED": False, "ABORTED": False}
_PAGE = 500
#: Runs that are looked at beyond those asked for: not all may be read by whoever asks.
_SPARE = 4
MAX_FIRST = 50


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is alike. ``outcome``: worked, failed or unknown; ``differs``: left is what was asked about,
    the most surprising first; ``shared``: of failed runs, the settings in which both left what works;
    ``same``: whether nothing differs but what only tells runs apart, such as a seed."""

    node: Node
    similarity: float
    outcome: str
    same: bool
    differs: list[Difference]
    shared: list[str]


class Experiments(msgspec.Struct, frozen=True, kw_only=True):
    """``alike``: most alike first; ``successful``: the nearest that worked; ``failed_alike``: of a failed run
    those that failed in the same way. ``already_tried``: whether one of them has this very configuration."""

    alike: list[Experiment]
    successful: list[Experiment]
    failed_alike: list[Experiment]
    already_tried: bool
    summary: str


def experiments(
    store: GraphStore,
    *,
    handle: int | None = None,
    config: Mapping[str, Any] | None = None,
    first: int = 5,
    spaces: Spaces = None,
) -> Experiments:
    """Runs like that of a node, or like a planned configuration. Raises BadInput, NotFound."""
    if (handle is None) is (config is None):
        raise BadInput("give either the id of a run, or a configuration")
    if not 1 <= first <= MAX_FIRST:
        raise BadInput(f"first is {first}; allowed are 1 to {MAX_FIRST}")
    with _index_of(store).reading(store) as index:
        run = _planned(config) if config is not None else _asked(store, index, handle, spaces)
        return _Answer(store, index, run, first, spaces, planned=config is not None).made()


def _planned(config: Mapping[str, Any]) -> Run:
    settings = flat(config)
    if not settings:
        raise BadInput('the configuration has no settings: an object such as {"lr": 0.1} is needed')
    return Run(id=-1, settings=settings, worked=None)


def _asked(store: GraphStore, index: Configurations, handle: int | None, spaces: Spaces) -> Run:
    node = store.get([handle], spaces=spaces)[0] if handle is not None else None
    if node is None:
        raise NotFound("there is no such node")
    if node.kind is not NodeKind.RUN:
        raise BadInput(f"{node.id} is {a_or_an(node.kind)}; configurations are compared of a Run")
    found = index.get(node.handle)
    if found is None:
        raise BadInput(f"{node.id} has neither parameters nor data, code or runtime to compare")
    return found


class _Answer:
    """One answer in the making."""

    def __init__(
        self,
        store: GraphStore,
        index: Configurations,
        run: Run,
        first: int,
        spaces: Spaces,
        *,
        planned: bool,
    ) -> None:
        self.store, self.index, self.run, self.first = store, index, run, first
        self.spaces, self.planned = spaces, planned
        self.without = None if planned else run.id

    def made(self) -> Experiments:
        """All three lists, and the nodes read in one call."""
        most = self.first * _SPARE
        alike = self.index.alike(self.run.settings, first=most, without=self.without)
        near = self.index.alike(self.run.settings, first=max(most, USUAL), worked=True, without=self.without)
        twins = self.index.twins(self.run, first=most) if self.run.worked is False else []
        usual = [each.run for each in near[:USUAL]]
        listed = [*alike, *near, *(each for each, _ in twins)]
        nodes = self._readable({each.run.id for each in listed})
        told = [self._told(nodes, each, usual, []) for each in alike if each.run.id in nodes]
        good = [self._told(nodes, each, usual, []) for each in near if each.run.id in nodes]
        bad = [
            self._told(nodes, each, usual, shared)
            for each, shared in twins
            if shared and each.run.id in nodes
        ]
        tried = [each for each in told if each.same]
        return Experiments(
            alike=told[: self.first],
            successful=good[: self.first],
            failed_alike=bad[: self.first],
            already_tried=bool(tried),
            summary=_summary(told, tried, good),
        )

    def _readable(self, handles: set[int]) -> dict[int, Node]:
        found = self.store.get(sorted(handles), spaces=self.spaces)
        return {node.handle: node for node in found if node is not None}

    def _told(
        self, nodes: Mapping[int, Node], each: Alike, usual: Sequence[Run], shared: list[str]
    ) -> Experiment:
        differing = self.index.differences(self.run.settings, each.run, usual)
        if self.planned:
            differing = [d for d in differing if not d.path.startswith(_NOT_PLANNED)]
        outcome = {True: "worked", False: "failed", None: "unknown"}[each.run.worked]
        return Experiment(
            node=nodes[each.run.id],
            similarity=each.similarity,
            outcome=outcome,
            same=all(tells_apart(d.path) for d in differing),
            differs=[Difference(d.path.rstrip(":"), d.left, d.right, d.weight) for d in differing],
            shared=[path.rstrip(":") for path in shared],
        )


def _summary(told: Sequence[Experiment], tried: Sequence[Experiment], good: Sequence[Experiment]) -> str:
    if tried:
        ends = {name: sum(each.outcome == name for each in tried) for name in ("worked", "failed")}
        said = [f"{name} {ends[name]}×" for name in ends if ends[name]]
        return f"already tried: {counted(len(tried), 'run')} with these settings" + (
            f", {', '.join(said)}" if said else ""
        )
    if not told:
        return "no run with an alike configuration"
    nearest = told[0]
    differing = [d.path for d in nearest.differs if d.weight > 0][:2] or [d.path for d in nearest.differs[:2]]
    ended = "" if nearest.outcome == "unknown" else f", which {nearest.outcome},"
    summary = f"not tried: the nearest run, {nearest.node.name}{ended} differs in {', '.join(differing)}"
    if nearest.outcome != "worked" and good:
        lead = [d.path for d in good[0].differs[:1]]
        summary += f"; the nearest that worked, {good[0].node.name}, in {', '.join(lead)} first"
    return summary


# --- the index of a store ------------------------------------------------------------------------------


class _Reading:
    def __init__(self, lock: threading.RLock, index: Configurations) -> None:
        self._lock, self._index = lock, index

    def __enter__(self) -> Configurations:
        return self._index

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class _Index:
    """The configurations of one store, for all threads of a process; brought up to date by whoever asks."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._index: Configurations | None = None
        self._revision = 0

    def reading(self, store: GraphStore) -> _Reading:
        """The configurations as of now, while nobody changes them."""
        self._lock.acquire()
        try:
            return _Reading(self._lock, self._now(store))
        except BaseException:
            self._lock.release()
            raise

    def _now(self, store: GraphStore) -> Configurations:
        if self._index is not None:
            found = follow(store, self._revision)
            if found.nodes is not None:
                if found.nodes:
                    self._read_again(store, self._index, sorted(found.nodes))
                self._revision = found.revision
                return self._index
        # Written before it is read: what changes meanwhile is read again, and never missed.
        revision = store.counts().revision
        made = Configurations(run for page in _pages(store) for run in _runs(store, page))
        self._index, self._revision = made, revision
        return made

    @staticmethod
    def _read_again(store: GraphStore, index: Configurations, handles: Sequence[int]) -> None:
        labels = store.labels(handles)
        wanted = [each.handle for each in labels if each.kind is NodeKind.RUN or each.handle in index]
        nodes = [node for node in store.get(wanted) if node is not None and node.kind is NodeKind.RUN]
        now = {run.id: run for run in _runs(store, nodes)}
        for handle in wanted:
            run = now.get(handle)
            if run is None:
                index.remove(handle)
            elif run != index.get(handle):
                index.add(run)


_INDEXES: WeakKeyDictionary[GraphStore, _Index] = WeakKeyDictionary()
_MAKING = threading.Lock()


def _index_of(store: GraphStore) -> _Index:
    with _MAKING:
        return _INDEXES.setdefault(store, _Index())


def _pages(store: GraphStore) -> Iterator[list[Node]]:
    after: str | None = None
    while True:
        page = store.find(NodeKind.RUN, first=_PAGE, after=after)
        yield page.items
        if page.next is None:
            return
        after = page.next


def _runs(store: GraphStore, nodes: Sequence[Node]) -> list[Run]:
    """Runs as they are compared; those without any settings are left out."""
    if not nodes:
        return []
    around = _around(store, [node.handle for node in nodes])
    found = []
    for node in nodes:
        params = node.properties.get("params")
        settings = flat(params) if isinstance(params, Mapping) else {}
        settings.update(around.get(node.handle, {}))
        if settings:
            worked = _WORKED.get(str(node.properties.get("status")))
            found.append(Run(id=node.handle, settings=settings, worked=worked, created=node.created_at or 0))
    return found


def _around(store: GraphStore, handles: Sequence[int]) -> dict[int, dict[str, Scalar]]:
    """Data, code and runtime of runs: the id of each, under what it is called."""
    steps = store.expand(handles, Direction.UPSTREAM, tuple(_AROUND)).steps
    ends = sorted({step.src for step in steps})
    labels = {each.handle: each for each in store.labels(ends)}
    found: dict[int, dict[str, Scalar]] = {}
    for step in sorted(steps, key=lambda step: labels[step.src].id):
        what, label = _AROUND[step.kind], labels[step.src]
        # Versions of one data set share its name, and differ in their id.
        key = f"{what}:{label.name.partition('@')[0]}" if step.kind is EdgeKind.INPUT_TO else f"{what}:"
        found.setdefault(step.dst, {})[key] = label.id
    return found
