"""What a check found, whichever tool made it: one shape, and the claims that follow from it. Pure.

A result file is one Check, named by its path. Where it judges several segments or sorts of things, each of
these groups is a Check of its own beside the whole (``path#kind:segment``), so that it can be found, alerted
on and compared by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

import msgspec

from graph_schema.claims import Claim, Names, Properties, States
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, format_time
from ingestors import series
from ingestors.subjects import checked_by, data_versions

PASSED, FAILED, UNKNOWN = "PASSED", "FAILED", "UNKNOWN"
#: A single assertion that could not be evaluated counts as failed; what was not
#: judged counts for nothing, and a warning fails nothing.
ERROR, SKIPPED, WARNING = "ERROR", "SKIPPED", "WARNING"
_BAD = (FAILED, ERROR)

KINDS = ("schema", "data_quality", "data_drift", "model_quality", "bias", "attribution_drift", "profile")
_SEVERITIES = ("info", "warning", "critical")
#: Assertions kept on a node; those that failed come first.
_MOST_RESULTS = 200
_MOST_COLUMNS = 500


class Assertion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was asserted of the subject. ``value`` is what was measured, ``threshold`` what was
    allowed, in words; ``text`` what the tool says of it."""

    name: str
    kind: str
    status: str
    column: str | None = None
    segment: str | None = None
    severity: str | None = None
    value: float | str | None = None
    threshold: str | None = None
    text: str | None = None


class Examination(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one result file says.

    ``stream`` names what repeats from file to file (a suite, a report), so that results can be compared over
    time. ``at``: microseconds. ``kind`` and ``segment`` are what holds where an assertion does not say.
    ``metrics``: measured values by name; ``columns``: statistics by column; ``said``: what its author wrote
    into it for Kinlore, see :mod:`ingestors.subjects`.
    """

    name: str
    stream: str
    at: Micros
    kind: str
    segment: str | None = None
    url: str | None = None
    assertions: list[Assertion] = []
    metrics: dict[str, float] = {}
    columns: dict[str, dict[str, float]] = {}
    said: dict[str, str] = {}
    about: dict[str, Any] = {}


def verdict(assertions: Sequence[Assertion]) -> str:
    """PASSED, FAILED, or UNKNOWN where nothing was judged."""
    judged = [each.status for each in assertions if each.status != SKIPPED]
    if any(status in _BAD for status in judged):
        return FAILED
    return PASSED if judged else UNKNOWN


def claims_of(found: Examination, path: str, tool: str, scope: str) -> list[Claim]:
    """The Check of a file and those of its groups, tied to what was examined."""
    groups = _groups(found)
    claims = list(_check(found, path, tool, scope, found.assertions, None))
    if len(groups) > 1:
        for (kind, segment), group in groups.items():
            part = f"{kind}:{segment}" if segment else kind
            claims += _check(found, path, tool, scope, group, part)
    if found.columns and found.segment is None:
        # The statistics of a segment are not those of the data.
        statistics = {"columnStatistics": found.columns}
        claims += [States(_D, version, statistics, found.at) for version in data_versions(found.said)]
    return claims


_D = NodeKind.DATASET_VERSION


def _groups(found: Examination) -> dict[tuple[str, str | None], list[Assertion]]:
    groups: dict[tuple[str, str | None], list[Assertion]] = {}
    for each in found.assertions:
        groups.setdefault((each.kind, each.segment or found.segment), []).append(each)
    return dict(sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] or "")))


def _check(
    found: Examination,
    path: str,
    tool: str,
    scope: str,
    assertions: Sequence[Assertion],
    part: str | None,
) -> Iterator[Claim]:
    me = identifier("check", path if part is None else f"{path}#{part}", scope)
    kinds = sorted({each.kind for each in assertions}) or [found.kind]
    segments = {each.segment for each in assertions}
    segment = found.segment or (segments.pop() if len(segments) == 1 else None)
    status = verdict(assertions)
    metrics = dict(found.metrics) if part is None else {}
    metrics.update(_values(assertions))
    properties: Properties = {
        "name": found.name if part is None else f"{found.name} ({part.replace(':', ', ')})",
        "createdAt": found.at,
        "checkedAt": format_time(found.at),
        "status": status,
        "tool": tool,
        "stream": found.stream,
        "kind": found.kind if found.kind in kinds or part is None else kinds[0],
        "kinds": kinds,
        "segment": segment,
        "severity": _worst(assertions) if status == FAILED else None,
        "evaluated": sum(each.status != SKIPPED for each in assertions),
        "failed": sum(each.status in _BAD for each in assertions),
        "warnings": sum(each.status == WARNING for each in assertions) or None,
        "failures": [_called(each) for each in assertions if each.status in _BAD][:_MOST_RESULTS],
        "results": msgspec.to_builtins(_shown(assertions)),
        "metrics": metrics,
        "columnStatistics": dict(list(found.columns.items())[:_MOST_COLUMNS]) if part is None else {},
        "url": found.url,
        "partOf": None if part is None else path,
        **(found.about if part is None else {}),
    }
    if part is not None:
        properties["kind"] = kinds[0]
    yield Names(NodeKind.CHECK, (me,))
    yield States(
        NodeKind.CHECK, me, {k: v for k, v in properties.items() if v not in (None, [], {})}, found.at
    )
    subjects = checked_by(found.said, me, found.at)
    yield from subjects
    stream = found.stream if part is None else f"{found.stream} ({part})"
    values = {**metrics, **_flat(found.columns)} if part is None else metrics
    yield from series.of_check(
        me, scope=scope, name=str(properties["name"]), stream=stream, at=found.at, status=status,
        kind=str(properties["kind"]), segment=segment, metrics=values, subjects=subjects,
    )  # fmt: skip


def _shown(assertions: Sequence[Assertion]) -> list[Assertion]:
    return sorted(assertions, key=lambda each: each.status not in _BAD)[:_MOST_RESULTS]


def _called(each: Assertion) -> str:
    named = each.name if each.column is None or each.column in each.name else f"{each.name}({each.column})"
    return named if each.segment is None else f"{named} [{each.segment}]"


def _values(assertions: Sequence[Assertion]) -> dict[str, float]:
    found: dict[str, float] = {}
    for each in assertions:
        if isinstance(each.value, int | float) and isfinite(each.value):
            found.setdefault(_called(each), float(each.value))
    return found


def _flat(columns: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """``amount.mean``, as bounds name it."""
    return {f"{column}.{stat}": value for column, stats in columns.items() for stat, value in stats.items()}


def _worst(assertions: Sequence[Assertion]) -> str | None:
    known = [each.severity for each in assertions if each.status in _BAD and each.severity in _SEVERITIES]
    return max(known, key=_SEVERITIES.index) if known else None


def number(value: Any) -> float | None:
    """A finite number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return None
    return float(value)


def in_words(least: float | None, most: float | None) -> str | None:
    """What lies between two bounds, either of which may be open."""
    if least is not None and most is not None:
        return f"between {least:g} and {most:g}" if least != most else f"exactly {least:g}"
    if least is not None:
        return f"at least {least:g}"
    return None if most is None else f"at most {most:g}"
