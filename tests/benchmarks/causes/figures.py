"""Figures of the planted causes, for ``make bench``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

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
    BROKEN,
    NIGHTLY_SEEDS,
    SCORED,
    SMALL_SEEDS,
    TOP_1,
    TOP_3,
    UNPROVABLE,
)
from tests.benchmarks.causes.things import Organisation
from tests.benchmarks.measure import Figure

_BASELINES = ("most recent", "graph distance")
#: In which organisations, by which seeds. Targets are for those that train every week.
_OTHERS = (
    ("where services are trained every night", NIGHTLY, NIGHTLY_SEEDS),
    ("in small organisations", SMALL, SMALL_SEEDS),
)


def run(folder: Path, few: int | None = None) -> Iterator[Figure]:
    """How well the causes of incidents are found in generated organisations, of failed runs in those where
    runs fail, and of incidents in other scenarios, on SQLite; ``few`` organisations of each, or all. Targets
    are held against what is named while only the causes of the first 60 days are confirmed."""
    outcomes: list[Outcome] = []
    as_found: list[Outcome] = []
    for made, store in _stored(folder, map(organisation, SCORED[:few])):
        outcomes += score(store, made)
        as_found += score_as_found(store, made)
    yield from _figures(outcomes, "", "incidents", len(SCORED[:few]))
    for first in (1, 3):
        name = f"Planted cause named {_place(first)}, with causes confirmed as they are found"
        yield Figure(name, f"{share(as_found, 'causes', first):.3f} ({len(as_found)} incidents)")
    runs: list[Outcome] = []
    for made, store in _stored(folder, (organisation(seed, crashing=True) for seed in BROKEN[:few])):
        runs += score_runs(store, made)
    yield from _figures(runs, " of failed runs", "runs and job runs", len(BROKEN[:few]))
    unprovable = sum(each.unprovable for each in (*outcomes, *as_found, *runs))
    for words, scenario, seeds in _OTHERS:
        found: list[Outcome] = []
        for made, store in _stored(folder, (organisation(seed, scenario=scenario) for seed in seeds[:few])):
            found += score(store, made)
        unprovable += sum(each.unprovable for each in found)
        yield from _figures(found, f" {words}", "incidents", len(seeds[:few]), held=False)
    yield Figure("Causes named without proof", f"{unprovable}", f"= {UNPROVABLE}", unprovable == UNPROVABLE)


def _stored(folder: Path, made: Iterable[Organisation]) -> Iterator[tuple[Organisation, SqliteStore]]:
    """Each organisation with a store that holds it, as long as it is looked at."""
    for each in made:
        with TemporaryDirectory(dir=folder) as place:
            store = SqliteStore(Path(place) / "kinlore.db")
            store.migrate()
            prepare(store, each)
            yield each, store
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
