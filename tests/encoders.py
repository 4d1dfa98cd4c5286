"""Encoders for tests: quick, without a model, and the same everywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray


class WordEncoder:
    """Texts with the same words are near. ``seen``: every text that was encoded."""

    dimension = 64

    def __init__(self, name: str = "words") -> None:
        self.name = name
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.seen.extend(texts)
        rows = np.full((len(texts), self.dimension), 1e-3, dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in re.findall(r"\w+", text.casefold()):
                row[blake2b(word.encode(), digest_size=2).digest()[0] % self.dimension] += 1
        found: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return found
