"""Search by words and by meaning: two rankings into one, of which pages are places."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import NamedTuple

from app.api.fields import Ask
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore

#: How deep a ranking goes that pages are taken of.
MAX_SEARCHED = 1_000
_DEPTH = MAX_SEARCHED + 101
#: Nodes that meaning alone may add.
_BY_MEANING = 200
#: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion" (2009): how little the first few places differ.
_K = 60


class Place(NamedTuple):
    """Where a page begins, and whether the ranking goes by meaning too: the pages of one search are pages of
    one ranking, whatever becomes of the model in between."""

    start: int
    by_meaning: bool

    @property
    def cursor(self) -> str:
        """As it is sent."""
        word = "meaning" if self.by_meaning else "place"
        return base64.urlsafe_b64encode(f"{word} {self.start}".encode()).decode()


def place_of(cursor: str | None, by_meaning: bool) -> Place:
    """The place that a cursor names; without one the first. Raises BadInput."""
    if not cursor:
        return Place(0, by_meaning)
    try:
        word, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        start = int(number) if word in ("place", "meaning") else -1
    except (binascii.Error, ValueError):
        word, start = "", -1
    if start < 0:
        raise BadInput(f"{cursor[:80]!r} is no cursor of a search")
    if start > MAX_SEARCHED:
        raise BadInput(f"a search shows its best {MAX_SEARCHED:,}: make the text more exact")
    return Place(start, word == "meaning")


def ranking(ask: Ask, text: str, kinds: Sequence[NodeKind], place: Place, most: int) -> list[int]:
    """Handles of what a text finds, best first, as far as the page behind this place needs."""
    store: GraphStore = ask.store
    encoder = ask.model.now() if place.by_meaning and text.strip() else None
    if encoder is None:
        hits = store.search_text(text, kinds, place.start + most, spaces=ask.spaces)
        return [hit.handle for hit in hits]
    from app.embeddings.vectors import nearest

    # To the same depth for every page: what lies deeper would else change the order of what is above.
    words = [hit.handle for hit in store.search_text(text, kinds, _DEPTH, spaces=ask.spaces)]
    near = [hit.handle for hit in nearest(store, encoder, text, kinds, _BY_MEANING, ask.spaces)]
    return fused(words, near)


def fused(*rankings: Sequence[int]) -> list[int]:
    """Several rankings into one by reciprocal ranks; ties go to what the first ranking has first."""
    scores: dict[int, float] = {}
    for ranked in rankings:
        for number, handle in enumerate(ranked, 1):
            scores[handle] = scores.get(handle, 0.0) + 1 / (_K + number)
    # Sorting is stable, and a dictionary keeps the order in which its keys came.
    return sorted(scores, key=lambda handle: -scores[handle])
