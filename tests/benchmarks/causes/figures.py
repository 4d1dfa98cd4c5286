"""Figures of the planted causes, for ``make bench``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from app.store.sqlite import SqliteStore
from tests.benchmarks.causes.organisation import organisation
from tests.benchmarks.causes.scoring import Outcome, by_sort, prepare, score, score_as_found, share
from tests.benchmarks.causes.targets import BASELINE_BELOW, TOP_1, TOP_3, UNPROVABLE
from tests.benchmarks.measure import Figure

_BASELINES = ("most recent", "graph distance")


def run(folder: Path, seeds: Sequence[int]) -> Iterator[Figure]:
    """How well the causes of the incidents of these organisations are found, on SQLite. Targets are held
    against what is named while only the causes of the first 60 days are confirmed."""
    outcomes: list[Outcome] = []
    as_found: list[Outcome] = []
    for seed in seeds:
        store = SqliteStore(folder / f"{seed}.db")
        store.migrate()
        made = organisation(seed)
        prepare(store, made)
        outcomes += score(store, made)
        as_found += score_as_found(store, made)
        store.close()
    detail = f"{len(outcomes)} incidents, {len(seeds)} organisations"
    for first, target in ((1, TOP_1), (3, TOP_3)):
        reached = share(outcomes, "causes", first)
        name = "first" if first == 1 else f"among the first {first}"
        yield Figure(
            f"Planted cause named {name}", f"{reached:.3f} ({detail})", f"≥ {target:.2f}", reached >= target
        )
    yield Figure("Planted cause named first and among three, by sort", by_sort(outcomes))
    for first in (1, 3):
        name = "first" if first == 1 else f"among the first {first}"
        name = f"Planted cause named {name}, with causes confirmed as they are found"
        yield Figure(name, f"{share(as_found, 'causes', first):.3f} ({detail})")
    unprovable = sum(each.unprovable for each in (*outcomes, *as_found))
    yield Figure("Causes named without proof", f"{unprovable}", f"= {UNPROVABLE}", unprovable == UNPROVABLE)
    for baseline in _BASELINES:
        # The better of its two forms, with and without runs and releases.
        reached = max(share(outcomes, who, 1) for who in outcomes[0].places if who.startswith(baseline))
        yield Figure(
            f"Baseline: {baseline} named first",
            f"{reached:.3f} ({detail})",
            f"< {BASELINE_BELOW:.2f}",
            reached < BASELINE_BELOW,
        )
