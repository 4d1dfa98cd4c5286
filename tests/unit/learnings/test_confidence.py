"""Probabilities: what feedback moves, and how far."""

from __future__ import annotations

from app.learnings.confidence import shift


def test_nothing_said_moves_nothing() -> None:
    assert shift([]) == 0


def test_a_few_judgements_move_little_and_many_move_much() -> None:
    few, many = shift([(0.5, False)] * 3), shift([(0.5, False)] * 300)

    assert -0.5 < few < 0
    assert many < -2


def test_what_is_as_probable_as_said_moves_nothing() -> None:
    assert abs(shift([(0.25, True)] * 5 + [(0.25, False)] * 15)) < 1e-3
