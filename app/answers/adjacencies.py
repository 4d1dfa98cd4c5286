"""The whole graph in memory, stamped with the store's revision: it answers where the stamp is the store's.

It is read when a question turned out to be a large one, in a thread beside the answers, and dropped as soon
as the store has moved on: no answer comes from an old state.
"""

from __future__ import annotations

import threading
from contextlib import suppress

import msgspec
import numpy as np

from app.answers.adjacency import Adjacency, Arrows, Flags, adjacency
from app.answers.impact_facts import NODE_CODES, Deployments, deployments, troubled
from app.store.changed import follow
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.errors import StoreBusy, StoreError
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore

#: Nodes from which on a walk counts as large.
LARGE = 2_000
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
        if held is None:
            return None
        if follow(self._store, held.revision).revision != held.revision:
            self._held = None
            return None
        return held

    def note(self, nodes: int) -> None:
        """A walk visited so many nodes: where they are many, the graph is read in the background."""
        if nodes < LARGE or self._reading.locked():
            return
        self._thread = threading.Thread(target=self._behind, name="kinlore-adjacency", daemon=True)
        self._thread.start()

    def built(self) -> Held:
        """The graph as the store had it at some time since the call. Raises StoreBusy where it changes faster
        than it can be read, and whatever the store raises."""
        with self._reading:
            for _ in range(_TRIES):
                held = self._read()
                if held is not None:
                    self._held = held
                    return held
        raise StoreBusy(f"the graph changed during each of {_TRIES} attempts to read all of it")

    def wait(self) -> None:
        """Until nothing is read in the background any more."""
        if self._thread is not None:
            self._thread.join()

    def _behind(self) -> None:
        # The next large question starts it again, where the store was away or changed all the time.
        with suppress(StoreError):
            if self._reading.acquire(blocking=False):
                try:
                    self._held = self._read() or self._held
                finally:
                    self._reading.release()

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
