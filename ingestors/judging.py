"""Judging a series of values by a bound: pure, and every verdict says why."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from graph_schema.times import Micros
from ingestors.bounds import Bound
from ingestors.checks import FAILED, PASSED, UNKNOWN, in_words

#: Values that differ by less than this part of them are equal: what is stored in decimals is not exact.
_EQUAL = 1e-12


class Value(NamedTuple):
    """A value of a series at its time; ``name`` says whose it is."""

    name: str
    at: Micros
    value: float


class Verdict(NamedTuple):
    """How a value was judged, and what it was compared with, where it was."""

    status: str
    reference: Value | None


def judged(bound: Bound, values: Sequence[Value], champion: Callable[[Value], Value | None]) -> list[Verdict]:
    """A verdict for each of the values, which are given in the order of time."""
    verdicts: list[Verdict] = []
    good: Value | None = None
    for each in values:
        reference = None
        if bound.tolerance is not None:
            reference = good if bound.against == "last_good" else champion(each)
        status = _status(bound, each, reference)
        if status == PASSED:
            good = each
        verdicts.append(Verdict(status, reference))
    return verdicts


def _status(bound: Bound, each: Value, reference: Value | None) -> str:
    if _is_outside(bound, each) or _is_worse(bound, each, reference):
        return FAILED
    bounded = bound.least is not None or bound.most is not None
    return UNKNOWN if reference is None and bound.against == "champion" and not bounded else PASSED


def _is_outside(bound: Bound, each: Value) -> bool:
    low = bound.least is not None and each.value < bound.least - _slack(bound.least)
    return low or (bound.most is not None and each.value > bound.most + _slack(bound.most))


def _is_worse(bound: Bound, each: Value, reference: Value | None) -> bool:
    if reference is None or bound.tolerance is None:
        return False
    return _worse(bound, each, reference) > bound.tolerance + _slack(reference.value)


def _worse(bound: Bound, each: Value, reference: Value) -> float:
    return (reference.value - each.value) if bound.higher else (each.value - reference.value)


def because(bound: Bound, each: Value, reference: Value | None) -> str:
    """Why a value was judged as it was: what speaks against it, else what speaks for it."""
    wrong: list[str] = []
    right: list[str] = []
    if allowed := in_words(bound.least, bound.most):
        outside = _is_outside(bound, each)
        (wrong if outside else right).append(f"{each.value:g} is {'not ' if outside else ''}{allowed}")
    if bound.tolerance is not None and reference is not None:
        which = "the last good" if bound.against == "last_good" else "the champion"
        worse = _worse(bound, each, reference)
        told = f"{abs(worse):g} {'worse' if worse > 0 else 'better'} than {which}, {reference.name}"
        if worse == 0:
            told = f"the same as {which}, {reference.name}"
        said = f"{each.value:g} is {told} ({reference.value:g}); {bound.tolerance:g} is tolerated"
        (wrong if _is_worse(bound, each, reference) else right).append(said)
    elif bound.tolerance is not None and bound.against == "champion":
        right.append("no champion is known from that time, so there is nothing to compare with")
    elif bound.tolerance is not None:
        right.append(f"there is nothing to compare {each.value:g} with yet")
    return "; ".join(wrong or right)


def threshold(bound: Bound, reference: Value | None) -> str:
    """What was allowed, in words."""
    parts = [in_words(bound.least, bound.most)]
    if bound.tolerance is not None and reference is not None:
        limit = reference.value + (-bound.tolerance if bound.higher else bound.tolerance)
        parts.append(f"{'at least' if bound.higher else 'at most'} {limit:g}")
    return " and ".join(part for part in parts if part) or "not worse than what came before"


def _slack(value: float) -> float:
    return _EQUAL * max(1.0, abs(value))


class Streak(NamedTuple):
    """Failures in a row: places in the series of the first, of all of them, and of what passed after them."""

    failed: tuple[int, ...]
    passed: int | None


def streaks(statuses: Sequence[str]) -> list[Streak]:
    """Failures in a row, in order. What was not judged neither begins nor ends one."""
    found: list[Streak] = []
    failed: list[int] = []
    for place, status in enumerate(statuses):
        if status == FAILED:
            failed.append(place)
        elif status == PASSED and failed:
            found.append(Streak(tuple(failed), place))
            failed = []
    if failed:
        found.append(Streak(tuple(failed), None))
    return found
