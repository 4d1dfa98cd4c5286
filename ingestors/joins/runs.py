"""The events of a run, put together: what they say together is claimed once.

Every event of a run is a delivery of its own, in any order and more than once, and no single one of them
says it all: outputs may be named at the start and be written at the end. So an event claims nothing by
itself; it is laid under its run, and this rule concludes from all that lie there.

The data of such a claim (role: the type of the event, ``at``: its time, ``ref``: the run):

- ``properties``: of the job run. The later wins, objects are merged one level deep.
- ``try``: which try of a task this run is; gathered under ``tries``.
- ``says``: claims (:data:`graph_schema.claims.Claim`) that need no other event. A link of the run is as old
  as the run.
- ``reads``: tables, each with its own version where it has one.
- ``writes``: tables likewise, each with properties of the version and, per table that it was made ``from``,
  pairs of ``columns`` and the ``transformations`` between them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from graph_schema.claims import Claim, Keyed, Links, Names, Properties, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import KeyedClaim, Touch, Transaction
from graph_schema.times import Micros, format_time
from ingestors import tables
from ingestors.joins.rule import Outcome, ref_of

RULE = "run_events"

#: What a run came to, by the type of the event that says so.
_ENDS = {"COMPLETE": "COMPLETE", "FAIL": "FAILED", "ABORT": "ABORTED"}
_GOES_ON = ("START", "RUNNING")


def event(run: str, kind: str, at: Micros, data: Properties) -> Keyed:
    """An event of a run, to be put together with the others. ``run`` is an identifier of the job run."""
    return Keyed(RULE, run, kind, run, None, at, None, data)


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """What the events of one run say together, for each source on its own: it may be read by others than
    those who may read what another source says."""
    events: dict[str, list[KeyedClaim]] = defaultdict(list)
    for claim in tx.keyed(RULE, key):
        events[claim.source].append(claim)
    return Outcome({}, concluded={source: conclusions(held) for source, held in events.items()})


class Span(NamedTuple):
    """When a run read (at its start, else at its first event), wrote (if it did) and ended, and how."""

    began: Micros
    started: Micros | None
    wrote: Micros | None
    ended: Micros | None
    status: str | None


def conclusions(events: Sequence[KeyedClaim]) -> list[Claim]:
    """What the events of one run say together, in whatever order they are given."""
    events = sorted(events, key=lambda e: (e.at or 0, e.role, e.anchor))
    me = ref_of(events[0])
    span = _span(events)
    writes = _by_table(events, "writes")
    return [
        _job_run(me, events, span, list(writes)),
        *_said(me, events, span),
        *_reads(me, events, span),
        *(_writes(me, events, span, writes) if span.wrote is not None else ()),
    ]


def _span(events: Sequence[KeyedClaim]) -> Span:
    times: dict[str, list[Micros]] = defaultdict(list)
    for each in events:
        times[each.role].append(each.at or 0)
    started = min(times.get("START") or times.get("RUNNING") or [], default=None)
    began = min(times.get("START") or [each.at or 0 for each in events])
    wrote = min(times.get("COMPLETE") or [], default=None)
    # A run that says both ended as it said last; what it wrote at the first COMPLETE is written.
    ended, how = max(((max(times[role]), role) for role in _ENDS if role in times), default=(None, ""))
    goes_on = any(role in times for role in _GOES_ON)
    return Span(began, started, wrote, ended, _ENDS.get(how) or ("RUNNING" if goes_on else None))


def _job_run(me: str, events: Sequence[KeyedClaim], span: Span, outputs: Sequence[str]) -> States:
    properties: Properties = {}
    attempt = None
    for each in events:
        _merge(properties, each.data.get("properties") or {})
        attempt = each.data.get("try", attempt)
    times = {"startedAt": span.started, "endedAt": span.ended}
    properties |= {name: format_time(at) for name, at in times.items() if at is not None}
    if span.status is not None:
        properties["status"] = span.status
    if span.wrote is None and span.ended is not None and outputs:
        properties["notWritten"] = sorted(outputs)
    if attempt is not None:
        told = ("status", "startedAt", "endedAt", "error", "url")
        one = {name: properties[name] for name in told if name in properties}
        properties["tries"] = {str(attempt): {"runId": me.partition("=")[2], **one}}
    properties["createdAt"] = span.began
    return States(NodeKind.JOB_RUN, me, properties, events[-1].at)


def _merge(held: Properties, more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        before = held.get(key)
        held[key] = {**before, **value} if isinstance(before, dict) and isinstance(value, dict) else value


def _said(me: str, events: Sequence[KeyedClaim], span: Span) -> list[Claim]:
    """What single events say: each thing once, as the last of them says it."""
    said: dict[tuple[Any, ...], Claim] = {}
    for each in events:
        for claim in msgspec.convert(list(each.data.get("says") or ()), list[Claim]):
            if isinstance(claim, Links):
                if me in (claim.src, claim.dst):
                    claim = msgspec.structs.replace(claim, since=span.began)
                said[claim.kind, claim.src, claim.dst] = claim
            elif isinstance(claim, States):
                said["states", claim.id] = msgspec.structs.replace(claim, at=each.at)
            elif isinstance(claim, Names):
                said["names", claim.ids] = claim
    return list(said.values())


def _by_table(events: Sequence[KeyedClaim], role: str) -> dict[str, list[Mapping[str, Any]]]:
    """What the events say of each table that they read or wrote, in their order."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in events:
        for entry in each.data.get(role) or ():
            found[entry["table"]].append(entry)
    return dict(sorted(found.items()))


