"""What people say of failures: what caused one, that there is one which no tool reported, how far it is.

As all that people say, these are records of the source ``kinlore``: ingestion never undoes them, and
``withdraw`` takes them back.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EDGES, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Transaction
from graph_schema.times import Micros, format_time
from graph_schema.values import Node
from graph_schema.wording import a_or_an
from ingestors import joins
from ingestors.corrections import CORRECTIONS, PEOPLE, Correction
from ingestors.deployments import blamed
from ingestors.history import redactor
from ingestors.repairs import incident_known

#: The property of a failure that holds what people said of its causes, by the cause's id.
CAUSES = "causes"
CONFIRMED, REJECTED = "confirmed", "rejected"
#: How far an incident can be, in order; what a state's time is called.
STATES = ("OPEN", "ACKNOWLEDGED", "MITIGATED", "RESOLVED", "CLOSED")
SEVERITIES = ("critical", "high", "warning", "low", "info")
_OVER = ("RESOLVED", "CLOSED")
#: Words of other tools for a state, so that an incident of theirs can be advanced too.
_THEIRS = {"FIRING": 0, "TRIGGERED": 0, "OPENED": 0}
_FAILURES = (NodeKind.INCIDENT, NodeKind.RUN, NodeKind.JOB_RUN)
_GUILTY = frozenset(src for src, _ in EDGES[EdgeKind.IMPLICATED_IN].pairs)
_TITLE, _TEXT, _MANY = 200, 2_000, 50


def judge_cause(
    store: GraphStore,
    failure: Node,
    cause: Node,
    *,
    rejected: bool = False,
    about: Mapping[str, Any] | None = None,
    why: str | None = None,
    by: str | None = None,
) -> Correction:
    """``cause`` caused ``failure``, or (``rejected``) did not. Said again, the last word stands.

    ``about`` is kept beside it: in which role it led there, so that later failures can be compared. Raises
    BadInput for what is no failure.
    """
    if failure.kind not in _FAILURES:
        allowed = ", ".join(kind.value for kind in _FAILURES)
        raise BadInput(f"{failure.id} is {a_or_an(failure.kind)}; causes are confirmed of {allowed}")
    clean = _clean(store, why, "reason", _TEXT)
    said: dict[str, Any] = {"verdict": REJECTED if rejected else CONFIRMED, "kind": cause.kind.value}
    said |= {key: value for key, value in {**(about or {}), "by": by, "why": clean}.items() if value}
    claims: list[Claim] = [States(failure.kind, failure.id, {CAUSES: {cause.id: said}})]
    made = Correction(
        id=f"cause/{_digest(failure.id, cause.id)}",
        verdict="no cause" if rejected else "cause",
        a=failure.id,
        b=cause.id,
        by=by,
        why=clean,
    )
    return _keep(store, made, lambda now: claims)


def open_incident(
    store: GraphStore,
    title: str,
    *,
    implicated: Sequence[Node] = (),
    place: tuple[str, str] | None = None,
    severity: str | None = None,
    description: str | None = None,
    started_at: Micros | None = None,
    by: str | None = None,
) -> Correction:
    """An incident that no tool reported. ``a`` of what comes back is its identifier, ``kinlore=UUID``.

    ``implicated`` are the things it is about; ``place`` (environment, name) is joined to what stood there
    when it began, ``started_at`` (microseconds; None: now). Raises BadInput.
    """
    name = _clean(store, title.strip(), "title", _TITLE)
    if not name:
        raise BadInput("an incident needs a title that says what is wrong")
    if severity is not None and severity not in SEVERITIES:
        raise BadInput(f"{severity!r:.50} is no severity; allowed are {', '.join(SEVERITIES)}")
    if len(implicated) > _MANY:
        raise BadInput(f"{len(implicated)} things are implicated; allowed are {_MANY}")
    for each in implicated:
        if each.kind not in _GUILTY:
            allowed = ", ".join(sorted(kind.value for kind in _GUILTY))
            raise BadInput(f"{each.id} is {a_or_an(each.kind)}; an incident is about one of {allowed}")
    summary = _clean(store, description, "description", _TEXT)
    value = str(uuid.uuid4())
    me = identifier("kinlore", value)

    def claims(now: Micros) -> list[Claim]:
        at = now if started_at is None else started_at
        if at > now:
            raise BadInput(f"it cannot have begun at {format_time(at)}: that is still to come")
        said = {
            "name": name, "status": STATES[0], "severity": severity, "summary": summary,
            "startedAt": format_time(at), "createdAt": at, "openedBy": by,
        }  # fmt: skip
        stated = {key: value for key, value in said.items() if value is not None}
        who = f"said by {by}" if by else "said by a person"
        return [
            Names(NodeKind.INCIDENT, (me,)),
            States(NodeKind.INCIDENT, me, stated, at),
            *(Links(EdgeKind.IMPLICATED_IN, each.id, me, at, evidence=who) for each in implicated),
            *([] if place is None else blamed(me, name=place[1], environment=place[0], at=at)),
            incident_known(me, at),
        ]

    made = Correction(id=f"incident/{value}", verdict="incident", a=me, b=me, by=by, why=name)
    return _keep(store, made, claims)


def advance_incident(
    store: GraphStore, incident: Node, state: str, *, note: str | None = None, by: str | None = None
) -> Correction:
    """An incident, whoever reported it, is acknowledged, mitigated, resolved or closed now.

    It can skip states and cannot go back: what was said by mistake is withdrawn. Raises BadInput.
    """
    if incident.kind is not NodeKind.INCIDENT:
        raise BadInput(f"{incident.id} is {a_or_an(incident.kind)}, not an Incident")
    wanted = state.upper()
    if wanted not in STATES[1:]:
        allowed = ", ".join(each.lower() for each in STATES[1:])
        raise BadInput(f"{state!r:.50} is no state of an incident; allowed are {allowed}")
    now_at = str(incident.properties.get("status") or STATES[0])
    place = STATES.index(now_at) if now_at in STATES else _THEIRS.get(now_at, 0)
    if STATES.index(wanted) <= place:
        raise BadInput(f"{incident.id} is {now_at} already; it does not go back (withdraw takes it back)")
    clean = _clean(store, note, "note", _TEXT)

    def claims(now: Micros) -> list[Claim]:
        word = wanted.lower()
        said: dict[str, Any] = {"status": wanted, f"{word}At": format_time(now)}
        if by:
            said[f"{word}By"] = by
        if clean:
            said[f"{word}Note"] = clean
        if wanted in _OVER and "endedAt" not in incident.properties:
            said["endedAt"] = format_time(now)
        return [States(NodeKind.INCIDENT, incident.id, said, now)]

    key = f"advance/{_digest(incident.id, wanted)}"
    made = Correction(id=key, verdict=wanted.lower(), a=incident.id, b=incident.id, by=by, why=clean)
    return _keep(store, made, claims)


def _clean(store: GraphStore, text: str | None, what: str, longest: int) -> str | None:
    if text is None:
        return None
    if len(text) > longest:
        raise BadInput(f"a {what} may have {longest:,} characters; this has {len(text):,}")
    return redactor(store).text(text)


def _digest(*parts: str) -> str:
    return blake2b(" ".join(parts).encode(), digest_size=12).hexdigest()


def _keep(store: GraphStore, said: Correction, claims: Any) -> Correction:
    def work(tx: Transaction) -> Correction:
        made = tuple(claims(tx.now))
        written = joins.apply(tx, PEOPLE, [Record(said.id, said.verdict, tx.now, made)])
        kept = msgspec.structs.replace(said, at=tx.now)
        tx.service_put(CORRECTIONS, said.id, msgspec.to_builtins(kept))
        return msgspec.structs.replace(kept, changed=bool(written.changes))

    return store.transact(work)
