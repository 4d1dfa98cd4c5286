"""What is at risk if something is changed or lost: a score, and every thing downstream that it is made of."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import msgspec
import numpy as np

from app.answers import impact_facts as facts
from app.answers.adjacencies import LARGE, Adjacencies, Held
from app.answers.adjacency import Adjacency, Floats, Ints
from app.answers.impact_facts import NODE_CODES, Deployments
from app.answers.impact_score import Scored, Weighing, hurt_before, score
from app.answers.impact_words import because, summary
from app.answers.reach import Reach, reach
from app.lineage.states import states_of
from app.lineage.walk import MAX_HOPS
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import NOW, Direction, Moment, Node, Spaces
from graph_schema.wording import counted

MAX_TARGETS = 2_000
#: Nodes that a walk through the store visits; beyond, the graph is read into memory or the walk ends.
MAX_WALKED = 200_000
_KINDS = tuple(NodeKind)


class Target(msgspec.Struct, frozen=True):
    """A thing at risk. ``contribution``: its part of the score; ``beliefs``: the edges of its best path, from
    what was asked about, none where it is a deployment that was asked about itself."""

    handle: int
    kind: NodeKind
    contribution: float
    hops: int
    beliefs: tuple[int, ...]
    because: str


class ImpactAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``targets`` are the greatest first, then by handle; with ``rest``, what is not shown contributes, they
    sum to ``score``. ``counts`` are of all things at risk; ``owners`` are (owner, role) of the targets shown
    and of what they belong to."""

    score: float
    summary: str
    targets: list[Target]
    total: int
    rest: float
    counts: list[tuple[NodeKind, int]]
    owners: list[tuple[Node, str | None]]
    complete: bool
    truncated_because: str | None = None


class _Basis(msgspec.Struct, frozen=True):
    """What an answer is worked out from, whether it was walked to or held in memory."""

    graph: Adjacency
    deployed: Deployments
    hurt: frozenset[int]
    before: facts.Precedents
    as_of: Micros | None
    unread: int = 0
    stopped: bool = False


def impact(
    store: GraphStore,
    handles: Sequence[int],
    max_hops: int = 20,
    moment: Moment = NOW,
    spaces: Spaces = None,
    *,
    first: int = 300,
    weighing: Weighing | None = None,
    held: Adjacencies | None = None,
    now: Micros | None = None,
) -> ImpactAnswer:
    """What a change of all these nodes together puts at risk; told one by one: the ``first`` greatest.
    What has states, such as a data set, stands for the last of them.

    Deployments count if they stand at ``as_of``, else ``now``, microseconds (default: the clock's time).
    ``held``: graphs in memory, which answer where the store's state is that of the arrays; else, and for the
    past or for who may not read everything, the answer is walked to. Both give the same.

    Raises BadInput for limits that make no sense, and whatever the store raises.
    """
    if not handles:
        raise BadInput("impact needs at least one id")
    if not 0 <= max_hops <= MAX_HOPS:
        raise BadInput(f"maxHops is {max_hops}; allowed are 0 to {MAX_HOPS}")
    if not 1 <= first <= MAX_TARGETS:
        raise BadInput(f"first is {first}; allowed are 1 to {MAX_TARGETS:,}")
    asked = sorted(set(handles))
    left_out: list[str] = []
    weighing = weighing or Weighing()
    before = facts.precedents(store, asked, moment, spaces)
    if before.groups:
        states = states_of(store, before.groups, moment, spaces)
        asked, left_out = sorted({*asked, *states.handles}), states.left_out
        before = facts.precedents(store, asked, moment, spaces)
    basis = _basis(store, asked, max_hops, moment, spaces, before, held)
    return _answer(store, asked, left_out, max_hops, moment, spaces, basis, first, weighing, now)


