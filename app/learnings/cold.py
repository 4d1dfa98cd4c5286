"""The failures that come into question, where nobody has them all at hand: a command without a server.

The store's full-text search and the newest failures choose a few hundred, which are then ranked as all would
be. What is rare is judged among these few, so that an answer may differ from that of a server.
"""

from __future__ import annotations

from app.learnings import failures
from app.learnings.corpus import Failures
from app.learnings.entries import entries
from app.learnings.ranking import Item
from app.learnings.signature import signature
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Filter, FilterOp, Order, Ordering

_FOUND = 300
_NEWEST = 100


def candidates(store: GraphStore, item: Item, before: Micros) -> Failures:
    """Those failures before a time that have the most of an item's words, and the newest."""
    handles = [hit.handle for hit in store.search_text(_words(item), failures.KINDS, _FOUND)]
    nodes = {node.handle: node for node in store.get(handles) if node is not None}
    newest = Ordering(Order.CREATED_AT, descending=True)
    bad = (Filter("status", FilterOp.IN, list(failures.FAILED)),)
    for kind in failures.KINDS:
        conditions = () if kind is failures.KINDS[-1] else bad
        for node in store.find(kind, conditions, newest, _NEWEST).items:
            nodes[node.handle] = node
    found = Failures()
    for entry in entries(store, [nodes[handle] for handle in sorted(nodes)]):
        if entry.item.created < before:
            found.add(entry)
    return found


def _words(item: Item) -> str:
    """What tells most comes first: a search takes the first few words."""
    said = signature(item.body)
    return "\n".join([item.title, *said.exceptions, *said.frames[-4:], *said.names[:10], item.body[-2_000:]])
