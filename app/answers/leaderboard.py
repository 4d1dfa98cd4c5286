"""Versions ranked by a metric, as far as they can be compared: measured on identical data. Pure over values.

What cannot be compared is listed without a rank, and why. Measurements of runs that differ in nothing but
their seed are one entry: their mean, with an interval of Student's t across the seeds.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from app.answers.intervals import mean_interval
from app.answers.metrics import higher_is_better, stage_of
from graph_schema.errors import BadInput
from graph_schema.wording import counted


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What one run measured. ``data`` names the data that it was measured on, by content (None: unknown);
    ``setup`` is everything about the run but its seed; ``seed`` None where it states none."""

    run: int
    metrics: dict[str, float]
    data: frozenset[int] | None
    setup: str
    seed: str | None = None
    at: int = 0


class Entry(msgspec.Struct, frozen=True):
    """A version or run that takes part: its handle, and what was measured of it, by its own run and by runs
    that differ from it only in their seed. ``missing`` says why there is nothing, where there is nothing."""

    node: int
    measurements: Sequence[Measurement]
    missing: str | None = None


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A row. ``rank`` is None where it cannot be compared, and ``because`` says why. ``nodes`` are the
    versions that share it because their runs differ only in their seed.

    ``value`` is the mean over ``n`` seeds, ``low`` and ``high`` its 95 % interval (None for one value).
    ``overlaps`` says whether that interval meets the first row's, None where one of them has none."""

    rank: int | None
    nodes: tuple[int, ...]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int = 0
    seeds: tuple[str, ...] = ()
    runs: tuple[int, ...] = ()
    data: tuple[int, ...] = ()
    overlaps: bool | None = None
    because: str | None = None


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """``metrics`` are the names that could be asked for, those of most versions first. ``data`` is what the
    ranked rows were measured on."""

    metric: str | None
    higher_is_better: bool | None
    metrics: list[str]
    data: tuple[int, ...]
    rows: list[Standing]


_Member = tuple[Entry, list[Measurement]]


def leaderboard(entries: Sequence[Entry], *, metric: str | None = None, higher: bool | None = None) -> Board:
    """Rank entries by a metric. Without one, it is the metric that most of them have and whose direction is
    known; those of tests come before those of validations, these before others.

    The data that ranks is the one on which most entries were measured, of equals the one used last. Raises
    BadInput for a metric that none has, and where its name does not say which way it goes and nobody did.
    """
    known = _metrics(entries)
    if metric is None:
        metric = next(
            (name for name in known if higher is not None or higher_is_better(name) is not None), None
        )
        if metric is None and known:
            raise BadInput(f"no metric's name says which way it goes: name one of {_listed(known)}, and how")
    elif metric not in known:
        has = f"; they have {_listed(known)}" if known else ", nor any other"
        raise BadInput(f"none of these has the metric {metric!r}{has}")
    if metric is None:
        rows = [
            Standing(rank=None, nodes=(e.node,), because=e.missing or "no metric is known") for e in entries
        ]
        return Board(metric=None, higher_is_better=None, metrics=[], data=(), rows=rows)
    if higher is None:
        higher = higher_is_better(metric)
    if higher is None:
        raise BadInput(f"the name of {metric!r} does not say whether higher is better: say it")
    data = _shared(entries, metric)
    # Without a seed nothing tells a repetition from a coincidence: such an entry stands alone.
    held: dict[tuple[str, int | None], list[_Member]] = defaultdict(list)
    apart: list[Standing] = []
    for entry in entries:
        fitting = [
            m for m in entry.measurements if metric in m.metrics and m.data == data and data is not None
        ]
        if not fitting:
            apart.append(_apart(entry, metric, data))
            continue
        # Where several setups measured it (an evaluation beside its training), the latest counts.
        latest = max(fitting, key=lambda m: (m.at, m.run))
        same = [m for m in fitting if m.setup == latest.setup and (m.seed is not None or m is latest)]
        held[latest.setup, entry.node if latest.seed is None else None].append((entry, same))
    rows = [_row(members, metric) for members in held.values()]
    rows.sort(key=lambda row: ((-1 if higher else 1) * (row.value or 0.0), row.nodes))
    ranked = [_ranked(row, rows, place) for place, row in enumerate(rows)]
    return Board(
        metric=metric,
        higher_is_better=higher,
        metrics=known,
        data=tuple(sorted(data or ())),
        rows=[*ranked, *apart],
    )


