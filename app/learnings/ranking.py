"""Which earlier failures are like this one: pure ranking over values.

Nothing here reads a store, a clock or a model. Vectors come with the items; where they are missing the other
signals rank alone. A score is the sum of its contributions, one per signal, and each names what it rests on.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.learnings import confidence, priors
from app.learnings.fusion import Floats, Signal, contributions, fuse
from app.learnings.lexical import InvertedIndex
from app.learnings.matrix import Matrix
from app.learnings.signature import Signature, signature, terms

Scope = Literal["project", "all"]

SHOWN = 5
_DAY = 86_400_000_000
#: Shared terms that a contribution names.
_CITED = 8


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A failure, as the ranking sees it.

    ``created``: microseconds since 1970. ``entities``: further things that it names or touches (data set,
    model, pipeline, check), as ``sort:value``. ``fixes``: what is known of how it was ended, line by line
    (titles, what was changed); that of a query is not looked at. Vectors are unit vectors of one model, or
    None: of title and body together, and of the title.
    """

    id: str
    project: str | None
    title: str
    body: str
    created: int
    component: str | None = None
    entities: tuple[str, ...] = ()
    fixes: tuple[str, ...] = ()
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


class Comparison(msgspec.Struct, frozen=True):
    """A query against all its candidates: their places, their signals as measured, what each signal adds to
    their scores, the scores, and the candidates by score, best first. Arrays of one length. ``about``: what
    is known of the question itself, as ``confidence.features`` takes it."""

    at: NDArray[np.intp]
    values: dict[str, Floats]
    parts: dict[str, Floats]
    total: Floats
    order: NDArray[np.intp]
    about: dict[str, float]

    def features(self, first: int) -> dict[str, Floats]:
        """What the probability of the ``first`` best rests on."""
        return confidence.features(self.order, self.total, self.values, self.about, first)


