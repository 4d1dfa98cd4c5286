"""The events of a place, put in order: a pure function from claims to stretches of time.

At one time takeovers come first, then shares, then ends. Of several takeovers at one time the one with the
greatest identifier stands; of several shares of one deployment at one time the greatest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import msgspec

from graph_schema.store import KeyedClaim, Transaction
from graph_schema.times import Micros

_ROLES = ("takes", "shifts", "ends")
_DIGITS = 6


class Stretch(msgspec.Struct):
    """A deployment stands unchanged for a time. ``own`` is its event that says so, ``share`` its part of the
    traffic, ``sources`` name whoever told of what began and ended it."""

    own: KeyedClaim
    since: Micros
    until: Micros | None
    share: float
    mode: str | None
    sources: set[str]

    @property
    def is_shadow(self) -> bool:
        """Whether it gets a copy of the traffic, and serves nobody."""
        return self.mode == "shadow"


def read(tx: Transaction, key: str, since: Micros | None, until: Micros | None) -> list[KeyedClaim]:
    """The events of a place with ``since ≤ at < until``, in their order."""
    found = [c for role in _ROLES for c in tx.keyed("place", key, role=role, since=since, until=until)]
    return sorted(found, key=_order)


def _order(claim: KeyedClaim) -> tuple[int, int, str, float, str, str, str]:
    return (
        claim.at or 0,
        _ROLES.index(claim.role),
        claim.ref or "",
        claim.data.get("share") or 0.0,
        claim.data.get("mode") or "",
        claim.source,
        claim.anchor,
    )


class Reigns:
    """What the events of a place come to. The first of them is its first, or a takeover.

    ``stretches``: every deployment with its share over time; ``lives``: how long each stood, whatever its
    share, cut where somebody takes over; ``follows``: (event of the one before, event of the one that came);
    ``texts``: the identifiers that each deployment is called by.
    """

    def __init__(self, claims: Sequence[KeyedClaim]) -> None:
        self.stretches: list[Stretch] = []
        self.lives: list[Stretch] = []
        self.follows: list[tuple[KeyedClaim, KeyedClaim]] = []
        self.texts: dict[int | None, set[str]] = {}
        self._standing: dict[int | None, KeyedClaim] = {}
        self._open: dict[int | None, Stretch] = {}
        self._alive: dict[int | None, Stretch] = {}
        self._left: KeyedClaim | None = None
        for claim in claims:
            self.texts.setdefault(claim.node, set()).add(claim.ref or "")
        for at, together in groupby(claims, key=lambda c: c.at):
            self._step(at or 0, list(together))
        self.stretches.extend(self._open.values())
        self.lives.extend(self._alive.values())

    def at(self, moment: Micros) -> list[Stretch]:
        """What stood at a time, by identifier."""
        there = [s for s in self.stretches if s.since <= moment and (s.until is None or s.until > moment)]
        return sorted(there, key=lambda s: (s.own.ref or "", s.own.anchor))

    def _step(self, at: Micros, events: Sequence[KeyedClaim]) -> None:
        before, took_over = dict(self._standing), False
        for event in events:
            if event.role == "takes":
                self._standing, took_over = {event.node: event}, True
            elif event.role == "ends" and event.ref is None:
                self._standing = {}
            elif event.role == "ends":
                self._standing.pop(event.node, None)
            elif took_over or not _says_the_same(self._standing.get(event.node), event):
                self._standing[event.node] = event
        sources = {event.source for event in events}
        self._cut(at, took_over, sources)
        if took_over and not self._standing:
            # It took the place and left it at one time. Who stood there before belongs to another reign.
            self._left = [event for event in events if event.role == "takes"][-1]
        main = self._main(before)
        for node, event in self._standing.items():
            if node not in before and main is not None and main.node != node:
                self.follows.append((main, event))

    def _main(self, standing: dict[int | None, KeyedClaim]) -> KeyedClaim | None:
        """Who served most; where nobody stood, who left last."""
        if not standing:
            return self._left
        shares = _shares(standing)
        return max(
            standing.values(),
            key=lambda c: (c.data.get("mode") != "shadow", shares[c.node], c.at or 0, c.ref or "", c.anchor),
        )

    def _cut(self, at: Micros, took_over: bool, sources: set[str]) -> None:
        shares = _shares(self._standing)
        for node, life in list(self._alive.items()):
            if took_over or node not in self._standing:
                del self._alive[node]
                self.lives.append(_closed(life, at, sources))
                self._left = life.own
        for node, stretch in list(self._open.items()):
            own = self._standing.get(node)
            if took_over or own is not stretch.own or shares[node] != stretch.share:
                del self._open[node]
                self.stretches.append(_closed(stretch, at, sources))
        for node, own in self._standing.items():
            fresh = Stretch(own, at, None, shares[node], own.data.get("mode"), {own.source, *sources})
            if node not in self._alive:
                self._alive[node] = Stretch(own, at, None, 0.0, None, {own.source})
            self._open.setdefault(node, fresh)


def _says_the_same(held: KeyedClaim | None, event: KeyedClaim) -> bool:
    """Whether an event tells nothing new of a deployment that stands: the same share in the same mode."""
    if held is None or held.role != event.role:
        return False
    return all(held.data.get(k) == event.data.get(k) for k in ("share", "mode"))


def _shares(standing: dict[int | None, KeyedClaim]) -> dict[int | None, float]:
    """Each one's part of the traffic: what it says, else what the others leave. A shadow serves nobody."""
    stated = {
        node: 0.0 if c.data.get("mode") == "shadow" else c.data.get("share") for node, c in standing.items()
    }
    rest = max(0.0, 1.0 - sum(share for share in stated.values() if share is not None))
    return {n: round(float(rest if share is None else share), _DIGITS) for n, share in stated.items()}


def _closed(stretch: Stretch, at: Micros, sources: set[str]) -> Stretch:
    return Stretch(stretch.own, stretch.since, at, stretch.share, stretch.mode, stretch.sources | sources)
