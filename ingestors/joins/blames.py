"""Blames: an incident names a place, and is implicated with what stood there when it began. A check that
names one examined what stood there.

What got none of the traffic, neither real nor copied, has no part in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graph_schema.claims import Links
from graph_schema.edges import EdgeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from graph_schema.times import Micros, format_time
from ingestors.deployments import next_environment, place
from ingestors.joins.places import in_words
from ingestors.joins.reigns import Reigns, Stretch, read
from ingestors.joins.rule import Outcome, ref_of

_ANY = "*/"


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """``IMPLICATED_IN`` of the incidents, ``CHECKED_BY`` of the checks that were touched."""
    found: dict[str, list[Derived]] = {t.anchor: [] for t in touches if t.anchor}
    history = _History(tx, key)
    for blame in _touched(tx, key, touches):
        found[blame.anchor] = history.implicated(blame)
    return Outcome(found)


def _touched(tx: Transaction, key: str, touches: Sequence[Touch]) -> Iterator[KeyedClaim]:
    times = {t.at for t in touches}
    if None in times:
        yield from tx.keyed("blame", key, role="blames")
        return
    for at in sorted(at for at in times if at is not None):
        yield from tx.keyed("blame", key, role="blames", since=at, until=at + 1)


class _History:
    """The places that a key may mean, each read a reign at a time."""

    def __init__(self, tx: Transaction, key: str) -> None:
        self._tx = tx
        self._places = list(_places(tx, key))
        self._read: dict[str, tuple[Micros | None, Micros | None, Reigns]] = {}

    def implicated(self, blame: KeyedClaim) -> list[Derived]:
        """What stood there then: in the one place that is meant, or in none. Of several at once, those whose
        revision is named; where that is none, all."""
        at = blame.at or 0
        there = [(where, stood) for where, key in self._places if (stood := self._at(key, at))]
        exactly = [
            (where, named)
            for where, stood in there
            if (named := [stretch for stretch in stood if _is_named(stretch, blame)])
        ]
        there = exactly or there
        if len(there) != 1:
            return []
        where, stood = there[0]
        return [
            _edge(where, stretch, blame, at) for stretch in stood if stretch.share > 0 or stretch.is_shadow
        ]

    def _at(self, key: str, at: Micros) -> list[Stretch]:
        held = self._read.get(key)
        if held is None or not _within(at, held[0], held[1]):
            before = self._tx.keyed("place", key, role="takes", until=at + 1, descending=True, limit=1)
            after = self._tx.keyed("place", key, role="takes", since=at + 1, limit=1)
            low, high = (next((c.at for c in found), None) for found in (before, after))
            held = self._read[key] = (low, high, Reigns(read(self._tx, key, low, high)))
        return held[2].at(at)


def _is_named(stretch: Stretch, blame: KeyedClaim) -> bool:
    """Whether its revision is named: by the last part of its identifier, ``environment/name@revision``, or
    by what the names of its pods have behind that of the deployment."""
    called = {ref_of(stretch.own).rpartition("@")[2], stretch.own.data.get("pods")}
    return not called.isdisjoint(blame.data.get("revisions", ()))


def _within(at: Micros, low: Micros | None, high: Micros | None) -> bool:
    return (low is None or low <= at) and (high is None or at < high)


def _places(tx: Transaction, key: str) -> Iterator[tuple[str, str]]:
    """The places of a key, as people write them and by their own key. A name without an environment may mean
    any that has it: their listing is read in leaps, a step for each environment."""
    name = key.partition("/")[2]
    if not key.startswith(_ANY):
        yield key.partition("/")[0] + "/" + name, key
        return
    after: Micros | None = None
    while True:
        page = tx.keyed("stands", key, role="stands", since=after, limit=1)
        if not page or page[0].at is None:
            return
        environment = str(page[0].data["environment"])
        yield f"{environment}/{name}", place(environment, name)
        after = next_environment(page[0].at)


def _edge(where: str, stretch: Stretch, blame: KeyedClaim, at: Micros) -> Derived:
    properties = {"share": stretch.share} | ({} if stretch.mode is None else {"mode": stretch.mode})
    kind = EdgeKind(blame.data.get("edge", EdgeKind.IMPLICATED_IN))
    began = "it was checked" if kind is EdgeKind.CHECKED_BY else "the incident began"
    because = (
        f"stood in {where} since {format_time(stretch.since)} with {in_words(stretch)}; "
        f"{began} at {format_time(at)}"
    )
    if _is_named(stretch, blame):
        because += ", and names this revision"
    edge = Links(kind, ref_of(stretch.own), ref_of(blame), at, None, properties, because)
    # What ended the stretch later has no part in it.
    return Derived(edge, tuple(sorted({stretch.own.source, blame.source})))
