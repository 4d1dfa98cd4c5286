"""One hop of a walk, on now or on any earlier state."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from app.store.rows import EDGE_KINDS
from app.store.sqlite import past
from app.store.sqlite.codec import EACH, listed
from graph_schema.edges import EDGE_CODES, EdgeKind
from graph_schema.times import Micros
from graph_schema.values import Ahead, Direction, Expansion, Moment, Step

_SAME_AS = EDGE_CODES[EdgeKind.SAME_AS]
_BOTH_SAME = (("src", _SAME_AS, _SAME_AS), ("dst", _SAME_AS, _SAME_AS))


def expand(
    db: sqlite3.Connection,
    handles: Sequence[int],
    direction: Direction,
    kinds: Sequence[EdgeKind],
    moment: Moment,
    origins: list[int] | None,
    ahead: Ahead | None = None,
) -> Expansion:
    """See :meth:`graph_schema.store.GraphStore.expand`. ``origins``: those that may be read, None for all."""
    down = direction is Direction.DOWNSTREAM
    codes = sorted({EDGE_CODES[k] for k in kinds} - {_SAME_AS})
    hop: _Hop | _PastHop
    if moment.known_at is None:
        hop = _Hop(db, moment, origins)
    else:
        then = None if ahead is None else ahead.held
        if then is None:
            then = past.Then(past.revision_at(db, moment.known_at), {})
        if ahead is not None:
            ahead.held = then
        hop = _PastHop(db, then, moment.as_of, origins)
    same: dict[int, Step] = {}
    frontier = hop.closed(handles, same)
    steps = hop.steps(frontier, "src" if down else "dst", codes)
    hop.closed({s.dst if down else s.src for s in steps}, same)
    if EdgeKind.SAME_AS in kinds:
        steps = [*steps, *same.values()]
    return Expansion(steps, list(same.values()), dict(hop.hidden))


class _PastHop:
    """A hop on what was held at a revision."""

    def __init__(
        self, db: sqlite3.Connection, then: past.Then, as_of: Micros | None, origins: list[int] | None
    ) -> None:
        self._db = db
        self._then = then
        self._as_of = as_of
        self._origins = None if origins is None else set(origins)
        self.hidden: dict[int, int] = defaultdict(int)

    def closed(self, handles: Collection[int], same: dict[int, Step]) -> set[int]:
        """The handles with everything that is ``SAME_AS`` them; the edges met are put into ``same``."""
        known = self._then.same
        reached = set(handles)
        pending = list(reached)
        while pending:
            unknown = [node for node in pending if node not in known]
            if unknown:
                known.update((node, []) for node in unknown)
                for step, near in self._held(unknown, _BOTH_SAME):
                    known[near].append(step)
            steps = [step for node in pending for step in known[node]]
            same.update((step.belief, step) for step in steps)
            pending = list({node for step in steps for node in step[:2]} - reached)
            reached.update(pending)
        return reached

    def steps(self, handles: Collection[int], end: str, codes: Sequence[int]) -> list[Step]:
        """Edges of these kinds that leave the handles at ``end`` (``src``: downstream)."""
        if not handles or not codes:
            return []
        sides = tuple((end, low, high) for low, high in _ranges(codes))
        return [step for step, _ in self._held(handles, sides, self.hidden)]

    def _held(
        self, handles: Collection[int], sides: past.Sides, hidden: dict[int, int] | None = None
    ) -> Iterator[tuple[Step, int]]:
        """Edges with the node that was asked about. What may not be read is counted in ``hidden``."""
        as_of, origins = self._as_of, self._origins
        held = past.beliefs_at(self._db, handles, sides, self._then.rev)
        for near, far, kind, bid, since, until, oid in held:
            if as_of is not None and (
                (since is not None and since > as_of) or (until is not None and until <= as_of)
            ):
                continue
            if origins is not None and oid not in origins:
                if hidden is not None:
                    hidden[near] += 1
            elif kind >= 0:
                yield Step(near, far, EDGE_KINDS[kind], bid), near
            else:
                yield Step(far, near, EDGE_KINDS[~kind], bid), near


class _Hop:
    """A hop on what is held now."""

    def __init__(self, db: sqlite3.Connection, moment: Moment, origins: list[int] | None) -> None:
        self._db = db
        self._moment = moment
        self._origins = None if origins is None else set(origins)
        self.hidden: dict[int, int] = defaultdict(int)

    def closed(self, handles: Collection[int], same: dict[int, Step]) -> set[int]:
        """The handles with everything that is ``SAME_AS`` them; the edges met are put into ``same``."""
        reached = set(handles)
        if not self._any_same():
            return reached
        frontier = reached
        while frontier:
            steps = [
                *self.steps(frontier, "src", [_SAME_AS], counted=False),
                *self.steps(frontier, "dst", [_SAME_AS], counted=False),
            ]
            same.update((s.belief, s) for s in steps)
            frontier = {n for s in steps for n in (s.src, s.dst)} - reached
            reached = reached | frontier
        return reached

    def _any_same(self) -> bool:
        row = self._db.execute(
            f"SELECT 1 FROM belief INDEXED BY belief_same WHERE kind = {_SAME_AS} AND retired IS NULL LIMIT 1"
        ).fetchone()
        return row is not None

    def steps(
        self, handles: Collection[int], end: str, codes: Sequence[int], *, counted: bool = True
    ) -> list[Step]:
        """Edges of these kinds that leave the handles at ``end`` (``src``: downstream)."""
        if not handles or not codes:
            return []
        as_of = self._moment.as_of
        if as_of is None and self._origins is None:
            return self._all(handles, end, codes)
        rows = self._current(handles, end, codes, "src_nid, dst_nid, kind, bid, since, until, oid")
        found: list[Step] = []
        for src, dst, kind, bid, since, until, oid in rows:
            if as_of is not None and (
                (since is not None and since > as_of) or (until is not None and until <= as_of)
            ):
                continue
            if self._origins is not None and oid not in self._origins:
                if counted:
                    self.hidden[src if end == "src" else dst] += 1
                continue
            found.append(Step(src, dst, EDGE_KINDS[kind], bid))
        return found

    def _all(self, handles: Collection[int], end: str, codes: Sequence[int]) -> list[Step]:
        """Edges as of now for one who may read all: the index answers alone."""
        kinds, make = EDGE_KINDS, tuple.__new__
        rows = self._current(handles, end, codes, "src_nid, dst_nid, kind, bid")
        return [make(Step, (src, dst, kinds[kind], bid)) for src, dst, kind, bid in rows]

    def _current(
        self, handles: Collection[int], end: str, codes: Sequence[int], columns: str
    ) -> Iterable[tuple[Any, ...]]:
        asked = listed(sorted(handles))
        for low, high in _ranges(codes):
            yield from self._db.execute(
                f"SELECT {columns} FROM {EACH} k"
                f" CROSS JOIN belief INDEXED BY belief_{'out' if end == 'src' else 'in'}"
                f" ON {end}_nid = k.value AND kind BETWEEN ? AND ? WHERE retired IS NULL",
                (asked, low, high),
            )


def _ranges(codes: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of consecutive codes: the flow kinds are one run, which is one seek in the index."""
    breaks = [0, *(i + 1 for i, (a, b) in enumerate(pairwise(codes)) if b != a + 1), len(codes)]
    return [(codes[a], codes[b - 1]) for a, b in pairwise(breaks)]
