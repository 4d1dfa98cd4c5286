"""Embeddings in the SQLite store: float32 blobs beside the graph, searched by one matrix product."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from graph_schema.errors import BadInput


def put(db: sqlite3.Connection, model: str, rows: Sequence[tuple[int, str, Sequence[float]]]) -> None:
    """Store vectors, brought to length one, inside the caller's transaction."""
    size = _size(db, model)
    packed = []
    for nid, digest, values in rows:
        vector = np.asarray(values, dtype=np.float32)
        norm = float(np.linalg.norm(vector))
        if vector.ndim != 1 or not np.isfinite(norm) or norm == 0.0:
            raise BadInput(f"the vector of node {nid} is not a finite, non-zero row of numbers")
        if size is not None and vector.shape[0] != size:
            raise BadInput(f"vectors of {model} have {size} numbers; this one has {vector.shape[0]}")
        size = int(vector.shape[0])
        packed.append((model, nid, digest, (vector / norm).tobytes()))
    db.executemany("INSERT OR REPLACE INTO vector(model, nid, digest, data) VALUES(?, ?, ?, ?)", packed)


def _size(db: sqlite3.Connection, model: str) -> int | None:
    row = db.execute("SELECT length(data) FROM vector WHERE model = ? LIMIT 1", (model,)).fetchone()
    return None if row is None else int(row[0]) // 4


class Matrix:
    """All vectors of one model in memory, as of one state of the database."""

    def __init__(self, db: sqlite3.Connection, model: str) -> None:
        rows = db.execute(
            "SELECT v.nid, n.kind, v.data FROM vector v JOIN node n ON n.nid = v.nid AND n.live"
            " WHERE v.model = ? ORDER BY v.nid",
            (model,),
        ).fetchall()
        self.nids = np.fromiter((r[0] for r in rows), dtype=np.int64, count=len(rows))
        self.kinds = np.fromiter((r[1] for r in rows), dtype=np.int64, count=len(rows))
        self.size = len(rows[0][2]) // 4 if rows else 0
        flat = np.frombuffer(b"".join(r[2] for r in rows), dtype=np.float32)
        self.data = flat.reshape(len(rows), self.size)

    def nearest(self, vector: Sequence[float], kinds: Sequence[int], first: int) -> list[tuple[int, float]]:
        """(node, cosine) of the nearest, best first."""
        query: Any = np.asarray(vector, dtype=np.float32)
        if self.size and query.shape != (self.size,):
            raise BadInput(f"this model's vectors have {self.size} numbers; the query has {query.size}")
        norm = float(np.linalg.norm(query))
        if not self.size or norm == 0.0:
            return []
        scores = self.data @ (query / norm)
        chosen = np.arange(len(scores)) if not kinds else np.flatnonzero(np.isin(self.kinds, list(kinds)))
        order = chosen[np.lexsort((self.nids[chosen], -scores[chosen]))][:first]
        return [(int(self.nids[i]), float(scores[i])) for i in order]
