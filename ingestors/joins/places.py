"""Places: which deployments stood under a name in an environment, from when to when, with what share.

A place has *reigns*: from one takeover (a deployment that gets all of the traffic) to the next. A takeover
ends everything else that stands there, so nothing that happens in a reign matters beyond the takeover that
ends it. An event is therefore worked out from its own reign, the one before and the takeover after: its cost
grows with the events and incidents between those takeovers, not with the history of the place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from graph_schema.claims import Links
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from graph_schema.times import Micros, format_time
from ingestors.joins.references import answer
from ingestors.joins.reigns import Reigns, Stretch, read
from ingestors.joins.rule import Outcome, ref_of
from ingestors.joins.slots import standing

Span = tuple[Micros | None, Micros | None]


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """``DEPLOYED_AS``, ``HAS`` and ``PRECEDES`` of the deployments in a place, where they may change."""
    found: dict[str, list[Derived]] = {}
    for touch in touches:
        if touch.anchor:
            found[touch.anchor], found[_after(touch.anchor)] = [], []
    also: list[Touch] = []
    for (low, high), first in _spans(tx, key, touches):
        claims = read(tx, key, low, None if high is None else high + 1)
        reigns = Reigns(claims)
        for claim in claims:
            if high is None or _at(claim) < high:
                found[claim.anchor] = []
            if low is None or _at(claim) > low:
                found[_after(claim.anchor)] = []
        for stretch in reigns.stretches:
            if high is None or stretch.since < high:
                found[stretch.own.anchor].extend(_deployed(tx, key, stretch, reigns))
        for stretch in reigns.lives:
            if high is None or stretch.since < high:
                found[stretch.own.anchor].extend(_has(stretch))
        for before, after in reigns.follows:
            if low is None or _at(after) > low:
                found[_after(after.anchor)].append(_precedes(key, before, after))
        also.extend(_blames(tx, key, first, high))
    return Outcome(found, tuple(also))


def release(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """What a deployment consists of has changed: its events are to be looked at again, wherever they are."""
    touched = {t.anchor for t in touches}
    events = tx.keyed("release", key, role="event")
    # An event that is itself new has touched its place already.
    return Outcome(
        {}, tuple(Touch("place", e.data["place"], e.at, "") for e in events if e.anchor not in touched)
    )


def _after(anchor: str) -> str:
    """Where an event's ``PRECEDES`` is restated: it depends on what was before, the rest on what follows."""
    return f"{anchor} after"


def _at(claim: KeyedClaim) -> Micros:
    return claim.at or 0


def _spans(tx: Transaction, key: str, touches: Iterable[Touch]) -> list[tuple[Span, Micros | None]]:
    """From the takeover before to the takeover after what was touched, and the first touch in between. Spans
    that meet are one."""
    times = sorted({t.at for t in touches if t.at is not None})
    if any(t.at is None for t in touches) or not times:
        return [((None, None), None)]
    spans: list[tuple[Span, Micros | None]] = []
    for at in times:
        high = next((c.at for c in tx.keyed("place", key, role="takes", since=at + 1, limit=1)), None)
        if spans and (spans[-1][0][1] is None or at <= spans[-1][0][1]):
            (low, _), first = spans[-1]
            spans[-1] = ((low, high), first)
            continue
        before = tx.keyed("place", key, role="takes", until=at, descending=True, limit=1)
        spans.append(((next((c.at for c in before), None), high), at))
    return spans


def _blames(tx: Transaction, key: str, since: Micros | None, until: Micros | None) -> list[Touch]:
    """Incidents that began where the place may have changed, whether or not they name the environment."""
    keys = (key, f"*/{key.partition('/')[2]}")
    return [
        Touch("blame", k, blame.at, blame.anchor)
        for k in keys
        for blame in tx.keyed("blame", k, role="blames", since=since, until=until)
    ]


def _deployed(tx: Transaction, key: str, stretch: Stretch, reigns: Reigns) -> list[Derived]:
    """What a deployment consists of, released as it for a stretch of time."""
    properties = {"share": stretch.share, **_mode(stretch)}
    edges: dict[str, Derived] = {}
    for text in sorted(reigns.texts[stretch.own.node]):
        for claim in tx.keyed("release", text, role="of"):
            meant = _meant(tx, claim)
            if meant is None:
                continue
            because = f"stood in {unquote(key)} from {format_time(stretch.since)}, with {in_words(stretch)}"
            because += f"; {meant.because}" if meant.because else ""
            me, since, until = ref_of(stretch.own), stretch.since, stretch.until
            edge = Links(EdgeKind.DEPLOYED_AS, meant.text, me, since, until, properties, because)
            derived = Derived(edge, tuple(sorted({*stretch.sources, *meant.sources})))
            # Said twice, it is one edge: the one that is least, in whatever order they came.
            edges[meant.text] = min(derived, edges.get(meant.text, derived), key=_order)
    return [edges[text] for text in sorted(edges)]


class _Meant(NamedTuple):
    """What was released, why that is what was meant where it was not said exactly, and who told."""

    text: str
    because: str
    sources: tuple[str, ...]


def _meant(tx: Transaction, claim: KeyedClaim) -> _Meant | None:
    slot = claim.data.get("slot")
    if slot is not None:
        held = standing(tx, slot, claim)
        if held is None:
            return None
        because = f"released from {slot}, where it stood since {format_time(held.at or 0)}"
        return _Meant(ref_of(held), because, (claim.source, held.source))
    said, kind = claim.data["text"], NodeKind(claim.data["kind"])
    found = answer(tx, said, kind, {kind})
    if found is None:
        return None
    because = "" if found.text == said else f"{found.text} is the only match for {said}"
    return _Meant(found.text, because, (claim.source,))


def _order(derived: Derived) -> tuple[str, tuple[str, ...]]:
    return (derived.edge.evidence or "", derived.sources)


def _has(life: Stretch) -> list[Derived]:
    if life.own.by is None:
        return []
    edge = Links(EdgeKind.HAS, life.own.by, ref_of(life.own), life.since, life.until)
    return [Derived(edge, tuple(sorted(life.sources)))]


def _precedes(key: str, before: KeyedClaim, after: KeyedClaim) -> Derived:
    because = f"stood in {unquote(key)} before it"
    edge = Links(EdgeKind.PRECEDES, ref_of(before), ref_of(after), after.at, None, None, because)
    return Derived(edge, tuple(sorted({before.source, after.source})))


def _mode(stretch: Stretch) -> dict[str, str]:
    return {} if stretch.mode is None else {"mode": stretch.mode}


def in_words(stretch: Stretch) -> str:
    """The share of a stretch as people say it."""
    if stretch.is_shadow:
        return "a copy of the traffic (shadow)"
    if stretch.share >= 1:
        return "all of the traffic"
    return f"{stretch.share * 100:.4g} % of the traffic" + (f" ({stretch.mode})" if stretch.mode else "")
