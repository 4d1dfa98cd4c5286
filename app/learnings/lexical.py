"""BM25 over an index that grows document by document.

Postings are kept per term in machine arrays, which numpy reads without copying: adding a document costs its
own terms only, and a query reads the postings of its own terms only.

Formula: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with the
inverse document frequency log(1 + (N - n + ½) / (n + ½)), which is never negative.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class InvertedIndex:
    """Documents as bags of terms. ``k1``: how fast repetition saturates; ``b``: how much length counts."""

    def __init__(self, k1: float = 1.2, b: float = 0.75) -> None:
        self.k1 = k1
        self.b = b
        self._documents: dict[str, array[int]] = {}
        self._counts: dict[str, array[int]] = {}
        self._lengths = array("i")
        self._total = 0

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, terms: Iterable[str]) -> int:
        """Add a document and return its number, counted from 0."""
        number = len(self._lengths)
        counts = Counter(terms)
        for term, count in counts.items():
            postings = self._documents.get(term)
            if postings is None:
                postings = self._documents[term] = array("i")
                self._counts[term] = array("i")
            postings.append(number)
            self._counts[term].append(count)
        length = sum(counts.values())
        self._lengths.append(length)
        self._total += length
        return number

    def idf(self, term: str) -> float:
        """How rare a term is: log(1 + (N - n + ½) / (n + ½)), 0 in an empty index."""
        if not self._lengths:
            return 0.0
        holding = len(self._documents.get(term, ()))
        return float(np.log1p((len(self._lengths) - holding + 0.5) / (holding + 0.5)))

    def scores(self, terms: Iterable[str]) -> Floats:
        """The BM25 score of every document for a query; shape (documents,)."""
        total = np.zeros(len(self._lengths), dtype=np.float32)
        if not self._lengths or not self._total:
            return total
        lengths = np.frombuffer(self._lengths, dtype=np.int32)
        norms = self.k1 * (1 - self.b + self.b * lengths / (self._total / len(self._lengths)))
        for term in dict.fromkeys(terms):
            if term in self._documents:
                at, weights = self._weights(term, norms)
                total[at] += weights
        return total

    def named(self, terms: Iterable[str]) -> Floats:
        """How far a query names every document, shape (documents,): the inverse document frequencies of the
        terms that both have, times the share of the document's terms that these are. For documents without
        repetition."""
        total = np.zeros(len(self._lengths), dtype=np.float32)
        held = np.zeros(len(self._lengths), dtype=np.float32)
        for term in dict.fromkeys(terms):
            if term in self._documents:
                at = np.frombuffer(self._documents[term], dtype=np.int32)
                total[at] += self.idf(term)
                held[at] += 1
        held /= np.maximum(np.frombuffer(self._lengths, dtype=np.int32), 1)
        return total * held

    def rarest(self, terms: Iterable[str]) -> Floats:
        """The inverse document frequency of the rarest term that a query and every document both have, 0
        where there is none; shape (documents,)."""
        best = np.zeros(len(self._lengths), dtype=np.float32)
        for term in sorted(set(terms), key=lambda term: (self.idf(term), term)):
            if term in self._documents:
                best[np.frombuffer(self._documents[term], dtype=np.int32)] = self.idf(term)
        return best

    def mass(self, terms: Iterable[str]) -> float:
        """The inverse document frequencies of a query's terms, summed: what there is to agree in."""
        return sum(self.idf(term) for term in set(terms))

    def shares(self, terms: Iterable[str], document: int) -> dict[str, float]:
        """What each term of a query adds to one document's score, greatest first."""
        if not self._total:
            return {}
        mean = self._total / len(self._lengths)
        norm = self.k1 * (1 - self.b + self.b * self._lengths[document] / mean)
        found: dict[str, float] = {}
        for term in dict.fromkeys(terms):
            postings = self._documents.get(term)
            if postings is None:
                continue
            place = bisect_left(postings, document)
            if place < len(postings) and postings[place] == document:
                count = self._counts[term][place]
                found[term] = self.idf(term) * count * (self.k1 + 1) / (count + norm)
        return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))

    def _weights(self, term: str, norms: NDArray[np.floating]) -> tuple[NDArray[np.int32], Floats]:
        at = np.frombuffer(self._documents[term], dtype=np.int32)
        counts = np.frombuffer(self._counts[term], dtype=np.int32)
        weights = self.idf(term) * counts * (self.k1 + 1) / (counts + norms[at])
        return at, weights.astype(np.float32)
