"""Random past states by ``knownAt``, against what was answered at those times."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from app.lineage.walk import lineage
from app.store.sqlite import SqliteStore
from graph_schema.claims import Record
from graph_schema.store import GraphStore, Source, Transaction
from graph_schema.times import Micros
from graph_schema.values import NOW, Direction, Moment
from ingestors import joins
from tests.benchmarks.causes.organisation import organisation
from tests.benchmarks.causes.things import Organisation
from tests.benchmarks.causes.world import claims_of
from tests.benchmarks.measure import Figure, at_most, timed

_HOPS = 6
_FIRST = 2_000

Answer = tuple[frozenset[tuple[str, str, str, int]], frozenset[tuple[str, str, str]]]
"""What a walk shows: (id, kind, name, hops) of its nodes, (from, to, kind) of its edges."""


class Snapshot(NamedTuple):
    """A question, when it was asked, and what the answer was then."""

    text: str
    known_at: Micros
    answer: Answer


def asked(store: GraphStore, text: str, moment: Moment) -> Answer:
    """Where a thing came from and what it fed, as of a moment."""
    (root,) = store.resolve(text, known_at=moment.known_at)
    found = lineage(store, root, Direction.BOTH, _HOPS, moment=moment, first=_FIRST, stubs=False)
    ids = {label.handle: label.id for label in found.labels}
    nodes = {
        (label.id, label.kind.value, label.name, hops)
        for label, hops in zip(found.labels, found.hops, strict=True)
    }
    return frozenset(nodes), frozenset((ids[s.src], ids[s.dst], s.kind.value) for s in found.steps)


def lived(store: GraphStore, made: Organisation, states: int, *, things: int, seed: int) -> list[Snapshot]:
    """Write an organisation as it happened, some records a transaction, first without a part of what each
    claims, and take so many snapshots at random times."""
    dice = random.Random(seed)
    told = made.things[:things]
    batches = [told[start : start + 8] for start in range(0, len(told), 8)]
    due = sorted(dice.choices(range(1, len(batches)), k=states))
    known: list[str] = []
    found: list[Snapshot] = []
    for number, batch in enumerate(batches):
        # A tool that tells more of a thing later: what is held of it is written anew.
        again = [each for each in batches[number - 1] if dice.random() < 0.3] if number else []
        now: Micros = 0
        for each, whole in [*((each, dice.random() < 0.7) for each in batch), *((e, True) for e in again)]:
            claims = claims_of(each)
            kept = claims if whole else claims[: max(1, len(claims) - 1)]
            version = each.at + (number if whole else 0)
            record = Record(f"{each.kind}/{each.id}", each.kind.scope_name, version, tuple(kept))
            now = store.transact(lambda tx, s=each.source, r=record: _applied(tx, s, r))  # type: ignore[misc]
        known += [each.id for each in batch if store.resolve(each.id)]
        for _ in range(due.count(number)):
            text = dice.choice(known)
            found.append(Snapshot(text, now, asked(store, text, NOW)))
    return found


def _applied(tx: Transaction, source: str, record: Record) -> Micros:
    joins.apply(tx, Source(source, "test"), [record])
    return tx.now


def differing(store: GraphStore, snapshots: list[Snapshot]) -> list[Snapshot]:
    """Those whose answer is another one when it is asked for as it was known then."""
    return [
        each for each in snapshots if asked(store, each.text, Moment(known_at=each.known_at)) != each.answer
    ]


def run(folder: Path, states: int, things: int) -> Iterator[Figure]:
    """Figures on so many states of an organisation of so many records."""
    store = SqliteStore(folder / "past.db")
    store.migrate()
    snapshots = lived(store, organisation(3), states, things=things, seed=3)
    wrong, then, now = 0, [], []
    for each in snapshots:
        took, answer = timed(lambda s=each: asked(store, s.text, Moment(known_at=s.known_at)))  # type: ignore[misc]
        then.append(took)
        wrong += answer != each.answer
        now.append(timed(lambda s=each: asked(store, s.text, NOW))[0])  # type: ignore[misc]
    store.close()
    yield Figure(
        f"SQLite: {states:,} past states by knownAt that differ from snapshots", str(wrong), "0", wrong == 0
    )
    past, present = (float(np.percentile(each, 95)) for each in (then, now))
    detail = f"{past * 1000:.1f} against {present * 1000:.1f} ms, walks of {_HOPS} hops both ways"
    yield at_most("SQLite: p95 of past states against now", past / present, 2, detail)
