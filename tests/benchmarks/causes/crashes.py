"""Runs and job runs of a generated organisation that end with an error, and what their errors say.

Where asked for, some faults break what they reach outright, before anything is trained or served. A trace
holds the entry point and files of what ran; how often it names those of the commit at fault is taken from
reports of real bugs (``tests.benchmarks.named``: .287 as the innermost, .147 as another). How often errors
name columns, packages and settings is set by hand, and to other values than the product assumes.

The dice are its own.
"""

from __future__ import annotations

import random

from tests.benchmarks.causes.code import entry, files_of
from tests.benchmarks.causes.things import HOUR, Fault, Planted, Sort, Thing
from tests.benchmarks.causes.world import HISTORY, Service, World

#: How often a fault of a sort breaks what it reaches.
_BREAKS = {
    Sort.DATA: 0.4, Sort.OUTPUT: 0.4, Sort.COMMIT: 0.6, Sort.PIPELINE: 0.6, Sort.PARAMETERS: 0.5,
    Sort.RUNTIME: 0.6, Sort.BASE: 0.4,
}  # fmt: skip
#: What breaks where features are made; all else breaks trainings.
_IN_JOBS = frozenset({Sort.DATA, Sort.PIPELINE})
#: That a trace names files of the commit at fault: as the innermost, as another.
_INNERMOST, _NAMED = 0.287, 0.147
#: That an error names the column, package or setting at fault; that it names a column for no reason.
_COLUMN, _PACKAGE, _SETTING, _IDLE = 0.4, 0.5, 0.4, 0.1
#: That what breaks does so this time.
_EACH_TIME = 0.95
#: That people ask about any run that failed so, and not about the first.
_LATE = 0.3
_ERRORS = (
    "ValueError: operands could not be broadcast together",
    "TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'",
    "AssertionError",
    "IndexError: list index out of range",
    "RuntimeError: mat1 and mat2 shapes cannot be multiplied (64x21 and 20x8)",
    "AttributeError: 'NoneType' object has no attribute 'shape'",
)
_OF_DATA = (
    "KeyError: '{}'",
    "ValueError: could not convert string to float in column '{}'",
    "ValueError: column '{}' contains NaN",
)


class Crashes:
    """What breaks in an organisation, and which failed runs are told of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._failed: dict[tuple[int, str], list[Planted]] = {}

    def breaks(self, fault: Fault) -> bool:
        """Whether a fault is of those that break what they reach."""
        dice = random.Random(f"{self._world.seed}/breaks/{fault.number}")
        return dice.random() < _BREAKS.get(fault.sort, 0.0)

    def column(self, fault: Fault, columns: list[str]) -> str | None:
        """The column at fault, where bad data breaks what reads it."""
        if not self.breaks(fault):
            return None
        fault.column = random.Random(f"{self._world.seed}/column/{fault.number}").choice(columns)
        return fault.column

    def end(self, made: Thing, service: Service, harmless: set[int]) -> bool:
        """Let a run or job run fail, where what it carries breaks it; whether it did."""
        world = self._world
        job = made.source == "pipelines"
        dice = random.Random(f"{world.seed}/crash/{made.id}")
        faults = [world.faults[n] for n in sorted(made.carries - harmless)]
        breaking = [f for f in faults if self.breaks(f) and (f.sort in _IN_JOBS) == job]
        if not breaking or dice.random() > _EACH_TIME:
            return False
        fault = dice.choice(breaking)
        # One fault says the same in each run of a service.
        said = random.Random(f"{world.seed}/error/{fault.number}/{service.name}")
        message = self._message(random.Random(f"{world.seed}/error/{fault.number}"), fault)
        trace = self._trace(said, fault, service, job)
        made.properties["status"] = "FAILED"
        made.properties.pop("metrics", None)
        if job:
            made.properties |= {"errorMessage": message, "errorTrace": f"{trace}\n{message}"}
        else:
            made.properties["error"] = f"{trace}\n{message}"
        about = (fault.thing, fault.sort, fault.number)
        told = Planted(made.id, service.name, world.now, *about, world.now < HISTORY)
        self._failed.setdefault((fault.number, service.name), []).append(told)
        if fault.known_at is None:
            fault.known_at = world.now + int(dice.uniform(6, 36) * HOUR)
        return True

    def failed(self) -> list[Planted]:
        """Of the runs of a service that a fault broke one each, in the order of time: the first, mostly."""
        found = []
        for (fault, service), runs in self._failed.items():
            dice = random.Random(f"{self._world.seed}/asked/{fault}/{service}")
            found.append(dice.choice(runs) if dice.random() < _LATE else runs[0])
        return sorted(found, key=lambda each: each.at)

    def _trace(self, dice: random.Random, fault: Fault, service: Service, job: bool) -> str:
        role, repo = ("pipeline", "acme/pipeline") if job else ("training", service.repo.name)
        files = files_of(role, service.name)
        frames = [entry(role, service.name), *dice.sample(files, dice.choice((1, 1, 2, 3)))]
        own = [path for path in fault.files if path in files]
        where = dice.random()
        if own and where < _INNERMOST:
            frames.append(dice.choice(own))
        elif own and where < _INNERMOST + _NAMED:
            frames.insert(1, dice.choice(own))
        lines = ["Traceback (most recent call last):"]
        for path in frames:
            line, name = dice.randint(5, 300), dice.choice(("main", "run", "build", "load", "apply"))
            lines.append(f'  File "/builds/{repo}/{path}", line {line}, in {name}')
        return "\n".join(lines)

    def _message(self, dice: random.Random, fault: Fault) -> str:
        named = dice.random()
        if fault.column is not None and named < _COLUMN:
            return dice.choice(_OF_DATA).format(fault.column)
        if fault.sort is Sort.RUNTIME and named < _PACKAGE:
            package = self._world.upgraded[str(fault.thing)].replace("scikit-learn", "sklearn")
            return f"ImportError: cannot import name 'build' from '{package}'"
        if fault.sort is Sort.PARAMETERS and named < _SETTING:
            return f"ValueError: loss is not finite; is '{fault.setting}' too large?"
        if dice.random() < _IDLE and self._world.columns:
            other = dice.choice(sorted(self._world.columns))
            return f"KeyError: '{dice.choice(self._world.columns[other])}'"
        return dice.choice(_ERRORS)
