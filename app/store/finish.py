"""The end of a pass of the writer."""

from __future__ import annotations

from app.store.batch import Batch
from app.store.bury import bury
from app.store.nodes import put_nodes
from app.store.settle import settle_identity


def finish(batch: Batch) -> None:
    """Settle identity, put the nodes together, apply; then let go of what nobody names any more."""
    moved = settle_identity(batch) if batch.joined else {}
    moved.update(batch.revived)
    batch.revived.clear()
    if moved:
        batch.move(moved)
    batch.left = moved
    put_nodes(batch)
    batch.place_beliefs()
    batch.apply()
    if batch.dropped:
        bury(batch)
