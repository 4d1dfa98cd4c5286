"""What was tried on failures, how it went, and what to suggest.

A remediation's *record* is that of all attempts with it that anybody may stand by: worked, failed, unknown.
What worked and recurred did not work. Inferred attempts count for nothing until somebody confirms them. Where
only a forge says that it worked, by closing the incident with the change, that is half an attempt: nobody has
looked, and the other half comes with the word of a person.

Its strength is the lower end of the one-sided 95 % Wilson score interval (E. B. Wilson, 1927) of its share
of successes: 1 of 1 is .27, 2 of 3 is .25, 8 of 10 is .54. Few successes promise little, and one failure
more never helps. A suggestion's score is the similarity of the failure it was used on times that strength.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Any

import msgspec

from app.lineage.closure import classes
from graph_schema.edges import EdgeKind
from graph_schema.store import GraphStore
from graph_schema.values import NOW, Direction, Moment, Node, Spaces
from graph_schema.wording import counted

#: Quantile of the normal distribution for a one-sided bound at 95 %.
Z = 1.6449
#: What a success counts that only the forge tells of, of one that a person saw.
CLOSED = 0.5
#: What is said of such a success wherever it is counted.
CLOSED_BY_FORGE = "closed by the forge, not confirmed by a person"


class TrackRecord(msgspec.Struct, frozen=True):
    """How attempts went. ``tried`` counts those that stand, ``recurred`` those among the failed that had
    worked at first, ``closed`` those among the worked that a forge closed and no person confirmed,
    ``suggested`` those that were inferred and nobody confirmed; they are in no other count.
    """

    worked: int = 0
    failed: int = 0
    unknown: int = 0
    recurred: int = 0
    suggested: int = 0
    closed: int = 0

    @property
    def tried(self) -> int:
        """Attempts that somebody, or the tool that applied them, stands by."""
        return self.worked + self.failed + self.unknown

    @property
    def lower_bound(self) -> float:
        """Lower bound of the share of successes, 0 to 1; unknown outcomes do not count."""
        worked = self.worked - (1 - CLOSED) * self.closed
        return wilson(worked, worked + self.failed)


def wilson(successes: float, trials: float) -> float:
    """Lower end of the one-sided 95 % Wilson score interval; 0 without trials."""
    if trials == 0:
        return 0.0
    share, z2 = successes / trials, Z * Z
    centre = share + z2 / (2 * trials)
    spread = Z * sqrt((share * (1 - share) + z2 / (4 * trials)) / trials)
    return max(0.0, (centre - spread) / (1 + z2 / trials))


def track_record(attempts: Iterable[Mapping[str, Any]]) -> TrackRecord:
    """The record of attempts, from their properties. Pure."""
    worked = failed = unknown = recurred = suggested = closed = 0
    for each in attempts:
        if each.get("state") == "suggested":
            suggested += 1
        elif each.get("state") == "rejected":
            continue
        elif each.get("outcome") == "worked":
            if each.get("recurred"):
                recurred += 1
                failed += 1
            else:
                worked += 1
                closed += is_closed(each)
        elif each.get("outcome") == "failed":
            failed += 1
        else:
            unknown += 1
    return TrackRecord(worked, failed, unknown, recurred, suggested, closed)


def is_closed(attempt: Mapping[str, Any]) -> bool:
    """Whether only a forge says that it worked: the incident was closed with the change, and no person has
    said more."""
    return attempt.get("origin") == "change" and attempt.get("state") != "confirmed"


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A remediation for a failure, and its record over all failures. ``tried`` and ``worked`` count attempts,
    ``closed`` those of the latter that only a forge speaks for; ``lower_bound`` is that of the share that
    worked; ``similarity`` is that of the failure ``on`` which it was used to the one asked about (1 where it
    is that one); ``score`` is similarity × lower bound. ``here``: outcome of the last attempt on that
    failure, see :func:`outcome_of`; ``verified``: that it worked there, as a person says.
    """

    remediation: Node
    tried: int
    worked: int
    lower_bound: float
    because: str
    failed: int = 0
    unknown: int = 0
    suggested: int = 0
    closed: int = 0
    here: str = "unknown"
    verified: bool = False
    preconditions: tuple[str, ...] = ()
    similarity: float = 1.0
    score: float = 0.0
    on: Node | None = None
    attempts: tuple[Node, ...] = ()


