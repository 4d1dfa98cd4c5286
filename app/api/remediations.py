"""Remediations: what to try, and what people record of it and say of what they were shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import strawberry

from app.api.fields import Ask, Context
from app.api.inputs import DateTime
from app.api.types import Node, described, field
from app.learnings import feedback
from app.learnings.remediations import along, recommended
from app.learnings.similar import similar
from app.lineage.lookup import find_one
from graph_schema import values
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.values import Direction
from graph_schema.wording import a_or_an
from ingestors import remedies
from ingestors.remedies import Remedy

Info = strawberry.Info[Context, None]

MAX_FIRST = 50
#: Failures that are looked at for what fixed them.
_ALIKE = 20


@described
class Suggestion:
    """A remediation for a failure, with its record over all failures that it was used on."""

    remediation: Node
    tried: int = field("Attempts with it that somebody, or the tool that applied them, stands by.")
    worked: int = field("Of these, the ones that worked and did not recur.")
    closed: int = field(
        "Of these, the ones that a forge closed and no person confirmed; in lowerBound they count half."
    )
    lower_bound: float = field("Lower end of the one-sided 95 % Wilson interval of the share that worked.")
    because: str = field("Its record in words, with what speaks against it.")
    failed: int = field("Attempts that did not help, or not for long.")
    unknown: int = field("Attempts of which nobody has said how they ended.")
    suggested: int = field("Attempts that were inferred and nobody confirmed; they count for nothing else.")
    here: str = field(
        "How it ended on the failure named in on: worked, closed, failed, recurred, unknown or suggested."
    )
    verified: bool = field("Whether a person says that it fixed that failure.")
    preconditions: list[str]
    similarity: float = field("Of that failure to the one asked about; 1 where it is that one.")
    score: float = field("similarity × lowerBound.")
    on: Node | None
    attempts: list[Node] = field("Its uses on that failure, oldest first.")


@described
class Remediations:
    """What to try, the best supported first."""

    suggestions: list[Suggestion]
    related: list[Node] = field("Alike failures for which no fix is known.")
    no_precedent: bool = field("Whether nothing alike is known at all.")
    semantic: bool = field("Whether meaning was compared, too, and not words alone.")


@described
class RecordedRemedy:
    """What was recorded of a remediation, or of one use of it."""

    said: strawberry.ID = field("What it is withdrawn by.")
    remediation: Node
    attempt: Node | None
    at: DateTime
    changed: bool = field("Whether it changed the graph.")


@described
class Feedback:
    """What somebody said of a thing that they were shown. Null: nothing was said of that."""

    question: strawberry.ID = field("The failure that was asked about; of a text, a digest.")
    thing: strawberry.ID
    relevant: bool | None = field("Whether it was really alike.")
    applied: bool | None = field("Whether it was done.")
    worked: bool | None = field("Whether it helped.")
    by: str | None
    at: DateTime
    rank: int | None = field("At which rank it was shown last, from 1.")


class RemediationsAnswer(NamedTuple):
    """The values of :class:`Remediations`."""

    suggestions: Sequence[Any]
    related: Sequence[values.Node]
    no_precedent: bool
    semantic: bool


class RecordedAnswer(NamedTuple):
    """The values of :class:`RecordedRemedy`."""

    said: str
    remediation: values.Node
    attempt: values.Node | None
    at: int
    changed: bool


def _change(description: str, resolver: Any) -> Any:
    return strawberry.mutation(description=description, resolver=resolver)


def _ask(info: Info) -> Ask:
    return info.context.of(info.path)


def _node(ask: Ask, text: str) -> values.Node:
    """The node that a text means. Raises NotFound, Ambiguous, BadIdentifier."""
    node = ask.nodes([find_one(ask.store, text, spaces=ask.spaces)])[0]
    if node is None:
        raise NotFound(f"no node is named {text[:200]!r}")
    return node


def _given(value: Any) -> Any:
    return None if value is strawberry.UNSET else value


def _resolve(
    info: Info,
    id: strawberry.ID | None = strawberry.UNSET,
    text: str | None = strawberry.UNSET,
    first: int | None = 5,
) -> RemediationsAnswer:
    """``Query.remediations``."""
    ask = _ask(info)
    if bool(_given(id)) == bool(_given(text)):
        raise BadInput("give either the id of a failure, or a text that describes one")
    most = 5 if first is None else first
    if not 1 <= most <= MAX_FIRST:
        raise BadInput(f"first is {most}; allowed are 1 to {MAX_FIRST}")
    subject = find_one(ask.store, id, spaces=ask.spaces) if id else None
    alike, semantic = _alike(ask, subject, _given(text))
    parts = [] if subject is None else _parts(ask, subject)
    found = recommended(ask.store, parts, alike, most, ask.spaces)
    _log(ask, subject, _given(text), found.suggestions)
    return RemediationsAnswer(found.suggestions, found.related, found.no_precedent, semantic)


def _alike(ask: Ask, subject: int | None, text: str | None) -> tuple[list[tuple[int, float]], bool]:
    """Earlier failures like it, with how probably they are; and whether meaning was compared."""
    found = similar(
        ask.store, handle=subject, text=text, first=_ALIKE, spaces=ask.spaces, encoder=ask.model.now()
    )
    return [(match.handle, match.probability) for match in found.matches], found.semantic


def _parts(ask: Ask, subject: int) -> list[int]:
    """The failure, and the incident that it is a part of, or the alerts that it has: one thing that went
    wrong."""
    grouped: list[int] = []
    for direction in (Direction.UPSTREAM, Direction.DOWNSTREAM):
        grouped += along(ask.store, [subject], EdgeKind.HAS, direction, spaces=ask.spaces)[subject]
    incidents = [each.handle for each in ask.store.labels(grouped) if each.kind is NodeKind.INCIDENT]
    return [subject, *incidents]


def _log(ask: Ask, subject: int | None, text: str | None, shown: Sequence[Any]) -> None:
    named = None if subject is None else ask.store.labels([subject])[0].id
    feedback.log_impression(
        ask.store,
        feedback.question_of(named, text),
        [feedback.Shown(each.remediation.id, each.score) for each in shown],
        "remediations",
    )


def _recorded(ask: Ask, made: Remedy) -> RecordedAnswer:
    remediation = _node(ask, made.remediation)
    attempt = None if made.attempt is None else _node(ask, made.attempt)
    return RecordedAnswer(made.said, remediation, attempt, made.at, made.changed)


def _record_remediation(
    info: Info,
    title: str,
    how: str | None = strawberry.UNSET,
    preconditions: list[str] | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> RecordedAnswer:
    """``Mutation.recordRemediation``."""
    ask = _ask(info)
    made = remedies.record_remediation(
        ask.store, title, how=how or None, preconditions=preconditions or (), by=by or None
    )
    return _recorded(ask, made)


def _record_attempt(
    info: Info,
    id: strawberry.ID,
    remediation: str,
    outcome: str = "unknown",
    changed: list[strawberry.ID] | None = strawberry.UNSET,
    at: DateTime | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
    note: str | None = strawberry.UNSET,
    verified_by: str | None = strawberry.UNSET,
    recurred: bool | None = strawberry.UNSET,
) -> RecordedAnswer:
    """``Mutation.recordAttempt``."""
    ask = _ask(info)
    subject = _node(ask, id)
    what = [_node(ask, each) for each in changed or ()]
    # Before the remediation is made: nothing is to be left of what is refused.
    remedies.check([subject], outcome, what)
    known, title = _remediation(ask, remediation, by or None)
    attempt = remedies.Attempt(
        subjects=[subject],
        remediation=known,
        outcome=outcome,
        changed=what,
        at=_given(at),
        by=by or None,
        note=note or None,
        verified_by=verified_by or None,
        recurred=_given(recurred),
    )
    return _recorded(ask, remedies.record_attempt(ask.store, attempt, title))


def _remediation(ask: Ask, text: str, by: str | None) -> tuple[str, str]:
    """Identifier and name of the remediation that a text means: its id, or its title, known or new."""
    if text.startswith("kinlore="):
        node = _node(ask, text)
        if node.kind is not NodeKind.REMEDIATION:
            raise BadInput(f"{node.id} is {a_or_an(node.kind)}, not a Remediation")
        return node.id, node.name
    named = ask.store.resolve(f"name={text}", spaces=ask.spaces)
    known = [node for node in ask.nodes(named) if node is not None and node.kind is NodeKind.REMEDIATION]
    if known:
        node = min(known, key=lambda each: each.id)
        return node.id, node.name
    made = remedies.record_remediation(ask.store, text, by=by)
    return made.remediation, " ".join(text.split())


def _confirm_attempt(
    info: Info,
    id: strawberry.ID,
    outcome: str | None = strawberry.UNSET,
    recurred: bool | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> RecordedAnswer:
    """``Mutation.confirmAttempt``."""
    return _judged(info, id, False, outcome or None, _given(recurred), by or None)


def _reject_attempt(info: Info, id: strawberry.ID, by: str | None = strawberry.UNSET) -> RecordedAnswer:
    """``Mutation.rejectAttempt``."""
    return _judged(info, id, True, None, None, by or None)


def _judged(
    info: Info, id: str, rejected: bool, outcome: str | None, recurred: bool | None, by: str | None
) -> RecordedAnswer:
    ask = _ask(info)
    attempt = _node(ask, id)
    down, up = Direction.DOWNSTREAM, Direction.UPSTREAM
    of = along(ask.store, [attempt.handle], EdgeKind.OF, down, spaces=ask.spaces)[attempt.handle]
    on = along(ask.store, [attempt.handle], EdgeKind.TRIED, up, spaces=ask.spaces)[attempt.handle]
    used = ask.nodes([*of[:1], *on])
    if attempt.kind is not NodeKind.ATTEMPT or not of or used[0] is None:
        raise BadInput(f"{attempt.id} is {a_or_an(attempt.kind)} and no attempt at a remediation")
    made = remedies.judge(
        ask.store,
        attempt,
        used[0].id,
        [node for node in used[1:] if node is not None],
        rejected=rejected,
        outcome=outcome,
        recurred=recurred,
        by=by,
    )
    return _recorded(ask, made)


def _give_feedback(
    info: Info,
    thing: strawberry.ID,
    id: strawberry.ID | None = strawberry.UNSET,
    text: str | None = strawberry.UNSET,
    relevant: bool | None = strawberry.UNSET,
    applied: bool | None = strawberry.UNSET,
    worked: bool | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> feedback.Judgement:
    """``Mutation.giveFeedback``."""
    ask = _ask(info)
    if bool(_given(id)) == bool(_given(text)):
        raise BadInput("give either the id that was asked about, or the text")
    subject = _node(ask, id) if id else None
    said = feedback.Judgement(
        question=feedback.question_of(None if subject is None else subject.id, _given(text)),
        thing=_node(ask, thing).id,
        relevant=_given(relevant),
        applied=_given(applied),
        worked=_given(worked),
        by=by or None,
    )
    return feedback.give(ask.store, said)


@strawberry.type
class RemediationQueries:
    """Questions about what fixes failures."""

    remediations: Remediations = field(
        "What to try on a failure, from what worked on it and on failures alike.", resolver=_resolve
    )


@strawberry.type
class RemediationMutations:
    """What people record of remediations, and say of what they were shown."""

    record_remediation: RecordedRemedy = _change(
        "A way to fix something. The same title again is the same remediation, restated.",
        _record_remediation,
    )
    record_attempt: RecordedRemedy = _change(
        "A remediation (its id, or a title) was tried on an incident or a run that failed.\n"
        "outcome is worked, failed or unknown; changed is what it consisted in: a commit, a deployment, …",
        _record_attempt,
    )
    confirm_attempt: RecordedRemedy = _change(
        "An attempt was one, and ended so: a person's word on what was inferred.",
        _confirm_attempt,
    )
    reject_attempt: RecordedRemedy = _change("What was inferred to be an attempt was none.", _reject_attempt)
    give_feedback: Feedback = _change(
        "Whether a thing that was shown was relevant, was applied and worked: each on its own.",
        _give_feedback,
    )
