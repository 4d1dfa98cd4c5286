"""Planted configuration failures, and how fast 20,000 configurations answer."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from app.learnings.configurations import Configurations, Run
from tests.benchmarks.experiments.planted import plant, read
from tests.benchmarks.experiments.scoring import score
from tests.benchmarks.measure import Figure

FILE = Path("real") / "mlperf_runs.jsonl"
_MANY = 20_000


def run(data: Path, smaller: int = 1) -> Iterator[Figure]:
    """Figures over the runs in the evaluation data; a line that says so where they are not there."""
    file = data / FILE
    if not file.is_file():
        yield Figure("Similar experiments", f"left out: no {FILE} in KINLORE_EVAL_DATA")
        return
    real = read(file)
    suite = plant(real, pairs=150 // smaller)
    found = score(suite)
    yield Figure(
        "Planted configuration failures: the twin's reciprocal rank, gain on BM25",
        f"+{found.gain:.3f} ({found.mrr:.3f} against {found.text_mrr:.3f}; lower bound +{found.low:.3f})",
        "lower bound > 0",
        found.low > 0,
    )
    yield Figure(
        "the same: twin among the first five",
        f"{found.r5:.2f} (BM25 {found.text_r5:.2f}, {found.queries} queries)",
        "≥ 0.80",
        found.r5 >= 0.80,
    )
    elsewhere = f"{found.named_first_elsewhere:.2f} where only other submissions succeeded"
    yield Figure(
        "the same: nearest success names the planted setting first",
        f"{found.named_first:.2f} ({elsewhere})",
        "≥ 0.80",
        found.named_first >= 0.80,
    )
    rng = random.Random(0)
    many = [
        Run(
            id=n,
            settings={**real[n % len(real)].settings, "seed": rng.randrange(10**9)},
            worked=True,
            created=n,
        )
        for n in range(_MANY // smaller)
    ]
    index = Configurations(many)
    times = []
    for query in suite.queries:
        start = time.perf_counter()
        index.alike(query.run.settings)
        times.append(time.perf_counter() - start)
    p95 = float(np.quantile(times, 0.95)) * 1_000
    yield Figure(f"alike runs among {len(many):,}, p95", f"{p95:.0f} ms", "≤ 200 ms", p95 <= 200)