def suggestions(
    store: GraphStore,
    handles: Sequence[int],
    first: int | None = 3,
    spaces: Spaces = None,
    moment: Moment = NOW,
) -> dict[int, list[Suggestion]]:
    """For each failure, what was tried on it: best record first, at most ``first``. Four store calls."""
    return _suggestions(store, handles, first, spaces, moment, frozenset())


def _suggestions(
    store: GraphStore,
    handles: Sequence[int],
    first: int | None,
    spaces: Spaces,
    moment: Moment,
    subjects: frozenset[int],
) -> dict[int, list[Suggestion]]:
    tried = along(store, handles, EdgeKind.TRIED, Direction.DOWNSTREAM, moment, spaces)
    attempts = sorted({each for found in tried.values() for each in found})
    if not attempts:
        return {handle: [] for handle in handles}
    uses = along(store, attempts, EdgeKind.OF, Direction.DOWNSTREAM, moment, spaces)
    remediations = sorted({each for found in uses.values() for each in found})
    others = along(store, remediations, EdgeKind.OF, Direction.UPSTREAM, moment, spaces)
    wanted = sorted({*attempts, *remediations, *(each for found in others.values() for each in found)})
    read = _nodes(store, wanted, moment, spaces)
    answers: dict[int, list[Suggestion]] = {}
    for handle in handles:
        here: dict[int, list[Node]] = {}
        for attempt in tried[handle]:
            for remediation in uses[attempt]:
                if attempt in read and remediation in read:
                    here.setdefault(remediation, []).append(read[attempt])
        found = [
            _suggestion(
                read[each],
                own,
                [read[a] for a in others[each] if a in read],
                "here" if handle in subjects else "there",
            )
            for each, own in here.items()
        ]
        answers[handle] = [each for each in sorted(found, key=_order) if each.here != "rejected"][:first]
    return answers


def _suggestion(
    remediation: Node, here: Sequence[Node], everywhere: Sequence[Node], there: str
) -> Suggestion:
    record = track_record(node.properties for node in everywhere)
    last = max(here, key=lambda node: (_weight(node), node.created_at or 0, node.id))
    outcome = outcome_of(last.properties)
    preconditions = remediation.properties.get("preconditions")
    return Suggestion(
        remediation=remediation,
        tried=record.tried,
        worked=record.worked,
        lower_bound=record.lower_bound,
        because=because(record, last.properties, there),
        failed=record.failed,
        unknown=record.unknown,
        suggested=record.suggested,
        closed=record.closed,
        here=outcome,
        verified=outcome == "worked",
        preconditions=tuple(map(str, preconditions)) if isinstance(preconditions, list) else (),
        score=record.lower_bound,
        attempts=tuple(sorted(here, key=lambda node: (node.created_at or 0, node.id))),
    )


def outcome_of(attempt: Mapping[str, Any]) -> str:
    """``worked``, ``failed``, ``unknown``; ``closed`` where it worked as far as the forge knows; ``recurred``
    where it worked and did not last; ``suggested`` and ``rejected`` for what was inferred and not, or not at
    all, believed."""
    state = attempt.get("state")
    if state in ("suggested", "rejected"):
        return str(state)
    if attempt.get("outcome") == "worked" and attempt.get("recurred"):
        return "recurred"
    said = attempt.get("outcome")
    if said == "worked" and is_closed(attempt):
        return "closed"
    return said if said in ("worked", "failed") else "unknown"


def _weight(attempt: Node) -> int:
    # Of several uses on one failure, one with a known end tells more than one without.
    known = {"rejected": 0, "suggested": 1, "unknown": 2, "closed": 3}
    return known.get(outcome_of(attempt.properties), 4)