class _Query:
    """A query's terms, worked out once."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self.title = terms(item.title)
        self.text = [*self.title, *terms(item.body)]
        self.signature = telling(signature(f"{item.title}\n{item.body}"))
        self._named: Floats | None = None

    def named(self, fixes: InvertedIndex) -> Floats:
        """How far it names each line of what ended others."""
        if self._named is None:
            self._named = fixes.named(self.text)
        return self._named


def telling(found: Signature) -> tuple[str, ...]:
    """What of a signature is worth comparing: where it broke and the messages. Exception types, names and
    versions are left to the words: measured, their agreement added nothing to them."""
    return (
        *(f"frame:{frame}" for frame in found.frames),
        *(f"message:{message}" for message in found.templates),
    )


class Ranker:
    """Items that can be ranked against a query. Adding one costs its own length; items are not rebuilt.
    ``signals``: how each counts.

    An item that is added under an id that is there already replaces it. Not for several threads at a time.
    """

    def __init__(self, items: Iterable[Item] = (), signals: Mapping[str, Signal] = priors.SIGNALS) -> None:
        self.signals = signals
        self._items: list[Item] = []
        self._places: dict[str, int] = {}
        self._projects: dict[str, int] = {}
        self._components: dict[str, int] = {}
        self._project = array("i")
        self._component = array("i")
        self._created = array("q")
        self._alive = array("b")
        self._text = InvertedIndex(k1=2.0, b=0.9)
        self._titles = InvertedIndex()
        self._signatures = InvertedIndex(k1=0.5, b=0.3)
        self._graph = InvertedIndex(k1=0.5, b=0.3)
        self._fixes = InvertedIndex()
        # Places of the items that the lines of ``_fixes`` belong to, ascending.
        self._fixed = array("i")
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
        """Add an item, or replace the one of its id; returns its place. Raises ValueError for a vector of
        another size than those before."""
        self._vectors.check(item.vector)
        self._title_vectors.check(item.title_vector)
        self.remove(item.id)
        place = len(self._items)
        query = _Query(item)
        self._items.append(item)
        self._places[item.id] = place
        self._project.append(_code(self._projects, item.project, add=True))
        self._component.append(_code(self._components, item.component, add=True))
        self._created.append(item.created)
        self._alive.append(1)
        self._text.add(query.text)
        self._titles.add(query.title)
        self._signatures.add(query.signature)
        self._graph.add(item.entities)
        for line in item.fixes:
            self._fixes.add(set(terms(line)))
            self._fixed.append(place)
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
        found = self.compare(query, scope=scope, before=before, allowed=allowed)
        if not len(found.at):
            return []
        asked = _Query(query)
        coefficients = priors.SEMANTIC if "meaning" in found.values else priors.LEXICAL
        chances = confidence.probabilities(found.features(first), coefficients)
        return [
            Ranked(
                index=int(found.at[place]),
                id=self._items[found.at[place]].id,
                score=float(found.total[place]),
                probability=float(chance),
                contributions=tuple(
                    Contribution(name, float(part[place]), self._shared(name, asked, int(found.at[place])))
                    for name, part in found.parts.items()
                ),
            )
            for place, chance in zip(found.order[:first], chances, strict=True)
        ]

    def compare(
        self,
        query: Item,
        *,
        scope: Scope = "all",
        before: int | None = None,
        allowed: NDArray[np.bool_] | None = None,
    ) -> Comparison:
        """The query against all its candidates, which are those of ``rank``."""
        at = self._candidates(query, scope, query.created if before is None else before, allowed)
        asked = _Query(query)
        values = {name: found[at] for name, found in self._signals(asked).items() if name in self.signals}
        parts = contributions(values, self.signals)
        total = fuse(parts) if len(at) else np.zeros(0, dtype=np.float32)
        about = {
            "title": self._text.mass(asked.title),
            "own": float(len(at) if query.project is None else values["project"].sum()),
        }
        return Comparison(at, values, parts, total, np.argsort(-total, kind="stable"), about)

    def _candidates(
        self, query: Item, scope: Scope, before: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.intp]:
        chosen = np.frombuffer(self._alive, dtype=np.int8) > 0
        chosen &= np.frombuffer(self._created, dtype=np.int64) < before
        if scope == "project":
            code = _code(self._projects, query.project)
            chosen &= (np.frombuffer(self._project, dtype=np.int32) == code) & (code >= 0)
        if allowed is not None:
            chosen &= allowed
        if query.id in self._places:
            chosen[self._places[query.id]] = False
        return np.flatnonzero(chosen)

    def _signals(self, query: _Query) -> dict[str, Floats]:
        item = query.item
        found = {
            "text": self._text.scores(query.text),
            "title_in_text": self._text.scores(query.title),
            "text_in_title": self._titles.scores(query.text),
            "rarest": self._text.rarest(query.text),
        }
        if item.vector is not None and item.title_vector is not None and self._vectors.filled:
            found["meaning"] = self._vectors.cosines(item.vector)
            found["title_meaning"] = self._title_vectors.cosines(item.title_vector)
        if query.signature:
            found["signature"] = np.sqrt(self._signatures.scores(query.signature))
        if item.entities:
            found["graph"] = np.sqrt(self._graph.scores(item.entities))
        if len(self._fixes):
            found["fix"] = self._named_by_fixes(query)
        age = (item.created - np.frombuffer(self._created, dtype=np.int64)) / _DAY
        found["recency"] = -np.log1p(np.maximum(age, 0)).astype(np.float32)
        found["project"] = _same(self._project, _code(self._projects, item.project))
        if item.component is not None:
            found["component"] = _same(self._component, _code(self._components, item.component))
        return found

    def _named_by_fixes(self, query: _Query) -> Floats:
        """Of every item, how far the query names what ended it: its best line counts."""
        best = np.zeros(len(self._items), dtype=np.float32)
        np.maximum.at(best, np.frombuffer(self._fixed, dtype=np.int32), query.named(self._fixes))
        return np.sqrt(best)

    def _fix(self, query: _Query, place: int) -> dict[str, float]:
        """What the query shares with the best line of an item's fixes."""
        lines = range(bisect_left(self._fixed, place), bisect_right(self._fixed, place))
        if not lines:
            return {}
        named = query.named(self._fixes)
        return self._fixes.shares(query.text, max(lines, key=lambda line: named[line]))

    def _shared(self, signal: str, query: _Query, place: int) -> tuple[str, ...]:
        match signal:
            case "text":
                shares = self._text.shares(query.text, place)
            case "rarest":
                both = self._text.shares(query.text, place)
                return tuple(sorted(both, key=lambda term: (-self._text.idf(term), term)))[:1]
            case "title_in_text":
                shares = self._text.shares(query.title, place)
            case "text_in_title":
                shares = self._titles.shares(query.text, place)
            case "signature":
                shares = self._signatures.shares(query.signature, place)
            case "graph":
                shares = self._graph.shares(query.item.entities, place)
            case "fix":
                shares = self._fix(query, place)
            case "project" | "component":
                ours, theirs = getattr(query.item, signal), getattr(self._items[place], signal)
                return (ours,) if ours is not None and ours == theirs else ()
            case _:
                return ()
        return tuple(shares)[:_CITED]


def _code(codes: dict[str, int], name: str | None, *, add: bool = False) -> int:
    """A number for a name; -1 for none and for one that is not known."""
    if name is None:
        return -1
    return codes.setdefault(name, len(codes)) if add else codes.get(name, -1)


def _same(codes: array[int], code: int) -> Floats:
    """1 where the code is this one, else 0; nothing is the same as what is not known."""
    found: Floats = ((np.frombuffer(codes, dtype=np.int32) == code) & (code >= 0)).astype(np.float32)
    return found
