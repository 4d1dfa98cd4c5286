"""Signals into one score: convex fusion of standard scores.

Each signal is brought to a common scale and multiplied by its weight. The score is the sum of these products,
which is also the explanation. After Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid
Retrieval" (2023).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: As many candidates as the general scale of a signal counts for.
STRENGTH = 20.0


class Signal(msgspec.Struct, frozen=True):
    """How a signal counts: its weight, and its mean and spread over candidates in general.

    ``absolute``: its scale is always the general one. Otherwise it is that of the candidates at hand, shrunk
    to the general one, for what is a high BM25 score depends on the query.
    """

    weight: float
    mean: float
    spread: float
    absolute: bool = False


def standard(values: Floats, signal: Signal) -> Floats:
    """Standard scores of one signal over the candidates, shape (n,) to (n,).

    The general mean and spread count as much as ``STRENGTH`` candidates. That keeps the result strictly
    increasing in each candidate's own value, however few candidates there are.
    """
    centre, spread = signal.mean, signal.spread
    count = len(values)
    if count and not signal.absolute:
        centre = (float(values.sum()) + STRENGTH * signal.mean) / (count + STRENGTH)
        around = float(((values - centre) ** 2).sum())
        around += STRENGTH * (signal.spread**2 + (signal.mean - centre) ** 2)
        spread = (around / (count + STRENGTH)) ** 0.5
    scaled: Floats = ((values - centre) / spread).astype(np.float32)
    return scaled


def contributions(values: Mapping[str, Floats], signals: Mapping[str, Signal]) -> dict[str, Floats]:
    """What each signal adds to each candidate's score."""
    return {name: signals[name].weight * standard(found, signals[name]) for name, found in values.items()}


def fuse(parts: Mapping[str, Floats]) -> Floats:
    """The score of each candidate: the sum of its contributions."""
    total: Floats = np.sum(list(parts.values()), axis=0, dtype=np.float32)
    return total
