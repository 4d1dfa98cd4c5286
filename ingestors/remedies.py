"""What people record of remediations: a way to fix something, and each use of it with its outcome.

As all that people say, these are records of the source ``kinlore``: ingestion never undoes them, and
``withdraw`` takes them back. An attempt that was inferred, or read from a change, becomes a person's own
word once somebody confirms it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EDGES, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import parse
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Transaction
from graph_schema.times import Micros, format_time
from graph_schema.values import Node
from graph_schema.wording import a_or_an
from ingestors import joins
from ingestors.corrections import CORRECTIONS, PEOPLE
from ingestors.history import redactor
from ingestors.repairs import named

OUTCOMES = ("worked", "failed", "unknown")
_TRIED = frozenset(src for src, _ in EDGES[EdgeKind.TRIED].pairs)
_CHANGED = frozenset(dst for _, dst in EDGES[EdgeKind.CHANGED].pairs)
_TITLE, _TEXT, _MANY = 200, 2_000, 50


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded: the identifiers of the remediation and, for an attempt, of that. ``said`` is what
    ``withdraw`` takes; ``at`` in microseconds; ``changed``: whether it changed the graph."""

    said: str
    remediation: str
    attempt: str | None = None
    at: Micros = 0
    changed: bool = False


def record_remediation(
    store: GraphStore,
    title: str,
    *,
    how: str | None = None,
    preconditions: Sequence[str] = (),
    by: str | None = None,
    id: str | None = None,
) -> Remedy:
    """A way to fix something. Recorded again under the same title (or ``id``), it is the same one, restated.

    ``preconditions``: what has to hold for it to help, a line each. Raises BadInput.
    """
    clean = redactor(store).text
    title = _checked("title", clean(title.strip()), _TITLE)
    me = id or titled(title)
    stated: dict[str, Any] = {"name": title, "origin": "recorded"}
    if how:
        stated["how"] = _checked("description", clean(how), _TEXT)
    if preconditions:
        if len(preconditions) > _MANY:
            raise BadInput(f"{len(preconditions)} preconditions; allowed are {_MANY}")
        stated["preconditions"] = [_checked("precondition", clean(each), _TEXT) for each in preconditions]
    if by:
        stated["by"] = by
    claims = (Names(NodeKind.REMEDIATION, (me,)), States(NodeKind.REMEDIATION, me, stated))
    return _keep(store, f"remediation/{_value(me)}", claims, me, None, {"by": by, "why": how})


