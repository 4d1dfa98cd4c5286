"""Embeddings in the SQLite store: float32 blobs beside the graph, searched by one matrix product."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from app.store.sqlite.codec import EACH, EACH_1, listed
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
    if packed:
        # What is held in memory of this model is then read anew.
        db.execute(
            "INSERT INTO counter(name, value) VALUES(?, 1) ON CONFLICT(name) DO UPDATE SET value = value + 1",
            (_counter(model),),
        )


def held(db: sqlite3.Connection, model: str, nids: Sequence[int]) -> list[tuple[str, bytes] | None]:
    """(digest, vector as stored) of nodes, in order."""
    found = {
        row[0]: (row[1], row[2])
        for row in db.execute(
            f"SELECT v.nid, v.digest, v.data FROM {EACH_1} k CROSS JOIN vector v"
            " ON v.model = ?2 AND v.nid = k.value",
            (listed(nids), model),
        )
    }
    return [found.get(nid) for nid in nids]


def state(db: sqlite3.Connection, model: str) -> int:
    """Differs whenever vectors of this model were written in between."""
    row = db.execute("SELECT value FROM counter WHERE name = ?", (_counter(model),)).fetchone()
    return 0 if row is None else int(row[0])


def _counter(model: str) -> str:
    return f"vector {model}"


def _size(db: sqlite3.Connection, model: str) -> int | None:
    row = db.execute("SELECT length(data) FROM vector WHERE model = ? LIMIT 1", (model,)).fetchone()
    return None if row is None else int(row[0]) // 4


class Matrix:
    """All vectors of one model in memory, those of nodes that are no more among them."""

    def __init__(self, db: sqlite3.Connection, model: str) -> None:
        rows = db.execute(
            "SELECT v.nid, n.kind, v.data FROM vector v JOIN node n ON n.nid = v.nid"
            " WHERE v.model = ? ORDER BY v.nid",
            (model,),
        ).fetchall()
        self.nids = np.fromiter((r[0] for r in rows), dtype=np.int64, count=len(rows))
        self.kinds = np.fromiter((r[1] for r in rows), dtype=np.int64, count=len(rows))
        self.size = len(rows[0][2]) // 4 if rows else 0
        flat = np.frombuffer(b"".join(r[2] for r in rows), dtype=np.float32)
        self.data = flat.reshape(len(rows), self.size)

    def nearest(
        self, db: sqlite3.Connection, vector: Sequence[float], kinds: Sequence[int], first: int
    ) -> list[tuple[int, float]]:
        """(node, cosine) of the nearest nodes that live, best first."""
        query: Any = np.asarray(vector, dtype=np.float32)
        if self.size and query.shape != (self.size,):
            raise BadInput(f"this model's vectors have {self.size} numbers; the query has {query.size}")
        norm = float(np.linalg.norm(query))
        if not self.size or norm == 0.0:
            return []
        scores = self.data @ (query / norm)
        chosen = np.arange(len(scores)) if not kinds else np.flatnonzero(np.isin(self.kinds, list(kinds)))
        found: list[tuple[int, float]] = []
        wanted = first
        while len(found) < first and len(chosen):
            # Some more than asked for: what is no more is left out.
            wanted = 2 * wanted + 16
            best = chosen
            if wanted < len(chosen):
                best = chosen[np.argpartition(-scores[chosen], wanted - 1)[:wanted]]
            order = best[np.lexsort((self.nids[best], -scores[best]))]
            live = _living(db, [int(nid) for nid in self.nids[order]])
            found = [(int(self.nids[i]), float(scores[i])) for i in order if int(self.nids[i]) in live]
            if len(best) == len(chosen):
                break
        return found[:first]


def _living(db: sqlite3.Connection, nids: Sequence[int]) -> set[int]:
    rows = db.execute(f"SELECT nid FROM {EACH} k CROSS JOIN node ON nid = k.value AND live", (listed(nids),))
    return {row[0] for row in rows}
