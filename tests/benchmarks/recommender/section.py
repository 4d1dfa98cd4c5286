"""The part of ``make bench``: ours against the baseline on the development sets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from app.embeddings import model
from tests.benchmarks.measure import Figure
from tests.benchmarks.recommender.__main__ import CACHE, SCOPES, measure

SETS = ("mlbugs_dev", "mlfix_dev", "hadoop_dev")
_COLUMNS = {"r5": "R@5", "mrr10": "MRR@10", "auroc": "AUROC of a match being there"}


def run(data: Path) -> Iterator[Figure]:
    """Figures of every set in both scopes; a line that says so where the data or the model is not there."""
    missing = [name for name in SETS if not (data / "recsys" / name / "qrels.jsonl").exists()]
    if missing or not model.available():
        why = (
            f"no {', '.join(missing)} in KINLORE_EVAL_DATA"
            if missing
            else "the extra `semantic` is not there"
        )
        yield Figure("Similar failures", f"left out: {why}")
        return
    for name in SETS:
        for label, scope in SCOPES.items():
            told = measure(data / "recsys" / name, scope, CACHE)
            base = told["baseline"]
            assert isinstance(base, dict)
            for column, title in _COLUMNS.items():
                ours, theirs = float(str(told[column])), float(base[column])
                detail = f"{ours:.3f} against {theirs:.3f} of the baseline"
                yield Figure(f"{name}, {label}: {title}", detail, "≥ baseline", ours >= theirs)
            took = float(str(told["p95_ms"]))
            yield Figure(f"{name}, {label}: p95 with encoding", f"{took:.0f} ms", "≤ 200 ms", took <= 200)
