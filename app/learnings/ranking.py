"""Which earlier failures are like this one: pure ranking over values.

Nothing here reads a store, a clock or a model. Vectors come with the items; where they are missing the other
signals rank alone. A score is the sum of its contributions, one per signal, and each names its evidence.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.learnings.fusion import Floats, fuse, standard
from app.learnings.lexical import InvertedIndex
from app.learnings.signature import terms

Scope = Literal["project", "all"]

_DAY = 86_400_000_000
#: Signal: weight, and its mean and spread over candidates in general.
PRIOR: dict[str, tuple[float, float, float]] = {
    "text": (0.40, 8.0, 8.0),
    "title": (0.15, 1.0, 2.5),
    "meaning": (0.30, 0.2, 0.13),
    "title_meaning": (0.15, 0.15, 0.13),
    "recency": (0.25, -5.0, 1.5),
}
SHOWN = 5


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A failure, as the ranking sees it.

    ``created``: microseconds since 1970. ``entities``: further things that it names or touches (data set,
    model, pipeline, check), as ``sort:value``. Vectors are unit vectors of one model, or None.
    """

    id: str
    project: str | None
    title: str
    body: str
    created: int
    component: str | None = None
    entities: tuple[str, ...] = ()
    vector: Floats | None = None
    title_vector: Floats | None = None


class Contribution(msgspec.Struct, frozen=True):
    """One signal's part of a score. ``shared``: what both have that it rests on, most telling first."""

    signal: str
    value: float
    shared: tuple[str, ...] = ()


class Ranked(msgspec.Struct, frozen=True):
    """One earlier item: its place in the ranker, its score (the sum of its contributions), and the
    probability that it is really alike."""

    index: int
    id: str
    score: float
    probability: float
    contributions: tuple[Contribution, ...]


