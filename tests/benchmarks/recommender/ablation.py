"""``python -m tests.benchmarks.recommender.ablation [DATA]``: what each shipped signal is worth.

Every question of the development sets is ranked with the shipped weights, and again without each signal,
nothing refitted. Prints R@5 and MRR@10 by set and scope, and the mean of all against that of the whole.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from app.embeddings import model
from app.learnings.ranking import Ranker
from tests.benchmarks.recommender.__main__ import CACHE, SCOPES, say
from tests.benchmarks.recommender.fit import SETS
from tests.benchmarks.recommender.folder import FileCache, Portioned, load
from tests.benchmarks.recommender.replay import moments

#: Signals that say one thing in several ways are left out together, too.
GROUPS = {
    "all words": ("text", "title_in_text", "text_in_title", "rarest"),
    "all meaning": ("meaning", "title_meaning"),
}
#: By signal left out ("" for none): ranks of the first relevant match, one per matched question.
Ranks = dict[str, list[float]]


def ranks(folder: Path, cache: Path) -> dict[str, Ranks]:
    """By scope: every matched question of a folder ranked with all signals and without each."""
    raw = model.load(threads=2)
    read = load(folder, Portioned(model.CachedEncoder(raw, FileCache(cache, raw)), say))
    ranker = Ranker()
    found: dict[str, Ranks] = {label: {} for label in SCOPES}
    for question in moments(read, ranker.add):
        if not question.relevant:
            continue
        for label, scope in SCOPES.items():
            compared = ranker.compare(question.item, scope=scope)
            relevant = np.array(
                [ranker.item(place).id in question.relevant for place in compared.at], dtype=bool
            )
            without = {"": (), **{name: (name,) for name in compared.parts}, **GROUPS}
            for name, left_out in without.items():
                total = compared.total - sum(compared.parts.get(each, 0.0) for each in left_out)
                found[label].setdefault(name, []).append(_rank(total, relevant))
            # A signal that has nothing to say of a question is worth nothing there.
            for name in sorted(ranker.signals.keys() - compared.parts.keys()):
                found[label].setdefault(name, []).append(found[label][""][-1])
    return found


def _rank(total: np.ndarray, relevant: np.ndarray) -> float:
    first = np.flatnonzero(relevant[np.argsort(-total, kind="stable")[:10]])
    return float(first[0] + 1) if len(first) else float("inf")


def row(found: dict[tuple[str, str], Ranks], name: str) -> list[float]:
    """R@5 and MRR@10 of each set and scope without a signal."""
    told = []
    for each in found.values():
        got = np.array(each[name])
        told += [float((got <= 5).mean()), float(np.where(got <= 10, 1 / got, 0.0).mean())]
    return told


def main() -> int:
    """Rank and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recommender.ablation")
    data = Path(os.environ.get("KINLORE_EVAL_DATA", "../shared/data"))
    parser.add_argument("data", nargs="?", type=Path, default=data)
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"where vectors are kept (default {CACHE})")
    asked = parser.parse_args()
    found = {
        (name, label): each
        for name in SETS
        for label, each in ranks(asked.data / "recsys" / name, asked.cache).items()
    }
    print(" " * 22 + "  ".join(f"{name} {label}" for name, label in found))
    whole = row(found, "")
    for name in next(iter(found.values())):
        told = row(found, name)
        cells = "  ".join(f"{a:.3f} / {b:.3f}" for a, b in zip(told[::2], told[1::2], strict=True))
        print(f"{name or 'all signals':20s}  {cells}  {np.mean(told) - np.mean(whole):+.4f}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
