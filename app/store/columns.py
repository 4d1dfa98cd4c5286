"""All nodes and edges as columns of numbers, filled a batch of rows at a time."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from graph_schema.values import Columns

#: Evidence is the last thing in what is kept of a belief: JSON of [properties, evidence].
EVIDENCE_END = '"]'

_NODE_TYPES, _EDGE_TYPES = "qb", "qqbqqqb"


def filled(
    revision: int, nodes: Iterable[Sequence[Sequence[Any]]], edges: Iterable[Sequence[Sequence[Any]]]
) -> Columns:
    """From batches of rows: (handle, kind), by handle; (src, dst, kind, belief, since, until, evidence)."""
    return Columns(revision, *_columns(_NODE_TYPES, nodes), *_columns(_EDGE_TYPES, edges))


def _columns(types: str, batches: Iterable[Sequence[Sequence[Any]]]) -> list[array[int]]:
    import numpy as np

    made: list[array[int]] = [array(type_) for type_ in types]
    for batch in batches:
        if not batch:
            continue
        table = np.array(batch, dtype=np.int64)
        for place, type_ in enumerate(types):
            made[place].frombytes(table[:, place].astype(np.int64 if type_ == "q" else np.int8).tobytes())
    return made
