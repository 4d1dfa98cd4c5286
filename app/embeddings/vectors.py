"""Vectors of nodes: what of a node is embedded, how vectors are kept in the store, what lies near a text."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from app.embeddings.model import CachedEncoder, Encoder, Floats, content_key
from app.store.changed import follow
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Hit, Node, Order, Ordering, Spaces

#: Cosine below which a node is no answer to a search: unrelated texts are about as near as that.
NEAR = 0.38
_RECENT = 4_096
_PAGE = 200
_LONGEST = 1_000
#: What a node says in words, besides its name.
_PROSE = ("summary", "description", "message", "text", "body", "error", "question", "decision", "why")
#: Kinds that nobody looks for by meaning: versions, machines and places are found by name.
_NAMED_ONLY = frozenset({
    NodeKind.DATASET_VERSION, NodeKind.RUNTIME, NodeKind.PERSON, NodeKind.ARTIFACT, NodeKind.ENVIRONMENT,
    NodeKind.JOB_RUN, NodeKind.MODEL_VERSION, NodeKind.DEPLOYMENT,
})  # fmt: skip
SEARCHED = tuple(kind for kind in NodeKind if kind not in _NAMED_ONLY)


class Recent:
    """The vectors of the last texts, by content; for all threads."""

    def __init__(self, most: int = _RECENT) -> None:
        self._most = most
        self._held: OrderedDict[str, Floats] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, keys: Sequence[str]) -> Mapping[str, Floats]:
        """Those of the vectors that are there."""
        with self._lock:
            return {key: self._held[key] for key in keys if key in self._held}

    def put(self, vectors: Mapping[str, Floats]) -> None:
        """Keep vectors, and let go of the oldest."""
        with self._lock:
            self._held.update(vectors)
            while len(self._held) > self._most:
                self._held.popitem(last=False)


class Turns:
    """An encoder for several threads: a model's tokenizer takes one text list at a time."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """The model's name."""
        return self._encoder.name

    @property
    def dimension(self) -> int:
        """How long a vector is."""
        return self._encoder.dimension

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, shape (texts, dimension)."""
        with self._lock:
            return self._encoder.encode(texts)


def for_queries(encoder: Encoder) -> Encoder:
    """An encoder for the texts that people ask about: for all threads, and each text once."""
    return CachedEncoder(Turns(encoder), Recent())


def text_of(node: Node) -> str:
    """What of a node is embedded for search: its kind and name, and what it says in words."""
    said = [str(node.properties[key]) for key in _PROSE if isinstance(node.properties.get(key), str)]
    return "\n".join([f"{node.kind} {node.name}", *said])[:_LONGEST]


def searched(model: str) -> str:
    """Under which name the store keeps a model's vectors for search."""
    return f"{model} search"


def packed(vector: Floats) -> list[float]:
    """A vector as the store takes it."""
    found: list[float] = vector.astype(np.float64).tolist()
    return found


class NodeVectors:
    """Gives every node of the kinds that are looked for by meaning its vector: the newest first, at most
    ``most``; then those that change. One step embeds a few texts, so that it can stop at any time."""

    def __init__(self, store: GraphStore, most: int = 100_000, batch: int = 8) -> None:
        self._store = store
        self._most = most
        self._batch = batch
        self._revision = -1
        self._model = ""
        self._waiting: Iterator[list[tuple[int, str]]] = iter(())

    def step(self, encoder: Encoder) -> bool:
        """Embed a few; False where nothing is left to do."""
        if encoder.name != self._model:
            self._model, self._revision = encoder.name, -1
        page = next(self._waiting, None)
        if page is None:
            self._waiting = self._todo()
            page = next(self._waiting, None)
        if page is None:
            return False
        vectors = encoder.encode([text for _, text in page])
        rows = [
            (handle, content_key(self._model, text), packed(vector))
            for (handle, text), vector in zip(page, vectors, strict=True)
        ]
        self._store.put_vectors(searched(self._model), rows)
        return True

    def _todo(self) -> Iterator[list[tuple[int, str]]]:
        """What has no vector of its present text, in small lists."""
        if self._revision < 0:
            self._revision = self._store.counts().revision
            return self._lacking(self._all())
        found = follow(self._store, self._revision)
        self._revision = found.revision
        if found.nodes is None:
            return self._lacking(self._all())
        return self._lacking(self._some(sorted(found.nodes)))

    def _all(self) -> Iterator[list[Node]]:
        left = self._most
        newest = Ordering(Order.CREATED_AT, descending=True)
        for kind in SEARCHED:
            after: str | None = None
            while left > 0:
                page = self._store.find(kind, (), newest, min(left, _PAGE), after)
                left -= len(page.items)
                yield page.items
                after = page.next
                if after is None:
                    break

    def _some(self, handles: Sequence[int]) -> Iterator[list[Node]]:
        for start in range(0, len(handles), _PAGE):
            found = self._store.get(handles[start : start + _PAGE])
            yield [node for node in found if node is not None and node.kind in SEARCHED]

    def _lacking(self, pages: Iterator[list[Node]]) -> Iterator[list[tuple[int, str]]]:
        for page in pages:
            held = self._store.vectors(searched(self._model), [node.handle for node in page])
            texts = [(node.handle, text_of(node)) for node in page if not node.stub]
            digests = {
                node.handle: None if row is None else row[0] for node, row in zip(page, held, strict=True)
            }
            missing = [(h, text) for h, text in texts if digests[h] != content_key(self._model, text)]
            for start in range(0, len(missing), self._batch):
                yield missing[start : start + self._batch]


def nearest(
    store: GraphStore, encoder: Encoder, text: str, kinds: Sequence[NodeKind], first: int, spaces: Spaces
) -> list[Hit]:
    """Nodes whose words are near a text in meaning, best first; none that is farther than :data:`NEAR`."""
    vector = encoder.encode([text])[0]
    asked = first
    while True:
        found = store.search_vectors(searched(encoder.name), packed(vector), kinds, asked)
        near = [hit for hit in found if hit.score >= NEAR]
        seen = near
        if spaces is not None and near:
            nodes = store.get([hit.handle for hit in near], spaces=spaces)
            seen = [hit for hit, node in zip(near, nodes, strict=True) if node is not None]
        if len(seen) >= first or len(near) < asked:
            return seen[:first]
        asked *= 4
