"""Results of checks, and what was made of data that failed one."""

from __future__ import annotations

from typing import NamedTuple

import strawberry

from app.answers import checks as answers
from app.answers.checks import Timing
from app.api.fields import Context
from app.api.inputs import DateTime
from app.api.types import Edge, Node, described, field
from app.lineage.lookup import find_one
from graph_schema import values
from graph_schema.kinds import NodeKind
from graph_schema.values import Moment

Info = strawberry.Info[Context, None]

strawberry.enum(
    Timing, name="CheckTiming", description="When a check was made: before the data was read, or after."
)


@described
class Checks:
    """Results of checks, the latest first, and what was made of the data that they are about."""

    results: list[CheckResult]
    affected: list[AffectedByCheck] = field("Only where downstream is given; the latest reads first.")
    complete: bool
    truncated_because: str | None


@described
class CheckResult:
    """A check, and what it examined."""

    check: Node
    subjects: list[Node]


@described
class AffectedByCheck:
    """
    Something made of data that was checked. timing says whether the result could have been known: readAt is
    when the data was last read on the way; for a model, when training began.
    """

    node: Node
    check: Node
    data: Node
    hops: int
    timing: Timing
    checked_at: DateTime | None
    read_at: DateTime | None
    because: str
    path: list[Edge] = field("The shortest way from the data.")


class ChecksView(NamedTuple):
    """The answer, in the form of the schema."""

    results: list[ResultView]
    affected: list[AffectedView]
    complete: bool
    truncated_because: str | None


class ResultView(NamedTuple):
    """A check and its subjects."""

    check: values.Node
    subjects: list[values.Node]


class AffectedView(NamedTuple):
    """What was made of checked data, and by what way."""

    node: values.Node
    check: values.Node
    data: values.Node
    hops: int
    timing: Timing
    checked_at: int | None
    read_at: int | None
    because: str
    path: list[values.Edge]


def _checks(
    info: Info,
    id: strawberry.ID | None = strawberry.UNSET,
    status: str | None = strawberry.UNSET,
    kind: str | None = strawberry.UNSET,
    segment: str | None = strawberry.UNSET,
    stream: str | None = strawberry.UNSET,
    downstream: NodeKind | None = strawberry.UNSET,
    first: int | None = 50,
    max_hops: int | None = 20,
    as_of: DateTime | None = strawberry.UNSET,
    known_at: DateTime | None = strawberry.UNSET,
) -> ChecksView:
    ask = info.context.of(info.path)
    times = {"as_of": as_of, "known_at": known_at}
    ask.moment = Moment(**{name: time for name, time in times.items() if time is not strawberry.UNSET})
    handle = find_one(ask.store, id, known_at=ask.moment.known_at, spaces=ask.spaces) if id else None
    found = answers.checks(
        ask.store,
        of=handle,
        status=status.upper() if status else None,
        kind=kind or None,
        segment=segment or None,
        stream=stream or None,
        downstream=downstream or None,
        first=50 if first is None else first,
        max_hops=20 if max_hops is None else max_hops,
        moment=ask.moment,
        spaces=ask.spaces,
    )
    handles = {subject for result in found.results for subject in result.subjects}
    handles |= {each for row in found.affected for each in (row.node, row.data)}
    nodes = ask.readable(sorted(handles))
    results = [ResultView(r.check, [nodes[s] for s in r.subjects if s in nodes]) for r in found.results]
    affected = [
        AffectedView(
            nodes[row.node], row.check, nodes[row.data], row.hops, row.timing, row.checked_at, row.read_at,
            row.because, row.path,
        )
        for row in found.affected
        if row.node in nodes and row.data in nodes
    ]  # fmt: skip
    return ChecksView(results, affected, found.complete, found.truncated_because)


@strawberry.type
class CheckQueries:
    """Questions about checks."""

    checks: Checks = field(
        "Results of checks, the latest first: of one thing (id), with a status (PASSED, FAILED, UNKNOWN),\n"
        "kind, segment, stream. downstream: what of that kind was made of the data that was checked.\n"
        "first is at most 500; parts of a result are left out unless a segment is asked for.",
        resolver=_checks,
    )
