"""How well planted causes are found: by the product, and by baselines that are given as much as is honest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from app.answers.causes import Cause, CausesAnswer, root_causes
from app.answers.judging import confirm_cause
from app.answers.last_good import time_of
from app.lineage.walk import lineage
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Edge, Moment, Node
from tests.benchmarks.causes.organisation import FOUND_AFTER, found, scored, scored_runs
from tests.benchmarks.causes.targets import INCIDENTS
from tests.benchmarks.causes.things import Organisation, Planted
from tests.benchmarks.causes.writing import load

K = NodeKind
#: What a baseline may name. Not what a run or a packaging made: that is a consequence.
_CHANGES = (K.COMMIT, K.DATASET_VERSION, K.RUNTIME, K.RUN, K.DEPLOYMENT)
_ROOTS = (K.COMMIT, K.DATASET_VERSION, K.RUNTIME)


class Outcome(NamedTuple):
    """One incident: at which place the planted cause came (None: not at all), for each who was asked."""

    planted: Planted
    places: dict[str, int | None]
    unprovable: int
    answer: CausesAnswer


def prepare(store: GraphStore, made: Organisation) -> None:
    """Write the organisation, and what people confirmed of its history, through the product."""
    load(store, made)
    for incident, cause in made.confirmed:
        _confirm(store, incident, cause)


def _confirm(store: GraphStore, incident: str, cause: str) -> None:
    failure, node = (_node(store, text) for text in (incident, cause))
    confirm_cause(store, failure, node, by="on-call")


def score(store: GraphStore, made: Organisation) -> list[Outcome]:
    """Ask for the causes of the incidents that are scored."""
    planted = {each.incident: each for each in made.incidents}
    return [one(store, planted[incident]) for incident in scored(made)]


def score_runs(store: GraphStore, made: Organisation) -> list[Outcome]:
    """Ask for the causes of the failed runs that are scored."""
    planted = {each.incident: each for each in made.failed}
    return [one(store, planted[run]) for run in scored_runs(made)]


def score_as_found(store: GraphStore, made: Organisation, first: int = INCIDENTS) -> list[Outcome]:
    """Ask for the causes of the same incidents in their order, each once the causes that people had found by
    then are confirmed. What began later, or shortly before, is not confirmed when one is asked about.
    ``first``: how many of the incidents."""
    planted = {each.incident: each for each in made.incidents}
    waiting = found(made)[::-1]
    outcomes = []
    for asked in (planted[incident] for incident in scored(made)[:first]):
        while waiting and waiting[-1].at + FOUND_AFTER <= asked.at:
            done = waiting.pop()
            _confirm(store, done.incident, str(done.cause))
        outcomes.append(one(store, asked, baselines=False))
    return outcomes


def one(store: GraphStore, planted: Planted, baselines: bool = True) -> Outcome:
    """Ask for the causes of one incident. Baselines learn nothing from what is confirmed."""
    (handle,) = store.resolve(planted.incident)
    answer = root_causes(store, handle, first=10)
    places = {"causes": _place([cause.node.id for cause in answer.candidates], planted)}
    for name, ranked in (_baselines(store, handle, planted.at) if baselines else {}).items():
        places[name] = _place(ranked, planted)
    unprovable = sum(not proven(store, cause, answer.subject, planted.at) for cause in answer.candidates)
    return Outcome(planted, places, unprovable, answer)


def _place(ids: Sequence[str], planted: Planted) -> int | None:
    return ids.index(planted.cause) + 1 if planted.cause in ids else None


def _node(store: GraphStore, text: str) -> Node:
    (handle,) = store.resolve(text)
    node = store.get([handle])[0]
    if node is None:
        raise RuntimeError(f"{text} is not there")
    return node


# --- proof ---------------------------------------------------------------------------------------------


def proven(store: GraphStore, cause: Cause, subject: Node, at: Micros) -> bool:
    """Whether the store itself confirms a claim: every edge of the path is there, each begins where the one
    before ends, the cause is on it, it ends at the subject, and all of it was there before that began."""
    if cause.at > at:
        return False
    if not cause.path:
        return cause.node.id == subject.id
    here, passed = cause.path[0].src, {cause.path[0].src}
    for edge in cause.path:
        ends = (edge.src, edge.dst)
        if here not in ends or (edge.kind is not EdgeKind.SAME_AS and here != edge.src):
            return False
        if (edge.valid_from is not None and edge.valid_from > at) or not _holds(store, edge):
            return False
        here = edge.dst if here == edge.src else edge.src
        passed.add(here)
    when = time_of(_node(store, cause.node.id))
    return here == subject.id and cause.node.id in passed and (when is None or when <= at)


def _holds(store: GraphStore, edge: Edge) -> bool:
    src, dst = (store.resolve(text) for text in (edge.src, edge.dst))
    found = store.expand(src, Direction.DOWNSTREAM, (edge.kind,))
    return any(
        step.kind is edge.kind and step.src in src and step.dst in dst for step in (*found.steps, *found.same)
    )


# --- baselines -----------------------------------------------------------------------------------------


def _baselines(store: GraphStore, handle: int, at: Micros) -> dict[str, list[str]]:
    """Most recent change, and nearest change, among all that lies upstream; each with and without the runs
    and releases themselves, so that the better of the two can count."""
    walk = lineage(store, handle, Direction.UPSTREAM, 30, moment=Moment(), first=5_000, stubs=False)
    hops = {label.handle: -hop for label, hop in zip(walk.labels, walk.hops, strict=True)}
    nodes = [
        n for n in store.get(list(hops)) if n is not None and n.created_at is not None and n.created_at <= at
    ]
    recent: Callable[[Node], tuple[int, ...]] = lambda n: (-(n.created_at or 0), hops[n.handle])  # noqa: E731
    near: Callable[[Node], tuple[int, ...]] = lambda n: (hops[n.handle], -(n.created_at or 0))  # noqa: E731
    found = {}
    for name, order in (("most recent", recent), ("graph distance", near)):
        for kinds, suffix in ((_CHANGES, ""), (_ROOTS, ", roots")):
            ranked = sorted((n for n in nodes if n.kind in kinds), key=order)
            found[f"{name}{suffix}"] = [n.id for n in ranked]
    return found


def by_sort(outcomes: Sequence[Outcome]) -> str:
    """For each sort of cause how many there were, and the shares named first and among three."""
    sorts: dict[str, list[Outcome]] = {}
    for each in outcomes:
        sorts.setdefault(str(each.planted.sort), []).append(each)
    return "; ".join(
        f"{sort} ({len(of)}) {share(of, 'causes', 1):.2f}, {share(of, 'causes', 3):.2f}"
        for sort, of in sorted(sorts.items(), key=lambda pair: -len(pair[1]))
    )


def share(outcomes: Sequence[Outcome], who: str, first: int) -> float:
    """Of the incidents, those whose planted cause was among so many first."""
    return sum((o.places[who] or first + 1) <= first for o in outcomes) / len(outcomes)
