"""Hops of a walk on an earlier state, by the identity of then. The present is read by :mod:`.hops`."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from neo4j import ManagedTransaction

from app.store.neo4j import past
from app.store.neo4j.codec import handle_of
from app.store.neo4j.connection import Connection
from app.store.rows import EDGE_KINDS
from graph_schema.edges import EDGE_CODES, EdgeKind
from graph_schema.values import Ahead, Direction, Expansion, Moment, Step

_SAME_AS = EDGE_CODES[EdgeKind.SAME_AS]


class Then:
    """One walk. ``moment`` says when it was known; ``origins``: those that may be read, None for all."""

    def __init__(
        self, direction: Direction, kinds: Sequence[EdgeKind], moment: Moment, origins: Collection[int] | None
    ) -> None:
        self._down = direction is Direction.DOWNSTREAM
        self._codes = sorted({EDGE_CODES[k] for k in kinds} - {_SAME_AS})
        self._with_same = EdgeKind.SAME_AS in kinds
        self._known_at = moment.known_at or 0
        self._as_of = moment.as_of
        self._origins = None if origins is None else frozenset(origins)

    def expand(self, connection: Connection, handles: Sequence[int], ahead: Ahead | None) -> Expansion:
        """See :meth:`graph_schema.store.GraphStore.expand`. Nothing is read ahead."""
        return connection.read(lambda tx: self._expand(tx, handles))

    def _expand(self, tx: ManagedTransaction, handles: Sequence[int]) -> Expansion:
        rev = past.revision_at(tx, self._known_at)
        same: dict[int, Step] = {}
        hidden: dict[int, int] = {}
        frontier = self._closed(tx, rev, handles, same)
        steps = self._steps(tx, rev, frontier, "src" if self._down else "dst", self._codes, hidden)
        self._closed(tx, rev, {s.dst if self._down else s.src for s in steps}, same)
        if self._with_same:
            steps = [*steps, *same.values()]
        return Expansion(steps, list(same.values()), hidden)

    def _closed(
        self, tx: ManagedTransaction, rev: int, handles: Collection[int], same: dict[int, Step]
    ) -> set[int]:
        """The handles with everything that is ``SAME_AS`` them; the edges met are put into ``same``."""
        reached = set(handles)
        frontier = reached
        while frontier:
            steps = [
                *self._steps(tx, rev, frontier, "src", [_SAME_AS], {}),
                *self._steps(tx, rev, frontier, "dst", [_SAME_AS], {}),
            ]
            same.update((s.belief, s) for s in steps)
            frontier = {n for s in steps for n in (s.src, s.dst)} - reached
            reached = reached | frontier
        return reached

    def _steps(
        self,
        tx: ManagedTransaction,
        rev: int,
        handles: Collection[int],
        end: str,
        codes: Sequence[int],
        hidden: dict[int, int],
    ) -> list[Step]:
        """Edges of these kinds that leave the handles at ``end`` (``src``: downstream). What may not be read
        is counted in ``hidden``."""
        if not handles or not codes:
            return []
        as_of = self._as_of
        found: list[Step] = []
        for src, dst, kind, bid, since, until, oid in past.beliefs_at(tx, handles, end, codes, rev):
            if as_of is not None and (
                (since is not None and since > as_of) or (until is not None and until <= as_of)
            ):
                continue
            if self._origins is not None and oid not in self._origins:
                near = src if end == "src" else dst
                hidden[near] = hidden.get(near, 0) + 1
                continue
            found.append(Step(src, dst, EDGE_KINDS[kind], handle_of(bid, kind)))
        return found
