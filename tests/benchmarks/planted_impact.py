"""Impact on planted failures: of the deployments that it calls most at risk, how many the failure hit.

The organisations are those of :mod:`tests.benchmarks.causes`. For each failure there is one question: what
is at risk through the thing at fault, at the time when the first incident of it began. What it hit are the
deployments that stand then and carry it; the generator knows, and tells no tool. The baselines choose from
the same deployments: the nearest to the thing in the graph, whichever way its edges point, and the latest.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from app.answers.impact import impact
from app.answers.impact_facts import deployments
from app.store.sqlite import SqliteStore
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Moment
from tests.benchmarks.causes.organisation import deployments_of, failures, organisation
from tests.benchmarks.causes.things import DAY, Organisation
from tests.benchmarks.causes.writing import load
from tests.benchmarks.measure import Figure

FIRST = 10
#: A failure that nobody noticed is asked about so long after it came.
_LATER = 3 * DAY

Ranking = Sequence[int]


class Question(NamedTuple):
    """A thing at fault and a time; the deployments that stand then, and those of them that it hit."""

    thing: int
    at: Micros
    standing: frozenset[int]
    carry: frozenset[int]


class Precision(NamedTuple):
    """Mean precision among the first ten; ``listed``: of what impact lists, ten at most."""

    questions: int
    ours: float
    distance: float
    recent: float
    chance: float
    listed: float


def questions(store: GraphStore, made: Organisation) -> list[Question]:
    """Every planted failure that hits something that stands when it is asked about."""
    handles = {id: found[0] for id in deployments_of(made) if (found := store.resolve(id))}
    held = deployments(store, list(handles.values()), None, None)
    begun = {each.incident: each.at for each in made.incidents}
    found = []
    for fault in failures(made, least=1):
        at = min((begun[each] for each in fault.incidents), default=fault.at + _LATER)
        stands, _ = held.at(at)
        standing = frozenset(int(handle) for handle in held.handles[stands])
        carry = standing & {handles[each] for each in fault.carriers}
        if carry and fault.thing is not None:
            found.append(Question(store.resolve(fault.thing)[0], at, standing, carry))
    return found


def by_impact(store: GraphStore, asked: Question) -> Ranking:
    """Deployments as impact ranks them."""
    answer = impact(store, [asked.thing], moment=Moment(as_of=asked.at), first=2_000)
    return [each.handle for each in answer.targets if each.kind is NodeKind.DEPLOYMENT]


def by_distance(store: GraphStore, asked: Question) -> Ranking:
    """Those that stand by hops from the thing, whichever way; of equals the latest first."""
    hops = {asked.thing: 0}
    frontier = [asked.thing]
    while frontier:
        ends: set[int] = set()
        for way in (Direction.UPSTREAM, Direction.DOWNSTREAM):
            found = store.expand(frontier, way, FLOW_KINDS, Moment(as_of=asked.at))
            ends |= {end for step in found.steps for end in (step.src, step.dst)}
        frontier = sorted(ends.difference(hops))
        hops.update(dict.fromkeys(frontier, max(hops.values()) + 1))
    return sorted(asked.standing & hops.keys(), key=lambda handle: (hops[handle], -handle))


def by_recency(store: GraphStore, asked: Question) -> Ranking:
    """Those that stand, the latest first."""
    steps = store.expand(
        sorted(asked.standing), Direction.UPSTREAM, (EdgeKind.DEPLOYED_AS,), Moment(as_of=asked.at)
    ).steps
    edges = store.edges([step.belief for step in steps])
    since: dict[int, int] = {}
    for step, edge in zip(steps, edges, strict=True):
        since[step.dst] = max(since.get(step.dst, 0), edge.valid_from or 0)
    return sorted(asked.standing, key=lambda handle: (-since.get(handle, 0), handle))


def precision(ranking: Ranking, hit: frozenset[int], first: int = FIRST) -> float:
    """Of the first ten, or of as many as there are to find where that is fewer, the share that was hit."""
    wanted = min(first, len(hit))
    return len(hit.intersection(ranking[:wanted])) / wanted


def measure(folder: Path, seeds: Sequence[int]) -> Precision:
    """Mean precision over all questions of these organisations."""
    rows: list[tuple[float, ...]] = []
    for seed in seeds:
        made = organisation(seed)
        store = SqliteStore(folder / f"organisation-{seed}.db")
        store.migrate()
        load(store, made)
        dice = random.Random(seed)
        for asked in questions(store, made):
            ours = by_impact(store, asked)
            shuffled = sorted(asked.standing)
            dice.shuffle(shuffled)
            baselines: list[Callable[[GraphStore, Question], Ranking]] = [by_distance, by_recency]
            row = [precision(ours, asked.carry)]
            row += [precision(each(store, asked), asked.carry) for each in baselines]
            rows.append((*row, precision(shuffled, asked.carry), _listed(ours, asked)))
        store.close()
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    return Precision(len(rows), *means)


def _listed(ours: Ranking, asked: Question) -> float:
    """Of all that impact lists, the first ten of them at most, the share that was hit."""
    first = ours[:FIRST]
    return len(asked.carry.intersection(first)) / len(first) if first else 0.0


def run(folder: Path, seeds: Sequence[int], wanted: float) -> Iterator[Figure]:
    """Figures on these organisations."""
    found = measure(folder, seeds)
    yield Figure(
        f"Impact: precision@10 on {found.questions} planted failures",
        f"{found.ours:.2f} (graph distance {found.distance:.2f}, latest {found.recent:.2f},"
        f" by chance {found.chance:.2f}; of what is listed {found.listed:.2f})",
        f"≥ {wanted:.2f}",
        found.ours >= wanted,
    )
