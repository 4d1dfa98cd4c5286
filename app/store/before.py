"""What changed records held before, read in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.store.batch import Batch
from app.store.rows import Fact, Marks, RecordRow


class Before:
    """Beliefs, joins, keyed claims and facts by the record that made them."""

    def __init__(self, batch: Batch, old: list[tuple[RecordRow, Marks]]) -> None:
        self.marks = {row.rid: marks for row, marks in old}
        batch.engine.recall(list(self.marks.values()))
        self.beliefs = _by_record(batch.engine.beliefs([link for _, m in old for link in m.links]))
        self.joins = _by_record(batch.engine.joins([j[0] for _, m in old for j in m.joins]))
        self.keyed = _by_record(batch.engine.keyed_rows([k for _, m in old for k in m.keyed]))
        iids = {iid for _, m in old for iid in m.facts}
        batch.rows(iids)
        nodes = batch.engine.nodes({batch.node_of(i) for i in iids})
        self._facts: dict[tuple[int, int], Fact] = {
            (fact.iid, fact.rid): fact for node in nodes.values() for fact in node.facts
        }

    def fact(self, batch: Batch, iid: int, rid: int) -> Fact | None:
        """What the record said of the identifier."""
        return self._facts.get((iid, rid))


def _by_record(rows: Sequence[Any]) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.rid, []).append(row)
    return found
