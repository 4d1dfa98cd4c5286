"""Root causes of an incident, or of a run or job run that failed or did worse: ranked, each with its proof.

A cause is named only where edges lead from it to the failure and all of it was there before the failure
began. What is missing for more is said. The ranking is :mod:`app.answers.cause_score`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from app.answers import judged
from app.answers.cause_evidence import Weight
from app.answers.cause_graph import MAX_READ, Link, nodes_of, read
from app.answers.cause_history import check_failed
from app.answers.cause_parts import examined, failed_part, instead
from app.answers.cause_pool import FAILING, Pool, effective, gaps, pool, role_of
from app.answers.cause_score import scores, shares, weigh
from app.answers.cause_signals import Reader, origin, path_of
from app.answers.cause_ties import text_of, ties
from app.answers.good_runs import of_runs
from app.answers.last_good import LastGood, along, began, of_deployments, stays_of
from app.answers.outcomes import GOOD
from app.lineage.evidence import Evidence
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Edge, Moment, Node, Spaces
from graph_schema.wording import a_or_an, counted

E, K = EdgeKind, NodeKind
SUBJECTS = (K.INCIDENT, K.RUN, K.JOB_RUN)
MAX_FIRST = 50
_RELEASED = (E.PACKAGED_IN, E.REGISTERED_AS, E.DEPLOYED_AS)


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A change that may be the cause. ``score`` is its probability against the other candidates and what no
    tool told of; ``at`` (microseconds) is when it was made. ``path`` leads to the subject; it begins with the
    change or with the commit that brought it in, and is empty where the change is in the subject itself.
    ``evidence`` has the largest share first. ``confirmed``: what people said of it, if they did."""

    node: Node
    score: float
    at: Micros
    path: list[Edge]
    because: str
    evidence: list[Evidence]
    confirmed: bool | None = None
    role: str = ""


class CausesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """``candidates``, the most probable first; what people rejected comes last. ``last_good`` is the state
    that was compared with, ``last_good_because`` why it counts as good, or why there is none. ``missing``
    says what would be needed to say more. ``total`` counts the candidates before the cut."""

    subject: Node
    last_good: Node | None
    last_good_because: str
    candidates: list[Cause]
    missing: list[str]
    total: int = 0


def root_causes(
    store: GraphStore,
    handle: int,
    first: int = 5,
    known_at: Micros | None = None,
    spaces: Spaces = None,
) -> CausesAnswer:
    """The most probable causes of a failure, with what speaks for and against each.

    Only what was there before the failure began counts, also as evidence: the answer stays the same however
    late it is asked. Of a job run whose parts failed, the first of these is the ``subject``. Raises NotFound,
    and BadInput for a thing that is no failure or a ``first`` out of 1 to 50.
    """
    if not 1 <= first <= MAX_FIRST:
        raise BadInput(f"first is {first}; allowed are 1 to {MAX_FIRST}")
    subject = store.get([handle], known_at=known_at, spaces=spaces)[0]
    if subject is None:
        raise NotFound("there is no such node at that time")
    if subject.kind not in SUBJECTS:
        allowed = ", ".join(kind.value for kind in SUBJECTS)
        hint = instead(store, subject, known_at, spaces)
        said = f"{subject.id} is {a_or_an(subject.kind)}; causes are asked for of {allowed}"
        raise BadInput(f"{said}: {hint}" if hint else said)
    asked, subject = subject, failed_part(store, subject, known_at, spaces)
    at = began(subject)
    if at is None:
        return _nothing(subject, f"nobody says when {subject.name} began")
    states = _states(store, subject, at, known_at, spaces)
    if not states.failing:
        return _nothing(subject, _unconnected(subject))
    found = pool(store, subject, states, at, known_at, spaces)
    told = [subject, *_grouped(store, subject, known_at, spaces)]
    reader = Reader(store, subject, told, states, found, at, known_at, spaces)
    ranked, tied = _ranked(reader, found, _said(found, told), at)
    well = _went_well(store, reader, subject, known_at, spaces)
    missing = _missing(found, reader, states, subject, ranked, well)
    if subject is not asked:
        missing.insert(0, f"{asked.name} is told by its parts: this is about the first of them that failed")
    shown = {cause.node.id for cause in ranked[:first]}
    missing += [text_of([node.name for node in group]) for group in tied if shown & {n.id for n in group}]
    good = states.good
    return CausesAnswer(
        subject=subject,
        last_good=None if good is None else good.node,
        last_good_because=states.because,
        candidates=ranked[:first],
        missing=missing,
        total=len(ranked),
    )


