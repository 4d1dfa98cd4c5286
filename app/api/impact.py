"""What is at risk if something is changed or lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import strawberry

from app.api import fields
from app.api.execute import batched
from app.api.fields import Ask, Context
from app.api.inputs import DateTime
from app.api.types import Edge, Node, Ownership, described, field
from app.lineage.lookup import find_one
from graph_schema import values
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.values import Moment

if TYPE_CHECKING:
    from app.answers.impact import ImpactAnswer, Target

Info = strawberry.Info[Context, None]

MAX_IDS = 200


class CountView(NamedTuple):
    """How many things of a kind."""

    kind: NodeKind
    number: int


class ImpactView(NamedTuple):
    """The values of :class:`Impact`."""

    answer: ImpactAnswer
    score: float
    summary: str
    targets: list[Target]
    total: int
    rest: float
    counts: list[CountView]
    complete: bool
    truncated_because: str | None


def _target_nodes(ask: Ask, parents: list[Target]) -> list[values.Node | None]:
    """``ImpactTarget.node``."""
    return ask.nodes([target.handle for target in parents])


def _target_paths(ask: Ask, parents: list[Target]) -> list[list[values.Edge]]:
    """``ImpactTarget.path``: all edges of all paths in one call."""
    beliefs = sorted({belief for target in parents for belief in target.beliefs})
    read = ask.store.edges(beliefs, known_at=ask.moment.known_at) if beliefs else []
    edges = dict(zip(beliefs, read, strict=True))
    return [[edges[belief] for belief in target.beliefs] for target in parents]


def _owners(ask: Ask, parents: list[ImpactView]) -> list[list[fields.Ownership]]:
    """``Impact.owners``."""
    return [[fields.Ownership(*owned) for owned in view.answer.owners] for view in parents]


def _numbers(ask: Ask, parents: list[CountView]) -> list[int]:
    """``KindCount.count``."""
    return [each.number for each in parents]


@described
class KindCount:
    """How many things of a kind are at risk. Of deployments, those that stand at the time asked about."""

    kind: NodeKind
    count: int = batched(_numbers)


@described
class ImpactTarget:
    """A thing at risk, its part of the score and the path that it is at risk by."""

    node: Node = batched(_target_nodes)
    contribution: float = field("Its part of the score. Those of all targets, and rest, sum to the score.")
    hops: int = field("Lineage edges on the path; SAME_AS costs none.")
    path: list[Edge] = batched(
        _target_paths, "The best path, from what was asked about. Empty: it is what was asked about."
    )
    because: str


@described
class Impact:
    """What is at risk. score, 0 to 100, sorts changes and is no probability: see docs/impact.md."""

    score: float
    summary: str = field("What is at risk, whom to ask, and what earlier changes of its sort led to.")
    targets: list[ImpactTarget] = field("The greatest contribution first; each thing once.")
    total: int = field("Things at risk, shown or not.")
    rest: float = field("What the things that are not shown contribute; 0 where all are.")
    counts: list[KindCount]
    owners: list[Ownership] = batched(
        _owners, "Owners of the targets shown and of what they belong to, those of the greatest first."
    )
    complete: bool
    truncated_because: str | None


def _impact(
    info: Info,
    ids: list[strawberry.ID],
    max_hops: int | None = 20,
    as_of: DateTime | None = strawberry.UNSET,
    known_at: DateTime | None = strawberry.UNSET,
    first: int | None = 300,
) -> ImpactView:
    """``Query.impact``."""
    from app.answers.impact import impact
    from app.answers.impact_score import Weighing

    if not 1 <= len(ids) <= MAX_IDS:
        raise BadInput(f"{len(ids)} ids; allowed are 1 to {MAX_IDS} at once")
    ask = info.context.of(info.path)
    times = {"as_of": as_of, "known_at": known_at}
    ask.moment = Moment(**{name: time for name, time in times.items() if time is not strawberry.UNSET})
    known = ask.moment.known_at
    answer = impact(
        ask.store,
        [find_one(ask.store, text, known_at=known, spaces=ask.spaces) for text in dict.fromkeys(ids)],
        20 if max_hops is None else max_hops,
        ask.moment,
        ask.spaces,
        first=300 if first is None else first,
        weighing=Weighing(frozenset(name.lower() for name in ask.production), frozenset(ask.critical)),
        held=ask.held,
    )
    return ImpactView(
        answer,
        answer.score,
        answer.summary,
        answer.targets,
        answer.total,
        answer.rest,
        [CountView(kind, count) for kind, count in answer.counts],
        answer.complete,
        answer.truncated_because,
    )


@strawberry.type
class ImpactQueries:
    """What is at risk."""

    impact: Impact = field(
        "What is at risk downstream if all of these are changed or lost together: a score that sorts, and\n"
        "what it is made of. Deployments count where they stand at asOf, else now. first is at most 2,000.",
        resolver=_impact,
    )
