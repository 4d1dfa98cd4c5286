"""Failures that are alike, and search that goes by meaning too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import strawberry

from app.api.execute import batched
from app.api.fields import Ask, Context
from app.api.inputs import DateTime
from app.api.remediations import Suggestion
from app.api.types import Difference, Evidence, Node, described, field
from app.learnings import feedback
from app.learnings.learning import adjusted, contributions, factors_of
from app.learnings.remediations import Suggestion as Suggested
from app.learnings.remediations import suggestions
from app.learnings.similar import similar
from app.lineage import differences, evidence
from app.lineage.lookup import find_one
from graph_schema import values
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind

Info = strawberry.Info[Context, None]

MAX_FIRST = 50
#: Suggestions that are shown with a match.
_SUGGESTIONS = 3


class MatchAnswer(NamedTuple):
    """The values of :class:`Match`."""

    node: values.Node
    probability: float
    same_project: bool
    shared: Sequence[evidence.Evidence]
    differs: Sequence[differences.Difference]


class SimilarAnswer(NamedTuple):
    """The values of :class:`Similar`."""

    matches: Sequence[MatchAnswer]
    no_precedent: bool
    semantic: bool
    because: str | None


def _remediations(ask: Ask, parents: list[MatchAnswer]) -> list[list[Suggested]]:
    """``Match.remediations``, for all matches at once."""
    handles = [match.node.handle for match in parents]
    found = suggestions(ask.store, handles, _SUGGESTIONS, ask.spaces)
    return [found[handle] for handle in handles]


@described
class Match:
    """An earlier failure that is alike. differs: left is of the failure asked about, right of this one."""

    node: Node
    probability: float = field("That it is really alike, 0 to 1.")
    same_project: bool
    shared: list[Evidence]
    differs: list[Difference]
    remediations: list[Suggestion] = batched(_remediations, "What was tried on it, the best record first.")


@described
class Similar:
    """Earlier failures like one, or like a text: those of its own project first."""

    matches: list[Match]
    no_precedent: bool = field("Nothing earlier is alike.")
    semantic: bool = field("Whether meaning was compared, too, and not words and the graph alone.")
    because: str | None = field("Why meaning was not compared.")


def _resolve(
    info: Info,
    id: strawberry.ID | None = strawberry.UNSET,
    text: str | None = strawberry.UNSET,
    kinds: list[NodeKind] | None = strawberry.UNSET,
    first: int | None = 5,
    at: DateTime | None = strawberry.UNSET,
) -> SimilarAnswer:
    """``Query.similar``."""
    ask = info.context.of(info.path)
    id, text = id or None, text or None
    if (id is None) is (text is None):
        raise BadInput("give either the id of a failure, or a text that describes one")
    most = 5 if first is None else first
    if not 1 <= most <= MAX_FIRST:
        raise BadInput(f"first is {first}; allowed are 1 to {MAX_FIRST}")
    subject = None if id is None else find_one(ask.store, id, spaces=ask.spaces)
    encoder = ask.model.now()
    found = similar(
        ask.store,
        handle=subject,
        text=text,
        kinds=kinds or (),
        first=most,
        spaces=ask.spaces,
        at=at or None,
        encoder=encoder,
    )
    nodes = ask.readable([match.handle for match in found.matches])
    read = [match for match in found.matches if match.handle in nodes]
    signals = {m.handle: contributions(m.probability, _shares(m.shared)) for m in read}
    factors = factors_of(ask.store)
    matches = [
        MatchAnswer(
            nodes[m.handle],
            adjusted(m.probability, signals[m.handle], factors),
            m.same_project,
            m.shared,
            m.differs,
        )
        for m in read
    ]
    if factors:
        matches.sort(key=lambda match: (not match.same_project, -match.probability))
    because = None
    if not found.semantic:
        waiting = "the model is not loaded" if encoder is None else "earlier failures are being embedded"
        because = ask.model.absent_because or waiting
    feedback.log_impression(
        ask.store,
        feedback.question_of(None if subject is None else ask.store.labels([subject])[0].id, text),
        [feedback.Shown(m.node.id, m.probability, signals[m.node.handle]) for m in matches],
    )
    return SimilarAnswer(matches, not matches, found.semantic, because)


def _shares(shared: Sequence[evidence.Evidence]) -> dict[str, float]:
    """What each sort of evidence has of the score."""
    found: dict[str, float] = {}
    for each in shared:
        found[each.kind] = found.get(each.kind, 0.0) + each.weight
    return found


@strawberry.type
class SimilarQueries:
    """Questions about failures that are alike."""

    similar: Similar = field(
        "Earlier failures like that of a run, a job run or an incident, or like a text: an error, a\n"
        "traceback, the end of a log. at: only what happened before counts. first is at most 50.",
        resolver=_resolve,
    )