def _read_versions(events: Sequence[KeyedClaim]) -> dict[str, str | None]:
    """The tables read; each with the version that it was said to have first, where one was said."""
    return {
        table: next((e["version"] for e in entries if e.get("version")), None)
        for table, entries in _by_table(events, "reads").items()
    }


def _reads(me: str, events: Sequence[KeyedClaim], span: Span) -> list[Claim]:
    claims: list[Claim] = []
    for table, own in _read_versions(events).items():
        if own is None:
            claims.append(tables.read(table, me, span.began))
        else:
            state = tables.version(table, own)
            claims.append(Links(EdgeKind.HAS, tables.dataset(table), state))
            claims.append(Links(EdgeKind.INPUT_TO, state, me, span.began))
    return claims


def _writes(
    me: str, events: Sequence[KeyedClaim], span: Span, writes: Mapping[str, Sequence[Mapping[str, Any]]]
) -> list[Claim]:
    claims: list[Claim] = []
    at, run = span.wrote or 0, me.partition("=")[2]
    read = _read_versions(events)
    for table, entries in writes.items():
        by_run = tables.version(table, run)
        # Said at the start, it is the version before; so the last to say one counts.
        own = next((e["version"] for e in reversed(entries) if e.get("version")), None)
        state = by_run if own is None else tables.version(table, own)
        if state != by_run:
            claims.append(Names(NodeKind.DATASET_VERSION, (by_run, state)))
        properties: Properties = {"name": table, "createdAt": at}
        made_from: dict[str, Any] = {}
        for entry in entries:
            _merge(properties, entry.get("properties") or {})
            made_from.update(entry.get("from") or {})
        claims += [
            States(NodeKind.DATASET_VERSION, state, properties, at),
            Links(EdgeKind.HAS, tables.dataset(table), state, at),
            Links(EdgeKind.PRODUCED, me, state, at),
            tables.written(table, state, at, me),
        ]
        for source, made in sorted(made_from.items()):
            claims += _derived(me, span, state, source, read.get(source), made)
    return claims


def _derived(me: str, span: Span, state: str, source: str, own: str | None, made: Any) -> list[Claim]:
    """What a version was made from, with pairs of columns: of what the run read, not of what it wrote."""
    properties: Properties = {key: value for key, value in (made or {}).items() if value}
    if own is None:
        return [tables.read(source, state, span.began, EdgeKind.DERIVED_INTO, properties, but_not_of=me)]
    before = tables.version(source, own)
    return [Links(EdgeKind.DERIVED_INTO, before, state, span.began, None, properties or None)]
