"""The failures of a graph as the ranking takes them, kept up with the store's revision.

A store has one corpus in a process (:func:`corpus_of`). It is read once, by whoever asks first or in the
background of a server; afterwards only what a transaction changed is read again, so that an answer costs the
ranking and little else.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from app.learnings import entries, failures
from app.learnings.entries import Entry
from app.learnings.ranking import Ranker
from app.learnings.signature import Signature, signature
from app.store.changed import follow
from app.store.rows import NODE_CODES
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore

Floats = NDArray[np.float32]

#: Entries that are given their vectors under one hold of the lock: a query waits for no more than that.
_AT_ONCE = 64
#: Replaced items that the ranking may carry along before it is made anew: as many as there are, and these.
_DEAD = 2_000
#: How many failures are counted at least where it is asked how rare something is among them.
_FEW = 10


class Vectors:
    """How far the vectors of one model are: those entries that still have none, and whether there was a
    time when all had one. Until then the ranking goes without them, for it would mistake the gap for
    a difference."""

    def __init__(self, model: str, missing: Iterable[int] = ()) -> None:
        self.model = model
        self.missing = set(missing)
        self.complete = not self.missing


class Failures:
    """Entries in a ranking, and what is counted over them. Not for several threads at a time."""

    def __init__(self) -> None:
        self.ranker = Ranker()
        self.entries: dict[int, Entry] = {}
        self.vectors: Vectors | None = None
        self._kinds = array("b")
        self._signatures: dict[int, Signature] = {}
        self._resting: dict[int, set[int]] = defaultdict(set)
        self._holding: Counter[str] = Counter()
        self._replaced = 0

    def add(self, entry: Entry) -> None:
        """Add an entry, or replace that of its node."""
        self.remove(entry.handle)
        self.entries[entry.handle] = entry
        self.ranker.add(entry.item)
        self._kinds.append(NODE_CODES[entry.kind])
        self._holding.update(set(entry.item.entities))
        for handle in entry.rests_on:
            self._resting[handle].add(entry.handle)
        if self.vectors is not None:
            self.vectors.missing.add(entry.handle)

    def remove(self, handle: int) -> None:
        """Take the entry of a node out, if there is one."""
        entry = self.entries.pop(handle, None)
        if entry is None:
            return
        self.ranker.remove(entry.item.id)
        self._signatures.pop(handle, None)
        self._replaced += 1
        self._holding.subtract(set(entry.item.entities))
        for other in entry.rests_on:
            self._resting[other].discard(handle)
            if not self._resting[other]:
                del self._resting[other]
        if self.vectors is not None:
            self.vectors.missing.discard(handle)

    def resting_on(self, handles: Collection[int]) -> set[int]:
        """Entries that a change of these nodes may change."""
        return {entry for handle in handles for entry in self._resting.get(handle, ())}

    def embed(self, handle: int, vector: Floats, title_vector: Floats) -> None:
        """Give an entry its vectors."""
        entry = self.entries.get(handle)
        if entry is not None and self.vectors is not None:
            self.ranker.embed(entry.item.id, vector, title_vector)
            self.vectors.missing.discard(handle)
            if not self.vectors.missing:
                self.vectors.complete = True

    def compares(self, model: str | None) -> bool:
        """Whether all have vectors of this model, or had once."""
        return self.vectors is not None and self.vectors.complete and self.vectors.model == model

    def signature(self, handle: int) -> Signature:
        """The signature of an entry's text, worked out when first asked for."""
        found = self._signatures.get(handle)
        if found is None:
            found = self._signatures[handle] = signature(self.entries[handle].text)
        return found

    def rarity(self, entity: str) -> float:
        """How rare an entity is among these failures, 0 (all have it) to 1 (one in many has it). Of a few all
        may have it by chance: at least ten are counted."""
        total, holding = max(len(self.entries), _FEW), max(1, self._holding[entity])
        return float(min(1.0, np.log(total / holding) / np.log(total)))

    def holding(self, entity: str) -> int:
        """How many of these failures have it."""
        return self._holding[entity]

    def of_kinds(self, kinds: Sequence[NodeKind]) -> NDArray[np.bool_] | None:
        """Which places of the ranking hold one of these kinds; None: all do."""
        if not kinds:
            return None
        return np.isin(np.frombuffer(self._kinds, dtype=np.int8), [NODE_CODES[kind] for kind in kinds])

    @property
    def worn(self) -> bool:
        """Whether so many items were replaced that it is time to make the ranking anew."""
        return self._replaced > len(self.entries) + _DEAD


