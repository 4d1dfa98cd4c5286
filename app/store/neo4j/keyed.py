"""Keyed claims inside a transaction. Rules ask for a few under one key again and again: what they will ask
for is read at once and answered from memory, as long as nothing is written to it.

A key with few claims is read whole. Of one with many, the claims around those that this transaction touched
are, a role at a time and for all such keys together: a rule looks at what lies next to what has changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from neo4j import ManagedTransaction

from app.store.neo4j import codec
from app.store.neo4j.codec import IDENT, KEYED, NEVER
from app.store.neo4j.known import Known, Row
from app.store.neo4j.rows import BY_PLACE, OF_PLACE, PLANNED, gathered, listing, rows, seek, together
from app.store.rows import IdentRow, KeyedRow
from graph_schema.times import Micros

Claim = tuple[KeyedRow, IdentRow | None, IdentRow | None]
"""A claim, and the identifiers that it names as ``ref`` and ``by``."""

Habits = defaultdict[str, set[tuple[str, str]]]
"""Of each rule, the roles and sides that it has asked for of keys with many claims."""

#: A key with more claims than this is asked for what is needed of it.
_FEW = 64
_AT_ONCE = 200
#: Claims read before and after each that was touched, and around a time that is asked for out of turn.
_AROUND, _FAR = (6, 10), (64, 64)
#: Of a key with more touched times than this, all between the first and the last is read.
_MANY = 8
_LAST = 2**63 - 1
_COLUMNS = f"{KEYED}, [{IDENT.format('r')}, id(r)], [{IDENT.format('b')}, id(b)]"
_ORDER = "k.when, k.tie, k.anchor"
_NAMED = f"OPTIONAL {seek('r:Item', 'num', 'k.ref')} OPTIONAL {seek('b:Item', 'num', 'k.by')}"
# Whatever there is beyond the limit is not even counted, and of a key with too many nothing is read.
_WHOLE = listing(
    "place, size(held), claims",
    "UNWIND $p.places AS place"
    f" CALL (place) {{ {OF_PLACE} WITH k LIMIT {_FEW + 1} RETURN collect(k) AS held }}"
    f" CALL (held) {{ UNWIND CASE WHEN size(held) > {_FEW} THEN [] ELSE held END AS k {_NAMED}"
    f" WITH k, r, b ORDER BY {_ORDER} RETURN collect([{_COLUMNS}]) AS claims }}",
)
_MATCHING = listing(
    f"text, {IDENT.format('i')}",
    f"UNWIND $p.texts AS text {seek('i:Ident', 'text', 'text')}",
    f"UNWIND $p.texts AS text {seek('i:Ident', 'bare', 'text')}",
)
AHEAD = together(claims=_WHOLE, matching=_MATCHING)
_THERE = f"{BY_PLACE} WHERE k.place = x[0] AND k.role = x[3]"
NEAR = f"""{PLANNED}
UNWIND $p.spans AS x
CALL (x) {{
  {_THERE} AND k.when <= x[1]
  WITH k ORDER BY k.place DESC, k.role DESC, k.when DESC LIMIT $p.before RETURN collect(k) AS before
}}
CALL (x) {{ {_THERE} AND k.when > x[1] AND k.when <= x[2] RETURN collect(k) AS amid }}
CALL (x) {{
  {_THERE} AND k.when > x[2]
  WITH k ORDER BY k.place, k.role, k.when LIMIT $p.after RETURN collect(k) AS behind
}}
WITH x, size(before) AS early, size(behind) AS late, before + amid + behind AS found
CALL (found) {{
  UNWIND found AS k {_NAMED} WITH k, r, b ORDER BY {_ORDER} RETURN collect([{_COLUMNS}]) AS claims
}}
RETURN collect([x[0], x[3], early, late, claims])
"""


@cache
def keyed_query(role: bool, since: bool, until: bool, descending: bool) -> str:
    """Keyed claims of a place in order, by their index; the flags tell which conditions there are."""
    where = ["k.place = $place", "k.role = $role" if role else "k.role IS NOT NULL"]
    where += ["k.when >= $since"] if since else []
    where += ["k.when < $until"] if until else []
    # ``when`` is set even where there is no time; a window holds only what has one.
    where.append("k.at IS NOT NULL" if since or until else "k.when IS NOT NULL")
    columns = ("k.place", "k.role", "k.when") if role else ("k.when",)
    order = ", ".join(f"{c} {'DESC' if descending else 'ASC'}" for c in (*columns, "k.tie", "k.anchor"))
    return (
        f"{PLANNED} {BY_PLACE} WHERE {' AND '.join(where)}"
        f" WITH k ORDER BY {order} LIMIT $limit {_NAMED}"
        f" WITH k, r, b ORDER BY {order} RETURN collect([{_COLUMNS}])"
    )


class Window(NamedTuple):
    """Which claims of a key and a role are asked for, as in :meth:`app.store.engine.Engine.keyed`."""

    since: Micros | None
    until: Micros | None
    descending: bool
    limit: int | None

    @property
    def edge(self) -> int:
        """The time at which it begins, seen in its direction."""
        if self.descending:
            return _LAST if self.until is None else self.until - 1
        return NEVER if self.since is None else self.since - 1


class Stretch(NamedTuple):
    """All the claims of a key and a role, in order, with ``low ≤ when < high``; None: whatever there is."""

    low: int | None
    high: int | None
    claims: list[Claim]

    def answer(self, asked: Window) -> list[Claim] | None:
        """What is asked for; None where it may not all be here."""
        since, until = asked.since, asked.until
        begun = self.low is None or (since is not None and since >= self.low)
        ended = self.high is None or (until is not None and until <= self.high)
        chosen = [claim for claim in self.claims if _fits(claim[0], None, since, until)]
        if asked.descending:
            chosen.reverse()
            begun, ended = ended, begun
        enough = asked.limit is not None and len(chosen) >= asked.limit
        return chosen[: asked.limit] if begun and (ended or enough) else None


class KeyedClaims:
    """What a transaction has read of keyed claims, and of what open references may mean. ``habits``, which
    transactions share and add to: what a rule has asked for it will ask for again, so all of it is read when
    it asks first."""

    def __init__(self, tx: ManagedTransaction, known: Known, habits: Habits) -> None:
        self._tx = tx
        self._known = known
        self._habits = habits
        #: By place, all its claims in order; None where there are too many to keep.
        self._held: dict[str, list[Claim] | None] = {}
        self._stretches: dict[tuple[str, str], list[Stretch]] = defaultdict(list)
        #: Of each rule and role, which sides were read ahead: one time is enough.
        self._asked: set[tuple[str, str, str]] = set()
        self._matching: dict[str, list[IdentRow]] = {}
        #: By place, the times of claims that this transaction brought, took or moved.
        self._touched: dict[str, set[int]] = defaultdict(set)

    def forget(self) -> None:
        """Something was written that may change an answer."""
        self._held.clear()
        self._stretches.clear()
        self._asked.clear()
        self.forget_matching()

    def forget_matching(self) -> None:
        """There are identifiers that references may mean."""
        self._matching.clear()

    def touch(self, claims: Iterable[KeyedRow]) -> None:
        """These claims come, go, or name something else than before: they will be looked at, and what lies
        around them."""
        for row in claims:
            self._touched[codec.place_of(row.rule, row.key)].add(NEVER if row.at is None else row.at)

    def ahead(self, keys: Iterable[tuple[str, str]]) -> None:
        """These (rule, key) will be asked for: read those with few claims in few round trips, and what the
        references among them may mean."""
        named = {codec.place_of(rule, key): (rule, key) for rule, key in keys}
        ordered = sorted(named.keys() - self._held.keys())
        for start in range(0, len(ordered), _AT_ONCE):
            places = ordered[start : start + _AT_ONCE]
            texts = [key for rule, key in map(named.__getitem__, places) if rule == "open"]
            asked = {codec.index_key(text): text for text in texts if text not in self._matching}
            claims, matching = gathered(self._tx, AHEAD, places=places, texts=list(asked))
            for place, held, found in claims:
                self._held[place] = None if held > _FEW else self._claims(found)
            self._matching.update((text, []) for text in texts)
            for text, *row in matching:
                self._matching[asked[text]].append(codec.ident_row(row))

    def matching(self, text: str) -> list[IdentRow] | None:
        """Identifiers that read ``scheme=value`` or ``scheme@<any scope>=value``; None where it was not read
        ahead."""
        found = self._matching.get(text)
        return None if found is None else [replaced(row) for row in {r.iid: r for r in found}.values()]

    def find(
        self,
        rule: str,
        key: str,
        role: str | None,
        since: Micros | None,
        until: Micros | None,
        descending: bool,
        limit: int | None,
    ) -> list[Claim]:
        """See :meth:`app.store.engine.Engine.keyed`."""
        place = codec.place_of(rule, key)
        if place not in self._held:
            self.ahead([(rule, key)])
        held = self._held[place]
        if held is not None:
            chosen = [claim for claim in held if _fits(claim[0], role, since, until)]
            if descending:
                chosen.reverse()
            return chosen if limit is None else chosen[:limit]
        asked = Window(since, until, descending, limit)
        if role is None:
            return self._ask(place, None, asked)
        return self._of_many(rule, place, role, asked)

    def _of_many(self, rule: str, place: str, role: str, asked: Window) -> list[Claim]:
        """Out of a key with many claims: from what was read already, or is worth reading on the way."""
        found = self._near(place, role, asked)
        if found is not None:
            return found
        side = "begin" if asked.edge == NEVER else "end" if asked.edge == _LAST else "near"
        if (rule, role, side) not in self._asked:
            self._habits[rule].add((role, side))
            self._read_ahead(rule)
            found = self._near(place, role, asked)
        if found is None and asked.limit is not None:
            # Whoever asks for a few is likely to ask for their neighbours next.
            self._read([(place, asked.edge, asked.edge, role)], _FAR)
            found = self._near(place, role, asked)
        return self._ask(place, role, asked) if found is None else found

    def _near(self, place: str, role: str, asked: Window) -> list[Claim] | None:
        for stretch in self._stretches[place, role]:
            found = stretch.answer(asked)
            if found is not None:
                return found
        return None

    def _read_ahead(self, rule: str) -> None:
        spans: list[tuple[str, int, int, str]] = []
        for role, side in sorted(self._habits[rule]):
            if (rule, role, side) not in self._asked:
                self._asked.add((rule, role, side))
                spans.extend((*span, role) for span in self._spans(rule, side))
        self._read(spans, _AROUND)

    def _spans(self, rule: str, side: str) -> list[tuple[str, int, int]]:
        """Where to read at all keys of a rule with many claims: (place, first time, last time)."""
        places = sorted(
            place for place, held in self._held.items() if held is None and place.startswith(f"{rule} ")
        )
        if side != "near":
            time = NEVER if side == "begin" else _LAST
            return [(place, time, time) for place in places]
        spans: list[tuple[str, int, int]] = []
        for place in places:
            times = sorted(self._touched[place])
            if len(times) > _MANY:
                spans.append((place, times[0], times[-1]))
            else:
                spans.extend((place, time, time) for time in times)
        return spans

    def _read(self, spans: Sequence[tuple[str, int, int, str]], around: tuple[int, int]) -> None:
        """Read around these: (place, first time, last time, role)."""
        if not spans:
            return
        before, after = around
        asked = {"spans": [list(span) for span in spans], "before": before, "after": after}
        # The answers come in the order of the questions.
        for place, role, early, late, found in rows(self._tx, NEAR, p=asked):
            claims = self._claims(found)
            low = high = None
            # Of the time at which a limit cut there may be more.
            if early == before:
                low = _when(claims[0]) + 1
            if late == after:
                high = _when(claims[-1])
            within = [
                claim
                for claim in claims
                if (low is None or _when(claim) >= low) and (high is None or _when(claim) < high)
            ]
            self._stretches[place, role].append(Stretch(low, high, within))

    def _claims(self, found: Sequence[Row]) -> list[Claim]:
        self._known.take_idents(ident for row in found for ident in row[-2:] if ident[0] is not None)
        return [_claim(row) for row in found]

    def _ask(self, place: str, role: str | None, asked: Window) -> list[Claim]:
        found = rows(
            self._tx,
            keyed_query(role is not None, asked.since is not None, asked.until is not None, asked.descending),
            place=place,
            role=role,
            since=asked.since,
            until=asked.until,
            limit=2**62 if asked.limit is None else asked.limit,
        )
        return self._claims(found)


def _claim(row: Row) -> Claim:
    *claim, ref, by = row
    return (
        codec.keyed_row(claim),
        None if ref[0] is None else codec.ident_row(ref),
        None if by[0] is None else codec.ident_row(by),
    )


def replaced(row: IdentRow) -> IdentRow:
    """A row of its own: whoever is given one may write to it."""
    return IdentRow(row.iid, row.text, row.kind, row.nid, row.since, row.live)


def _when(claim: Claim) -> int:
    return NEVER if claim[0].at is None else claim[0].at


def _fits(row: KeyedRow, role: str | None, since: Micros | None, until: Micros | None) -> bool:
    if role is not None and row.role != role:
        return False
    if since is None and until is None:
        return True
    return row.at is not None and (since is None or row.at >= since) and (until is None or row.at < until)
