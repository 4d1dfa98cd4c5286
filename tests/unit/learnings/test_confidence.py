"""Probabilities of a match, and of there being any."""

from __future__ import annotations

import numpy as np
import pytest

from app.learnings import priors
from app.learnings.confidence import CEILING, any_alike, features, least, probabilities


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


def test_nothing_is_surer_than_the_labels_that_it_was_learned_from() -> None:
    assert 0.8 < chance(50, fix=50.0) <= CEILING + 1e-6


def test_several_fair_matches_are_a_fair_answer() -> None:
    assert any_alike([]) == 0
    assert any_alike([0.3]) == pytest.approx(0.3)
    assert any_alike([0.3, 0.01, 0.3, 0.3, 0.3, 0.3]) == pytest.approx(1 - 0.7**5)


def test_an_answer_is_given_by_all_of_its_matches_and_shows_at_least_the_best() -> None:
    assert least([]) == least([0.2]) == least([0.12, 0.1]) == float("inf")
    assert least([0.3, 0.05]) == least([0.2, 0.15]) == 0.15
    assert least([0.08, 0.12, 0.1]) == 0.12