def titled(title: str) -> str:
    """The identifier of the remediation that people call so; the same in whatever case and spacing."""
    return named("remediation", " ".join(title.casefold().split()))


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One use of a remediation. ``subjects`` are the failures that it was tried on, ``changed`` what it
    consisted in. ``at``, microseconds, is when; ``recurred``: whether the failure came back although it had
    worked. ``verified_by``: who saw the outcome."""

    subjects: Sequence[Node]
    remediation: str
    outcome: str = "unknown"
    changed: Sequence[Node] = ()
    at: Micros | None = None
    by: str | None = None
    note: str | None = None
    verified_by: str | None = None
    recurred: bool | None = None
    id: str | None = None


def check(subjects: Sequence[Node], outcome: str, changed: Sequence[Node]) -> None:
    """Raise BadInput for what cannot be an attempt."""
    if outcome not in OUTCOMES:
        raise BadInput(f"{outcome!r:.50} is no outcome; allowed are {', '.join(OUTCOMES)}")
    if not subjects:
        raise BadInput("an attempt is one at something: name the failure that it was tried on")
    for each in subjects:
        if each.kind not in _TRIED:
            raise BadInput(f"{each.id} is {a_or_an(each.kind)}; something is tried on {_listed(_TRIED)}")
    for each in changed:
        if each.kind not in _CHANGED:
            raise BadInput(f"{each.id} is {a_or_an(each.kind)}; an attempt changes {_listed(_CHANGED)}")


def record_attempt(store: GraphStore, attempt: Attempt, title: str) -> Remedy:
    """A use of a remediation, whose name is ``title``. The same use recorded again is restated, not doubled:
    it is the same by its ``id``, else by first subject, remediation and time. Raises BadInput."""
    check(attempt.subjects, attempt.outcome, attempt.changed)
    when = "" if attempt.at is None else str(attempt.at)
    me = attempt.id or named("attempt", attempt.subjects[0].id, attempt.remediation, when)
    note = None if attempt.note is None else _checked("note", redactor(store).text(attempt.note), _TEXT)

    def claims(now: Micros) -> list[Claim]:
        at = now if attempt.at is None else attempt.at
        said = {
            "name": title,
            "outcome": attempt.outcome,
            "at": format_time(at),
            "createdAt": at,
            "origin": "recorded",
            "state": "confirmed",
            "by": attempt.by,
            "note": note,
            "verifiedBy": attempt.verified_by,
            "recurred": attempt.recurred,
        }
        stated = {key: value for key, value in said.items() if value is not None}
        who = f"said by {attempt.by}" if attempt.by else "said by a person"
        return [
            Names(NodeKind.REMEDIATION, (attempt.remediation,)),
            Names(NodeKind.ATTEMPT, (me,)),
            States(NodeKind.ATTEMPT, me, stated, now),
            *(Links(EdgeKind.TRIED, each.id, me, at, evidence=who) for each in attempt.subjects),
            Links(EdgeKind.OF, me, attempt.remediation, at),
            *(Links(EdgeKind.CHANGED, me, each.id, at) for each in attempt.changed),
        ]

    about = {"by": attempt.by, "why": note, "role": attempt.outcome}
    return _keep(store, f"attempt/{_value(me)}", claims, attempt.remediation, me, about)


def judge(
    store: GraphStore,
    attempt: Node,
    remediation: str,
    subjects: Sequence[Node],
    *,
    rejected: bool,
    outcome: str | None,
    recurred: bool | None,
    by: str | None,
) -> Remedy:
    """A person's word on a known attempt at ``remediation``: that it was one (and how it ended), or,
    ``rejected``, that it was none. Raises BadInput."""
    if outcome is not None and outcome not in OUTCOMES:
        raise BadInput(f"{outcome!r:.50} is no outcome; allowed are {', '.join(OUTCOMES)}")
    if attempt.kind is not NodeKind.ATTEMPT:
        raise BadInput(f"{attempt.id} is {a_or_an(attempt.kind)}, not an Attempt")
    said: dict[str, Any] = {"state": "rejected" if rejected else "confirmed"}
    if outcome is not None:
        said["outcome"] = outcome
    if recurred is not None:
        said["recurred"] = recurred
    if by and not rejected:
        said["verifiedBy"] = by

    def claims(now: Micros) -> list[Claim]:
        # All of it: what the attempt was inferred from may go, and their word stands.
        told: list[Claim] = [
            Names(NodeKind.ATTEMPT, (attempt.id,)),
            States(NodeKind.ATTEMPT, attempt.id, said, now),
        ]
        if rejected:
            return told
        return [
            *told,
            Links(EdgeKind.OF, attempt.id, remediation, attempt.created_at),
            *(Links(EdgeKind.TRIED, each.id, attempt.id, attempt.created_at) for each in subjects),
        ]

    about = {"by": by, "why": None, "role": said["state"]}
    return _keep(store, f"judged/{_value(attempt.id)}", claims, remediation, attempt.id, about)


def _keep(
    store: GraphStore,
    key: str,
    claims: Any,
    remediation: str,
    attempt: str | None,
    about: dict[str, Any],
) -> Remedy:
    verdict = key.partition("/")[0]

    def work(tx: Transaction) -> Remedy:
        held = tx.service_get(CORRECTIONS, key)
        # Restated, it keeps the time at which it was first said.
        at = int(held["at"]) if held is not None else tx.now
        made = tuple(claims(tx.now if verdict == "judged" else at) if callable(claims) else claims)
        written = joins.apply(tx, PEOPLE, [Record(key, verdict, tx.now, made)])
        line = {"id": key, "verdict": verdict, "a": attempt or remediation, "b": remediation, "at": at}
        tx.service_put(CORRECTIONS, key, {**line, **about, "changed": False})
        return Remedy(
            said=key, remediation=remediation, attempt=attempt, at=at, changed=bool(written.changes)
        )

    return store.transact(work)


def _value(identifier: str) -> str:
    return parse(identifier).value


def _checked(what: str, text: str, longest: int) -> str:
    if not text:
        raise BadInput(f"the {what} is empty")
    if len(text) > longest:
        raise BadInput(f"the {what} has {len(text):,} characters; allowed are {longest:,}")
    return text


def _listed(kinds: frozenset[NodeKind]) -> str:
    return ", ".join(sorted(kinds))
