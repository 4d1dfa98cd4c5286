"""Results of checks, and what was made of data that failed one.

The walk from the data that was checked is one for all checks together: its calls grow with the hops, not with
the number of checks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from app.lineage.closure import adjacency
from app.lineage.states import have_states, states_of
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.filters import matches
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros, format_time
from graph_schema.values import (
    NOW,
    Direction,
    Edge,
    Filter,
    FilterOp,
    Moment,
    Node,
    Order,
    Ordering,
    Spaces,
    Step,
)
from graph_schema.wording import counted

MAX_FIRST = 500
MAX_HOPS = 100
#: Pairs of data and what was reached from it; beyond, the walk stops and says so.
MAX_REACHED = 200_000
#: Rows of what is affected.
MAX_AFFECTED = 2_000
STATUSES = ("PASSED", "FAILED", "UNKNOWN")

#: A check and an incident are no products: nothing is made of data by way of them.
_MADE = tuple(kind for kind in FLOW_KINDS if kind not in (EdgeKind.CHECKED_BY, EdgeKind.IMPLICATED_IN))


class Timing(StrEnum):
    """When a check failed: before the data was read for it, so that it could have been known, or after."""

    BEFORE = "BEFORE"
    AFTER = "AFTER"
    UNKNOWN = "UNKNOWN"


class CheckResult(msgspec.Struct, frozen=True):
    """A check, and the handles of what it examined."""

    check: Node
    subjects: tuple[int, ...]


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was made of checked data. ``path`` is the shortest way from the data to it; ``read_at``
    when the data, or what was made of it, was last read on that way: for a model, when training began."""

    node: int
    check: Node
    data: int
    hops: int
    timing: Timing
    checked_at: Micros | None
    read_at: Micros | None
    because: str
    path: list[Edge]


class ChecksAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Results, the latest first; where it was asked for, what was made of the data that they are about."""

    results: list[CheckResult]
    affected: list[Affected]
    complete: bool
    truncated_because: str | None


def checks(
    store: GraphStore,
    *,
    of: int | None = None,
    status: str | None = None,
    kind: str | None = None,
    segment: str | None = None,
    stream: str | None = None,
    downstream: NodeKind | None = None,
    first: int = 50,
    max_hops: int = 20,
    moment: Moment = NOW,
    spaces: Spaces = None,
) -> ChecksAnswer:
    """Checks with this status, kind, segment and stream, ``of`` one thing (its handle) or of all. What has
    states, such as a data set, stands for the last of them.

    ``downstream``: also the nodes of this kind that were made of the data checked. Parts of a result are left
    out unless a segment is asked for. Raises BadInput.
    """
    if status is not None and status not in STATUSES:
        raise BadInput(f"{status[:40]!r} is no status of a check; allowed are {', '.join(STATUSES)}")
    if not 1 <= first <= MAX_FIRST:
        raise BadInput(f"first is {first}; allowed are 1 to {MAX_FIRST}")
    if not 0 <= max_hops <= MAX_HOPS:
        raise BadInput(f"maxHops is {max_hops}; allowed are 0 to {MAX_HOPS}")
    where = _filters(status, kind, segment, stream)
    found, more = _found(store, of, where, first, moment, spaces)
    subjects = _subjects(store, found, moment, spaces)
    results = [CheckResult(check, subjects.get(check.handle, ())) for check in found]
    reasons = [f"the latest {first} of more checks: raise first"] if more else []
    affected: list[Affected] = []
    if downstream is not None:
        affected, why = _affected(store, results, downstream, max_hops, moment, spaces)
        reasons += why
    because = "; ".join(reasons) or None
    return ChecksAnswer(
        results=results, affected=affected, complete=because is None, truncated_because=because
    )


def _filters(status: str | None, kind: str | None, segment: str | None, stream: str | None) -> list[Filter]:
    where = [
        Filter(key, value=value)
        for key, value in (("status", status), ("segment", segment), ("stream", stream))
        if value is not None
    ]
    if kind is not None:
        where.append(Filter("kinds", FilterOp.CONTAINS, kind))
    if segment is None:
        where.append(Filter("partOf", FilterOp.EXISTS, False))
    return where


def _found(
    store: GraphStore, of: int | None, where: list[Filter], first: int, moment: Moment, spaces: Spaces
) -> tuple[list[Node], bool]:
    """The latest checks, and whether there are more."""
    if of is None:
        ordering = Ordering(Order.CREATED_AT, descending=True)
        page = store.find(NodeKind.CHECK, where, ordering, first, known_at=moment.known_at, spaces=spaces)
        return page.items, page.next is not None
    groups = have_states(store.labels([of], known_at=moment.known_at))
    checked = sorted({of, *states_of(store, groups, moment, spaces).handles})
    steps = store.expand(checked, Direction.DOWNSTREAM, (EdgeKind.CHECKED_BY,), moment, spaces).steps
    nodes = store.get(sorted({step.dst for step in steps}), known_at=moment.known_at, spaces=spaces)
    fitting = [node for node in nodes if node is not None and matches(node, where)]
    fitting.sort(key=lambda node: (-(node.created_at or 0), node.id))
    return fitting[:first], len(fitting) > first


def _subjects(
    store: GraphStore, found: Sequence[Node], moment: Moment, spaces: Spaces
) -> dict[int, tuple[int, ...]]:
    if not found:
        return {}
    handles = [check.handle for check in found]
    steps = store.expand(handles, Direction.UPSTREAM, (EdgeKind.CHECKED_BY,), moment, spaces).steps
    subjects: dict[int, set[int]] = {}
    for step in steps:
        subjects.setdefault(step.dst, set()).add(step.src)
    return {handle: tuple(sorted(each)) for handle, each in subjects.items()}


# --- what was made of it ---------------------------------------------------------------------------------


class _Reach:
    """What is reached from each of several starts, with the step that led there first."""

    def __init__(self) -> None:
        self.hops: dict[tuple[int, int], int] = {}
        self.came: dict[tuple[int, int], tuple[int, Step]] = {}
        self.starts_of: dict[int, set[int]] = {}
        self.stopped: str | None = None
        self.unread = 0

    def arrive(self, node: int, start: int, hop: int, by: tuple[int, Step] | None) -> bool:
        """Whether a node is reached from a start for the first time."""
        if (node, start) in self.hops:
            return False
        self.hops[node, start] = hop
        if by is not None:
            self.came[node, start] = by
        self.starts_of.setdefault(node, set()).add(start)
        return True

    def spread(self, nodes: Iterable[int], same: Sequence[Step], hop: int) -> set[int]:
        """What is the same thing is reached at no cost; the nodes that this adds to."""
        by_pair = {(s.src, s.dst): s for s in same} | {(s.dst, s.src): s for s in same}
        neighbours, changed = adjacency(same), set[int]()
        pending = sorted(node for node in nodes if node in neighbours)
        while pending:
            node = pending.pop()
            for twin in sorted(neighbours[node]):
                step = by_pair[node, twin]
                arrived = [
                    self.arrive(twin, start, self.hops[node, start], (node, step))
                    for start in sorted(self.starts_of[node])
                ]
                if any(arrived):
                    changed.add(twin)
                    pending.append(twin)
        return changed

    def path(self, node: int, start: int) -> list[Step]:
        """The steps from a start to a node, what is the same left out."""
        steps: list[Step] = []
        while node != start:
            node, step = self.came[node, start]
            if step.kind is not EdgeKind.SAME_AS:
                steps.append(step)
        return steps[::-1]


def _reach(store: GraphStore, starts: Sequence[int], max_hops: int, moment: Moment, spaces: Spaces) -> _Reach:
    reach = _Reach()
    for start in starts:
        reach.arrive(start, start, 0, None)
    frontier = set(starts)
    for hop in range(1, max_hops + 2):
        if not frontier:
            break
        found = store.expand(sorted(frontier), Direction.DOWNSTREAM, _MADE, moment, spaces)
        reach.unread += sum(found.hidden.values())
        if hop > max_hops:
            if found.steps:
                reach.stopped = f"stopped at {counted(max_hops, 'hop')}: more lies further: raise maxHops"
            break
        reach.spread(frontier, found.same, hop - 1)
        reached: set[int] = set()
        for step in found.steps:
            for start in sorted(reach.starts_of.get(step.src, ())):
                # What this very hop has brought there goes on with the next.
                if reach.hops[step.src, start] < hop and reach.arrive(step.dst, start, hop, (step.src, step)):
                    reached.add(step.dst)
        reached |= reach.spread(reached, found.same, hop)
        frontier = reached
        if len(reach.hops) > MAX_REACHED:
            reach.stopped = f"stopped after {MAX_REACHED:,} ways: narrow with maxHops or first"
            break
    return reach


def _affected(
    store: GraphStore,
    results: Sequence[CheckResult],
    kind: NodeKind,
    max_hops: int,
    moment: Moment,
    spaces: Spaces,
) -> tuple[list[Affected], list[str]]:
    """What of a kind was made of the data of these checks, the earliest reads first; and why not all."""
    checked = sorted({subject for result in results for subject in result.subjects})
    labels = store.labels(checked, known_at=moment.known_at) if checked else []
    data = [label.handle for label in labels if label.kind is NodeKind.DATASET_VERSION]
    if not data:
        return [], []
    reach = _reach(store, data, max_hops, moment, spaces)
    reached = store.labels(sorted(reach.starts_of), known_at=moment.known_at)
    wanted = [label.handle for label in reached if label.kind is kind]
    rows: list[tuple[CheckResult, int, int]] = []
    for result in results:
        starts = [subject for subject in result.subjects if subject in reach.starts_of]
        for node in wanted:
            ways = [(reach.hops[node, start], start) for start in starts if (node, start) in reach.hops]
            if ways and min(ways)[0] > 0:
                rows.append((result, node, min(ways)[1]))
    cut = rows[:MAX_AFFECTED]
    paths = [reach.path(node, start) for _, node, start in cut]
    beliefs = sorted({step.belief for path in paths for step in path})
    edges = dict(zip(beliefs, store.edges(beliefs, known_at=moment.known_at), strict=True))
    created = _created(store, [node for _, node, _ in cut], moment, spaces)
    affected = [
        _row(result, node, start, reach.hops[node, start], [edges[s.belief] for s in path], created)
        for (result, node, start), path in zip(cut, paths, strict=True)
    ]
    reasons = [reach.stopped] if reach.stopped else []
    if len(rows) > len(cut):
        reasons.append(f"{len(cut):,} of {len(rows):,} rows shown: narrow with kind, segment or first")
    if reach.unread:
        reasons.append(f"{reach.unread:,} neighbours lie in spaces that you may not read")
    affected.sort(key=lambda row: (row.read_at is None, -(row.read_at or 0), row.node, row.check.id))
    return affected, reasons


def _created(
    store: GraphStore, handles: Sequence[int], moment: Moment, spaces: Spaces
) -> dict[int, Micros | None]:
    nodes = store.get(sorted(set(handles)), known_at=moment.known_at, spaces=spaces)
    return {node.handle: node.created_at for node in nodes if node is not None}


def _row(
    result: CheckResult,
    node: int,
    data: int,
    hops: int,
    path: list[Edge],
    created: dict[int, Micros | None],
) -> Affected:
    reads = [edge.valid_from for edge in path if edge.kind is EdgeKind.INPUT_TO and edge.valid_from]
    read_at = reads[-1] if reads else created.get(node)
    checked_at = result.check.created_at
    timing = Timing.UNKNOWN
    if checked_at is not None and read_at is not None:
        timing = Timing.BEFORE if checked_at <= read_at else Timing.AFTER
    return Affected(
        node=node,
        check=result.check,
        data=data,
        hops=hops,
        timing=timing,
        checked_at=checked_at,
        read_at=read_at,
        because=_because(result.check, timing, checked_at, read_at, bool(reads)),
        path=path,
    )


def _because(
    check: Node, timing: Timing, checked_at: Micros | None, read_at: Micros | None, was_read: bool
) -> str:
    status = {"FAILED": "failed", "PASSED": "passed"}.get(str(check.properties.get("status")), "was made")
    if checked_at is None or read_at is None:
        missing = "when it was checked" if checked_at is None else "when the data was read"
        return f"{check.name} {status}; {missing} is not known"
    then = (
        f"the data was read at {format_time(read_at)}"
        if was_read
        else f"it was made at {format_time(read_at)}"
    )
    how = "before" if timing is Timing.BEFORE else "only after"
    return f"{check.name} {status} at {format_time(checked_at)}, {how} {then}"
