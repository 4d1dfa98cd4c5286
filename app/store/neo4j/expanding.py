"""One hop of a walk, on now or on any earlier state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache

from neo4j import ManagedTransaction

from app.store.neo4j import past
from app.store.neo4j.codec import edge_type, handle_of
from app.store.neo4j.rows import listing, rows
from app.store.rows import EDGE_KINDS
from graph_schema.edges import EDGE_CODES, EdgeKind
from graph_schema.values import Direction, Expansion, Moment, Step

_SAME_AS = EDGE_CODES[EdgeKind.SAME_AS]
_BY_TYPE = {kind.value: (kind, code) for kind, code in EDGE_CODES.items()}

# Answered from Neo4j's count store.
_ANY_SAME = f"MATCH ()-[e:{EdgeKind.SAME_AS}]->() RETURN count(e)"
_AMONG_SAME = listing("id", "UNWIND $ids AS id MATCH (n:Same {num: id})")

#: Only what a filter needs is read.
_AS_OF = "(e.since IS NULL OR e.since <= $at) AND (e.until IS NULL OR e.until > $at)"


@lru_cache(maxsize=256)
def step_query(codes: tuple[int, ...], end: str, as_of: bool, origins: bool, same: bool) -> str:
    """Edges of these kinds that leave ``$ids`` at ``end``: (source, target, type, belief, same, origin)."""
    types = "|".join(edge_type(code) for code in codes)
    pattern = f"-[e:{types}]->" if end == "src" else f"<-[e:{types}]-"
    where = f" WHERE {_AS_OF}" if as_of else ""
    ends = "id, b.num" if end == "src" else "b.num, id"
    marked = "b:Same" if same else "false"
    return listing(
        f"{ends}, type(e), e.bid, {marked}, {'e.oid' if origins else 'null'}",
        f"UNWIND $ids AS id MATCH (a:Item {{num: id}}) MATCH (a){pattern}(b){where}",
    )


def expand(
    tx: ManagedTransaction,
    handles: Sequence[int],
    direction: Direction,
    kinds: Sequence[EdgeKind],
    moment: Moment,
    origins: Collection[int] | None,
) -> Expansion:
    """See :meth:`graph_schema.store.GraphStore.expand`. ``origins``: those that may be read, None for all."""
    hop = _Hop(tx, moment, origins)
    same: dict[int, Step] = {}
    frontier = hop.closed(handles, same)
    codes = sorted({EDGE_CODES[k] for k in kinds} - {_SAME_AS})
    down = direction is Direction.DOWNSTREAM
    steps = hop.steps(frontier, "src" if down else "dst", codes)
    hop.closed_reached({s[1] if down else s[0] for s in steps}, same)
    if EdgeKind.SAME_AS in kinds:
        steps = [*steps, *same.values()]
    return Expansion(steps, list(same.values()), dict(hop.hidden))


class _Hop:
    def __init__(self, tx: ManagedTransaction, moment: Moment, origins: Collection[int] | None) -> None:
        self._tx = tx
        self._moment = moment
        self._origins = None if origins is None else set(origins)
        self._rev = None if moment.known_at is None else past.revision_at(tx, moment.known_at)
        self._any_same = self._rev is not None or tx.run(_ANY_SAME).values()[0][0] > 0
        self._marked: set[int] = set()
        self.hidden: dict[int, int] = defaultdict(int)

    def closed(self, handles: Collection[int], same: dict[int, Step]) -> set[int]:
        """The handles with everything that is ``SAME_AS`` them; the edges met are put into ``same``."""
        reached = set(handles)
        if not self._any_same:
            return reached
        if self._rev is not None:
            return self._close(reached, reached, same)
        marked = rows(self._tx, _AMONG_SAME, ids=sorted(reached))
        return self._close(reached, {row[0] for row in marked}, same)

    def closed_reached(self, handles: Collection[int], same: dict[int, Step]) -> None:
        """Like :meth:`closed`, for nodes that :meth:`steps` has just reached."""
        reached = set(handles)
        if self._any_same:
            self._close(reached, reached if self._rev is not None else reached & self._marked, same)

    def _close(self, reached: set[int], frontier: set[int], same: dict[int, Step]) -> set[int]:
        while frontier:
            steps = [
                *self.steps(frontier, "src", [_SAME_AS], counted=False),
                *self.steps(frontier, "dst", [_SAME_AS], counted=False),
            ]
            same.update((s.belief, s) for s in steps)
            frontier = {n for s in steps for n in (s.src, s.dst)} - reached
            reached = reached | frontier
        return reached

    def steps(
        self, handles: Collection[int], end: str, codes: Sequence[int], *, counted: bool = True
    ) -> list[Step]:
        """Edges of these kinds that leave the handles at ``end`` (``src``: downstream)."""
        if not handles or not codes:
            return []
        if self._rev is not None:
            return self._past_steps(handles, end, codes, self._rev, counted)
        as_of, origins = self._moment.as_of, self._origins
        query = step_query(tuple(codes), end, as_of is not None, origins is not None, self._any_same)
        leaving = rows(self._tx, query, ids=sorted(handles), at=as_of)
        if self._any_same:
            far = 1 if end == "src" else 0
            self._marked.update(row[far] for row in leaving if row[4])
        found: list[Step] = []
        for src, dst, type_, bid, _, oid in leaving:
            if origins is not None and oid not in origins:
                if counted:
                    self.hidden[src if end == "src" else dst] += 1
                continue
            kind, code = _BY_TYPE[type_]
            found.append(Step(src, dst, kind, handle_of(bid, code)))
        return found

    def _past_steps(
        self, handles: Collection[int], end: str, codes: Sequence[int], rev: int, counted: bool
    ) -> list[Step]:
        held = past.beliefs_at(self._tx, handles, end, codes, rev)
        as_of = self._moment.as_of
        found: list[Step] = []
        for src, dst, kind, bid, since, until, oid in held:
            if as_of is not None and (
                (since is not None and since > as_of) or (until is not None and until <= as_of)
            ):
                continue
            if self._origins is not None and oid not in self._origins:
                if counted:
                    self.hidden[src if end == "src" else dst] += 1
                continue
            found.append(Step(src, dst, EDGE_KINDS[kind], handle_of(bid, kind)))
        return found
