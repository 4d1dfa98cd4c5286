"""Bounds: every member of a series that one is set on gets a Check, and failures in a row are one incident.

A series is judged as a whole, for what is good depends on what was good before. What follows is concluded by
the month of the member, so that a new one restates a month and not the history.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from graph_schema.claims import Claim, Keyed, Links, Names, Properties, States
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import KeyedClaim, Touch, Transaction
from graph_schema.times import Micros, format_time, parse_time
from ingestors.bounds import Bound
from ingestors.checks import FAILED, UNKNOWN
from ingestors.joins.rule import Outcome, ref_of
from ingestors.judging import Value, Verdict, because, judged, streaks, threshold
from ingestors.series import ALL, BOUND, CHECK, FAMILIES, MEASURED, SERIES

#: The rule that concludes; its keys are a month, or this word for the incidents, and the series.
JUDGED, _INCIDENTS = "judged", "incidents"
_SCOPE = "bounds"
_NAMESPACE = uuid.UUID("6f2f5a52-0c1e-5d9a-9c7b-1b1f0f6f4c11")


def changed(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """Bounds are other than they were: every series is to be judged again."""
    listed = {claim.data["series"] for claim in tx.keyed(FAMILIES, ALL)}
    return Outcome({}, tuple(Touch(SERIES, series, None, "") for series in sorted(listed)))


def measured(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """What was measured of a thing, said of the members made from it: so a series is read at once."""
    members = tx.keyed(MEASURED, key, role="in")
    said: dict[str, list[Claim]] = defaultdict(list)
    for values in tx.keyed(MEASURED, key, role="values") if members else ():
        for member in members:
            data = {"metrics": values.data["metrics"], "rank": member.data["rank"]}
            value = Keyed(SERIES, member.data["series"], "value", ref_of(member), None, member.at, None, data)
            if value not in said[values.source]:
                said[values.source].append(value)
    return Outcome({}, concluded=said)


def series(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """Which months of a series are to be judged again: the touched ones and all after them."""
    whole = any(touch.at is None for touch in touches)
    if not whole and not _bounds(tx, key):
        return Outcome({})
    first = None if whole else min(touch.at or 0 for touch in touches)
    months = {_month(c.at or 0) for c in tx.keyed(SERIES, key, role="member", since=first)}
    months.update(_month(touch.at) for touch in touches if touch.at is not None)
    keys = [f"{month} {key}" for month in sorted(months)] + [f"{_INCIDENTS} {key}"]
    return Outcome({}, tuple(Touch(JUDGED, each, None, "") for each in keys))


def judge(tx: Transaction, keys: Collection[str]) -> dict[str, Outcome]:
    """The checks of the members in a month, or the incidents of a series. A series is read and judged once,
    however many of its months are asked about."""
    blocks: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        block, _, name = key.partition(" ")
        blocks[name].append(block)
    found: dict[str, Outcome] = {}
    for name, asked in blocks.items():
        rows = _judged(tx, name, _INCIDENTS in asked)
        for block in asked:
            said = _incidents_said(name, rows) if block == _INCIDENTS else _checks_said(block, rows)
            found[f"{block} {name}"] = Outcome({}, concluded=said)
    return found


def _judged(tx: Transaction, series: str, incidents: bool) -> list[tuple[Bound, list[_Rated]]]:
    """Every bound from which something follows, with a series' members as judged by one metric of it."""
    bounds = [b for b in _bounds(tx, series) if b.metric is not None or (incidents and b.incident)]
    if not bounds:
        return []
    read = _Series(tx, series)
    return [(bound, row) for bound in bounds for row in _rated(read, bound)]


def _checks_said(month: str, rows: Sequence[tuple[Bound, list[_Rated]]]) -> dict[str, list[Claim]]:
    first, after = _span(month)
    said: dict[str, list[Claim]] = defaultdict(list)
    for bound, row in rows:
        if bound.metric is None:
            # It is the check itself that was judged.
            continue
        for each in row:
            if first <= each.value.at < after:
                said[each.claim.source].extend(_check(bound, each))
    return said


def _incidents_said(series: str, rows: Sequence[tuple[Bound, list[_Rated]]]) -> dict[str, list[Claim]]:
    said: dict[str, list[Claim]] = defaultdict(list)
    for bound, row in rows:
        for source, claim in _incidents(series, bound, row) if bound.incident else ():
            said[source].append(claim)
    return said


