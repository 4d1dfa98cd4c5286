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
    """How a value was judged. ``reference`` is what it was compared with, where it was."""

    status: str
    because: str
    threshold: str
    reference: Value | None


def judged(bound: Bound, values: Sequence[Value], champion: Callable[[Value], Value | None]) -> list[Verdict]:
    """A verdict for each of the values, which are given in the order of time."""
    verdicts: list[Verdict] = []
    good: Value | None = None
    for each in values:
        reference = None
        if bound.tolerance is not None:
            reference = good if bound.against == "last_good" else champion(each)
        verdict = _judge(bound, each, reference)
        if verdict.status == PASSED:
            good = each
        verdicts.append(verdict)
    return verdicts


def _judge(bound: Bound, each: Value, reference: Value | None) -> Verdict:
    allowed = in_words(bound.least, bound.most)
    thresholds: list[str] = [allowed] if allowed else []
    wrong: list[str] = []
    right: list[str] = []
    if allowed:
        low = bound.least is not None and each.value < bound.least - _slack(bound.least)
        high = bound.most is not None and each.value > bound.most + _slack(bound.most)
        (wrong if low or high else right).append(
            f"{each.value:g} is {'not ' if low or high else ''}{allowed}"
        )
    if bound.tolerance is not None:
        which = "the last good" if bound.against == "last_good" else "the champion"
        if reference is None:
            if bound.against == "champion" and not allowed:
                because = "no champion is known from that time, so there is nothing to compare with"
                return Verdict(UNKNOWN, because, _threshold(thresholds), None)
            right.append(f"there is nothing to compare {each.value:g} with yet")
        else:
            worse = (reference.value - each.value) if bound.higher else (each.value - reference.value)
            limit = reference.value + (-bound.tolerance if bound.higher else bound.tolerance)
            thresholds.append(f"{'at least' if bound.higher else 'at most'} {limit:g}")
            told = f"{abs(worse):g} {'worse' if worse > 0 else 'better'} than {which}, {reference.name}"
            if worse == 0:
                told = f"the same as {which}, {reference.name}"
            regressed = worse > bound.tolerance + _slack(reference.value)
            said = f"{each.value:g} is {told} ({reference.value:g}); {bound.tolerance:g} is tolerated"
            (wrong if regressed else right).append(said)
    status = FAILED if wrong else PASSED
    return Verdict(status, "; ".join(wrong or right), _threshold(thresholds), reference)


def _slack(value: float) -> float:
    return _EQUAL * max(1.0, abs(value))


def _threshold(parts: Sequence[str]) -> str:
    return " and ".join(parts) or "not worse than what came before"


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
