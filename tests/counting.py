"""A store that counts what it is asked."""

from __future__ import annotations

from collections import Counter
from typing import Any

from graph_schema.store import GraphStore


class Counting:
    """Stands before a store. ``calls``: how often each of its verbs was used."""

    def __init__(self, store: GraphStore) -> None:
        self.store = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, verb: str) -> Any:
        self.calls[verb] += 1
        return getattr(self.store, verb)
