"""Putting nodes together: what their identifiers and facts come to."""

from __future__ import annotations

from collections import defaultdict

from app.store.batch import Batch
from app.store.rows import NODE_KINDS, IdentRow, NodeRow, PastFact
from graph_schema.identifiers import leading
from graph_schema.properties import Statement, default_name, merge


def put_nodes(batch: Batch) -> None:
    """Bring every node that this pass touches into line with its facts and identifiers."""
    batch.rows(batch.fact_puts.keys() | batch.fact_drops.keys())
    stored = {batch.node_of(i) for i in batch.fact_puts}
    stored.update(batch.node_of(i) for i in batch.fact_drops)
    stored = (stored | batch.regrouped) - batch.given
    loaded = batch.engine.nodes(stored)
    members = _members(batch)
    for nid, rows in members.items():
        node = loaded.get(nid)
        if node is None:
            first = rows[0]
            node = NodeRow(nid, first.kind, "", "", None, None, None, True, True, [], {}, [])
            loaded[nid] = batch.changes.new_nodes[nid] = node
            batch.made.add(nid)
            batch.written.nodes += 1
        node.identifiers = [r.text for r in rows]
    for nid, node in loaded.items():
        if nid in batch.regrouped and nid not in members:
            node.identifiers = []
        if nid not in batch.changes.new_nodes:
            batch.changes.nodes[nid] = node
    _move_facts(batch, loaded)
    _put_facts(batch, loaded)
    for node in loaded.values():
        compose(batch, node)
    batch.given.clear()
    batch.regrouped.clear()
    batch.restated.clear()


def _members(batch: Batch) -> dict[int, list[IdentRow]]:
    """Live identifiers of every node that gained or lost one."""
    found: dict[int, dict[int, IdentRow]] = defaultdict(dict)
    old = batch.regrouped - batch.given
    if old:
        for held in batch.engine.members(old):
            row = batch.by_iid.setdefault(held.iid, held)
            found[row.nid][row.iid] = row
    members: dict[int, list[IdentRow]] = {}
    for iid in (*batch.fresh, *batch.restated):
        row = batch.by_iid[iid]
        if row.nid == iid and iid not in batch.regrouped:
            members[iid] = [row]
        else:
            found[row.nid][iid] = row
    for nid, rows in found.items():
        living = [r for r in rows.values() if r.live]
        if living:
            members[nid] = living
    return members


def _move_facts(batch: Batch, nodes: dict[int, NodeRow]) -> None:
    for nid in batch.regrouped:
        node = nodes.get(nid)
        if node is None or not node.facts:
            continue
        leaving = [f for f in node.facts if batch.node_of(f.iid) != nid]
        if leaving:
            node.facts = [f for f in node.facts if batch.node_of(f.iid) == nid]
            for fact in leaving:
                nodes[batch.node_of(fact.iid)].facts.append(fact)


def _put_facts(batch: Batch, nodes: dict[int, NodeRow]) -> None:
    for iid, rids in batch.fact_drops.items():
        node = nodes[batch.node_of(iid)]
        for fact in [f for f in node.facts if f.iid == iid and f.rid in rids]:
            node.facts = [f for f in node.facts if f is not fact]
            if fact.since < batch.revision:
                batch.changes.past_facts.append(PastFact(fact, batch.revision))
    for iid, facts in batch.fact_puts.items():
        nodes[batch.node_of(iid)].facts.extend(facts)
    batch.fact_puts.clear()
    batch.fact_drops.clear()


def compose(batch: Batch, node: NodeRow) -> None:
    """Work out what a node's facts come to."""
    kind = NODE_KINDS[node.kind]
    node.live = bool(node.identifiers)
    if not node.live:
        return
    names = node.identifiers
    node.id = names[0] if len(names) == 1 else leading(names, kind)
    names.sort()
    facts = node.facts
    node.stub = not facts
    if len(facts) == 1:
        node.properties = facts[0].properties
        node.gone_at = facts[0].gone_at
    else:
        node.properties = merge(kind, [Statement(*batch.source_of[f.sid], f.at, f.properties) for f in facts])
        gone = [f.gone_at for f in facts if f.gone_at is not None]
        node.gone_at = max(gone) if gone and len(gone) == len(facts) else None
    properties = node.properties
    name = properties.get("name")
    node.name = str(name) if name else default_name(kind, node.id)
    url = properties.get("url")
    node.url = str(url) if url else None
    created = properties.get("createdAt")
    node.created_at = created if isinstance(created, int) and not isinstance(created, bool) else None