def _nothing(subject: Node, why: str) -> CausesAnswer:
    return CausesAnswer(subject=subject, last_good=None, last_good_because=why, candidates=[], missing=[why])


def _unconnected(subject: Node) -> str:
    return (
        f"nothing is implicated in {subject.name}: it names no deployment, model or data that Kinlore knows "
        "(see the labels of its source, or kinlore incident open --implicates)"
    )


# --- the failing states and the last good one ---------------------------------------------------------


def _states(
    store: GraphStore, subject: Node, at: Micros, known_at: Micros | None, spaces: Spaces
) -> LastGood:
    if subject.kind is not K.INCIDENT:
        return of_runs(store, [subject], at, known_at, spaces)
    implicated = {
        step.src
        for step, edge in along(
            store, [subject.handle], Direction.UPSTREAM, E.IMPLICATED_IN, known_at, spaces
        )
        if edge.valid_from is None or edge.valid_from <= at
    }
    if not implicated:
        return LastGood(failing=[], earlier=[], good=None, because="")
    named = [n for n in store.get(sorted(implicated), known_at=known_at, spaces=spaces) if n is not None]
    nodes, streams = examined(store, named, known_at, spaces)
    deployments = [n.handle for n in nodes if n.kind is K.DEPLOYMENT]
    released = [n.handle for n in nodes if n.kind in (K.ARTIFACT, K.MODEL_VERSION)]
    same: set[int] = set()
    if not deployments and released:
        deployments, same = _stood(store, released, at, known_at, spaces)
    if deployments:
        return of_deployments(store, subject.handle, deployments, at, known_at, spaces, same)
    return of_runs(store, nodes, at, known_at, spaces, streams)


def _stood(
    store: GraphStore, released: Sequence[int], at: Micros, known_at: Micros | None, spaces: Spaces
) -> tuple[list[int], set[int]]:
    """The deployments of a model or an image that stood when the incident began, and all that there were."""
    region = read(
        store, released, Direction.DOWNSTREAM, _RELEASED, until=at, known_at=known_at, spaces=spaces
    )
    stays = stays_of(store, sorted(region.handles), at, known_at, spaces)
    standing = [handle for handle, stay in stays.items() if stay.until is None or stay.until > at]
    return standing, region.handles


# --- ranking -------------------------------------------------------------------------------------------


def _ranked(
    reader: Reader, found: Pool, said: Mapping[int, bool], at: Micros
) -> tuple[list[Cause], list[list[Node]]]:
    """The causes in their order, and those that nothing tells apart."""
    signals = [reader.signals(handle, path_of(found, handle)) for handle in found.candidates]
    weighed = [weigh(each) for each in signals]
    # What people said tells apart.
    unsaid = [place for place, handle in enumerate(found.candidates) if handle not in said]
    tied = [[unsaid[place] for place in group] for group in ties([signals[place] for place in unsaid])]
    others = {place: len(group) - 1 for group in tied for place in group}
    causes = []
    for place, (handle, score) in enumerate(zip(found.candidates, scores(weighed), strict=True)):
        cause = _cause(found, handle, weighed[place], score, at, said.get(handle))
        if place in others:
            because = f"{cause.because}; nothing tells it from {counted(others[place], 'other change')}"
            cause = msgspec.structs.replace(cause, because=because)
        causes.append(cause)
    order = {True: 0, None: 1, False: 2}
    causes.sort(key=lambda cause: (order[cause.confirmed], -cause.score, cause.node.id))
    return causes, [[found.nodes[found.candidates[place]] for place in group] for group in tied]


