"""Signals into one score: convex fusion of standard scores.

Each signal is brought to a common scale over the candidates (standard score, whose mean and spread are shrunk
to what the signal has in general, so that three candidates do not make a scale) and multiplied by a weight.
The score is the sum of these products, which is also the explanation. After Bruch, Gai and Ingber, "An
Analysis of Fusion Functions for Hybrid Retrieval" (2023).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: As many candidates as the general scale of a signal counts for.
PRIOR_STRENGTH = 20.0


def standard(values: Floats, mean: float, spread: float) -> Floats:
    """Standard scores of one signal over the candidates, (n,) to (n,).

    ``mean`` and ``spread`` are what the signal has in general. They count as much as ``PRIOR_STRENGTH``
    candidates, which keeps the result increasing in each value, however few candidates there are.
    """
    count = len(values)
    if not count:
        return values
    centre = (float(values.sum()) + PRIOR_STRENGTH * mean) / (count + PRIOR_STRENGTH)
    around = float(((values - centre) ** 2).sum()) + PRIOR_STRENGTH * (spread**2 + (mean - centre) ** 2)
    scaled: Floats = ((values - centre) / np.sqrt(around / (count + PRIOR_STRENGTH))).astype(np.float32)
    return scaled


def fuse(contributions: Mapping[str, Floats]) -> Floats:
    """The score of each candidate: the sum of its contributions."""
    total: Floats = np.sum(list(contributions.values()), axis=0, dtype=np.float32)
    return total