class _Rated(NamedTuple):
    """A member, its value of one metric (None: a check's own verdict), and how that was judged."""

    claim: KeyedClaim
    metric: str | None
    value: Value
    verdict: Verdict


def _bounds(tx: Transaction, series: str) -> list[Bound]:
    """The bounds that are set on a series, by name."""
    all_bounds = [msgspec.convert(dict(c.data), Bound) for c in tx.keyed(BOUND, ALL, role="bound")]
    if not all_bounds:
        return []
    named = {(c.data["of"], c.data["name"]) for c in tx.keyed(SERIES, series, role="called")}
    return sorted(
        (bound for bound in all_bounds if any(bound.covers(of, name) for of, name in named)),
        key=lambda bound: bound.name,
    )


class _Series:
    """A series as it is held: ``members`` in the order of time, each once (what two records say of one, the
    first in order says), their ``values`` by anchor, and who held which alias."""

    def __init__(self, tx: Transaction, series: str) -> None:
        found: dict[str, KeyedClaim] = {}
        for claim in tx.keyed(SERIES, series, role="member"):
            found.setdefault(ref_of(claim), claim)
        self.members = list(found.values())
        made_from: dict[str, list[KeyedClaim]] = defaultdict(list)
        for claim in tx.keyed(SERIES, series, role="value"):
            made_from[ref_of(claim)].append(claim)
        self.values = {c.anchor: _values(c, made_from.get(ref_of(c), ())) for c in self.members}
        self.aliases = tx.keyed(SERIES, series, role="alias")


def _rated(series: _Series, bound: Bound) -> Iterator[list[_Rated]]:
    """The members in the order of time, judged by each metric that the bound covers."""
    if bound.metric is None:
        yield [_by_status(claim) for claim in series.members]
        return
    values = series.values
    aliases = [claim for claim in series.aliases if claim.data["alias"] in bound.aliases]
    covered = sorted(m for m in {m for held in values.values() for m in held} if bound.covers_metric(m))
    for metric in covered:
        having = [claim for claim in series.members if metric in values[claim.anchor]]
        row = [Value(_name(c), c.at or 0, values[c.anchor][metric]) for c in having]
        verdicts = judged(bound, row, _champion(having, row, aliases))
        yield [
            _Rated(claim, metric, value, verdict)
            for claim, value, verdict in zip(having, row, verdicts, strict=True)
        ]


def _values(claim: KeyedClaim, made_from: Sequence[KeyedClaim]) -> Mapping[str, float]:
    """A member's own values, and what was measured of the things it was made from; its own count most, then
    those of the first in order."""
    found: dict[str, float] = {}
    for each in sorted(made_from, key=lambda c: (-c.data["rank"], c.source, c.anchor)):
        found.update(each.data["metrics"])
    found.update(claim.data.get("metrics") or {})
    return found


def _champion(
    members: Sequence[KeyedClaim], values: Sequence[Value], aliases: Sequence[KeyedClaim]
) -> Callable[[Value], Value | None]:
    if not aliases:
        return lambda value: None
    by_node = {claim.node: value for claim, value in zip(members, values, strict=True)}
    nodes = {value: claim.node for claim, value in zip(members, values, strict=True)}

    def of(value: Value) -> Value | None:
        stood = [
            each
            for each in aliases
            if (each.at or 0) <= value.at and (each.until is None or each.until > value.at)
            and each.node != nodes[value] and each.node in by_node
        ]  # fmt: skip
        latest = max(stood, key=lambda each: (each.at or 0, each.ref or ""), default=None)
        return None if latest is None else by_node[latest.node]

    return of


def _by_status(claim: KeyedClaim) -> _Rated:
    """A check that is judged by its own verdict."""
    verdict = Verdict(str(claim.data.get("status", UNKNOWN)), None)
    return _Rated(claim, None, Value(_name(claim), claim.at or 0, 0.0), verdict)


def _identifier(bound: Bound, rated: _Rated) -> str:
    """The Check that says how a value was judged."""
    if rated.metric is None:
        return ref_of(rated.claim)
    return identifier("check", f"{bound.name}/{rated.metric}/{ref_of(rated.claim)}"[:1000], _SCOPE)


