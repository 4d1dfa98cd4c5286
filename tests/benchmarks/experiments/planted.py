"""Configurations with one thing wrong, planted among real runs; see TARGETS.md."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.learnings.configurations import Run
from app.learnings.scalars import Scalar, flat

RESULTS = frozenset({"throughput", "current_lr", "status", "eval_result", "epoch_count", "first_epoch_num"})
SEED = 20261121
_DAY = 86_400_000_000

NOT_FINITE = "RuntimeError: loss is not finite, training stops"
NO_MEMORY = "RuntimeError: CUDA out of memory. Tried to allocate more than is free"
REFUSED = "AssertionError: training did not reach the target quality"


class Fault(NamedTuple):
    """A way to get a setting wrong: which settings it fits, what it makes of a value, and what is said."""

    name: str
    fits: Callable[[str, Scalar], bool]
    makes: Callable[[Any, random.Random], Scalar]
    error: str


def _positive(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _times(*factors: float) -> Callable[[Any, random.Random], Scalar]:
    def makes(value: Any, rng: random.Random) -> Scalar:
        made = value * rng.choice(factors)
        return int(made) if isinstance(value, int) else float(made)

    return makes


def _named(*parts: str) -> Callable[[str, Scalar], bool]:
    return lambda key, value: any(part in key for part in parts) and _positive(value)


FAULTS = (
    Fault("rate", _named("base_learning_rate"), _times(10, 25, 50, 100), NOT_FINITE),
    Fault(
        "warm-up",
        _named("warmup_epochs", "warmup_steps", "warmup_factor"),
        lambda value, rng: 0,
        NOT_FINITE,
    ),
    Fault("decay", _named("weight_decay"), _times(100, 1000), NOT_FINITE),
    Fault(
        "momentum",
        _named("momentum", "beta_1", "beta_2"),
        lambda value, rng: rng.choice((1.1, 1.5, 9.0)),
        NOT_FINITE,
    ),
    Fault("batch", _named("batch_size"), _times(8, 16), NO_MEMORY),
    Fault("accumulation", _named("gradient_accumulation"), _times(16, 32), REFUSED),
    Fault(
        "length",
        _named("max_predictions", "max_sequence", "max_duration", "max_image_size", "image_candidates"),
        _times(4, 8, 16),
        NO_MEMORY,
    ),
    Fault(
        "optimiser",
        lambda key, value: key == "opt_name",
        lambda value, rng: rng.choice(("rmsprop", "adagrad")),
        REFUSED,
    ),
    Fault(
        "samples",
        _named("train_samples", "samples_per_epoch"),
        lambda value, rng: max(1, value // rng.choice((50, 100, 1000))),
        REFUSED,
    ),
)


class Real(NamedTuple):
    """A real run: its submission (a folder of results), its benchmark, its settings."""

    submission: str
    benchmark: str
    name: str
    settings: dict[str, Scalar]


class Planted(NamedTuple):
    """A failure: the run that it was made of, the setting that is wrong, and the id of its twin (None for
    the earlier of two)."""

    run: Run
    real: int
    key: str
    error: str
    twin: int | None


class Suite(NamedTuple):
    """All runs with the failures planted, queries last, and the real runs by id."""

    runs: list[Run]
    queries: list[Planted]
    failures: list[Planted]
    real: Mapping[int, Real]


def read(file: Path) -> list[Real]:
    """The real runs that ended well."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told.get("status") == "success":
            params = {key: value for key, value in told["params"].items() if key not in RESULTS}
            folder, _, name = told["path"].rpartition("/")
            found.append(Real(folder, params["submission_benchmark"], name, flat(params)))
    return found


def plant(real: list[Real], pairs: int = 150, seed: int = SEED) -> Suite:
    """Plant pairs of failures. Every fault as often as it can be, no run twice."""
    rng = random.Random(seed)
    places: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for number, run in enumerate(real):
        for fault in FAULTS:
            for key, value in run.settings.items():
                if fault.fits(key, value):
                    places[fault.name, run.benchmark, key].append(number)
    by_fault: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    for place in sorted(places):
        by_fault[place[0]].append(place)
    faults = {fault.name: fault for fault in FAULTS}
    taken: set[int] = set()
    earlier: list[Planted] = []
    later: list[Planted] = []
    number = 0
    while len(later) < pairs:
        fault = faults[FAULTS[number % len(FAULTS)].name]
        place = rng.choice(by_fault[fault.name])
        number += 1
        free = [n for n in places[place] if n not in taken]
        rng.shuffle(free)
        first = next(iter(free), None)
        second = next(
            (n for n in free if first is not None and real[n].submission != real[first].submission), None
        )
        if number > 100 * pairs:
            raise RuntimeError(f"only {len(later)} pairs of {pairs} could be planted")
        if first is None or second is None:
            continue
        taken.update((first, second))
        twin = _planted(real, first, place[2], fault, rng, at=len(later) * _DAY, twin=None)
        earlier.append(twin)
        later.append(
            _planted(real, second, place[2], fault, rng, at=(1_000 + len(later)) * _DAY, twin=twin.run.id)
        )
    runs = [
        Run(id=n, settings=each.settings, worked=True, created=rng.randrange(1_000) * _DAY)
        for n, each in enumerate(real)
        if n not in taken
    ]
    runs += [each.run for each in (*earlier, *later)]
    return Suite(runs, later, [*earlier, *later], dict(enumerate(real)))


def _planted(
    real: list[Real], number: int, key: str, fault: Fault, rng: random.Random, *, at: int, twin: int | None
) -> Planted:
    settings = dict(real[number].settings)
    settings[key] = fault.makes(settings[key], rng)
    run = Run(id=number, settings=settings, worked=False, created=at)
    return Planted(run, number, key, fault.error, twin)
