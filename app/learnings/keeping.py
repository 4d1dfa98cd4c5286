"""Keeps the failures of a store at hand and embedded, in the background of a server."""

from __future__ import annotations

from app.embeddings.model import Encoder
from app.embeddings.vectors import packed
from app.learnings.corpus import corpus_of, titles_of
from app.learnings.entries import Entry
from graph_schema.store import GraphStore

#: Texts of one step: a second of one slow core at most.
_BATCH = 8


class FailureVectors:
    """Gives every failure its vectors, of its text and of its title; the newest first."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self._corpus = corpus_of(store)
        self._corpus.kept = True
        self._attached = ""

    def prepare(self) -> None:
        """Read what is new."""
        self._corpus.keep_up(self._store)

    def step(self, encoder: Encoder) -> bool:
        """Embed a few; False where nothing is left to do."""
        if self._attached != encoder.name:
            # What the store has of this model is taken as it is.
            self._corpus.attach(self._store, encoder.name)
            self._attached = encoder.name
        missing = self._corpus.missing(encoder.name, _BATCH)
        if missing:
            self._embed(encoder, missing)
        return bool(missing)

    def _embed(self, encoder: Encoder, missing: list[Entry]) -> None:
        found = encoder.encode([text for e in missing for text in (e.text, e.item.title)])
        texts, titles = found[::2], found[1::2]
        digests = [entry.digests(encoder.name) for entry in missing]
        for model, vectors, place in ((encoder.name, texts, 0), (titles_of(encoder.name), titles, 1)):
            rows = [
                (entry.handle, digest[place], packed(vector))
                for entry, digest, vector in zip(missing, digests, vectors, strict=True)
            ]
            self._store.put_vectors(model, rows)
        self._corpus.embed(list(zip(missing, texts, titles, strict=True)))
