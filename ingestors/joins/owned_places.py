"""Owners by place: every deployment under a name in an environment has the owners of that name."""

from __future__ import annotations

from collections.abc import Sequence

from graph_schema.claims import Links
from graph_schema.edges import EdgeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from ingestors.joins.rule import Outcome, ref_of


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """``OWNED_BY`` for the deployments that were touched, or for all where the owners were."""
    found: dict[str, list[Derived]] = {t.anchor: [] for t in touches if t.anchor}
    owners = tx.keyed("owned_place", key, role="owner")
    times = {t.at for t in touches}
    spans = (
        [(None, None)]
        if None in times
        else [(at, at + 1) for at in sorted(t for t in times if t is not None)]
    )
    for since, until in spans:
        for place in tx.keyed("owned_place", key, role="stands", since=since, until=until):
            found[place.anchor] = [_edge(place, owner) for owner in owners]
    return Outcome(found)


def _edge(place: KeyedClaim, owner: KeyedClaim) -> Derived:
    edge = Links(
        EdgeKind.OWNED_BY,
        ref_of(place),
        ref_of(owner),
        properties={"role": owner.data["role"]},
        evidence=str(owner.data["because"]),
    )
    return Derived(edge, tuple(sorted({place.source, owner.source})))
