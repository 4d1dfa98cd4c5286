"""What people say of what they were shown, and what was shown: kept as service records, bounded.

Three things are asked apart, for they are different: was it *relevant* (really alike), was it *applied*,
did it *work*. Every impression is logged with its ranks, so that silence about the fifth is not taken for
silence about the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from graph_schema.errors import BadInput, StoreError
from graph_schema.store import GraphStore, Transaction
from graph_schema.times import Micros

IMPRESSIONS = "impression"
FEEDBACK = "feedback"
#: Impressions and judgements that are kept; the oldest go first.
KEEP = 5_000
#: How many are removed at once: not every write pays for it.
_SLACK = 200
_MOST_SHOWN = 50


class Shown(msgspec.Struct, frozen=True):
    """One thing of an answer: its id, and the parts of its score by signal."""

    id: str
    score: float
    signals: dict[str, float] = msgspec.field(default_factory=dict)


class Impression(msgspec.Struct, frozen=True):
    """An answer as it was shown: to which question, when (microseconds), and what, best first.

    ``question`` is the id of what was asked about, or ``text:`` and a digest: the text itself is not kept.
    """

    question: str
    at: Micros
    shown: tuple[Shown, ...]
    what: str = "similar"


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said of one thing that was shown. None: nothing was said of that."""

    question: str
    thing: str
    relevant: bool | None = None
    applied: bool | None = None
    worked: bool | None = None
    by: str | None = None
    at: Micros = 0
    rank: int | None = None


def question_of(id: str | None, text: str | None) -> str:
    """How a question is named in the log."""
    if id is not None:
        return id
    return f"text:{blake2b((text or '').encode(), digest_size=12).hexdigest()}"


def log_impression(store: GraphStore, question: str, shown: Sequence[Shown], what: str = "similar") -> None:
    """Remember what was shown. The same answer shown again at once, a page reloaded, is not doubled; a store
    that cannot write now loses the line and not the answer."""

    def work(tx: Transaction) -> None:
        made = Impression(question, tx.now, tuple(shown[:_MOST_SHOWN]), what)
        digest = blake2b(
            msgspec.json.encode([what, question, [each.id for each in made.shown]]), digest_size=8
        ).hexdigest()
        last = tx.service_get(f"{IMPRESSIONS}_last", "key")
        if last == digest:
            return
        tx.service_put(f"{IMPRESSIONS}_last", "key", digest)
        tx.service_put(IMPRESSIONS, f"{tx.now:020d}/{digest}", msgspec.to_builtins(made))
        _trim(tx, IMPRESSIONS)

    if not shown:
        return
    try:
        store.transact(work)
    except StoreError:
        return


def give(store: GraphStore, said: Judgement) -> Judgement:
    """Keep what somebody said; said again by the same person of the same two things, it replaces what they
    said before, where it says anything. Raises BadInput."""
    if said.relevant is None and said.applied is None and said.worked is None:
        raise BadInput("say at least one of relevant, applied and worked")
    if said.applied is False and said.worked is not None:
        raise BadInput("what was not applied can neither have worked nor failed")

    # Read before the writer lock is taken: thousands of lines are not to be gone through under it.
    rank = _rank(store, said)

    def work(tx: Transaction) -> Judgement:
        key = _key(said)
        held = tx.service_get(FEEDBACK, key)
        made = msgspec.structs.replace(said, at=tx.now, rank=rank)
        if held is not None:
            before = msgspec.convert(held, Judgement)
            kept = {
                name: getattr(before, name)
                for name in ("relevant", "applied", "worked")
                if getattr(made, name) is None
            }
            made = msgspec.structs.replace(made, **kept)
        tx.service_put(FEEDBACK, key, msgspec.to_builtins(made))
        _trim(tx, FEEDBACK)
        return made

    return store.transact(work)


def _key(said: Judgement) -> str:
    return blake2b(f"{said.question} {said.thing} {said.by}".encode(), digest_size=12).hexdigest()


def _rank(store: GraphStore, said: Judgement) -> int | None:
    """At which rank (from 1) the thing was shown last."""
    for _, value in reversed(_read(store, IMPRESSIONS)):
        if value["question"] == said.question:
            for rank, each in enumerate(value["shown"], 1):
                if each["id"] == said.thing:
                    return rank
    return None


def _trim(tx: Transaction, collection: str) -> None:
    keys = _all(tx, collection) if _due(tx, collection) else []
    if len(keys) > KEEP:
        keys.sort(key=lambda held: held[1]["at"])
        for key, _ in keys[: len(keys) - KEEP]:
            tx.service_delete(collection, key)


def _due(tx: Transaction, collection: str) -> bool:
    name = f"{collection}_count"
    count = int(tx.service_get(name, "count") or 0) + 1
    tx.service_put(name, "count", count)
    return count % _SLACK == 0


def _all(tx: Transaction, collection: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    while True:
        page = tx.service_list(collection, after=found[-1][0] if found else "", limit=1_000)
        found += page
        if len(page) < 1_000:
            return found


def impressions(store: GraphStore) -> list[Impression]:
    """All that are kept, oldest first."""
    return [msgspec.convert(value, Impression) for _, value in _read(store, IMPRESSIONS)]


def judgements(store: GraphStore) -> list[Judgement]:
    """All that are kept, oldest first."""
    found = [msgspec.convert(value, Judgement) for _, value in _read(store, FEEDBACK)]
    return sorted(found, key=lambda said: (said.at, said.question, said.thing))


def _read(store: GraphStore, collection: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    while True:
        page = store.service(collection, after=found[-1][0] if found else "", limit=1_000)
        found += page
        if len(page) < 1_000:
            return found
