"""Full-text search and embeddings: Neo4j's own indexes behind the two search verbs."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from neo4j import ManagedTransaction

from app.store.neo4j.connection import Connection
from app.store.neo4j.reading import get
from app.store.neo4j.rows import rows
from app.store.neo4j.schema import TEXT_INDEX
from app.store.rows import NODE_CODES
from app.store.text_query import words_of
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.values import Hit, Spaces

#: Lucene takes no longer ones.
_PREFIX_MAX = 200
_ENOUGH = 1_000
_MAX_DIMENSIONS = 4_096

_TEXT = """
CALL db.index.fulltext.queryNodes($index, $words, {limit: $limit}) YIELD node, score
WITH node, score, node.kind AS kind
WITH CASE WHEN $kinds = [] OR kind IN $kinds THEN node.num END AS num, score ORDER BY score DESC, node.num
RETURN collect([num, score])
"""
_CAUGHT_UP = "CALL db.index.fulltext.awaitEventuallyConsistentIndexRefresh()"
_MODEL = "MATCH (m:VectorModel {key: $model}) RETURN m.label, m.size"
_NEW_MODEL = """
MERGE (m:VectorModel {key: $model}) ON CREATE SET m.label = $label, m.size = $size RETURN m.label, m.size
"""
_VECTORS = """
CALL db.index.vector.queryNodes($index, $limit, $vector) YIELD node, score
MATCH (n:Item {num: node.num}) WHERE n.live AND ($kinds = [] OR n.kind IN $kinds)
WITH n.num AS num, 2 * score - 1 AS cosine ORDER BY cosine DESC, num RETURN collect([num, cosine])
"""


def _put_query(label: str) -> Any:
    # The label is made of our own hexadecimal digits.
    return (
        f"UNWIND $rows AS r MERGE (v:{label} {{num: r[0]}}) SET v.digest = r[1]"
        " WITH v, r CALL db.create.setNodeVectorProperty(v, 'embedding', r[2])"
    )


class Searches:
    """The part of the store that searches."""

    _connection: Connection

    def search_text(
        self, text: str, kinds: Sequence[NodeKind] = (), first: int = 20, *, spaces: Spaces = None
    ) -> list[Hit]:
        """See :meth:`graph_schema.store.GraphStore.search_text`."""
        words = words_of(text)
        if not words:
            return []
        # Words are letters, digits and underscores only: nothing in them is an operator.
        query = " OR ".join([*(f'"{word}"' for word in words), f"{words[-1][:_PREFIX_MAX]}*"])
        codes = [NODE_CODES[k] for k in kinds]

        def work(tx: ManagedTransaction) -> list[Hit]:
            tx.run(_CAUGHT_UP).consume()
            limit = max(_ENOUGH, 4 * first)
            while True:
                found = rows(tx, _TEXT, index=TEXT_INDEX, words=query, kinds=codes, limit=limit)
                hits = [Hit(num, score) for num, score in found if num is not None]
                if spaces is not None:
                    seen = get(tx, [h.handle for h in hits], None, spaces)
                    hits = [hit for hit, node in zip(hits, seen, strict=True) if node is not None]
                if len(hits) >= first or len(found) < limit:
                    return hits[:first]
                limit *= 10

        return self._connection.read(work)

    def put_vectors(self, model: str, rows: Sequence[tuple[int, str, Sequence[float]]]) -> None:
        """See :meth:`graph_schema.store.GraphStore.put_vectors`. The first rows of a model make its index."""
        if not rows:
            return
        size = len(rows[0][2])
        for nid, _, vector in rows:
            _check(f"the vector of node {nid}", vector)
        connection = self._connection
        label = f"Vector_{blake2b(model.encode(), digest_size=8).hexdigest()}"
        with connection.told():
            held = connection.read(lambda tx: tx.run(_MODEL, model=model).values())
            if not held:
                if size > _MAX_DIMENSIONS:
                    raise BadInput(f"Neo4j indexes vectors of up to {_MAX_DIMENSIONS} numbers, not {size}")
                connection.change_schema(
                    f"CREATE CONSTRAINT kinlore_{label} IF NOT EXISTS FOR (v:{label}) REQUIRE v.num IS UNIQUE"
                )
                connection.change_schema(
                    f"CREATE VECTOR INDEX {_index(label)} IF NOT EXISTS FOR (v:{label}) ON (v.embedding)"
                    f" OPTIONS {{indexConfig: {{`vector.dimensions`: {size},"
                    " `vector.similarity_function`: 'cosine'}}"
                )
                connection.await_indexes()

            def work(tx: ManagedTransaction) -> None:
                (found,) = tx.run(_NEW_MODEL, model=model, label=label, size=size).values()
                for _, _, vector in rows:
                    if len(vector) != found[1]:
                        raise BadInput(
                            f"vectors of {model} have {found[1]} numbers; this one has {len(vector)}"
                        )
                packed = [(nid, digest, [float(x) for x in vector]) for nid, digest, vector in rows]
                tx.run(_put_query(label), rows=packed)

            connection.write(work)

    def vectors(self, model: str, handles: Sequence[int]) -> list[tuple[str, bytes] | None]:
        """See :meth:`graph_schema.store.GraphStore.vectors`."""

        def work(tx: ManagedTransaction) -> list[tuple[str, bytes] | None]:
            held = tx.run(_MODEL, model=model).values()
            if not held or not handles:
                return [None] * len(handles)
            found = {num: (digest, _packed(vector)) for num, digest, vector in _held(tx, held[0][0], handles)}
            return [found.get(handle) for handle in handles]

        return self._connection.read(work)

    def search_vectors(
        self, model: str, vector: Sequence[float], kinds: Sequence[NodeKind] = (), first: int = 20
    ) -> list[Hit]:
        """See :meth:`graph_schema.store.GraphStore.search_vectors`. Approximate, as HNSW indexes are."""
        codes = [NODE_CODES[k] for k in kinds]

        def work(tx: ManagedTransaction) -> list[Hit]:
            held = tx.run(_MODEL, model=model).values()
            if not held:
                return []
            label, size = held[0]
            if len(vector) != size:
                raise BadInput(f"this model's vectors have {size} numbers; the query has {len(vector)}")
            if not any(vector):
                return []
            values = [float(x) for x in vector]
            # HNSW answers in the order of nearness; what the kinds leave out is asked for beyond.
            limit = first if not codes else 4 * first
            total = tx.run(f"MATCH (v:{label}) RETURN count(v)").values()[0][0]
            while True:
                found = rows(tx, _VECTORS, index=_index(label), limit=limit, vector=values, kinds=codes)
                if len(found) >= first or limit >= total:
                    return [Hit(num, score) for num, score in found[:first]]
                limit = min(total, 10 * limit)

        return self._connection.read(work)


def _held(tx: ManagedTransaction, label: str, nums: Sequence[int]) -> list[Any]:
    query = f"UNWIND $nums AS num MATCH (v:{label} {{num: num}}) RETURN collect([num, v.digest, v.embedding])"
    return rows(tx, query, nums=list(nums))


def _packed(vector: Sequence[float]) -> bytes:
    """A vector as float32 of length one; it is kept as it was given."""
    norm = math.sqrt(sum(x * x for x in vector))
    packed = array("f", [x / norm for x in vector])
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _index(label: str) -> str:
    return f"kinlore_{label}_embedding"


def _check(what: str, vector: Sequence[float]) -> None:
    norm = math.sqrt(sum(float(x) * float(x) for x in vector)) if len(vector) else 0.0
    if not math.isfinite(norm) or norm == 0.0:
        raise BadInput(f"{what} is not a finite, non-zero row of numbers")