def _basis(
    store: GraphStore,
    asked: Sequence[int],
    max_hops: int,
    moment: Moment,
    spaces: Spaces,
    before: facts.Precedents,
    held: Adjacencies | None,
) -> _Basis:
    usable = held is not None and moment.known_at is None and spaces is None
    whole = held.fresh() if held is not None and usable else None
    if whole is not None:
        return _held(whole, before, moment.as_of)
    # What is nearly in memory is sooner brought up to date than a large graph is walked through.
    most = min(MAX_WALKED, LARGE) if held is not None and usable and held.near() else MAX_WALKED
    walked = facts.walk(store, asked, max_hops, moment, spaces, most=most, commits=before.commits)
    if held is not None and usable:
        if walked.stopped:
            return _held(held.built(), before, moment.as_of)
        held.note(len(walked.graph.handles))
    graph = walked.graph
    codes = graph.kinds == NODE_CODES[NodeKind.DEPLOYMENT]
    below = [int(handle) for handle in graph.handles[codes]]
    hurt: frozenset[int] = frozenset()
    stopped = walked.stopped
    if before.all:
        earlier = facts.walk(
            store, before.all, facts.PRECEDENT_HOPS - 1, moment, spaces, most=MAX_WALKED, evidence=False
        )
        stopped = stopped or earlier.stopped
        hurt = _hurt(earlier.graph, facts.troubled(earlier.graph), before)
    return _Basis(
        graph,
        facts.deployments(store, below, moment.known_at, spaces),
        hurt,
        before,
        None,
        walked.unread,
        stopped,
    )


def _held(whole: Held, before: facts.Precedents, as_of: Micros | None) -> _Basis:
    graph = whole.graph
    marked = whole.troubled if as_of is None or not before.all else facts.troubled(graph, as_of=as_of)
    return _Basis(graph, whole.deployed, _hurt(graph, marked, before), before, as_of)


def _hurt(graph: Adjacency, marked: np.ndarray, before: facts.Precedents) -> frozenset[int]:
    places = graph.places(before.all)
    return frozenset(int(handle) for handle in graph.handles[places[marked[places]]])


def _answer(
    store: GraphStore,
    asked: Sequence[int],
    left_out: Sequence[str],
    max_hops: int,
    moment: Moment,
    spaces: Spaces,
    basis: _Basis,
    first: int,
    weighing: Weighing,
    now: Micros | None,
) -> ImpactAnswer:
    graph = basis.graph
    history = [_history(basis, handle) for handle in asked]
    initial = np.array([hurt_before(hurt, of) for hurt, of in history])
    # What runs is at risk itself; of anything else that is changed, only what it leads to.
    runs = graph.kinds == NODE_CODES[NodeKind.DEPLOYMENT]
    found = reach(graph, graph.places(asked), initial, max_hops, basis.as_of, themselves=runs)
    at = moment.as_of
    if at is None:
        at = now if now is not None else time.time_ns() // 1000
    critical = facts.tagged(store, weighing.critical, moment, spaces)
    scored = score(found, basis.deployed, critical, weighing, at, basis.as_of)
    at_risk = np.flatnonzero(scored.contribution)
    places = _greatest(scored.contribution[at_risk], at_risk, first)
    targets = [_target(found, scored, int(place)) for place in places]
    counts = _counted(graph, scored.contribution)
    owners = _owners(store, targets, moment, spaces)
    standing = [s for place, s in scored.standing.items() if scored.contribution[place]]
    in_production = sum(s.production for s in standing)
    hurt, of = max(history, key=lambda each: hurt_before(*each))
    reasons = [*_reasons(len(targets), len(at_risk), max_hops, found.beyond, basis), *left_out]
    return ImpactAnswer(
        score=scored.score,
        summary=summary(
            in_production,
            len(standing) - in_production,
            dict(counts),
            list(dict.fromkeys(owner.name for owner, _ in owners)),
            hurt,
            of,
        ),
        targets=targets,
        total=len(at_risk),
        rest=max(0.0, scored.score - sum(t.contribution for t in targets))
        if len(at_risk) > len(targets)
        else 0.0,
        counts=counts,
        owners=owners,
        complete=not reasons,
        truncated_because="; ".join(reasons) or None,
    )


