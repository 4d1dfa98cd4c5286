"""The failures that come into question, where nobody has them all at hand: a command without a server.

The store's full-text search and the newest failures choose a few hundred, which are then ranked as all would
be; with a model, the best of them once more by meaning. What is rare is judged among these few, so that an
answer may differ from that of a server.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.embeddings.model import Encoder, Floats
from app.embeddings.vectors import packed
from app.learnings import failures
from app.learnings.corpus import Failures, Vectors, titles_of, unpacked
from app.learnings.entries import Entry, entries
from app.learnings.ranking import Item
from app.learnings.signature import signature
from graph_schema.errors import StoreError
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


def embedded(store: GraphStore, best: Sequence[Entry], encoder: Encoder) -> Failures:
    """These entries alone, with their vectors: those that the store has, the others made now and kept."""
    found = Failures()
    for entry in best:
        found.add(entry)
    found.vectors = Vectors(encoder.name, found.entries)
    handles = [entry.handle for entry in best]
    texts, titles = store.vectors(encoder.name, handles), store.vectors(titles_of(encoder.name), handles)
    missing: list[Entry] = []
    for entry, text, title in zip(best, texts, titles, strict=True):
        held = text and title and (text[0], title[0]) == entry.digests(encoder.name)
        if held and text and title:
            found.embed(entry.handle, unpacked(text[1]), unpacked(title[1]))
        else:
            missing.append(entry)
    if missing:
        made = encoder.encode([text for entry in missing for text in (entry.text, entry.item.title)])
        for entry, vector, title_vector in zip(missing, made[::2], made[1::2], strict=True):
            found.embed(entry.handle, vector, title_vector)
        _keep(store, encoder.name, missing, made)
    return found


def _keep(store: GraphStore, model: str, made: Sequence[Entry], vectors: Floats) -> None:
    try:
        for name, own, place in ((model, vectors[::2], 0), (titles_of(model), vectors[1::2], 1)):
            rows = [
                (entry.handle, entry.digests(model)[place], packed(vector))
                for entry, vector in zip(made, own, strict=True)
            ]
            store.put_vectors(name, rows)
    except StoreError:
        # The answer stands; the next one makes them again.
        return
