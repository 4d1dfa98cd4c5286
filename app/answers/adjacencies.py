"""The whole graph in memory, stamped with the store's revision: it answers where the stamp is the store's.

It is read when a question turned out to be a large one, in a thread beside the answers. Once the store has
moved on it does not answer until what changed is patched into it, or it is read anew: no answer comes from an
old state.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from contextlib import suppress

import msgspec
import numpy as np

from app.answers.adjacency import Adjacency, Arrows, Flags, adjacency
from app.answers.impact_facts import NODE_CODES, Deployments, deployments, troubled
from app.answers.patching import patched
from app.store.changed import KEEP, follow
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.errors import StoreBusy, StoreError
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore

#: Nodes from which on a walk counts as large.
LARGE = 2_000
#: Nodes that may have changed for a graph to be patched.
PATCHED = 5_000
_TRIES = 3
_KINDS = (*FLOW_KINDS, EdgeKind.SAME_AS, EdgeKind.PRECEDES)


class Held(msgspec.Struct, frozen=True):
    """A graph in memory as of a revision, its deployments, and by place whether an incident is near below."""

    revision: int
    graph: Adjacency
    deployed: Deployments
    troubled: Flags


class Adjacencies:
    """Keeps the graph of one store in memory. Safe to use from several threads."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self._held: Held | None = None
        self._reading = threading.Lock()
        self._thread: threading.Thread | None = None

    def fresh(self) -> Held | None:
        """The graph, if it is in memory as the store has it now."""
        held = self._held
        if held is None or follow(self._store, held.revision).revision != held.revision:
            return None
        return held

    def near(self) -> bool:
        """Whether the graph in memory can be patched, so that :meth:`built` is quick. Where it hardly can any
        more, that is done in the background: who only asks small questions would let it grow too old."""
        held = self._held
        if held is None:
            return False
        since = follow(self._store, held.revision)
        if since.nodes is None or len(since.nodes) > PATCHED:
            return False
        if len(since.nodes) > PATCHED // 2 or since.revision - held.revision > KEEP // 2:
            self._start()
        return True

    def note(self, nodes: int) -> None:
        """A walk visited so many nodes: where they are many, the graph is read in the background."""
        if nodes >= LARGE:
            self._start()

    def _start(self) -> None:
        if not self._reading.locked():
            self._thread = threading.Thread(target=self._behind, name="kinlore-adjacency", daemon=True)
            self._thread.start()

    def built(self) -> Held:
        """The graph as the store had it at some time since the call. Raises StoreBusy where it changes faster
        than it can be read, and whatever the store raises."""
        with self._reading:
            return self._current()

    def wait(self) -> None:
        """Until nothing is read in the background any more."""
        if self._thread is not None:
            self._thread.join()

    def _behind(self) -> None:
        # The next large question starts it again, where the store was away or changed all the time.
        with suppress(StoreError):
            if self._reading.acquire(blocking=False):
                try:
                    self._current()
                finally:
                    self._reading.release()

    def _current(self) -> Held:
        for _ in range(_TRIES):
            held = self._held
            since = None if held is None else follow(self._store, held.revision)
            if held is not None and since is not None and since.revision == held.revision:
                return held
            if held is None or since is None or since.nodes is None or len(since.nodes) > PATCHED:
                # What is too old to be patched is in the way of what is read.
                self._held = None
                made = self._read()
            else:
                made = self._patched(held, since.nodes, since.revision)
            if made is not None:
                self._held = made
                return made
        raise StoreBusy(f"the graph changed during each of {_TRIES} attempts to read all of it")

    def _patched(self, held: Held, touched: Collection[int], revision: int) -> Held | None:
        graph, deployed = patched(self._store, held.graph, held.deployed, touched, _KINDS)
        if follow(self._store, revision).revision != revision:
            return None
        return Held(revision, graph, deployed, troubled(graph))

    def _read(self) -> Held | None:
        columns = self._store.columns(_KINDS)
        handles = np.frombuffer(columns.nodes, dtype=np.int64)
        kinds = np.frombuffer(columns.kinds, dtype=np.int8)
        arrows = Arrows(
            np.frombuffer(columns.src, dtype=np.int64),
            np.frombuffer(columns.dst, dtype=np.int64),
            np.frombuffer(columns.edge_kinds, dtype=np.int8),
            np.frombuffer(columns.beliefs, dtype=np.int64),
            np.frombuffer(columns.since, dtype=np.int64),
            np.frombuffer(columns.until, dtype=np.int64),
            np.frombuffer(columns.evidence, dtype=np.bool_),
        )
        graph = adjacency(handles, kinds, arrows)
        standing = handles[kinds == NODE_CODES[NodeKind.DEPLOYMENT]]
        deployed = deployments(self._store, [int(handle) for handle in standing], None, None)
        if follow(self._store, columns.revision).revision != columns.revision:
            return None
        return Held(columns.revision, graph, deployed, troubled(graph))
