"""What profilers such as whylogs measure of the data of a generated organisation: statistics of its columns.

Half of the data sets are profiled. Statistics vary a little, with heavy tails; now and then one moves, for
good or for once, although nothing is wrong. Bad data shows in them mostly where it fails a check, as both
look at the same: a fifth of what checks see shows in no statistic, and three tenths of what they miss do.
What was made from bad data shows it less often; that lasts as long as the fault does.

The dice are its own: an organisation is otherwise the same with and without profiles.
"""

from __future__ import annotations

import math
import random
from typing import Any

from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import format_time
from tests.benchmarks.causes.things import MINUTE, Sort, Thing, named
from tests.benchmarks.causes.world import World

_PROFILED = 0.5
#: That bad data shows where a check failed, where it passed, and where there is none.
_SEEN, _UNSEEN, _UNCHECKED = 0.8, 0.3, 0.7
#: That what was made from it shows it, and bad output of a job.
_LATER, _OUTPUT = 0.5, 0.7
#: That good data moves for once, and for good.
_ODD, _MOVES = 0.03, 0.01
_BAD_DATA = frozenset({Sort.DATA, Sort.LOOKUP, Sort.OUTPUT, Sort.PIPELINE})


class Profiles:
    """The profilers of an organisation, and where the columns of each data set stand."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._columns: dict[str, list[_Column] | None] = {}

    def columns(self, name: str) -> list[str]:
        """The names of the columns of a data set, profiled or not."""
        self._known(name)
        return self._world.columns[name]

    def measure(
        self, version: Thing, name: str, failed: bool | None, fault: int | None, column: str | None = None
    ) -> None:
        """Profile a version of a data set, if that is done, shortly after it was made. ``failed``: whether
        its check will fail (None: there is none); ``fault``: the number of the fault that it is;
        ``column``: the one that this harms, where not any may be."""
        world = self._world
        dice = random.Random(f"{world.seed}/profile/{version.id}")
        columns = self._known(name)
        if columns is None:
            return
        told = {key: each.told(dice) for key, each in zip(world.columns[name], columns, strict=True)}
        if dice.random() < _ODD:
            _harm(dice, told, 2.0)
        if fault is not None:
            output = world.faults[fault].sort is Sort.OUTPUT
            shows = _OUTPUT if output else _UNCHECKED if failed is None else _SEEN if failed else _UNSEEN
            if dice.random() < shows:
                _harm(dice, told, 1.0, column)
        for number in sorted(version.carries - {fault}):
            # The same columns suffer from the same fault for as long as it is there.
            lasting = random.Random(f"{world.seed}/profile/{number}/{name}")
            if world.faults[number].sort in _BAD_DATA and lasting.random() < _LATER:
                _harm(lasting, told, 1.0)
        world.later(5 * MINUTE, lambda: self._tell(version, name, told))

    def _known(self, name: str) -> list[_Column] | None:
        if name not in self._columns:
            own = random.Random(f"{self._world.seed}/profile/{name}")
            profiled, count = own.random() < _PROFILED, own.randrange(4, 9)
            self._columns[name] = [_Column(own) for _ in range(count)] if profiled else None
            self._world.columns[name] = [f"{name}_c{number}" for number in range(count)]
        return self._columns[name]

    def _tell(self, version: Thing, name: str, told: dict[str, dict[str, float]]) -> None:
        world = self._world
        properties: dict[str, Any] = {
            "name": f"profile {name}",
            "status": "UNKNOWN",
            "checkedAt": format_time(world.now),
            "columnStatistics": told,
        }
        id = named("check", f"profile/{version.id}", "quality")
        flow = [(EdgeKind.CHECKED_BY, version.id, world.now)]
        world.things.append(Thing(NodeKind.CHECK, id, world.now, "quality", properties, inputs=flow))


class _Column:
    """One column: where its statistics stand now."""

    def __init__(self, dice: random.Random) -> None:
        self.mean = dice.choice((-1, 1, 1)) * math.exp(dice.gauss(2, 2))
        self.deviation = abs(self.mean) * math.exp(dice.gauss(-0.5, 0.7))
        self.nulls = 0.0 if dice.random() < 0.4 else min(0.5, math.exp(dice.gauss(-4, 1.3)))
        self.noise = math.exp(dice.gauss(-3.6, 0.6))

    def told(self, dice: random.Random) -> dict[str, float]:
        """Its statistics in the next version."""
        if dice.random() < _MOVES:
            self.mean += dice.gauss(0, 1) * self.deviation
        tail = 3.0 if dice.random() < 0.05 else 1.0
        return {
            "mean": self.mean + self.deviation * dice.gauss(0, self.noise) * tail,
            "stddev": self.deviation * math.exp(dice.gauss(0, self.noise) * tail),
            "nullFraction": min(1.0, self.nulls * math.exp(dice.gauss(0, 3 * self.noise))),
        }


def _harm(
    dice: random.Random, told: dict[str, dict[str, float]], mildness: float, harmed: str | None = None
) -> None:
    """A column, this one or any, with other values, with holes, or none at all."""
    name = dice.choice(sorted(told))
    name = name if harmed is None else harmed
    column = told[name]
    sort = dice.random()
    if sort < 0.45:
        column["mean"] += dice.choice((-1, 1)) * dice.uniform(0.2, 2.0) / mildness * column["stddev"]
    elif sort < 0.6:
        column["stddev"] *= math.exp(dice.choice((-1, 1)) * dice.uniform(0.3, 1.5) / mildness)
    elif sort < 0.9:
        column["nullFraction"] += (1 - column["nullFraction"]) * dice.uniform(0.05, 0.8) / mildness
    elif mildness == 1.0:
        del told[name]
