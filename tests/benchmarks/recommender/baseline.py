"""The baseline: .4 BM25 + .3 dense + .15 title BM25 + .15 title dense, as standard scores, + recency.

Nothing of the product's ranking is in it but the BM25 formula: words are runs of letters, digits and
underscores, scales are those of the candidates, and the weight of recency (of the negative logarithm of the
age in days) lies between .2 and .3, which were the best of .1, .2 and .3 for it on the development sets.
"""

from __future__ import annotations

import re

import numpy as np

from app.learnings.confidence import CEILING
from app.learnings.fusion import Floats
from app.learnings.lexical import InvertedIndex
from app.learnings.ranking import Item, Scope

_WORD = re.compile(r"[a-z0-9_]+")
_DAY = 86_400_000_000
WEIGHTS = {"text": 0.4, "meaning": 0.3, "title": 0.15, "title_meaning": 0.15, "recency": 0.25}
#: Its probability: logistic in the score, below the same ceiling as ours, fitted on its first fives on the
#: development sets (``fit``).
CONSTANT, SLOPE = -3.759, 0.393


class Baseline:
    """Items in the order they are added; rank as the product's ranker does."""

    def __init__(self) -> None:
        self._items: list[Item] = []
        self._text = InvertedIndex()
        self._titles = InvertedIndex()

    def add(self, item: Item) -> None:
        """Add an item."""
        self._items.append(item)
        self._text.add(words(f"{item.title} {item.body}"))
        self._titles.add(words(item.title))

    def rank(self, query: Item, scope: Scope, first: int) -> list[tuple[str, float]]:
        """(id, score) of the best, best first."""
        chosen = [
            place
            for place, item in enumerate(self._items)
            if item.created < query.created
            and item.id != query.id
            and (scope == "all" or item.project == query.project)
        ]
        if not chosen:
            return []
        at = np.array(chosen)
        signals = {
            "text": self._text.scores(words(f"{query.title} {query.body}"))[at],
            "title": self._titles.scores(words(query.title))[at],
            "recency": -np.log1p([(query.created - self._items[place].created) / _DAY for place in chosen]),
        }
        if query.vector is not None and query.title_vector is not None:
            signals["meaning"] = np.stack([_vector(self._items[p].vector) for p in chosen]) @ query.vector
            titles = np.stack([_vector(self._items[p].title_vector) for p in chosen])
            signals["title_meaning"] = titles @ query.title_vector
        total = np.sum([WEIGHTS[name] * _standard(values) for name, values in signals.items()], axis=0)
        best = np.argsort(-total, kind="stable")[:first]
        return [(self._items[at[place]].id, float(total[place])) for place in best]


def probability(score: float) -> float:
    """The probability that goes with a score."""
    return float(CEILING / (1 + np.exp(-(CONSTANT + SLOPE * score))))


def words(text: str) -> list[str]:
    """The words of a text, as they are."""
    return _WORD.findall(text.lower())


def _standard(values: Floats) -> Floats:
    spread = values.std()
    return (values - values.mean()) / (spread if spread > 1e-9 else 1.0)


def _vector(vector: Floats | None) -> Floats:
    assert vector is not None, "vectors for all items or for none"
    return vector
