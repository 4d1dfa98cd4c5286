"""How well twins and differences are found: ours, and BM25 over the same runs' text beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.learnings.configurations import USUAL, Configurations
from app.learnings.lexical import InvertedIndex
from app.learnings.signature import terms
from tests.benchmarks.experiments.planted import Planted, Suite

_DEPTH = 10


class Scores(NamedTuple):
    """Means over queries. ``gain``: ours less text, mean reciprocal rank; ``low``: lower end of its 95 %
    interval by paired bootstrap."""

    queries: int
    mrr: float
    r5: float
    text_mrr: float
    text_r5: float
    gain: float
    low: float
    named_first: float
    named_first_elsewhere: float


def score(suite: Suite) -> Scores:
    """Score all queries. The candidates of a query are the failures that came before it."""
    index = Configurations(suite.runs)
    ours = [_rank(_twins(index, query), query) for query in suite.queries]
    text = [_rank(found, query) for query, found in zip(suite.queries, _by_text(suite), strict=True)]
    reciprocal = [np.array([0.0 if rank is None else 1 / rank for rank in ranks]) for ranks in (ours, text)]
    gains = reciprocal[0] - reciprocal[1]
    draws = np.random.default_rng(0).integers(0, len(gains), (10_000, len(gains)))
    return Scores(
        queries=len(suite.queries),
        mrr=float(reciprocal[0].mean()),
        r5=_within(ours, 5),
        text_mrr=float(reciprocal[1].mean()),
        text_r5=_within(text, 5),
        gain=float(gains.mean()),
        low=float(np.quantile(gains[draws].mean(axis=1), 0.025)),
        named_first=float(np.mean([_named_first(index, each) for each in suite.failures])),
        named_first_elsewhere=float(np.mean([_named_elsewhere(index, suite, q) for q in suite.queries])),
    )


def _twins(index: Configurations, query: Planted) -> list[int]:
    found = index.twins(query.run, first=_DEPTH, before=query.run.created)
    return [each.run.id for each, _ in found]


def _rank(found: Sequence[int], query: Planted) -> int | None:
    return found.index(query.twin) + 1 if query.twin in found else None


def _within(ranks: Sequence[int | None], most: int) -> float:
    return float(np.mean([rank is not None and rank <= most for rank in ranks]))


def _named_first(index: Configurations, planted: Planted) -> bool:
    differing = index.suspects(planted.run, 1)
    return bool(differing) and differing[0].path == planted.key


def _named_elsewhere(index: Configurations, suite: Suite, planted: Planted) -> bool:
    """Where nothing of the same submission is known."""
    submission = suite.real[planted.real].submission
    others = frozenset(n for n, each in suite.real.items() if each.submission != submission)
    near = index.alike(planted.run.settings, first=USUAL, worked=True, allowed=others)
    usual = [each.run for each in near]
    differing = index.differences(planted.run.settings, usual[0], usual) if usual else []
    return bool(differing) and differing[0].path == planted.key


def _by_text(suite: Suite) -> list[list[int]]:
    """BM25 over what is written of a failed run: its name, its error, and every parameter."""
    texts = InvertedIndex()
    failures = suite.failures
    for each in failures:
        texts.add(terms(_written(suite, each)))
    found = []
    for query in suite.queries:
        scores = texts.scores(terms(_written(suite, query)))
        order = np.argsort(-scores, kind="stable")
        before = [failures[place].run for place in order]
        found.append([run.id for run in before if run.created < query.run.created][:_DEPTH])
    return found


def _written(suite: Suite, planted: Planted) -> str:
    lines = [suite.real[planted.real].name, planted.error]
    lines += [f"{key}: {value}" for key, value in planted.run.settings.items()]
    return "\n".join(lines)
