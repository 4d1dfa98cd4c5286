"""Confidence intervals of means of a few values: Student's t, without a statistics library."""

from __future__ import annotations

import math
from collections.abc import Sequence

CONFIDENCE = 0.95


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float] | None:
    """The t-interval of the mean of values taken as independent draws from one normal distribution:
    mean ± t(confidence, n - 1) · s / √n. None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1))
    reach = t_quantile(confidence, n - 1) * spread / math.sqrt(n)
    return mean - reach, mean + reach


def t_quantile(confidence: float, df: int) -> float:
    """The t with P(\\|T\\| ≤ t) = ``confidence`` for a whole number of degrees of freedom, to 1e-10."""
    low, high = 0.0, 1.0
    while t_within(high, df) < confidence:
        high *= 2
    while high - low > 1e-10 * max(1.0, high):
        middle = (low + high) / 2
        low, high = (middle, high) if t_within(middle, df) < confidence else (low, middle)
    return (low + high) / 2


def t_within(t: float, df: int) -> float:
    """P(\\|T\\| ≤ t): the finite sums of Abramowitz and Stegun, Handbook of Mathematical Functions (1964),
    26.7.3 for odd and 26.7.4 for even degrees of freedom."""
    theta = math.atan2(t, math.sqrt(df))
    cosine = math.cos(theta) ** 2
    term = total = 1.0
    for k in range(1, (df - 1) // 2 if df % 2 else df // 2):
        term *= cosine * (2 * k / (2 * k + 1) if df % 2 else (2 * k - 1) / (2 * k))
        total += term
    if df % 2 == 0:
        return math.sin(theta) * total
    odd = 0.0 if df == 1 else math.sin(theta) * math.cos(theta) * total
    return 2 / math.pi * (theta + odd)
