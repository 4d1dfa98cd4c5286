"""Equal content across kinds: DVC's ``model.pkl`` is the model version's file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from graph_schema.claims import Links
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import kind_of
from graph_schema.kinds import NodeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from ingestors.joins.rule import Outcome, ref_of

_ORDER = {kind: place for place, kind in enumerate(NodeKind)}


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """``SAME_AS`` along the kinds that have this content, one edge from each kind to the next."""
    firsts: dict[NodeKind, KeyedClaim] = {}
    for claim in sorted(tx.keyed("content", key), key=lambda c: (c.source, c.anchor)):
        kind = kind_of(claim.ref) if claim.ref is not None else None
        if kind is not None:
            firsts.setdefault(kind, claim)
    chain = [firsts[kind] for kind in sorted(firsts, key=_ORDER.__getitem__)]
    edges = [_same(key, a, b) for a, b in pairwise(chain)]
    return Outcome({"": edges})


def _same(key: str, a: KeyedClaim, b: KeyedClaim) -> Derived:
    edge = Links(EdgeKind.SAME_AS, ref_of(a), ref_of(b), evidence=f"both have the content {key}")
    return Derived(edge, tuple(sorted({a.source, b.source})))
