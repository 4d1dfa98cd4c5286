"""Timing, and how figures are told."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class Figure(NamedTuple):
    """One line of the report. ``target`` is told beside it; ``met`` is None where there is none."""

    name: str
    value: str
    target: str = ""
    met: bool | None = None


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """Seconds of wall-clock time that the work takes, and what it gave."""
    gc.collect()
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def median_of(work: Callable[[], Any], times: int = 7, *, warm: int = 1) -> float:
    """Median seconds of several runs, after some that do not count."""
    for _ in range(warm):
        work()
    return statistics.median(timed(work)[0] for _ in range(times))


def paired(ours: Callable[[], Any], theirs: Callable[[], Any], times: int = 9) -> tuple[float, float]:
    """Medians of two pieces of work, run in turns so that what else the machine does meets both."""
    ours(), theirs()
    pairs = [(timed(ours)[0], timed(theirs)[0]) for _ in range(times)]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs)


def at_least(name: str, ratio: float, wanted: float, detail: str) -> Figure:
    """A ratio that should be high."""
    return Figure(name, f"{ratio:.2f}× ({detail})", f"≥ {wanted:g}×", ratio >= wanted)


def at_most(name: str, ratio: float, wanted: float, detail: str) -> Figure:
    """A ratio that should be low."""
    return Figure(name, f"{ratio:.2f}× ({detail})", f"≤ {wanted:g}×", ratio <= wanted)
