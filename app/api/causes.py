"""Root causes of failures, and what people say of causes and incidents."""

from __future__ import annotations

from typing import Any, NamedTuple

import strawberry

from app.answers.causes import CausesAnswer, root_causes
from app.answers.judging import confirm_cause
from app.api.fields import Ask, Context
from app.api.inputs import DateTime
from app.api.types import Correction, Edge, Evidence, Node, described, field
from app.lineage.lookup import find_one
from graph_schema import values
from graph_schema.errors import BadInput, NotFound
from graph_schema.values import Moment
from ingestors import corrections, judgements

Info = strawberry.Info[Context, None]


@described
class RootCause:
    """A change that may have caused the failure, with the proof that it could."""

    node: Node
    score: float = field(
        "Its probability, 0 to 1, against the other candidates and a cause that no tool told of."
    )
    at: DateTime = field("When it was made: never after the failure began.")
    path: list[Edge] = field(
        "From the change, or from the commit that brought it in, to the failure; empty where the change is\n"
        "in the failed run itself."
    )
    because: str
    evidence: list[Evidence] = field("What speaks for it, the largest share of the score first, and against.")
    confirmed: bool | None = field("Whether people confirmed or rejected it; null: nobody said.")


@described
class RootCauses:
    """Causes of a failure, the most probable first; those that people rejected come last."""

    subject: Node
    last_good: Node | None = field("The last state without the failure, with which it is compared.")
    last_good_because: str = field("Why that state is not affected, or why none is known.")
    candidates: list[RootCause]
    total: int = field("Candidates before the cut.")
    missing: list[str] = field("What would be needed to say more.")


@described
class IncidentChange:
    """What was said of an incident."""

    said: strawberry.ID = field("What it is withdrawn by.")
    incident: Node
    at: DateTime
    changed: bool = field("Whether it changed the graph.")


class IncidentChangeAnswer(NamedTuple):
    """The values of :class:`IncidentChange`."""

    said: str
    incident: values.Node
    at: int
    changed: bool


def _given(value: Any) -> Any:
    return None if value is strawberry.UNSET else value


def _node(ask: Ask, text: str) -> values.Node:
    """The node that a text means. Raises NotFound, Ambiguous, BadIdentifier."""
    node = ask.nodes([find_one(ask.store, text, spaces=ask.spaces)])[0]
    if node is None:
        raise NotFound(f"no node is named {text[:200]!r}")
    return node


def _root_causes(
    info: Info,
    id: strawberry.ID,
    first: int | None = 5,
    known_at: DateTime | None = strawberry.UNSET,
) -> CausesAnswer:
    """``Query.rootCauses``."""
    ask = info.context.of(info.path)
    ask.moment = Moment(known_at=_given(known_at))
    handle = find_one(ask.store, id, known_at=ask.moment.known_at, spaces=ask.spaces)
    return root_causes(ask.store, handle, 5 if first is None else first, ask.moment.known_at, ask.spaces)


def _confirm_cause(
    info: Info,
    id: strawberry.ID,
    cause: strawberry.ID,
    rejected: bool = False,
    why: str | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> corrections.Correction:
    """``Mutation.confirmCause``."""
    ask = info.context.of(info.path)
    return confirm_cause(
        ask.store,
        _node(ask, id),
        _node(ask, cause),
        rejected=rejected,
        why=why or None,
        by=by or None,
        spaces=ask.spaces,
    )


def _open_incident(
    info: Info,
    title: str,
    implicates: list[strawberry.ID] | None = strawberry.UNSET,
    service: str | None = strawberry.UNSET,
    environment: str | None = strawberry.UNSET,
    severity: str | None = strawberry.UNSET,
    description: str | None = strawberry.UNSET,
    started_at: DateTime | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> IncidentChangeAnswer:
    """``Mutation.openIncident``."""
    ask = info.context.of(info.path)
    if bool(service) != bool(environment):
        raise BadInput("service and environment belong together: what stood there is implicated")
    made = judgements.open_incident(
        ask.store,
        title,
        implicated=[_node(ask, each) for each in implicates or ()],
        place=(str(environment), str(service)) if service else None,
        severity=severity or None,
        description=description or None,
        started_at=_given(started_at),
        by=by or None,
    )
    return _changed(ask, made)


def _advance_incident(
    info: Info,
    id: strawberry.ID,
    state: str,
    note: str | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> IncidentChangeAnswer:
    """``Mutation.advanceIncident``."""
    ask = info.context.of(info.path)
    made = judgements.advance_incident(ask.store, _node(ask, id), state, note=note or None, by=by or None)
    return _changed(ask, made)


def _changed(ask: Ask, made: corrections.Correction) -> IncidentChangeAnswer:
    return IncidentChangeAnswer(made.id, _node(ask, made.a), made.at, made.changed)


def _change(description: str, resolver: Any) -> Any:
    return strawberry.mutation(description=description, resolver=resolver)


@strawberry.type
class CauseQueries:
    """Questions about what caused failures."""

    root_causes: RootCauses = field(
        "What caused an incident, or a run or job run that failed or did worse. Only what was there before\n"
        "it began counts. first is at most 50.",
        resolver=_root_causes,
    )


@strawberry.type
class CauseMutations:
    """What people say of causes and incidents."""

    confirm_cause: Correction = _change(
        "This caused the failure, or, with rejected, did not. The last word stands, until withdrawn.",
        _confirm_cause,
    )
    open_incident: IncidentChange = _change(
        "An incident that no tool reported. It is about the things in implicates, and about what stood\n"
        "under service in environment when it began: at startedAt, else now.",
        _open_incident,
    )
    advance_incident: IncidentChange = _change(
        "An incident, whoever reported it, is acknowledged, mitigated, resolved or closed now.",
        _advance_incident,
    )