def _history(basis: _Basis, handle: int) -> tuple[int, int]:
    """Of the earlier things of its sort, how many hurt, and how many there were."""
    others = basis.before.of.get(handle, [])
    return sum(other in basis.hurt for other in others), len(others)


def _greatest(contribution: Floats, places: Ints, first: int) -> Ints:
    """Of these places, those of the greatest contributions, in order; of equals the first places."""
    if len(places) > first:
        least = np.partition(contribution, len(places) - first)[len(places) - first]
        above = np.flatnonzero(contribution > least)
        level = np.flatnonzero(contribution == least)[: first - len(above)]
        chosen = np.concatenate((above, level))
        contribution, places = contribution[chosen], places[chosen]
    return places[np.lexsort((places, -contribution))]


def _target(found: Reach, scored: Scored, place: int) -> Target:
    beliefs, inferred = found.path(place)
    return Target(
        int(found.graph.handles[place]),
        _KINDS[found.graph.kinds[place]],
        float(scored.contribution[place]),
        int(found.hops[place]),
        tuple(beliefs),
        because(
            int(found.hops[place]),
            inferred,
            bool(scored.critical[place]),
            scored.standing.get(place),
        ),
    )


def _counted(graph: Adjacency, contribution: Floats) -> list[tuple[NodeKind, int]]:
    there = contribution > 0
    numbers = [
        (kind, int(np.count_nonzero(there & (graph.kinds == code)))) for kind, code in NODE_CODES.items()
    ]
    return [(kind, n) for kind, n in numbers if n]


def _owners(
    store: GraphStore, targets: Collection[Target], moment: Moment, spaces: Spaces
) -> list[tuple[Node, str | None]]:
    """Owners of what is at risk and of what it belongs to, those of the greatest first; in four calls."""
    if not targets:
        return []
    rank = {target.handle: place for place, target in enumerate(targets)}
    up = store.expand(sorted(rank), Direction.UPSTREAM, (EdgeKind.HAS,), moment, spaces).steps
    for step in up:
        rank[step.src] = min(rank.get(step.src, len(targets)), rank.get(step.dst, len(targets)))
    steps = store.expand(sorted(rank), Direction.DOWNSTREAM, (EdgeKind.OWNED_BY,), moment, spaces).steps
    if not steps:
        return []
    edges = store.edges([step.belief for step in steps], known_at=moment.known_at)
    found: dict[tuple[int, str | None], int] = {}
    for step, edge in zip(steps, edges, strict=True):
        role = edge.properties.get("role")
        key = (step.dst, role if isinstance(role, str) else None)
        place = rank.get(step.src, len(targets))
        found[key] = min(found.get(key, place), place)
    ordered = sorted(found, key=lambda key: (found[key], key[0], key[1] or ""))
    handles = sorted({handle for handle, _ in ordered})
    nodes = store.get(handles, known_at=moment.known_at, spaces=spaces)
    readable = {node.handle: node for node in nodes if node is not None}
    return [(readable[handle], role) for handle, role in ordered if handle in readable]


def _reasons(shown: int, total: int, max_hops: int, beyond: int, basis: _Basis) -> list[str]:
    """Why this is not all there is, in words."""
    reasons = []
    if total > shown:
        reasons.append(f"{shown:,} of {total:,} things at risk are told one by one: raise first")
    if basis.stopped:
        reasons.append(f"stopped after walking {MAX_WALKED:,} nodes: narrow with asOf or maxHops")
    elif beyond:
        more = "1 more node lies" if beyond == 1 else f"{beyond:,} more nodes lie"
        reasons.append(f"stopped at {counted(max_hops, 'hop')}: {more} one hop further: raise maxHops")
    if basis.unread:
        reasons.append(f"{basis.unread:,} neighbours lie in spaces that you may not read")
    return reasons
