"""The score of impact, from values alone: what each thing downstream is worth, times how strongly it is felt.

docs/impact.md has the formula with its reasons, docs/decisions/0018 why it is this one.
"""

from __future__ import annotations

from types import MappingProxyType

import msgspec
import numpy as np

from app.answers.adjacency import Adjacency, Flags, Floats, Ints, Places, placed
from app.answers.impact_facts import NODE_CODES, Deployments
from app.answers.reach import Reach
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros

#: What a thing of a kind is worth; deployments by where they stand. Kinds that are not named are worth
#: nothing: a commit, a check, an incident is no thing that a change can hurt.
WORTH = MappingProxyType(
    {
        NodeKind.MODEL_VERSION: 0.2,
        NodeKind.ARTIFACT: 0.1,
        NodeKind.DATASET_VERSION: 0.05,
        NodeKind.RUN: 0.02,
        NodeKind.JOB_RUN: 0.02,
    }
)
PRODUCTION, UNKNOWN_PLACE, ELSEWHERE = 1.0, 0.5, 0.25
#: Of a deployment's worth, what does not depend on its share of the traffic.
WITHOUT_TRAFFIC = 0.1
#: What is labelled as critical is worth so many times more.
CRITICAL = 2.0
#: Raw impact that makes a score of 50: a production deployment that is hit for certain.
HALF = 1.0
#: Earlier changes that are taken to have done no harm, so that one in one does not count as always.
PRIOR = 5


class Weighing(msgspec.Struct, frozen=True):
    """What the settings say: names of production environments, labels of what is critical."""

    production: frozenset[str] = frozenset({"prod", "production"})
    critical: frozenset[str] = frozenset({"critical"})


class Standing(msgspec.Struct, frozen=True):
    """How a deployment stands at the time asked about."""

    environment: str | None
    share: float
    production: bool


class Scored(msgspec.Struct, frozen=True):
    """The score, 0 to 100, and what it is the sum of: ``contribution`` by place, 0 where nothing is at risk.

    ``critical`` by place; ``standing``: the deployments, by place.
    """

    score: float
    contribution: Floats
    critical: Flags
    standing: dict[int, Standing]


def hurt_before(hurt: int, of: int) -> float:
    """What a change begins with: 1, and up to 2 the more of the earlier ones of its sort hurt."""
    return 1.0 + hurt / (of + PRIOR)


def score(
    found: Reach,
    deployed: Deployments,
    critical: Ints,
    weighing: Weighing,
    time: Micros,
    as_of: Micros | None = None,
) -> Scored:
    """Raw impact is the sum over things of worth × strength; the score is 100 × raw / (raw + HALF).

    Every term grows with what is reached and how strongly, so a wider question never scores lower. Only
    deployments that stand at ``time`` count; ``as_of``: edges are those of that time.
    """
    graph = found.graph
    reached = found.hops >= 0
    worth = _KINDS[graph.kinds] * reached
    standing = _deployments(graph, found, deployed, time, weighing, worth)
    is_critical = np.zeros(len(worth), dtype=bool)
    is_critical[graph.places(critical)] = True
    raw = worth * found.strength
    raw[is_critical] *= CRITICAL
    _once(graph, raw, as_of)
    # Only what there is: the same sum, to the last digit, whatever else is in the arrays.
    total = float(raw[raw > 0].sum())
    points = 100.0 * total / (total + HALF)
    if total > 0:
        raw *= points / total
    return Scored(points, raw, is_critical, standing)


_KINDS = np.zeros(len(NodeKind))
for _kind, _worth in WORTH.items():
    _KINDS[NODE_CODES[_kind]] = _worth


def _deployments(
    graph: Adjacency,
    found: Reach,
    deployed: Deployments,
    time: Micros,
    weighing: Weighing,
    worth: Floats,
) -> dict[int, Standing]:
    """Puts the worth of those that stand into ``worth``; how they stand, by place."""
    stands, share = deployed.at(time)
    standing: dict[int, Standing] = {}
    there = np.flatnonzero(stands)
    where = placed(graph.handles, None, deployed.handles[there])
    value = np.array([_worth_of(deployed.environment[n], weighing) for n in there])
    inside = np.flatnonzero(where >= 0)
    inside = inside[found.hops[where[inside]] >= 0]
    traffic = WITHOUT_TRAFFIC + (1 - WITHOUT_TRAFFIC) * share[there]
    if len(inside):
        worth[where[inside]] = value[inside] * traffic[inside]
    for n in inside.tolist():
        name = deployed.environment[there[n]]
        standing[int(where[n])] = Standing(name, float(share[there[n]]), _is_production(name, weighing))
    return standing


def _worth_of(environment: str | None, weighing: Weighing) -> float:
    if environment is None:
        return UNKNOWN_PLACE
    return PRODUCTION if _is_production(environment, weighing) else ELSEWHERE


def _is_production(environment: str | None, weighing: Weighing) -> bool:
    return environment is not None and environment.lower() in weighing.production


def _once(graph: Adjacency, raw: Floats, as_of: Micros | None) -> None:
    """What is the same thing is one: of each class only the greatest counts, of equals the first."""
    same = graph.same
    if not len(same):
        return
    edges = np.arange(len(same))
    if as_of is not None and same.since is not None and same.until is not None:
        edges = np.flatnonzero((same.since <= as_of) & (same.until > as_of))
    leader = _leaders(len(raw), same.src[edges], same.dst[edges])
    best = np.zeros(len(raw))
    np.maximum.at(best, leader, raw)
    greatest = np.flatnonzero(raw == best[leader])
    first = np.full(len(raw), len(raw))
    np.minimum.at(first, leader[greatest], greatest)
    raw[first[leader] != np.arange(len(raw))] = 0.0


def _leaders(size: int, src: Places, dst: Places) -> Ints:
    """By place the least place of its class; edges stand there in both directions."""
    leader = np.arange(size)
    while True:
        least = leader.copy()
        np.minimum.at(least, dst, leader[src])
        if (least == leader).all():
            return leader
        leader = least