def _because(bound: Bound, rated: _Rated) -> str:
    if rated.metric is None:
        return f"its status is {rated.verdict.status}"
    return because(bound, rated.value, rated.verdict.reference)


def _what(bound: Bound, rated: _Rated) -> str:
    """Whose value it is, and of what where the bound's name does not say it."""
    if rated.metric is None or rated.metric in bound.name:
        return rated.value.name
    return f"{rated.metric} of {rated.value.name}"


def _name(claim: KeyedClaim) -> str:
    return str(claim.data.get("name") or ref_of(claim).partition("=")[2])


# --- what follows ----------------------------------------------------------------------------------------


def _check(bound: Bound, rated: _Rated) -> Iterator[Claim]:
    claim, value, verdict = rated.claim, rated.value, rated.verdict
    check, why = _identifier(bound, rated), _because(bound, rated)
    properties: Properties = {
        "name": f"{bound.name}: {_what(bound, rated)}",
        "createdAt": value.at,
        "checkedAt": format_time(value.at),
        "status": verdict.status,
        "tool": "kinlore",
        "stream": bound.name,
        "kind": bound.kind,
        "kinds": [bound.kind],
        "segment": bound.segment_of(rated.metric or "") or claim.data.get("segment"),
        "severity": bound.severity if verdict.status == FAILED else None,
        "metrics": {rated.metric: value.value},
        "threshold": threshold(bound, verdict.reference),
        "because": why,
        "reference": None if verdict.reference is None else verdict.reference.name,
        "failures": [rated.metric] if verdict.status == FAILED else [],
    }
    stated = {key: each for key, each in properties.items() if each not in (None, [])}
    yield Names(NodeKind.CHECK, (check,))
    yield States(NodeKind.CHECK, check, stated, value.at)
    if "subjects" not in claim.data:
        if bound.of != CHECK:
            yield Links(EdgeKind.CHECKED_BY, ref_of(claim), check, value.at, evidence=why)
        return
    for subject in msgspec.convert(list(claim.data["subjects"]), list[Claim]):
        yield _said_of(check, subject)


def _said_of(check: str, subject: Claim) -> Claim:
    """That something else was examined by this check, too."""
    if isinstance(subject, Links):
        return msgspec.structs.replace(subject, dst=check)
    return msgspec.structs.replace(subject, ref=check) if isinstance(subject, Keyed) else subject


def _incidents(series: str, bound: Bound, rated: Sequence[_Rated]) -> Iterator[tuple[str, Claim]]:
    """One for each row of failures, over when what follows passes."""
    for streak in streaks([each.verdict.status for each in rated]):
        first = rated[streak.failed[0]]
        parts = (series, bound.name, first.metric or "", ref_of(first.claim))
        me = identifier("kinlore", str(uuid.uuid5(_NAMESPACE, "\n".join(parts))))
        began, source = first.value.at, first.claim.source
        over = None if streak.passed is None else rated[streak.passed].value.at
        stated: dict[str, Any] = {
            "name": f"{bound.name}: {_what(bound, first)} failed",
            "description": _because(bound, first),
            "createdAt": began,
            "startedAt": format_time(began),
            "endedAt": None if over is None else format_time(over),
            "status": "OPEN" if over is None else "RESOLVED",
            "severity": bound.severity,
            "bound": bound.name,
            "failures": len(streak.failed),
        }
        told = {key: each for key, each in stated.items() if each is not None}
        yield source, Names(NodeKind.INCIDENT, (me,))
        yield source, States(NodeKind.INCIDENT, me, told, over if over is not None else began)
        for place in streak.failed:
            each = rated[place]
            check, why = _identifier(bound, each), _because(bound, each)
            yield (
                each.claim.source,
                Links(EdgeKind.IMPLICATED_IN, check, me, each.value.at, None, None, why),
            )


def _month(at: Micros) -> str:
    return format_time(at)[:7]


def _span(month: str) -> tuple[Micros, Micros]:
    """When a month begins, and the one after it."""
    year, number = int(month[:4]), int(month[5:])
    first = parse_time(f"{month}-01T00:00:00Z")
    if (year, number) == (9999, 12):
        # There is no time after it.
        return first, 2**62
    return first, parse_time(f"{year + number // 12:04d}-{number % 12 + 1:02d}-01T00:00:00Z")
