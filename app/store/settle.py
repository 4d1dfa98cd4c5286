"""Settling identity: which identifiers name which node, after claims on identity have come or gone."""

from __future__ import annotations

from collections import Counter, defaultdict

from app.store.batch import SAME_AS, Batch
from app.store.refusal import refusal
from app.store.rows import NODE_KINDS, IdentRow, JoinRow
from graph_schema.identity import Candidate, Verdict, resolve
from graph_schema.kinds import NodeKind


def settle_identity(batch: Batch) -> dict[int, int]:
    """Resolve every cluster with a claim that changed; move identifiers, and open or retire ``SAME_AS``.

    Returns the identifiers held before that name another node now, with the node that they named.
    """
    joins = _cluster_joins(batch)
    new = {row.jid for row in batch.changes.new_joins}
    taken: set[int] = set()
    moved: dict[int, int] = {}
    for iids, rows in _components(batch, joins):
        moved.update(_group(batch, iids, rows, taken))
        for row in rows:
            _show(batch, row, new)
    for row in batch.changes.new_joins:
        if not row.accepted:
            ends = (batch.by_iid[row.a].text, batch.by_iid[row.b].text)
            batch.written.refused.append(refusal(row, *ends))
    held = {iid: nid for iid, nid in moved.items() if iid not in batch.fresh}
    if held:
        held.update(_redirect_dead(batch, set(held.values()) - batch.given))
    return held


def _cluster_joins(batch: Batch) -> dict[int, JoinRow]:
    """All current join rows of the clusters touched, by id: from the store, and from this pass."""
    gone = set(batch.changes.gone_joins)
    found = {row.jid: row for row in batch.changes.new_joins}
    by_end: dict[int, list[JoinRow]] = defaultdict(list)
    for row in batch.changes.new_joins:
        by_end[row.a].append(row)
        by_end[row.b].append(row)
    seen = set(batch.joined)
    frontier = set(batch.joined)
    while frontier:
        asked = [i for i in frontier if i not in batch.fresh]
        rows = batch.engine.joins_touching(asked) if asked else []
        reached: set[int] = set()
        for row in rows:
            if row.jid not in gone:
                found.setdefault(row.jid, row)
                reached.update((row.a, row.b))
        for iid in frontier:
            for row in by_end[iid]:
                reached.update((row.a, row.b))
        frontier = reached - seen
        seen |= reached
    batch.rows(seen)
    batch.joined = seen
    return found


def _components(batch: Batch, joins: dict[int, JoinRow]) -> list[tuple[list[int], list[JoinRow]]]:
    """Connected sets of identifiers with their join rows."""
    root: dict[int, int] = {i: i for i in batch.joined}

    def find(i: int) -> int:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for row in joins.values():
        root[find(row.a)] = find(row.b)
    members: dict[int, list[int]] = defaultdict(list)
    for i in batch.joined:
        members[find(i)].append(i)
    rows: dict[int, list[JoinRow]] = defaultdict(list)
    for row in joins.values():
        rows[find(row.a)].append(row)
    return [(iids, rows[r]) for r, iids in members.items()]


def _group(batch: Batch, iids: list[int], rows: list[JoinRow], taken: set[int]) -> dict[int, int]:
    """Resolve one cluster. Returns the identifiers that moved, with the node that each named before."""
    kinds: dict[str, NodeKind] = {batch.by_iid[i].text: NODE_KINDS[batch.by_iid[i].kind] for i in iids}
    candidates = [
        Candidate(Verdict(r.verdict), batch.by_iid[r.a].text, batch.by_iid[r.b].text, r.tie) for r in rows
    ]
    groups, accepted = resolve(kinds, kinds, candidates)
    for row, stands in zip(rows, accepted, strict=True):
        if row.accepted is not stands:
            row.accepted = stands
            batch.changes.joins.append(row)
    moved: dict[int, int] = {}
    for group in sorted(groups, key=lambda g: (-len(g), min(g))):
        members = [batch.by_text[t] for t in group]
        nid = _choose(batch, [m.nid for m in members if m.nid not in taken])
        taken.add(nid)
        for member in members:
            if member.nid != nid:
                moved[member.iid] = member.nid
                batch.regrouped.update((member.nid, nid))
                _move(batch, member, nid)
    return moved


def _choose(batch: Batch, votes: list[int]) -> int:
    """The node that a group keeps: one that the store has already, named by most; else a new one."""
    if votes:
        counted = Counter(votes)
        return max(counted, key=lambda nid: (nid not in batch.given, counted[nid], -nid))
    nid = batch.counters.get("ident", 0) + 1
    batch.counters["ident"] = nid
    batch.given.add(nid)
    return nid


def _move(batch: Batch, ident: IdentRow, nid: int) -> None:
    if ident.iid not in batch.fresh:
        if ident.since < batch.revision:
            batch.changes.past_idents.append((ident.iid, ident.nid, ident.since, batch.revision))
        batch.changes.idents[ident.iid] = ident
        batch.restated.add(ident.iid)
    ident.nid, ident.since = nid, batch.revision


def _show(batch: Batch, row: JoinRow, new: set[int]) -> None:
    """Show a claim that stands between two nodes as an edge, and only such a one."""
    shown = row.accepted and row.is_edge and batch.node_of(row.a) != batch.node_of(row.b)
    if shown and row.belief is None:
        content = (SAME_AS, row.a, row.b, row.since, row.until, row.data)
        row.belief = batch.open_belief(content, row.oid, row.rid, row.anchor)
    elif not shown and row.belief is not None:
        batch.retire_links([(SAME_AS, row.a, row.b, row.belief)])
        row.belief = None
    else:
        return
    if row.jid not in new:
        batch.changes.joins.append(row)


def _redirect_dead(batch: Batch, old: set[int]) -> dict[int, int]:
    """Dead identifiers of a node that is no more follow the identifiers that it had."""
    heirs: dict[int, int] = {}
    alive: set[int] = set()
    dead: list[tuple[IdentRow, int]] = []
    for held in batch.engine.members(old):
        row = batch.by_iid.setdefault(held.iid, held)
        if not row.live:
            dead.append((row, held.nid))
        elif row.nid == held.nid:
            alive.add(held.nid)
        else:
            heirs.setdefault(held.nid, row.nid)
    followed: dict[int, int] = {}
    for row, before in dead:
        if before not in alive and before in heirs:
            followed[row.iid] = before
            row.nid = heirs[before]
            batch.changes.idents[row.iid] = row
    return followed
