"""Hops of a walk over the present: one statement reads as many of them as a walk is likely to ask for.

Each round trip to a server costs more than what most hops find. So the statement goes on from what it reached
while that is little, and what it read is kept with the walk; hops are then answered from there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

from app.store.neo4j.codec import edge_code, edge_type, handle_of
from app.store.neo4j.connection import Connection
from app.store.rows import EDGE_KINDS
from graph_schema.edges import EDGE_CODES, EdgeKind
from graph_schema.values import Ahead, Direction, Expansion, Moment, Step

#: Hops that one statement can read: each makes it longer, and slower to plan the first time.
HOPS = 6
_SAME_AS = EDGE_CODES[EdgeKind.SAME_AS]
_SAME = EdgeKind.SAME_AS.value
#: Only what a filter needs is read.
_AS_OF = "({0}.since IS NULL OR {0}.since <= $at) AND ({0}.until IS NULL OR {0}.until > $at)"
_READABLE = "{0}.oid IN $origins"


@lru_cache(maxsize=256)
def hops_query(codes: tuple[int, ...], down: bool, as_of: bool, origins: bool, hops: int) -> str:
    """Up to so many hops from ``$ids``, fewer where ``$hops`` is less or more than ``$most`` nodes were met.

    For each hop a list of: the nodes that it left, closed over ``SAME_AS``; their edges of these kinds
    (source, target, type, belief, origin); and the ``SAME_AS`` edges of what was met before it (likewise).
    """
    types = "|".join(edge_type(code) for code in codes) or _SAME
    pattern = f"-[e:{types}]->" if down else f"<-[e:{types}]-"
    ends = "a.num, b.num" if down else "b.num, a.num"
    valid = f" WHERE {_AS_OF.format('e')}" if as_of else ""
    if not codes:
        valid = " WHERE false"
    reached = f"CASE WHEN {_READABLE.format('e')} THEN b END" if origins else "b"
    parts = ["UNWIND $ids AS id MATCH (n:Item {num: id}) WITH collect(n) AS g0", _closed(0, as_of, origins)]
    parts.append("WITH g0 + t0 AS f1, s0")
    for hop in range(1, hops + 1):
        parts.append(
            f"CALL (f{hop}) {{ UNWIND f{hop} AS a WITH DISTINCT a MATCH (a){pattern}(b){valid}"
            f" RETURN collect([{ends}, type(e), e.bid, e.oid]) AS r{hop},"
            f" collect(DISTINCT {reached}) AS g{hop} }}"
        )
        parts.append(_closed(hop, as_of, origins))
        if hop < hops:
            met = " + ".join(f"size({each})" for each in (*(f"f{n + 1}" for n in range(hop)), f"g{hop}"))
            onward = f"CASE WHEN {hop} < $hops AND {met} <= $most THEN g{hop} + t{hop} ELSE [] END"
            parts.append(f"WITH *, {onward} AS f{hop + 1}")
    held = [f"[[x IN f{hop} | x.num], r{hop}, s{hop - 1}]" for hop in range(1, hops + 1)]
    parts.append(f"RETURN [{', '.join(held)}, [[], [], s{hops}]]")
    return "\n".join(parts)


def _closed(hop: int, as_of: bool, origins: bool) -> str:
    """What is the same thing as what a hop reached (``t``), and the edges that say so (``s``)."""
    valid = [_AS_OF] if as_of else []
    followed = [*valid, _READABLE] if origins else valid
    through = f" WHERE all(y IN ys WHERE {' AND '.join(followed).format('y')})" if followed else ""
    there = f" WHERE {_AS_OF.format('x')}" if as_of else ""
    return (
        f"CALL (g{hop}) {{ UNWIND g{hop} AS b WITH b WHERE b:Same"
        f" MATCH (b)-[ys:{_SAME}*0..]-(c){through} WITH DISTINCT c OPTIONAL MATCH (c)-[x:{_SAME}]-(){there}"
        f" RETURN collect(DISTINCT c) AS t{hop}, collect(DISTINCT CASE WHEN x IS NOT NULL THEN"
        f" [startNode(x).num, endNode(x).num, type(x), x.bid, x.oid] END) AS s{hop} }}"
    )


class Hops:
    """What was read for one walk. ``origins``: those that may be read, None for all."""

    def __init__(
        self, direction: Direction, kinds: Sequence[EdgeKind], moment: Moment, origins: Collection[int] | None
    ) -> None:
        self._down = direction is Direction.DOWNSTREAM
        self._codes = tuple(sorted({EDGE_CODES[kind] for kind in kinds} - {_SAME_AS}))
        self._with_same = EdgeKind.SAME_AS in kinds
        self._as_of = moment.as_of
        self._origins = None if origins is None else frozenset(origins)
        #: By node that was left, its edges, and how many more may not be read. With a node, all that is the
        #: same thing is there, and what its edges lead to has its ``SAME_AS`` edges there.
        self._leaving: dict[int, tuple[list[Step], int]] = {}
        self._same: dict[int, list[Step]] = {}

    def expand(self, connection: Connection, handles: Sequence[int], ahead: Ahead | None) -> Expansion:
        """See :meth:`graph_schema.store.GraphStore.expand`."""
        hops, most = (0, 0) if ahead is None else (ahead.hops, ahead.most)
        same: dict[int, Step] = {}
        hidden: dict[int, int] = {}
        steps: list[Step] = []
        frontier = self._close(set(handles), same)
        # Once is enough, but where somebody writes meanwhile that what was read before is the same thing.
        while missing := frontier - self._leaving.keys():
            self._read(connection, sorted(missing), min(1 + max(0, hops), HOPS), most)
            frontier = self._close(frontier, same)
        for node in frontier:
            leaving, unread = self._leaving[node]
            steps += leaving
            if unread:
                hidden[node] = unread
        self._close({step.dst for step in steps} if self._down else {step.src for step in steps}, same)
        if self._with_same:
            steps = [*steps, *same.values()]
        return Expansion(steps, list(same.values()), hidden)

    def _close(self, reached: set[int], same: dict[int, Step]) -> set[int]:
        """The nodes with everything that is ``SAME_AS`` them; the edges met are put into ``same``."""
        if not self._same:
            return reached
        pending = [node for node in reached if node in self._same]
        while pending:
            for step in self._same[pending.pop()]:
                same[step.belief] = step
                for other in step[:2]:
                    if other not in reached:
                        reached.add(other)
                        pending.append(other)
        return reached

    def _read(self, connection: Connection, handles: list[int], hops: int, most: int) -> None:
        codes, as_of, origins = self._codes, self._as_of, self._origins
        long = HOPS if hops > 1 else 1
        query = hops_query(codes, self._down, as_of is not None, origins is not None, long)
        asked = None if origins is None else sorted(origins)
        found = connection.ask(query, ids=handles, at=as_of, origins=asked, hops=hops, most=most)
        for left, leaving, same in found:
            self._keep_same(same)
            self._keep(left, leaving)
        for handle in handles:
            self._leaving.setdefault(handle, ([], 0))

    def _keep(self, left: Iterable[int], rows: Iterable[Sequence[Any]]) -> None:
        fresh: dict[int, tuple[list[Step], int]] = {
            node: ([], 0) for node in left if node not in self._leaving
        }
        if not fresh:
            return
        near, origins, make = 0 if self._down else 1, self._origins, tuple.__new__
        unread: dict[int, int] = {}
        for row in rows:
            node = row[near]
            if node not in fresh:
                continue
            if origins is not None and row[4] not in origins:
                unread[node] = unread.get(node, 0) + 1
                continue
            code = edge_code(row[2])
            fresh[node][0].append(make(Step, (row[0], row[1], EDGE_KINDS[code], handle_of(row[3], code))))
        self._leaving.update(fresh)
        self._leaving.update((node, (fresh[node][0], count)) for node, count in unread.items())

    def _keep_same(self, rows: Iterable[Sequence[Any]]) -> None:
        known = {step.belief for steps in self._same.values() for step in steps} if rows else ()
        for src, dst, _, bid, oid in rows:
            belief = handle_of(bid, _SAME_AS)
            if belief in known or (self._origins is not None and oid not in self._origins):
                continue
            step = Step(src, dst, EdgeKind.SAME_AS, belief)
            self._same.setdefault(src, []).append(step)
            if dst != src:
                self._same.setdefault(dst, []).append(step)
