"""Slots: what was there then. A table, an alias, a deployment name are places whose occupant changes.

A use joins the occupant with the greatest (from, id) at or before its time that had not ended and is not
the user's own product. A late occupant moves exactly the uses in its window.

Of a table (:mod:`ingestors.tables`) more is known: what was read before any known write is one version called
``unobserved``, and the table itself says when it was last written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from graph_schema.claims import Claim, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import head_of
from graph_schema.kinds import NodeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from graph_schema.times import Micros, format_time
from ingestors.joins.rule import Outcome, ref_of
from ingestors.released import ALIAS
from ingestors.tables import TABLE

#: Occupants that are asked for at first, mostly enough; and at once at most.
_FEW, _MOST = 4, 64
#: Above this many changes to one slot, one window over all of them costs less than one each.
_MANY = 8
#: What a use says to this rule; the rest of its data are properties of the edge.
_OURS = frozenset({"edge", "of", "unobserved"})


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """Edges from occupants to the uses whose occupant may have changed."""
    found: dict[str, list[Derived]] = {t.anchor: [] for t in touches if t.anchor}
    is_table = key.startswith(TABLE)
    first = _first_write(tx, key) if is_table else None
    also: list[Touch] = []
    for since, until in _windows(tx, key, touches):
        for use in tx.keyed("slot", key, role="uses", since=since, until=until):
            if (other := use.data.get("rule")) is not None:
                # Another rule asks what stood here, and makes of it what it knows.
                found[use.anchor] = []
                also.append(Touch(str(other), ref_of(use), use.at, ""))
            elif (occupant := standing(tx, key, use)) is not None:
                found[use.anchor] = [_edge(key, occupant, use)]
            else:
                found[use.anchor] = _unobserved(key, use, first)
    if not is_table:
        return Outcome(found, tuple(also))
    return Outcome(found, tuple(also), concluded=_of_table(tx, key, first))


def _first_write(tx: Transaction, key: str) -> Micros | None:
    return next((o.at for o in tx.keyed("slot", key, role="occupies", limit=1)), None)


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


def window_end(tx: Transaction, key: str, since: Micros | None) -> Micros | None:
    """The time from which a change at ``since`` can no longer matter; None where it always may.

    Later occupants shield later uses. One that never ends and is nobody's product shields all of them; one
    with a producer shields all but that producer's own uses, so two with different producers are needed.
    """
    if key.startswith(ALIAS):
        # What stands on one server shields nothing from what stands on another.
        return None
    producer: int | None = None
    after, limit = None if since is None else since + 1, _FEW
    while True:
        page = tx.keyed("slot", key, role="occupies", since=after, limit=limit)
        for occupant in page:
            if occupant.until is not None:
                continue
            if occupant.by_node is None or (producer is not None and occupant.by_node != producer):
                return occupant.at
            producer = occupant.by_node
        if len(page) < limit or page[-1].at is None:
            return None
        # The page may end inside several occupants of one time; none of them shields more than the others.
        after, limit = page[-1].at + 1, min(_MOST, 4 * limit)


def standing(tx: Transaction, key: str, use: KeyedClaim) -> KeyedClaim | None:
    """What stood in a slot when it was used; None where that is not known."""
    return _alone(tx, key, use) if key.startswith(ALIAS) else occupant_for(tx, key, use)


def occupant_for(tx: Transaction, key: str, use: KeyedClaim) -> KeyedClaim | None:
    """Who stood in the slot when it was used."""
    if use.at is None:
        return None
    producer = use.node if use.by_node is None else use.by_node
    until, limit = use.at + 1, _FEW
    while True:
        page = tx.keyed("slot", key, role="occupies", until=until, descending=True, limit=limit)
        for occupant in page:
            ended = occupant.until is not None and occupant.until <= use.at
            own = occupant.by_node is not None and occupant.by_node == producer
            if not ended and not own:
                return occupant
        if len(page) < limit:
            return None
        limit *= 4


def _alone(tx: Transaction, key: str, use: KeyedClaim) -> KeyedClaim | None:
    """The version that had an alias then, where no other server has a model of that name with it. The model
    itself stands there once the alias was taken away."""
    if use.at is None:
        return None
    last: dict[str, KeyedClaim] = {}
    for occupant in tx.keyed("slot", key, role="occupies", until=use.at + 1):
        if occupant.until is None or occupant.until > use.at:
            last[head_of(ref_of(occupant).partition("=")[0]).scope or ""] = occupant
    versions = [each for each in last.values() if ref_of(each).startswith("mlflow.model_version")]
    return versions[0] if len(versions) == 1 else None


def _edge(key: str, occupant: KeyedClaim, use: KeyedClaim) -> Derived:
    since, used = occupant.at or 0, use.at or 0
    properties = _properties(use)
    evidence = f"stood in {key} since {format_time(since)}, used at {format_time(used)}"
    edge = Links(
        EdgeKind(use.data["edge"]), ref_of(occupant), ref_of(use), used, None, properties or None, evidence
    )
    return Derived(edge, tuple(sorted({occupant.source, use.source})))


def _properties(use: KeyedClaim) -> dict[str, object] | None:
    return {k: v for k, v in use.data.items() if k not in _OURS} or None


def _unobserved(key: str, use: KeyedClaim, first: Micros | None) -> list[Derived]:
    """What was read before any known write, where the use has a name for it. ``first``: the first write."""
    if use.at is None or "unobserved" not in use.data or (first is not None and use.at > first):
        # Behind the first write there may be nothing but its own products, which are not nothing.
        return []
    evidence = f"used at {format_time(use.at)}; nothing is known to have been in {key} before"
    version, properties = use.data["unobserved"], _properties(use)
    edge = Links(EdgeKind(use.data["edge"]), version, ref_of(use), use.at, None, properties, evidence)
    return [Derived(edge, (use.source,))]


def _of_table(tx: Transaction, key: str, first: Micros | None) -> dict[str, list[Claim]]:
    """What follows for the table itself: that it has an unobserved version while something uses it, and when
    it was last written, as a property that can be asked for: what was not refreshed?"""
    concluded: dict[str, list[Claim]] = defaultdict(list)
    for use in _before(tx, key, first):
        if "unobserved" in use.data and occupant_for(tx, key, use) is None:
            version = use.data["unobserved"]
            concluded[use.source] += [
                Names(NodeKind.DATASET_VERSION, (version,)),
                Links(EdgeKind.HAS, use.data["of"], version),
            ]
            break
    for last in tx.keyed("slot", key, role="occupies", descending=True, limit=1):
        if last.at is not None and "of" in last.data:
            properties = {"lastWrittenAt": format_time(last.at)}
            concluded[last.source].append(States(NodeKind.DATASET, last.data["of"], properties, last.at))
    return concluded


def _before(tx: Transaction, key: str, first: Micros | None) -> list[KeyedClaim]:
    """One use from before the first write, or those of the same time, which may have been the writer's."""
    before = tx.keyed("slot", key, role="uses", until=first, limit=1)
    if before or first is None:
        return before
    return tx.keyed("slot", key, role="uses", since=first, until=first + 1)
