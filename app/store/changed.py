"""Which nodes each of the last transactions changed: for whoever keeps something worked out of the graph.

Written with the transaction, as a service record under its revision. Whoever has followed for longer than is
kept, or meets a transaction that changed very much, reads the graph anew.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from app.store.engine import Engine
from app.store.rows import Changes
from graph_schema.store import GraphStore

COLLECTION = "change"
#: Transactions that are remembered, and nodes of one that are named.
KEEP = 1_024
MOST = 2_000
#: So many are forgotten at once: most commits are spared the work.
_AT_ONCE = 64


class Followed(msgspec.Struct, frozen=True):
    """What happened since a revision. ``revision``: the one that this goes up to. ``nodes``: handles of those
    that changed, whose edges changed, or that are no more; None where it was too much to name."""

    revision: int
    nodes: frozenset[int] | None


def _key(revision: int) -> str:
    return f"{revision:016d}"


def touched(changes: Changes) -> Iterator[int]:
    """Every node that these changes concern, some more than once."""
    yield from changes.new_nodes
    yield from changes.nodes
    for row in changes.new_beliefs:
        yield row.src_nid
        yield row.dst_nid
    for row, src, dst in (*changes.moved, *changes.retired):
        yield from (row.src_nid, row.dst_nid, src, dst)


def note(engine: Engine, revision: int, nodes: set[int]) -> None:
    """Write down what a transaction changed, inside it."""
    engine.service_put(COLLECTION, _key(revision), sorted(nodes) if len(nodes) <= MOST else None)
    if revision % _AT_ONCE == 0:
        for old in range(max(1, revision - KEEP - _AT_ONCE), revision - KEEP):
            engine.service_delete(COLLECTION, _key(old))


def follow(store: GraphStore, since: int) -> Followed:
    """What the transactions after a revision changed."""
    found: set[int] = set()
    revision, whole = since, True
    for key, nodes in store.service(COLLECTION, after=_key(since), limit=KEEP + 2 * _AT_ONCE):
        if nodes is None or int(key) != revision + 1:
            whole = False
        else:
            found.update(nodes)
        revision = int(key)
    return Followed(revision, frozenset(found) if whole else None)