def _grouped(store: GraphStore, subject: Node, known_at: Micros | None, spaces: Spaces) -> list[Node]:
    """The incident that groups this one, and those that it groups."""
    if subject.kind is not K.INCIDENT:
        return []
    here, moment = [subject.handle], Moment(known_at=known_at)
    above = store.expand(here, Direction.UPSTREAM, (E.HAS,), moment, spaces).steps
    below = store.expand(here, Direction.DOWNSTREAM, (E.HAS,), moment, spaces).steps
    grouped = {step.src for step in above} | {step.dst for step in below}
    nodes = nodes_of(store, grouped, known_at, spaces)
    return [nodes[handle] for handle in sorted(nodes) if nodes[handle].kind is K.INCIDENT]


def _said(found: Pool, told: Sequence[Node]) -> dict[int, bool]:
    """What people said of the candidates as causes of this failure, the first of ``told``, and of those that
    it is grouped with."""
    verdicts: dict[str, str] = {}
    for node in reversed(told):
        verdicts |= judged.of(node)
    return {
        handle: verdicts[name] == judged.CONFIRMED
        for handle in found.candidates
        for name in found.nodes[handle].identifiers
        if name in verdicts
    }


def _cause(
    found: Pool, handle: int, weights: Sequence[Weight], score: float, at: Micros, confirmed: bool | None
) -> Cause:
    links = path_of(found, handle)
    before = origin(found, handle, at)
    node = found.nodes[handle]
    evidence = [
        Evidence(each.kind, each.text, share)
        for each, share in zip(weights, shares(weights, score), strict=True)
    ]
    evidence.sort(key=lambda each: (-each.weight, each.text))
    return Cause(
        node=node,
        score=score,
        at=effective(found, handle) or at,
        path=[link.edge for link in (*before, *links)],
        because=_because(evidence, confirmed),
        evidence=evidence,
        confirmed=confirmed,
        role=_role(found, handle, links),
    )


def _role(found: Pool, handle: int, links: Sequence[Link]) -> str:
    return role_of(found.nodes[handle], links, found.nodes)


def _because(evidence: Sequence[Evidence], confirmed: bool | None) -> str:
    said = {True: ["people confirmed it"], False: ["people rejected it"], None: []}[confirmed]
    speaks = [each.text for each in evidence if each.weight > 0 and each.kind != "kind"]
    return "; ".join([*said, *speaks[:3]]) or "it lies upstream, and nothing else speaks for it"


# --- what is missing -----------------------------------------------------------------------------------


def _went_well(
    store: GraphStore, reader: Reader, subject: Node, known_at: Micros | None, spaces: Spaces
) -> bool:
    """Whether the question is about a run that ended well, and no metric, check or incident says otherwise.
    Checks of a run come after it."""
    if subject.properties.get("status") not in GOOD or reader.history.worse(subject):
        return False
    here = [subject.handle]
    if along(store, here, Direction.DOWNSTREAM, E.IMPLICATED_IN, known_at, spaces):
        return False
    checked = along(store, here, Direction.DOWNSTREAM, E.CHECKED_BY, known_at, spaces)
    checks = nodes_of(store, [step.dst for step, _ in checked], known_at, spaces)
    return not any(map(check_failed, checks.values()))


def _missing(
    found: Pool, reader: Reader, states: LastGood, subject: Node, ranked: Sequence[Cause], well: bool
) -> list[str]:
    told = []
    if well:
        status = subject.properties["status"]
        told.append(f"{subject.name} ended as {status}, and nothing says that it did worse than before")
    if states.good is None:
        told.append(f"no last good state to compare with: {states.because}")
    elif not any(found.changed(h) and found.held.get(h, 0) & FAILING for h in found.paths):
        told.append(f"nothing that Kinlore knows changed since {states.good.node.name}, the last good state")
    if not ranked:
        told.append("nothing upstream of it was there before it began")
    told += gaps(found, subject)
    if found.undated:
        names = ", ".join(node.name for node in found.undated[:3])
        told.append(f"nobody says when {counted(len(found.undated), 'thing')} upstream came to be: {names}")
    if found.left_out:
        told.append(f"{counted(found.left_out, 'older change')} upstream were not looked at")
    if found.region.stopped or reader.region.stopped:
        told.append(f"reading stopped after {MAX_READ:,} nodes; what lies beyond was not looked at")
    hidden = found.region.hidden
    if hidden:
        told.append(f"{counted(hidden, 'thing')} upstream lie in spaces that you may not read")
    return told
