"""Figures of the planted causes, for ``make bench``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.store.sqlite import SqliteStore
from tests.benchmarks.causes.organisation import NIGHTLY, SMALL, organisation
from tests.benchmarks.causes.scoring import (
    Outcome,
    by_sort,
    prepare,
    score,
    score_as_found,
    score_runs,
    share,
)
from tests.benchmarks.causes.targets import (
    BASELINE_BELOW,
    NIGHTLY_SEEDS,
    SMALL_SEEDS,
    TOP_1,
    TOP_3,
    UNPROVABLE,
)
from tests.benchmarks.causes.things import Organisation
from tests.benchmarks.measure import Figure

_BASELINES = ("most recent", "graph distance")
#: In which organisations, of which manner, by which seeds. Targets are for those that train every week.
_MANNERS = (
    ("where services are trained every night", NIGHTLY, NIGHTLY_SEEDS),
    ("in small organisations", SMALL, SMALL_SEEDS),
)


def run(
    folder: Path, seeds: Sequence[int], broken: Sequence[int], few: int | None = None
) -> Iterator[Figure]:
    """How well the causes of the incidents of these organisations are found, of the failed runs of the
    ``broken`` ones, and of the incidents of other manners of organisations, ``few`` of each; on SQLite.
    Targets are held against what is named while only the causes of the first 60 days are confirmed."""
    outcomes: list[Outcome] = []
    as_found: list[Outcome] = []
    for seed in seeds:
        made = organisation(seed)
        with _stored(folder / f"{seed}.db", made) as store:
            outcomes += score(store, made)
            as_found += score_as_found(store, made)
    yield from _figures(outcomes, "", "incidents", len(seeds))
    for first in (1, 3):
        name = f"Planted cause named {_place(first)}, with causes confirmed as they are found"
        yield Figure(name, f"{share(as_found, 'causes', first):.3f} ({len(as_found)} incidents)")
    runs: list[Outcome] = []
    for seed in broken:
        made = organisation(seed, crashing=True)
        with _stored(folder / f"broken-{seed}.db", made) as store:
            runs += score_runs(store, made)
    yield from _figures(runs, " of failed runs", "runs and job runs", len(broken))
    others: list[Outcome] = []
    for words, manner, numbers in _MANNERS:
        found: list[Outcome] = []
        for seed in numbers[:few]:
            made = organisation(seed, manner=manner)
            with _stored(folder / f"other-{seed}.db", made) as store:
                found += score(store, made, 0)
        others += found
        yield from _figures(found, f" {words}", "incidents", len(numbers[:few]), held=False)
    unprovable = sum(each.unprovable for each in (*outcomes, *as_found, *runs, *others))
    yield Figure("Causes named without proof", f"{unprovable}", f"= {UNPROVABLE}", unprovable == UNPROVABLE)


@contextmanager
def _stored(file: Path, made: Organisation) -> Iterator[SqliteStore]:
    store = SqliteStore(file)
    store.migrate()
    prepare(store, made)
    yield store
    store.close()


def _figures(
    outcomes: Sequence[Outcome], of: str, called: str, organisations: int, held: bool = True
) -> Iterator[Figure]:
    """What is reached against the targets, if it is ``held`` against them, and what baselines reach. ``of``:
    whose causes, in words."""
    detail = f"{len(outcomes)} {called}, {organisations} organisations"
    for first, target in ((1, TOP_1), (3, TOP_3)):
        reached = share(outcomes, "causes", first)
        name = f"Planted cause{of} named {_place(first)}"
        against = (f"≥ {target:.2f}", reached >= target) if held else ()
        yield Figure(name, f"{reached:.3f} ({detail})", *against)
    yield Figure(f"Planted cause{of} named first and among three, by sort", by_sort(outcomes))
    for baseline in _BASELINES:
        # The better of its two forms, with and without runs and releases.
        reached = max(share(outcomes, who, 1) for who in outcomes[0].places if who.startswith(baseline))
        yield Figure(
            f"Baseline{of}: {baseline} named first",
            f"{reached:.3f} ({detail})",
            f"< {BASELINE_BELOW:.2f}",
            reached < BASELINE_BELOW,
        )


def _place(first: int) -> str:
    return "first" if first == 1 else f"among the first {first}"
