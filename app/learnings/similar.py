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
from app.learnings.corpus import Failures, corpus_of, few
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

#: Below this probability nothing is shown.
MIN_PROBABILITY = 0.25
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
    with _reading(store, item, before) as held:
        if encoder is not None and not corpus_of(store).kept:
            best = _ranked(held, item, kinds, before, max(first, _LOOKED_AT))
            held = embedded(store, [held.entries[int(each.id)] for _, each in best], encoder)
        item, semantic = _encoded(item, held, encoder)
        found = _ranked(held, item, kinds, before, first)
        chosen = _chosen(store, held, found, query, item, spaces, first)
    return SimilarAnswer(chosen, not chosen, semantic)


def _asked(store: GraphStore, handle: int, spaces: Spaces) -> Entry:
    node = store.get([handle], spaces=spaces)[0]
    if node is None:
        raise NotFound("there is no such node")
    if node.kind not in failures.KINDS:
        allowed = ", ".join(failures.KINDS)
        raise BadInput(f"{node.id} is a {node.kind}; what fails is a {allowed}")
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


def _encoded(item: Item, held: Failures, encoder: Encoder | None) -> tuple[Item, bool]:
    """The item with its vectors, where there are others to compare them with."""
    vectors = held.vectors
    if encoder is None or vectors is None or not vectors.complete or vectors.model != encoder.name:
        return item, False
    text, title = encoder.encode([item_text(item), item.title])
    return msgspec.structs.replace(item, vector=text, title_vector=title), True


def _ranked(
    held: Failures, item: Item, kinds: Sequence[NodeKind], before: Micros, first: int
) -> list[tuple[bool, Ranked]]:
    """(of the same project?, how it ranks): those of the project first."""
    allowed = held.of_kinds(kinds)
    most = _LOOKED_AT + 2 * first
    own: list[Ranked] = []
    if item.project is not None:
        own = held.ranker.rank(item, scope="project", before=before, first=most, allowed=allowed)
    there = {each.id for each in own}
    rest = held.ranker.rank(item, scope="all", before=before, first=most + len(own), allowed=allowed)
    found = [(True, each) for each in own]
    for each in rest:
        same = item.project is not None and held.ranker.item(each.index).project == item.project
        if not same and each.id not in there:
            found.append((False, each))
    return found


def _chosen(
    store: GraphStore,
    held: Failures,
    found: Sequence[tuple[bool, Ranked]],
    query: Entry | None,
    item: Item,
    spaces: Spaces,
    first: int,
) -> list[Match]:
    """The matches that may be seen and share enough, explained. Four store calls."""
    nodes = [n for n in store.get([int(r.id) for _, r in found], spaces=spaces) if n is not None]
    if spaces is None:
        seen = {n.handle: held.entries[n.handle] for n in nodes}
    else:
        # What is told of a failure is told of what the caller may read of it.
        seen = {entry.handle: entry for entry in entries(store, nodes, all=True)}
    homes = {name: str(status.get("space")) for name, status in store.service("source")}
    mine = set() if query is None else {homes.get(name) for name in query.sources}
    alike: list[_Alike] = []
    own = signature(item_text(item))
    for same, ranked in found:
        entry = seen.get(int(ranked.id))
        if entry is None:
            continue
        theirs = signature(entry.text) if spaces is not None else held.signature(entry.handle)
        both = (own, theirs)
        evidence = shared(item, entry, ranked.contributions, both, held.rarity, held.holding)
        probability = max(ranked.probability, likeness(evidence))
        if probability >= MIN_PROBABILITY and convincing(evidence, ranked.contributions):
            near = not mine.isdisjoint(homes.get(name) for name in entry.sources)
            alike.append(_Alike(0 if same else 1 if near else 2, -probability, entry, evidence))
    # Sorting is stable: what is equally probable stays as it was ranked.
    picked = sorted(alike, key=lambda each: (each.tier, each.against))[:first]
    about = sorted({e.node for each in picked for e in each.evidence if e.node is not None})
    read = dict(zip(about, store.get(about, spaces=spaces), strict=True)) if about else {}
    return [
        Match(
            each.entry.handle,
            -each.against,
            each.tier == 0,
            list(_told(each.evidence, read)),
            [] if query is None else differs(query, each.entry, held.rarity),
        )
        for each in picked
    ]


def _told(evidence: Sequence[Shared], nodes: Mapping[int, Node | None]) -> Iterator[Evidence]:
    for each in evidence:
        node = None if each.node is None else nodes.get(each.node)
        # A neighbour that the caller may not see is not named.
        if each.node is None or node is not None:
            yield Evidence(each.kind, each.text, each.weight, node)
