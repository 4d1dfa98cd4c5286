"""Slots: what was there then. A table, an alias, a deployment name are places whose occupant changes.

A use joins the occupant with the greatest (from, id) at or before its time that had not ended and is not
the user's own product. A late occupant moves exactly the uses in its window.
"""

from __future__ import annotations

from collections.abc import Sequence

from graph_schema.claims import Links
from graph_schema.edges import EdgeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from graph_schema.times import Micros, format_time
from ingestors.joins.rule import Outcome, ref_of

_PAGE = 16
#: Above this many changes to one slot, one window over all of them costs less than one each.
_MANY = 8


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """Edges from occupants to the uses whose occupant may have changed."""
    found: dict[str, list[Derived]] = {t.anchor: [] for t in touches if t.anchor}
    for since, until in _windows(tx, key, touches):
        for use in tx.keyed("slot", key, role="uses", since=since, until=until):
            occupant = occupant_for(tx, key, use)
            found[use.anchor] = [_edge(key, occupant, use)] if occupant is not None else []
    return Outcome(found)


def _windows(
    tx: Transaction, key: str, touches: Sequence[Touch]
) -> list[tuple[Micros | None, Micros | None]]:
    """Spans of time whose uses have to be looked at again."""
    times = {t.at for t in touches}
    starts = sorted(at for at in times if at is not None)
    if None in times or not starts:
        return [(None, None)]
    if len(starts) > _MANY:
        return [(starts[0], window_end(tx, key, starts[-1]))]
    return [(at, window_end(tx, key, at)) for at in starts]


def window_end(tx: Transaction, key: str, since: Micros) -> Micros | None:
    """The time from which a change at ``since`` can no longer matter; None where it always may.

    Later occupants shield later uses. One that never ends and is nobody's product shields all of them; one
    with a producer shields all but that producer's own uses, so two with different producers are needed.
    """
    producer: int | None = None
    after = since + 1
    while True:
        page = tx.keyed("slot", key, role="occupies", since=after, limit=_PAGE)
        for occupant in page:
            if occupant.until is not None:
                continue
            if occupant.by_node is None or (producer is not None and occupant.by_node != producer):
                return occupant.at
            producer = occupant.by_node
        if len(page) < _PAGE or page[-1].at is None:
            return None
        # The page may end inside several occupants of one time; none of them shields more than the others.
        after = page[-1].at + 1


def occupant_for(tx: Transaction, key: str, use: KeyedClaim) -> KeyedClaim | None:
    """Who stood in the slot when it was used."""
    if use.at is None:
        return None
    until, limit = use.at + 1, 4
    while True:
        page = tx.keyed("slot", key, role="occupies", until=until, descending=True, limit=limit)
        for occupant in page:
            ended = occupant.until is not None and occupant.until <= use.at
            own = occupant.by_node is not None and occupant.by_node == use.node
            if not ended and not own:
                return occupant
        if len(page) < limit:
            return None
        limit *= 4


def _edge(key: str, occupant: KeyedClaim, use: KeyedClaim) -> Derived:
    since, used = occupant.at or 0, use.at or 0
    properties = {k: v for k, v in use.data.items() if k != "edge"}
    evidence = f"stood in {key} since {format_time(since)}, used at {format_time(used)}"
    edge = Links(
        EdgeKind(use.data["edge"]), ref_of(occupant), ref_of(use), used, None, properties or None, evidence
    )
    return Derived(edge, tuple(sorted({occupant.source, use.source})))
