"""Probabilities: what feedback moves, and how far."""

from __future__ import annotations

import numpy as np

from app.learnings import priors
from app.learnings.confidence import features, probabilities, shift


def chance(own: float, **signals: float) -> float:
    """The probability of one match among two, of a project with so many candidates."""
    values = {"title_in_text": np.array([4.0, 0.0]), "project": np.array([1.0, 1.0])}
    values |= {name: np.array([value, 0.0]) for name, value in signals.items()}
    found = features(np.array([0, 1]), np.array([3.0, 1.0]), values, {"title": 8.0, "own": own}, 1)
    return float(probabilities(found, priors.LEXICAL)[0])


def test_a_project_with_nothing_behind_it_rarely_has_a_precedent() -> None:
    assert chance(2) < chance(20) < chance(50) == chance(5_000)


def test_a_match_whose_fix_the_query_names_is_surer() -> None:
    assert chance(50) == chance(50, fix=0.0) < chance(50, fix=2.0)


def test_nothing_said_moves_nothing() -> None:
    assert shift([]) == 0


def test_a_few_judgements_move_little_and_many_move_much() -> None:
    few, many = shift([(0.5, False)] * 3), shift([(0.5, False)] * 300)

    assert -0.5 < few < 0
    assert many < -2


def test_what_is_as_probable_as_said_moves_nothing() -> None:
    assert abs(shift([(0.25, True)] * 5 + [(0.25, False)] * 15)) < 1e-3
