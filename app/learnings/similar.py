"""Which earlier failures are like this one: from a node or a text to matches that say why.

Hard rules: strictly earlier, visible to the caller, not itself. Its own project comes first, then what lies
in a space of its own, then all else that the caller may see. What shares nothing but what thousands say
("CUDA out of memory", "Killed") is no match, and where nothing is alike the answer says so.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from app.embeddings.model import Encoder
from app.learnings import failures
from app.learnings.cold import candidates, embedded
from app.learnings.confidence import least
from app.learnings.corpus import Failures, corpus_of, few, titles_of, unpacked
from app.learnings.entries import Entry, entries, of_text
from app.learnings.explain import Shared, convincing, differs, item_text, likeness, shared
from app.learnings.ranking import Item, Ranked
from app.learnings.signature import signature
from app.lineage.differences import Difference
from app.lineage.evidence import Evidence
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Node, Spaces
from graph_schema.wording import a_or_an

MAX_TEXT = 100_000
#: Where a graph has more runs and incidents than this and nobody keeps them at hand, the store's full-text
#: search chooses those that are ranked.
FEW = 2_000
_LOOKED_AT = 15


class Match(msgspec.Struct, frozen=True):
    """An earlier failure and how probably it is really alike. ``differs``: left is the one asked about."""

    handle: int
    probability: float
    same_project: bool
    shared: list[Evidence]
    differs: list[Difference]


class SimilarAnswer(msgspec.Struct, frozen=True):
    """``no_precedent``: nothing earlier is alike. ``semantic``: meaning was compared too, not words alone."""

    matches: list[Match]
    no_precedent: bool
    semantic: bool


class _Alike(msgspec.Struct):
    """A match to be. ``tier``: 0 its own project, 1 a space of its own, 2 elsewhere; ``against``: minus the
    probability."""

    tier: int
    against: float
    entry: Entry
    evidence: list[Shared]


def similar(
    store: GraphStore,
    *,
    handle: int | None = None,
    text: str | None = None,
    kinds: Sequence[NodeKind] = (),
    first: int = 5,
    spaces: Spaces = None,
    at: Micros | None = None,
    encoder: Encoder | None = None,
) -> SimilarAnswer:
    """Earlier failures like that of a node, or like a text (an error, a traceback, the end of a log).

    ``at``: only what happened before counts; by default when the node failed, or now. Without an encoder
    words and the graph decide alone. Raises BadInput, NotFound.
    """
    if (handle is None) is (text is None or not text.strip()):
        raise BadInput("give either the id of a failure, or a text that describes one")
    if wrong := sorted(set(kinds) - set(failures.KINDS)):
        allowed = ", ".join(kind.name for kind in failures.KINDS)
        raise BadInput(f"{wrong[0].name} does not fail; allowed kinds are {allowed}")
    query = None if handle is None else _asked(store, handle, spaces)
    now = time.time_ns() // 1_000
    item = of_text((text or "")[-MAX_TEXT:], now) if query is None else query.item
    if not item.created:
        item = msgspec.structs.replace(item, created=now)
    before = item.created if at is None else at
    corpus = corpus_of(store)
    if encoder is not None and corpus.kept and corpus.compares(encoder.name):
        # Before anybody else has to wait for it.
        item = _held_vectors(store, query, item, encoder) or _encoded(item, encoder)
    with _reading(store, item, before) as held:
        asking = _Asking(store, held, query, item, kinds, before, first, spaces)
        if encoder is not None and not corpus.kept:
            best = [each for tier in asking.tiers() for each in tier]
            held = embedded(store, [held.entries[int(each.id)] for each in best], encoder)
            item = _encoded(item, encoder)
        if not held.compares(None if encoder is None else encoder.name):
            item = msgspec.structs.replace(item, vector=None, title_vector=None)
        chosen = _Asking(store, held, query, item, kinds, before, first, spaces).matches()
    return SimilarAnswer(chosen, not chosen, item.vector is not None)


def _asked(store: GraphStore, handle: int, spaces: Spaces) -> Entry:
    node = store.get([handle], spaces=spaces)[0]
    if node is None:
        raise NotFound("there is no such node")
    if node.kind not in failures.KINDS:
        allowed = ", ".join(failures.KINDS)
        raise BadInput(f"{node.id} is {a_or_an(node.kind)}; what fails is a {allowed}")
    (entry,) = entries(store, [node], all=True)
    return entry


@contextmanager
def _reading(store: GraphStore, item: Item, before: Micros) -> Iterator[Failures]:
    """All failures where they are at hand or soon read, else those that come into question."""
    corpus = corpus_of(store)
    if corpus.ready or (not corpus.kept and few(store, FEW)):
        with corpus.reading(store) as held:
            yield held
    else:
        yield candidates(store, item, before)


def _held_vectors(store: GraphStore, query: Entry | None, item: Item, encoder: Encoder) -> Item | None:
    """The item with the vectors that the store has of it, if these are of what it says now."""
    if query is None:
        return None
    (text,) = store.vectors(encoder.name, [query.handle])
    (title,) = store.vectors(titles_of(encoder.name), [query.handle])
    if text is None or title is None or (text[0], title[0]) != query.digests(encoder.name):
        return None
    vector, title_vector = unpacked(text[1]), unpacked(title[1])
    return msgspec.structs.replace(item, vector=vector, title_vector=title_vector)


def _encoded(item: Item, encoder: Encoder) -> Item:
    text, title = encoder.encode([item_text(item), item.title])
    return msgspec.structs.replace(item, vector=text, title_vector=title)


class _Asking:
    """One question over the failures of one moment."""

    def __init__(
        self,
        store: GraphStore,
        held: Failures,
        query: Entry | None,
        item: Item,
        kinds: Sequence[NodeKind],
        before: Micros,
        first: int,
        spaces: Spaces,
    ) -> None:
        self._store = store
        self._held = held
        self._query = query
        self._item = item
        self._before = before
        self._first = first
        self._spaces = spaces
        self._allowed = held.of_kinds(kinds)
        self._signature = signature(item_text(item))
        homes = {name: str(status.get("space")) for name, status in store.service("source")}
        self._space_of = homes.get
        self._mine = set() if query is None else {homes.get(name) for name in query.sources}

    def tiers(self, most: int | None = None) -> Iterator[list[Ranked]]:
        """The best of its project, then the best of all others; each ranked when it is asked for."""
        most = most or _LOOKED_AT + 2 * self._first
        ranker, project = self._held.ranker, self._item.project
        own: list[Ranked] = []
        if project is not None:
            own = ranker.rank(
                self._item, scope="project", before=self._before, first=most, allowed=self._allowed
            )
        yield own
        rest = ranker.rank(
            self._item, scope="all", before=self._before, first=most + len(own), allowed=self._allowed
        )
        yield [e for e in rest if project is None or ranker.item(e.index).project != project][:most]

    def matches(self) -> list[Match]:
        """What may be seen and shares enough, explained. Where its own project has enough, none of elsewhere
        is looked at."""
        alike: list[_Alike] = []
        most = _LOOKED_AT + 2 * self._first
        while True:
            alike, hidden = [], False
            for number, ranked in enumerate(self.tiers(most)):
                seen = self._seen(ranked)
                # Where all that was looked at may not be seen, what lies behind it may.
                hidden |= len(seen) < len(ranked) >= most
                alike += self._alike(ranked, seen, own=number == 0)
                if len(_shown(alike)) >= self._first:
                    break
            if len(_shown(alike)) >= self._first or not hidden:
                break
            most *= 8
        # Sorting is stable: what is equally probable stays as it was ranked.
        picked = sorted(_shown(alike), key=lambda each: (each.tier, each.against))[: self._first]
        about = sorted({e.node for each in picked for e in each.evidence if e.node is not None})
        nodes = self._store.get(about, spaces=self._spaces) if about else []
        read = dict(zip(about, nodes, strict=True))
        query = self._query
        return [
            Match(
                each.entry.handle,
                -each.against,
                each.tier == 0,
                list(_told(each.evidence, read)),
                [] if query is None else differs(query, each.entry, self._held.rarity),
            )
            for each in picked
        ]

    def _seen(self, ranked: Sequence[Ranked]) -> dict[int, Entry]:
        """Those that the caller may read; what is told of them is told of what may be read."""
        asked = [int(each.id) for each in ranked]
        nodes = [n for n in self._store.get(asked, spaces=self._spaces) if n is not None] if asked else []
        if self._spaces is None:
            return {node.handle: self._held.entries[node.handle] for node in nodes}
        return {entry.handle: entry for entry in entries(self._store, nodes, all=True)}

    def _alike(self, ranked: Sequence[Ranked], seen: Mapping[int, Entry], *, own: bool) -> Iterator[_Alike]:
        held = self._held
        for each in ranked:
            entry = seen.get(int(each.id))
            if entry is None:
                continue
            theirs = held.signature(entry.handle) if self._spaces is None else signature(entry.text)
            evidence = shared(
                self._item, entry, each.contributions, (self._signature, theirs), held.rarity, held.holding
            )
            if convincing(evidence, each.contributions):
                probability = max(each.probability, likeness(evidence))
                near = not self._mine.isdisjoint(map(self._space_of, entry.sources))
                yield _Alike(0 if own else 1 if near else 2, -probability, entry, evidence)


def _shown(alike: Sequence[_Alike]) -> list[_Alike]:
    """Those that are probable enough; none where hardly any is really alike."""
    enough = least([-each.against for each in alike])
    return [each for each in alike if -each.against >= enough]


def _told(evidence: Sequence[Shared], nodes: Mapping[int, Node | None]) -> Iterator[Evidence]:
    for each in evidence:
        node = None if each.node is None else nodes.get(each.node)
        # A neighbour that the caller may not see is not named.
        if each.node is None or node is not None:
            yield Evidence(each.kind, each.text, each.weight, node)
