"""Unit vectors by place, in one block of memory."""

from __future__ import annotations

import numpy as np

from app.learnings.fusion import Floats


class Matrix:
    """Unit vectors by place; rows without one are zero. Grows by doubling."""

    def __init__(self) -> None:
        self._rows: Floats = np.zeros((0, 0), dtype=np.float32)
        self._count = 0
        self.filled = 0

    def check(self, vector: Floats | None) -> None:
        """Raise ValueError for a vector of another size than those that are here."""
        if vector is not None and self._rows.shape[1] and len(vector) != self._rows.shape[1]:
            raise ValueError(f"a vector of {len(vector)} among vectors of {self._rows.shape[1]}")

    def add(self, vector: Floats | None) -> None:
        """Append a vector, or a gap. Raises ValueError for a vector of another size."""
        self.check(vector)
        if self._rows.shape[1] and self._count >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        self._count += 1
        if vector is not None:
            self.put(self._count - 1, vector)

    def put(self, place: int, vector: Floats) -> None:
        """Fill the gap at a place, or replace its vector. Raises ValueError for one of another size."""
        self.check(vector)
        if not self._rows.shape[1]:
            self._rows = np.zeros((max(1024, 2 * self._count), len(vector)), dtype=np.float32)
        self.filled += not self._rows[place].any()
        self._rows[place] = vector

    def cosines(self, vector: Floats) -> Floats:
        """The cosine of every row with a unit vector, shape (rows,)."""
        if not self._rows.shape[1]:
            return np.zeros(self._count, dtype=np.float32)
        found: Floats = self._rows[: self._count] @ vector
        return found
