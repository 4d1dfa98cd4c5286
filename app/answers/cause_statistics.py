"""Which statistics of data are out of line with those of the versions before: of columns, and of rows. Pure.

A value is out of line where it lies outside of all that was there before, by half of their range again, and
further from their median than six of their deviations. Both, as statistics of data have heavy tails, and a
deviation of a few values is small by chance. It has to matter, too: a mean that moved by less than a tenth of
the standard deviation does not. And it has to be news: not what the version before had come near to already.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from app.answers.cause_history import MAD_TO_SIGMA, Groups, numbers
from app.answers.last_good import time_of
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from graph_schema.values import Node
from graph_schema.wording import counted

#: Earlier versions that one is compared with, at most, and at least for a number.
_COMPARED, _LEAST = 20, 4
#: Further than so many deviations, and than so much of the range beyond it.
_DEVIATIONS, _BEYOND = 6.0, 0.5
#: As far from the version before as this part of how far from the usual.
_NEWS = 0.5
#: What matters at least: of a share of all values, of a value in standard deviations, else as a part of it.
_LEAST_SHARE, _LEAST_EFFECT, _LEAST_PART = 0.01, 0.1, 0.02
#: Statistics that say where the values lie, in their own unit.
_PLACES = frozenset({"mean", "median", "q05", "q25", "q75", "q95"})
_SPREAD = "stddev"
#: Numbers of values, which are compared as shares of ``count``.
_COUNTS = frozenset({"nans", "infs", "integral", "fractional", "boolean", "string", "object"})
#: What grows with the rows and is told as a share, too, or says nothing else.
_GROWING = frozenset({"count", "sum", "nulls"})
_SHARES = frozenset({"nullFraction", "nonNullFraction", "distinctFraction"})
ROWS = ("", "rows")


class Finding(NamedTuple):
    """Something that is out of line: of which column (of the rows: ""), and what, in words."""

    column: str
    text: str


class Profile(NamedTuple):
    """What was measured of a data version: values by column and statistic (``ROWS`` for its rows), and the
    type of each column, where its columns are known ("" where a type is not)."""

    values: Mapping[tuple[str, str], float]
    types: Mapping[str, str]

    def columns(self) -> set[str]:
        """The columns that are known to be there."""
        return {column for column, _ in self.values if column} | self.types.keys()


class StatisticsHistory:
    """Says of data versions whether their statistics are out of line with those of their group before them.
    ``measured`` are the checks of each version."""

    def __init__(self, groups: Groups, measured: Mapping[int, Sequence[Node]], at: Micros) -> None:
        self._groups = groups
        self._profiles: dict[int, tuple[Micros, Profile]] = {}
        self._out: dict[int, list[Finding] | None] = {}
        for handle, node in groups.nodes.items():
            when = time_of(node)
            if node.kind is not NodeKind.DATASET_VERSION or when is None or when > at:
                continue
            checks = sorted(measured.get(handle, ()), key=lambda check: (time_of(check) or 0, check.id))
            profile = profile_of([check.properties for check in checks], node.properties)
            if profile is not None:
                self._profiles[handle] = (when, profile)

    def out(self, version: int) -> list[Finding] | None:
        """What is out of line, the furthest first; None where that cannot be told."""
        if version not in self._out:
            found = None
            if version in self._profiles:
                found = out_of_line(self._profiles[version][1], self._before(version))
            self._out[version] = found
        return self._out[version]

    def columns(self, version: int) -> tuple[set[str], set[str]]:
        """The columns that it has or the version before it had, and those of them that changed between the
        two or are out of line. Nothing where its columns are not known."""
        if version not in self._profiles:
            return set(), set()
        own, before = self._profiles[version][1], self._before(version)
        changed = {finding.column for finding in self.out(version) or () if finding.column}
        known = own.columns()
        if before:
            last = before[-1]
            told = {column for column, _ in last.values if column}, {c for c, _ in own.values if c}
            # Each against its like: not all that has a name is measured.
            for theirs, mine in (told, (last.types.keys(), own.types.keys())):
                if theirs and mine:
                    changed |= theirs ^ mine
            types = own.types.items()
            changed |= {name for name, type in types if type and last.types.get(name, type) not in (type, "")}
            known |= last.columns()
        return known, changed

    def _before(self, version: int) -> list[Profile]:
        """What is known of the versions of its group before it, in the order of time."""
        when = self._profiles[version][0]
        before = [self._profiles[each] for each in self._kin(version) if self._profiles[each][0] < when]
        return [profile for _, profile in sorted(before, key=lambda pair: pair[0])]

    def usual(self, version: int) -> float:
        """How often versions of its group are out of line, itself aside; one of twenty is assumed before."""
        told = [out for each in self._kin(version) if (out := self.out(each)) is not None]
        return (sum(bool(out) for out in told) + 0.5) / (len(told) + 10)

    def lines(self, leading: Collection[int]) -> dict[int, int]:
        """The line (what they belong to) of each version that says something, of the lines of these."""
        line = {h: min(self._groups.parents[h]) for h in self._profiles if self._groups.parents.get(h)}
        wanted = {line[h] for h in leading if h in line and self.out(h) is not None}
        return {h: of for h, of in line.items() if of in wanted and self.out(h) is not None}

    def _kin(self, version: int) -> list[int]:
        kin = {m for parent in self._groups.parents.get(version, ()) for m in self._groups.members[parent]}
        return [each for each in kin if each != version and each in self._profiles]


def profile_of(measured: Sequence[Mapping[str, Any]], stated: Mapping[str, Any]) -> Profile | None:
    """From the properties of checks that measured a version, in the order of time, and those of the version
    itself; None where nothing is known."""
    values: dict[tuple[str, str], float] = {}
    rows = numbers(stated).get("rows")
    for check in measured:
        rows = numbers(check.get("metrics")).get("rowCount", rows)
        columns = check.get("columnStatistics")
        for column, told in (columns if isinstance(columns, Mapping) else {}).items():
            if isinstance(told, Mapping):
                values.update({(str(column), stat): value for stat, value in _comparable(told).items()})
    if rows is not None:
        values[ROWS] = rows
    names, types_of = stated.get("columns"), stated.get("columnTypes")
    known = types_of if isinstance(types_of, Mapping) else {}
    listed = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
    types = {name: str(known.get(name) or "") for name in listed}
    return Profile(values, types) if values or types else None


def _comparable(told: Mapping[str, Any]) -> dict[str, float]:
    """The statistics of a column that do not grow with the rows."""
    values = numbers(told)
    whole = values.get("count")
    found = {stat: value for stat, value in values.items() if stat not in _COUNTS | _GROWING}
    return found | {stat: values[stat] / whole for stat in _COUNTS & values.keys() if whole}


def out_of_line(own: Profile, before: Sequence[Profile]) -> list[Finding] | None:
    """What is out of line, the furthest first; None where there is too little to compare with. ``before`` are
    the profiles of earlier versions, in the order of time."""
    earlier = before[-_COMPARED:]
    told = False
    found: list[tuple[float, Finding]] = []
    for (column, stat), value in own.values.items():
        values = [each.values[column, stat] for each in earlier if (column, stat) in each.values]
        if len(values) < _LEAST:
            continue
        told = True
        low, high = min(values), max(values)
        beyond = _BEYOND * (high - low)
        if low - beyond <= value <= high + beyond:
            continue  # Before any median: nearly all values of a wide table end here.
        spreads = [each.values[column, _SPREAD] for each in earlier if (column, _SPREAD) in each.values]
        far = _distance(value, values, _least(stat, statistics.median(values), spreads))
        if far is not None:
            name = f"{column}: {stat}" if column else stat
            text = f"{name} {value:.3g}, usually {statistics.median(values):.3g}"
            found.append((far, Finding(column, text)))
    known = [each.types for each in earlier if each.types]
    if own.types and known:
        told = True
        found += [(float("inf"), finding) for finding in _columns(own.types, known)]
    found.sort(key=lambda pair: (-pair[0], pair[1].text))
    return [finding for _, finding in found] if told else None


def _least(stat: str, middle: float, spreads: Sequence[float]) -> float:
    """By how much a value has to differ to matter. ``spreads``: standard deviations of the column before."""
    if stat in _SHARES or stat in _COUNTS:
        return _LEAST_SHARE
    if stat in _PLACES and spreads:
        return _LEAST_EFFECT * statistics.median(spreads)
    return (_LEAST_EFFECT if stat == _SPREAD else _LEAST_PART) * abs(middle)


def _distance(value: float, values: Sequence[float], least: float) -> float | None:
    """By how many deviations a value is out of line; None where it is not, or was before."""
    middle = statistics.median(values)
    if abs(value - values[-1]) <= _NEWS * abs(value - middle):
        return None
    if min(values) - least <= value <= max(values) + least:
        return None
    deviation = MAD_TO_SIGMA * statistics.median(abs(each - middle) for each in values)
    far = abs(value - middle) / max(deviation, least / _DEVIATIONS, 1e-12)
    return far if far > _DEVIATIONS else None


def _columns(own: Mapping[str, str], known: Sequence[Mapping[str, str]]) -> list[Finding]:
    """Columns that all of the last versions had and this one has not, or with another type."""
    last = known[-_LEAST:]
    always = [name for name in last[-1] if all(name in each for each in last)]
    gone, new = [name for name in always if name not in own], [name for name in own if name not in last[-1]]
    renamed = f", {new[0]} is new" if len(gone) == len(new) == 1 else ""
    found = [Finding(name, f"column {name} is gone{renamed}") for name in gone]
    for name in always:
        types = {each[name] for each in last}
        if own.get(name) and len(types) == 1 and own[name] not in types and "" not in types:
            found.append(Finding(name, f"column {name} is {own[name]}, was {types.pop()}"))
    return found


def in_words(found: Sequence[Finding]) -> str:
    """The furthest two, and how many more."""
    text = "; ".join(each.text for each in found[:2])
    return text if len(found) <= 2 else f"{text}, and {counted(len(found) - 2, 'more', 'more')}"
