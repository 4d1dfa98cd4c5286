"""Letting go of identifiers that no claim names any more: they stop naming, and go on redirecting."""

from __future__ import annotations

from collections.abc import Collection

from app.store.batch import Batch
from app.store.nodes import compose
from app.store.rows import IdentRow


def bury(batch: Batch) -> None:
    """Identifiers that no claim names any more stop naming; they go on redirecting."""
    batch.rows(batch.dropped)
    rows = [batch.by_iid[i] for i in batch.dropped if batch.by_iid[i].live]
    used = batch.engine.used(rows)
    nodes = batch.engine.nodes({r.nid for r in rows})
    for node in nodes.values():
        used.update(f.iid for f in node.facts)
    dead = [r for r in rows if r.iid not in used]
    batch.dropped.clear()
    if not dead:
        return
    for row in dead:
        row.live = False
        batch.changes.idents[row.iid] = row
        if row.since < batch.revision:
            batch.changes.past_idents.append((row.iid, row.nid, row.since, batch.revision))
        node = nodes[row.nid]
        node.identifiers = [t for t in node.identifiers if t != row.text]
        batch.changes.nodes[node.nid] = node
    for node in batch.changes.nodes.values():
        compose(batch, node)
        if not node.live and node.nid in batch.made:
            batch.written.nodes -= 1
    _send_home(batch, dead)
    batch.touch_references(dead)
    batch.apply()


def _send_home(batch: Batch, dead: Collection[IdentRow]) -> None:
    """Dead identifiers redirect to the node that they left, or to where the rest of it went."""
    heirs: dict[int, int] = {}
    for iid, old in batch.left.items():
        if batch.by_iid[iid].live:
            heirs.setdefault(old, batch.by_iid[iid].nid)
    homes = {row.iid: batch.left.get(row.iid, row.nid) for row in dead}
    alive = {nid for nid, node in batch.engine.nodes(set(homes.values())).items() if node.live}
    alive -= {nid for nid, node in batch.changes.nodes.items() if not node.live}
    moved: dict[int, int] = {}
    for row in dead:
        home = homes[row.iid] if homes[row.iid] in alive else heirs.get(homes[row.iid], row.nid)
        if home != row.nid:
            moved[row.iid], row.nid = row.nid, home
    if moved:
        batch.move(moved)
        batch.place_beliefs()
