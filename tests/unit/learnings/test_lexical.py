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


def test_a_document_is_named_by_what_it_has_in_common_and_by_how_much_of_it_that_is() -> None:
    index = InvertedIndex()
    index.add(["src", "loader"])
    index.add(["src", "topk", "cuda", "kernel"])

    named = index.named(["loader", "src", "src", "crash"])

    assert named[0] == pytest.approx(index.idf("src") + index.idf("loader"), rel=1e-6)
    assert named[1] == pytest.approx(index.idf("src") / 4, rel=1e-6)


def test_the_rarest_term_in_common_counts_once() -> None:
    index = InvertedIndex()
    for text in ("loss nan", "loss scaler scaler", "loss"):
        index.add(text.split())

    rarest = index.rarest(["scaler", "loss", "column"])

    assert rarest.tolist() == pytest.approx([index.idf("loss"), index.idf("scaler"), index.idf("loss")])


def test_an_empty_index_answers() -> None:
    index = InvertedIndex()

    assert len(index.named(["a"])) == len(index.rarest(["a"])) == 0

    assert len(index.scores(["a"])) == 0
    assert index.idf("a") == 0
    assert index.mass(["a"]) == 0
