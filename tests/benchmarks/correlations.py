"""What goes with failure: how often chance is taken for more, and how often what was planted is found."""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.answers.correlations import LEVEL, Fact, correlate, facts_of_values
from tests.benchmarks.measure import Figure

Facts = Mapping[Fact, Sequence[int]]
#: Runs and failures among them.
SIZES = ((60, 12), (200, 60), (1_000, 80))
#: How often a run fails that bears what was planted; others fail one time in ten.
EFFECTS = (0.3, 0.5, 0.7)
REAL = Path("real") / "mlperf_runs.jsonl"


def runs(number: int, seed: int) -> dict[Fact, list[int]]:
    """Runs with the facts that real ones have: parameters of few and of many values, data, the commit that
    brought it, packages of the time; many of them tied to each other."""
    chance = random.Random(seed)
    facts: dict[Fact, list[int]] = {}
    for name in range(12):
        many: dict[int, Any] = {run: chance.lognormvariate(0, 2) for run in range(number)}
        facts |= facts_of_values("parameter", f"rate{name}", many)
        few: dict[int, Any] = {run: chance.choice("abcde") for run in range(number)}
        facts |= facts_of_values("parameter", f"kind{name}", few)
    data = {run: min(run * 9 // number + chance.choice((0, 0, 0, 1)), 8) for run in range(number)}
    facts |= facts_of_values("data", "raw", data)
    facts |= facts_of_values("commit", "", {run: value // 2 for run, value in data.items()})
    facts |= facts_of_values("runtime", "numpy", {run: value // 3 for run, value in data.items()})
    return facts


def fooled(
    facts: Facts, failed: Sequence[bool], times: int, seed: int, *, any_dependence: bool = True
) -> int:
    """In how many shuffles of the outcomes anything at all is found."""
    chance, shuffled = random.Random(seed), list(failed)
    count = 0
    for _ in range(times):
        chance.shuffle(shuffled)
        count += bool(correlate(shuffled, facts, any_dependence=any_dependence).findings)
    return count


def found(number: int, rate: float, times: int, seed: int, *, any_dependence: bool = True) -> int:
    """How often the fact that was planted is the first finding."""
    facts, chance, count = runs(number, seed), random.Random(seed), 0
    planted = next(f for f, m in facts.items() if f.name == "kind0" and len(m) >= number // 8)
    bearers = set(facts[planted])
    for _ in range(times):
        failed = [chance.random() < (rate if run in bearers else 0.1) for run in range(number)]
        findings = correlate(failed, facts, any_dependence=any_dependence).findings
        count += bool(findings) and findings[0].fact == planted
    return count


def run(times: int) -> Iterator[Figure]:
    """Figures of so many shuffles of each size."""
    for number, bad in SIZES:
        facts, failed = runs(number, number), [place < bad for place in range(number)]
        yield _chance(f"{number:,} runs, {bad} failed", facts, failed, times)
    real = _real()
    if real is None:
        yield Figure("Shuffled outcomes of real runs", "left out: there is no evaluation data")
    else:
        yield _chance(f"{len(real[1]):,} real runs, {sum(real[1])} failed", *real, times)
    for rate in EFFECTS:
        shares = [
            found(200, rate, times // 4, 5, any_dependence=any_way) / (times // 4)
            for any_way in (True, False)
        ]
        yield Figure(
            f"Planted: {rate:.0%} of those that bear it fail, of others 10 %, 200 runs",
            f"first in {shares[0]:.0%} (with Benjamini and Hochberg's correction {shares[1]:.0%})",
        )


def _chance(name: str, facts: Facts, failed: Sequence[bool], times: int) -> Figure:
    ours = fooled(facts, failed, times, 1)
    other = fooled(facts, failed, times, 1, any_dependence=False)
    upper = (ours + 1.96 * math.sqrt(max(ours, 1))) / times
    return Figure(
        f"Shuffled outcomes that find anything: {name}",
        f"{ours / times:.2%} of {times:,} (with Benjamini and Hochberg's correction {other / times:.2%})",
        f"≤ {LEVEL:.0%}",
        upper <= LEVEL,
    )


def _real() -> tuple[Facts, list[bool]] | None:
    """Real configurations and outcomes, where somebody has them."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    file = Path(os.environ.get("KINLORE_EVAL_DATA", default)) / REAL
    if not file.is_file():
        return None
    listed = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    ended = [each for each in listed if each.get("status") in ("success", "aborted")]
    facts: dict[Fact, list[int]] = {}
    for name in sorted({name for each in ended for name in each["params"]}):
        held = {place: each["params"][name] for place, each in enumerate(ended) if name in each["params"]}
        facts |= facts_of_values("parameter", name, held)
    return facts, [each["status"] == "aborted" for each in ended]
