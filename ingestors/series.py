"""Series of values that bounds are set on: versions of a model, runs of an experiment, results of a check.

A source says which series there are (:func:`called`), what belongs to one (:func:`member`), and what was
measured of a thing (:func:`measured`). :mod:`ingestors.joins.bounds` judges them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from graph_schema.claims import Claim, Keyed
from graph_schema.times import Micros

#: Rules: members of a series; all series, only read; what was measured of a thing; the bounds themselves.
SERIES, FAMILIES, MEASURED, BOUND = "series", "families", "measured", "bound"
#: Everything under one key, for rules that need all of it.
ALL = "all"
MODEL, EXPERIMENT, CHECK = "model", "experiment", "check"


def called(series: str, of: str, name: str) -> list[Claim]:
    """There is a series, of a model, an experiment or a check, and this is its name."""
    data = {"of": of, "name": name}
    return [
        Keyed(SERIES, series, "called", data=data),
        Keyed(FAMILIES, ALL, "called", data={"series": series}),
    ]


def measured(thing: str, at: Micros, metrics: Mapping[str, Any]) -> list[Claim]:
    """What was measured of a thing; members of series refer to it by ``of``. Nothing where nothing was."""
    values = numbers(metrics)
    return [Keyed(MEASURED, thing, "values", thing, None, at, data={"metrics": values})] if values else []


def member(
    series: str,
    subject: str,
    at: Micros,
    *,
    metrics: Mapping[str, Any] | None = None,
    of: Sequence[str] = (),
    data: Mapping[str, Any] | None = None,
) -> list[Claim]:
    """``subject`` is the next of a series ``at`` that time. Its values are ``metrics``, and what was measured
    of the things in ``of``, the first of which counts most."""
    said: dict[str, Any] = dict(data or {})
    if values := numbers(metrics or {}):
        said["metrics"] = values
    if of:
        said["of"] = list(of)
    claims: list[Claim] = [Keyed(SERIES, series, "member", subject, None, at, data=said)]
    claims += [
        Keyed(MEASURED, thing, "in", subject, None, at, data={"series": series, "rank": rank})
        for rank, thing in enumerate(of)
    ]
    return claims


def alias(series: str, subject: str, name: str, since: Micros, until: Micros | None) -> Keyed:
    """An alias stood at a member of the series from ``since``, until it was last seen there."""
    return Keyed(SERIES, series, "alias", subject, None, since, until, {"alias": name})


def of_check(
    check: str,
    *,
    scope: str,
    name: str,
    stream: str,
    at: Micros,
    status: str,
    kind: str,
    segment: str | None,
    metrics: Mapping[str, float],
    subjects: Sequence[Claim],
) -> list[Claim]:
    """A result of a check as a member of the series of its results; ``subjects`` are its ``CHECKED_BY``."""
    series = f"check {scope} {stream}" + (f" {segment}" if segment else "")
    data = {
        "name": name,
        "status": status,
        "kind": kind,
        "segment": segment,
        "subjects": msgspec.to_builtins(list(subjects)),
    }
    told = {key: value for key, value in data.items() if value}
    return [*called(series, CHECK, stream), *member(series, check, at, metrics=metrics, data=told)]


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The values that can be compared."""
    return {
        key: value
        for key, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    }