def _row(members: Sequence[_Member], metric: str) -> Standing:
    """One value a seed: runs that repeat a seed are no independent draws."""
    by_seed: dict[str, list[float]] = defaultdict(list)
    runs = {m.run: m for _, measured in members for m in measured}
    for m in sorted(runs.values(), key=lambda m: m.run):
        by_seed[m.seed if m.seed is not None else ""].append(m.metrics[metric])
    values = [math.fsum(of_seed) / len(of_seed) for of_seed in by_seed.values()]
    interval = mean_interval(values)
    low, high = interval or (None, None)
    return Standing(
        rank=None,
        nodes=tuple(dict.fromkeys(entry.node for entry, _ in members)),
        value=math.fsum(values) / len(values),
        low=low,
        high=high,
        n=len(values),
        seeds=tuple(sorted(seed for seed in by_seed if seed)),
        runs=tuple(sorted(runs)),
    )


def _ranked(row: Standing, rows: Sequence[Standing], place: int) -> Standing:
    """Equal values share a rank."""
    first = rows[0]
    rank = next(number for number, other in enumerate(rows, 1) if other.value == row.value)
    overlaps = None
    if place and None not in (row.low, row.high, first.low, first.high):
        overlaps = (row.low or 0.0) <= (first.high or 0.0) and (first.low or 0.0) <= (row.high or 0.0)
    return msgspec.structs.replace(row, rank=rank, overlaps=overlaps)


def _apart(entry: Entry, metric: str, data: frozenset[int] | None) -> Standing:
    """A row that cannot be compared. Its value is shown where it has one."""
    having = [m for m in entry.measurements if metric in m.metrics]
    if not entry.measurements:
        return Standing(rank=None, nodes=(entry.node,), because=entry.missing or "nothing measured it")
    if not having:
        other = sorted({name for m in entry.measurements for name in m.metrics})
        because = f"no {metric}; it has {_listed(other)}" if other else "no metric is known"
        return Standing(rank=None, nodes=(entry.node,), because=because)
    known = [m for m in having if m.data is not None]
    chosen = max(known or having, key=lambda m: (m.at, m.run))
    because = "measured on other data" if known else "which data it was measured on is unknown"
    if data is None and known:
        because = "nothing else was measured on the same data"
    return Standing(
        rank=None,
        nodes=(entry.node,),
        value=chosen.metrics[metric],
        n=1,
        seeds=() if chosen.seed is None else (chosen.seed,),
        runs=(chosen.run,),
        data=tuple(sorted(chosen.data or ())),
        because=because,
    )


def _metrics(entries: Iterable[Entry]) -> list[str]:
    """Names of metrics: those of tests first, then those that most entries have."""
    having = Counter(name for e in entries for name in {n for m in e.measurements for n in m.metrics})
    most = max(having.values(), default=0)

    def order(name: str) -> tuple[bool, int, int, bool, str]:
        return (having[name] < most, stage_of(name), -having[name], higher_is_better(name) is not True, name)

    return sorted(having, key=order)


def _shared(entries: Sequence[Entry], metric: str) -> frozenset[int] | None:
    """The data on which most entries have the metric, of equals the one used last."""
    used: Counter[frozenset[int]] = Counter()
    last: dict[frozenset[int], tuple[int, int]] = {}
    for entry in entries:
        mine = [(m.data, m) for m in entry.measurements if metric in m.metrics and m.data is not None]
        used.update({data for data, _ in mine})
        for data, m in mine:
            last[data] = max(last.get(data, (0, 0)), (m.at, m.run))
    return max(used, key=lambda data: (used[data], last[data]), default=None)


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {counted(len(names) - most, 'other')}" if len(names) > most else ""
    return ", ".join(names[:most]) + more