def because(record: TrackRecord, last: Mapping[str, Any], there: str = "there") -> str:
    """The record in words, with what speaks against it. ``last`` is the attempt ``there``."""
    parts = [f"tried {record.tried}×, worked {record.worked}×"] if record.tried else []
    if record.closed:
        of_these = "" if record.closed == record.worked == 1 else f"{record.closed} of these "
        parts.append(f"{of_these}{CLOSED_BY_FORGE}")
    if record.failed:
        parts.append(f"failed {record.failed}×")
    if record.recurred:
        parts.append(f"of these {record.recurred} recurred after it had worked")
    if record.unknown:
        parts.append(f"{counted(record.unknown, 'outcome')} not known")
    if record.suggested:
        parts.append(f"{record.suggested} inferred and not confirmed")
    by = last.get("verifiedBy") or last.get("by")
    told = {
        "worked": f"it worked {there}" + (f", as {by} says" if by else ""),
        "closed": f"{last.get('closedBy') or 'the forge'} closed the incident with it {there}",
        "failed": f"it did not help {there}",
        "recurred": f"it helped {there} for a while only",
        "suggested": str(last.get("inferredFrom") or f"inferred {there}, not confirmed"),
    }.get(outcome_of(last))
    return ", ".join([*parts, told] if told is not None else parts)


def _order(each: Suggestion) -> tuple[Any, ...]:
    return (not each.verified, -each.score, -each.worked, each.remediation.name, each.remediation.id)


#: Ends of an attempt after which a fix is known.
_CURED = ("worked", "closed")


class Recommended(msgspec.Struct, frozen=True, kw_only=True):
    """What to try. ``related`` are alike failures that neither a person nor a forge calls fixed."""

    suggestions: list[Suggestion]
    related: list[Node]

    @property
    def no_precedent(self) -> bool:
        """Whether nothing alike is known at all."""
        return not self.suggestions and not self.related


def recommended(
    store: GraphStore,
    subjects: Sequence[int],
    alike: Sequence[tuple[int, float]],
    first: int = 5,
    spaces: Spaces = None,
    moment: Moment = NOW,
) -> Recommended:
    """What to try on a failure, from what was tried on it and on those alike (handle, similarity 0 to 1).

    ``subjects``: the failure, and what it is a part of or has (alerts of an incident); none for a text.

    Each remediation comes once, on the failure where similarity × lower bound is greatest. What has failed on
    the subject itself already comes last, whatever its record elsewhere.
    """
    likeness = {**dict(alike), **dict.fromkeys(subjects, 1.0)}
    found = _suggestions(store, list(likeness), None, spaces, moment, frozenset(subjects))
    nodes = _nodes(store, sorted(likeness), moment, spaces)
    best: dict[int, Suggestion] = {}
    refuted: set[int] = set()
    for handle, made in found.items():
        for each in made:
            if handle in subjects and each.here in ("failed", "recurred"):
                refuted.add(each.remediation.handle)
            placed = msgspec.structs.replace(
                each,
                similarity=likeness[handle],
                score=likeness[handle] * each.lower_bound,
                on=nodes.get(handle),
            )
            known = best.get(each.remediation.handle)
            if known is None or _order(placed) < _order(known):
                best[each.remediation.handle] = placed
    told = [
        each
        if each.remediation.handle not in refuted
        else msgspec.structs.replace(
            each,
            because=each.because if each.similarity == 1 else f"{each.because}; it did not help here",
            verified=False,
        )
        for each in best.values()
    ]
    told.sort(key=lambda each: (each.remediation.handle in refuted, *_order(each)))
    cured = {handle for handle, made in found.items() if any(each.here in _CURED for each in made)}
    related = [
        nodes[handle]
        for handle, _ in alike
        if handle not in subjects and handle not in cured and handle in nodes
    ]
    return Recommended(suggestions=told[:first], related=related)


def along(
    store: GraphStore,
    handles: Sequence[int],
    kind: EdgeKind,
    direction: Direction,
    moment: Moment = NOW,
    spaces: Spaces = None,
) -> dict[int, list[int]]:
    """For each node, those that edges of a kind lead to from it or from what is the same thing."""
    if not handles:
        return {}
    found = store.expand(sorted(set(handles)), direction, (kind,), moment, spaces)
    down = direction is Direction.DOWNSTREAM
    ends = [(step.src, step.dst) if down else (step.dst, step.src) for step in found.steps]
    leader = classes({*handles, *(near for near, _ in ends)}, found.same)
    reached: dict[int, set[int]] = {}
    for near, far in ends:
        reached.setdefault(leader[near], set()).add(far)
    return {handle: sorted(reached.get(leader[handle], ())) for handle in handles}


def _nodes(store: GraphStore, handles: Sequence[int], moment: Moment, spaces: Spaces) -> dict[int, Node]:
    found = store.get(handles, known_at=moment.known_at, spaces=spaces)
    return {node.handle: node for node in found if node is not None}