class Corpus:
    """The failures of one store, for all threads of a process. ``kept``: somebody keeps it up in the
    background, so that nobody who asks has to build it."""

    def __init__(self) -> None:
        self.kept = False
        self._lock = threading.RLock()
        self._building = threading.Lock()
        self._held: Failures | None = None
        self._revision = 0

    @property
    def ready(self) -> bool:
        """Whether it has been read."""
        return self._held is not None

    def build(self, store: GraphStore) -> None:
        """Read all failures anew. Who asks meanwhile is answered from what was there before."""
        with self._building:
            revision = follow(store, _latest(store)).revision
            made = Failures()
            for page in entries.scan(store):
                for entry in page:
                    made.add(entry)
            with self._lock:
                before = self._held
                self._held, self._revision = made, revision
            if before is not None and before.vectors is not None:
                self.attach(store, before.vectors.model)

    @contextmanager
    def reading(self, store: GraphStore) -> Iterator[Failures]:
        """The failures as of now, while nobody changes them. Builds them where nobody did."""
        if not self.ready:
            self.build(store)
        with self._lock:
            if not self._catch_up(store) and not self.kept:
                self.build(store)
            held = self._held
            if held is None:
                raise RuntimeError("a corpus that was built is there")
            yield held

    def keep_up(self, store: GraphStore) -> None:
        """Bring it to the store's revision, from the beginning where that is quicker."""
        if self.ready:
            with self._lock:
                whole = self._catch_up(store)
                worn = self._held is not None and self._held.worn
            if whole and not worn:
                return
        self.build(store)

    def _catch_up(self, store: GraphStore) -> bool:
        """Read what was changed since; False where that is not known any more. Called under the lock."""
        held = self._held
        if held is None:
            return False
        found = follow(store, self._revision)
        if found.nodes is None:
            return False
        if found.nodes:
            asked = held.resting_on(found.nodes) | found.nodes
            asked |= entries.examined(store, self._checks(store, found.nodes))
            now = {entry.handle: entry for entry in entries.read(store, asked)}
            for handle in asked:
                entry = now.get(handle)
                if entry is None:
                    held.remove(handle)
                elif entry != held.entries.get(handle):
                    held.add(entry)
        self._revision = found.revision
        return True

    def _checks(self, store: GraphStore, handles: Collection[int]) -> list[int]:
        nodes = store.get(sorted(handles))
        return [node.handle for node in nodes if node is not None and node.kind is NodeKind.CHECK]

    # vectors -------------------------------------------------------------------------------------------

    def attach(self, store: GraphStore, model: str) -> None:
        """Use this model's vectors from now on: those that the store has; the others are missing."""
        if not self.ready:
            self.build(store)
        with self._lock:
            held = self._held
            if held is None:
                return
            if held.vectors is None or held.vectors.model != model:
                held.vectors = Vectors(model, held.entries)
            asked = sorted(held.vectors.missing)
        for start in range(0, len(asked), _AT_ONCE):
            self._load(store, model, asked[start : start + _AT_ONCE])

    def _load(self, store: GraphStore, model: str, handles: Sequence[int]) -> None:
        texts = store.vectors(model, handles)
        titles = store.vectors(titles_of(model), handles)
        with self._lock:
            held = self._held
            if held is None or held.vectors is None or held.vectors.model != model:
                return
            for handle, text, title in zip(handles, texts, titles, strict=True):
                entry = held.entries.get(handle)
                if entry is None or text is None or title is None:
                    continue
                if (text[0], title[0]) == entry.digests(model):
                    held.embed(handle, unpacked(text[1]), unpacked(title[1]))

    def compares(self, model: str) -> bool:
        """Whether meaning can be compared by this model."""
        with self._lock:
            return self._held is not None and self._held.compares(model)

    def missing(self, model: str, most: int) -> list[Entry]:
        """Entries without a vector of this model, the newest first."""
        with self._lock:
            held = self._held
            if held is None or held.vectors is None or held.vectors.model != model:
                return []
            found = [held.entries[handle] for handle in held.vectors.missing if handle in held.entries]
        return sorted(found, key=lambda entry: (-entry.item.created, entry.handle))[:most]

    def embed(self, rows: Sequence[tuple[Entry, Floats, Floats]]) -> None:
        """Give entries their vectors: of the text, of the title. Those that changed meanwhile wait on."""
        with self._lock:
            if self._held is not None:
                for entry, vector, title_vector in rows:
                    if self._held.entries.get(entry.handle) == entry:
                        self._held.embed(entry.handle, vector, title_vector)


def titles_of(model: str) -> str:
    """Under which name the store keeps a model's vectors of titles."""
    return f"{model} titles"


def unpacked(data: bytes) -> Floats:
    """A vector as the store gives it."""
    return np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)


def _latest(store: GraphStore) -> int:
    return store.counts().revision


_CORPORA: WeakKeyDictionary[GraphStore, Corpus] = WeakKeyDictionary()
_GUARD = threading.Lock()


def corpus_of(store: GraphStore) -> Corpus:
    """The corpus of a store, the same for all who ask in this process."""
    with _GUARD:
        found = _CORPORA.get(store)
        if found is None:
            found = _CORPORA[store] = Corpus()
        return found


def few(store: GraphStore, most: int) -> bool:
    """Whether there are so few runs and incidents that all of them can be read at once."""
    nodes = store.counts().nodes
    return sum(nodes.get(kind.value, 0) for kind in failures.KINDS) <= most
