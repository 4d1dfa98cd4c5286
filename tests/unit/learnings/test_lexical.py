"""BM25 that grows."""

from __future__ import annotations

import math

import pytest

from app.learnings.lexical import InvertedIndex


def test_scores_are_those_of_the_formula() -> None:
    index = InvertedIndex(k1=1.2, b=0.75)
    index.add(["nan", "loss", "loss"])
    index.add(["column"])

    scores = index.scores(["loss", "loss", "unknown"])

    idf = math.log(1 + (2 - 1 + 0.5) / (1 + 0.5))
    assert scores[0] == pytest.approx(idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2)), rel=1e-5)
    assert scores[1] == 0


def test_shares_sum_to_the_score() -> None:
    index = InvertedIndex()
    for text in ("a b c", "b c d", "c d e e"):
        index.add(text.split())

    shares = index.shares(["e", "c", "a"], 2)

    assert list(shares) == ["e", "c"]
    assert sum(shares.values()) == pytest.approx(float(index.scores(["e", "c", "a"])[2]), rel=1e-5)


def test_an_empty_index_answers() -> None:
    index = InvertedIndex()

    assert len(index.scores(["a"])) == 0
    assert index.idf("a") == 0
    assert index.mass(["a"]) == 0