class Ranker:
    """Items that can be ranked against a query. Adding one costs its own length; items are not rebuilt.

    An item that is added under an id that is there already replaces it. Not for several threads at a time.
    """

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._items: list[Item] = []
        self._places: dict[str, int] = {}
        self._projects: dict[str | None, int] = {}
        self._project = array("i")
        self._created = array("q")
        self._alive = array("b")
        self._text = InvertedIndex()
        self._titles = InvertedIndex()
        self._vectors = Matrix()
        self._title_vectors = Matrix()
        for item in items:
            self.add(item)

    def __len__(self) -> int:
        return len(self._places)

    def item(self, index: int) -> Item:
        """The item at a place that ``rank`` or ``add`` named."""
        return self._items[index]

    def add(self, item: Item) -> int:
        """Add an item, or replace the one of its id; returns its place."""
        self.remove(item.id)
        place = len(self._items)
        self._items.append(item)
        self._places[item.id] = place
        self._project.append(self._projects.setdefault(item.project, len(self._projects)))
        self._created.append(item.created)
        self._alive.append(1)
        self._text.add(terms(f"{item.title}\n{item.body}"))
        self._titles.add(terms(item.title))
        self._vectors.add(item.vector)
        self._title_vectors.add(item.title_vector)
        return place

    def embed(self, id: str, vector: Floats, title_vector: Floats) -> bool:
        """Give an item that is there its vectors, at no other cost; False if there is none of that id."""
        place = self._places.get(id)
        if place is None:
            return False
        item = self._items[place]
        self._items[place] = msgspec.structs.replace(item, vector=vector, title_vector=title_vector)
        self._vectors.put(place, vector)
        self._title_vectors.put(place, title_vector)
        return True

    def remove(self, id: str) -> bool:
        """Take an item out; False if there is none of that id."""
        place = self._places.pop(id, None)
        if place is None:
            return False
        self._alive[place] = 0
        return True

    def rank(
        self,
        query: Item,
        *,
        scope: Scope = "all",
        before: int | None = None,
        first: int = SHOWN,
        allowed: NDArray[np.bool_] | None = None,
    ) -> list[Ranked]:
        """The ``first`` items most like the query, best first.

        Candidates are created strictly before ``before`` (default: the query's own time), are not the query
        itself, are of its project where ``scope`` is ``project``, and are ``allowed`` ((places,) of bool).
        """
        at = self._candidates(query, scope, query.created if before is None else before, allowed)
        if not len(at):
            return []
        parts = {
            name: PRIOR[name][0] * standard(values[at], *PRIOR[name][1:])
            for name, values in self._signals(query).items()
        }
        total = fuse(parts)
        best = np.argsort(-total, kind="stable")[:first]
        return [
            Ranked(
                index=int(at[place]),
                id=self._items[at[place]].id,
                score=float(total[place]),
                probability=float(1 / (1 + np.exp(3.5 - total[place]))),
                contributions=tuple(
                    Contribution(name, float(values[place]), self._shared(name, query, int(at[place])))
                    for name, values in parts.items()
                ),
            )
            for place in best
        ]

    def _candidates(
        self, query: Item, scope: Scope, before: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.intp]:
        chosen = np.frombuffer(self._alive, dtype=np.int8) > 0
        chosen &= np.frombuffer(self._created, dtype=np.int64) < before
        if scope == "project":
            chosen &= np.frombuffer(self._project, dtype=np.int32) == self._projects.get(query.project, -1)
        if allowed is not None:
            chosen &= allowed
        if query.id in self._places:
            chosen[self._places[query.id]] = False
        return np.flatnonzero(chosen)

    def _signals(self, query: Item) -> dict[str, Floats]:
        found = {
            "text": self._text.scores(terms(f"{query.title}\n{query.body}")),
            "title": self._titles.scores(terms(query.title)),
        }
        if query.vector is not None and self._vectors.filled:
            found["meaning"] = self._vectors.cosines(query.vector)
        if query.title_vector is not None and self._title_vectors.filled:
            found["title_meaning"] = self._title_vectors.cosines(query.title_vector)
        age = (query.created - np.frombuffer(self._created, dtype=np.int64)) / _DAY
        found["recency"] = -np.log1p(np.maximum(age, 0)).astype(np.float32)
        return found

    def _shared(self, signal: str, query: Item, place: int) -> tuple[str, ...]:
        if signal == "text":
            return tuple(self._text.shares(terms(f"{query.title}\n{query.body}"), place))[:8]
        if signal == "title":
            return tuple(self._titles.shares(terms(query.title), place))[:8]
        return ()


class Matrix:
    """Unit vectors by place; rows without one are zero. Grows by doubling."""

    def __init__(self) -> None:
        self._rows: Floats = np.zeros((0, 0), dtype=np.float32)
        self._count = 0
        self.filled = 0

    def add(self, vector: Floats | None) -> None:
        """Append a vector, or a gap. Raises ValueError for a vector of another size."""
        if vector is not None and not self._rows.shape[1]:
            self._rows = np.zeros((max(1024, 2 * self._count), len(vector)), dtype=np.float32)
        if self._rows.shape[1] and self._count >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros_like(self._rows)])
        if vector is not None:
            if len(vector) != self._rows.shape[1]:
                raise ValueError(f"a vector of {len(vector)} among vectors of {self._rows.shape[1]}")
            self._rows[self._count] = vector
            self.filled += 1
        self._count += 1

    def put(self, place: int, vector: Floats) -> None:
        """Fill the gap at a place, or replace its vector. Raises ValueError for one of another size."""
        if not self._rows.shape[1]:
            self._rows = np.zeros((max(1024, 2 * self._count), len(vector)), dtype=np.float32)
        if len(vector) != self._rows.shape[1]:
            raise ValueError(f"a vector of {len(vector)} among vectors of {self._rows.shape[1]}")
        self.filled += not self._rows[place].any()
        self._rows[place] = vector

    def cosines(self, vector: Floats) -> Floats:
        """The cosine of every row with a unit vector, shape (rows,)."""
        return self._rows[: self._count] @ vector
