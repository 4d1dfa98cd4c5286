"""How sure a match is: a probability from what is known of it and of the whole answer.

Logistic regression on a few features, fitted on reports whose duplicates are known, below a ceiling: labels
err, so that nothing is surer than they are.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from app.learnings.fusion import Floats

#: What the surest match has: about so many of the duplicates that maintainers name are right.
CEILING = 0.85
#: How probable it must be that any of the surest matches is really alike, for an answer to be given; and
#: a match, to be shown beside the best.
MIN_ANSWER, MIN_MATCH = 0.25, 0.15
#: Matches after the best that its lead is measured against.
_FIELD = 5
#: Matches that an answer is judged by.
_SUREST = 5
#: Candidates of a project that make a history.
_HISTORY = 50.0


def features(
    order: NDArray[np.intp],
    total: Floats,
    values: Mapping[str, Floats],
    about: Mapping[str, float],
    first: int,
) -> dict[str, Floats]:
    """One value per feature for each of the ``first`` best matches.

    ``order``: candidates, best first. ``total``: their scores. ``values``: their signals. ``about``: the
    inverse document frequencies of the words of the query's ``title``, summed; and how many candidates are of
    its ``own`` project (all of them where it is of none).

    How far a match stands out: of all candidates (``standout``, in their spread), of the next best
    (``lead``). How much of the query's title it holds (``title_coverage``), how far the query names what
    ended it (``fix``), whether it is of the query's project, and how close it is in meaning, where vectors
    are there. ``history``, 0 to 1: whether the project has enough behind it to hold a precedent.
    """
    best = order[:first]
    field = total[order[1 : 1 + _FIELD]]
    beside = float(field.mean()) if len(field) else 0.0
    found = {
        "standout": (total[best] - float(total.mean())) / (float(total.std()) + 0.1),
        "lead": total[best] - beside,
        "rank": np.log1p(np.arange(len(best))),
        "title_coverage": values["title_in_text"][best] / (about["title"] + 2),
        "fix": np.zeros(len(best)),
        "history": np.full(len(best), min(1.0, about["own"] / _HISTORY)),
    }
    for name in ("fix", "project", "meaning", "title_meaning"):
        if name in values:
            found[name] = values[name][best]
    return {name: np.asarray(value, dtype=np.float32) for name, value in found.items()}


def probabilities(found: Mapping[str, Floats], coefficients: Mapping[str, float]) -> Floats:
    """Probabilities of being really alike, one per match: ``CEILING`` times a logistic function."""
    odds = np.full(len(found["rank"]), coefficients["constant"], dtype=np.float32)
    for name, coefficient in coefficients.items():
        if name != "constant":
            odds += np.float32(coefficient) * found[name]
    chance: Floats = (CEILING / (1 + np.exp(-odds))).astype(np.float32)
    return chance


def any_alike(chances: Iterable[float]) -> float:
    """The probability that at least one of the five surest of these matches is really alike, taken to be
    independent; 0 of none."""
    return 1 - math.prod(1 - chance for chance in heapq.nlargest(_SUREST, chances))


def least(chances: Collection[float]) -> float:
    """The probability that a match must have to be shown, from those of all that come into question.

    Infinite where ``any_alike`` is below ``MIN_ANSWER``: an answer is worth giving by all of its matches, not
    by the best alone, for several fair ones are a fair answer. The best match of an answer is always shown.
    """
    if any_alike(chances) < MIN_ANSWER:
        return math.inf
    return min(MIN_MATCH, max(chances))
