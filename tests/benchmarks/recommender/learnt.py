"""Weights from questions: softmax regression over candidates, and logistic regression, both shrunk.

Small on purpose, numpy only: gradient descent with momentum on convex losses of some ten parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
#: One question: candidates' standard scores (candidates, signals), and which of them are relevant.
Choice = tuple[NDArray[np.float32], NDArray[np.bool_]]


def weights(choices: Sequence[Choice], shares: Sequence[float], prior: Doubles, strength: float) -> Doubles:
    """Weights under which the relevant candidates get the most of a softmax over all, at a squared distance
    from ``prior`` that costs ``strength`` per unit. ``shares``: how much each question counts."""

    def slope(at: Doubles) -> Doubles:
        gradient = 2 * strength * (at - prior)
        for (signals, relevant), share in zip(choices, shares, strict=True):
            odds = signals @ at
            chance = np.exp(odds - odds.max())
            chance /= chance.sum()
            among = chance * relevant
            gradient += share * (signals.T @ (chance - among / max(among.sum(), 1e-12)))
        return gradient

    return _descend(slope, prior, _curvature(choices, shares) + 2 * strength)


def _curvature(choices: Sequence[Choice], shares: Sequence[float]) -> float:
    """An estimate of the greatest curvature of the softmax loss, from the spread near the top."""
    total = 0.0
    for (signals, _), share in zip(choices, shares, strict=True):
        top = signals[np.argsort(-signals.sum(axis=1))[:20]]
        total += share * float(top.var(axis=0).sum())
    return total


def _descend(slope: object, start: Doubles, curvature: float, steps: int = 120) -> Doubles:
    """Nesterov's accelerated gradient."""
    assert callable(slope)
    at, ahead = start.copy(), start.copy()
    for step in range(1, steps + 1):
        following = ahead - slope(ahead) / curvature
        ahead = following + (step - 1) / (step + 2) * (following - at)
        if float(np.abs(following - at).max()) < 1e-5:
            return following
        at = following
    return at


def logistic(
    features: Doubles, relevant: NDArray[np.bool_], groups: NDArray[np.intp], strength: float, ceiling: float
) -> tuple[float, Doubles]:
    """(constant, coefficients) of a logistic regression below a ceiling, by Fisher scoring.

    Each group (set) has a constant of its own while the coefficients are found, so that these tell sure from
    unsure within a set, not one set from another; then one constant and one common factor suit all sets. The
    coefficients of the features in units of their spread are penalised by ``strength`` times their squares.
    """
    mean, spread = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    scaled = (features - mean) / spread
    own = np.eye(int(groups.max()) + 1)[groups]
    found = _scored(
        np.column_stack([own, scaled]),
        relevant,
        np.r_[np.full(own.shape[1], 1e-3), np.full(scaled.shape[1], 2 * strength)],
        ceiling,
    )
    slopes = found[own.shape[1] :]
    constant, factor = _scored(
        np.column_stack([np.ones(len(scaled)), scaled @ slopes]), relevant, np.array([1e-9, 1e-3]), ceiling
    )
    coefficients = factor * slopes / spread
    return float(constant - coefficients @ mean), coefficients


def _scored(columns: Doubles, relevant: NDArray[np.bool_], penalty: Doubles, ceiling: float) -> Doubles:
    found = np.zeros(columns.shape[1])
    for _ in range(200):
        share = 1 / (1 + np.exp(-columns @ found))
        chance = ceiling * share
        told = (1 - share) / (1 - chance)
        gradient = columns.T @ (told * (chance - relevant)) + penalty * found
        information = (columns * (told * chance * (1 - share))[:, None]).T @ columns + np.diag(penalty)
        step = np.linalg.solve(information, gradient)
        found -= np.clip(step, -0.5, 0.5)
        if float(np.abs(step).max()) < 1e-8:
            break
    return found
