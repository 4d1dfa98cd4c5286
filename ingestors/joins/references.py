"""References without a scope: an edge whose end says ``churn/3`` but not on which server.

It joins where exactly one node matches; else it stays open, and joins when that changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from graph_schema.claims import Links
from graph_schema.edges import EdgeKind, check_ends
from graph_schema.identifiers import head_of, kind_of
from graph_schema.kinds import NodeKind
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from ingestors.joins.rule import Outcome


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """Edges whose open ends are answered now."""
    found: dict[str, list[Derived]] = {t.anchor: [] for t in touches if t.anchor}
    also: list[Touch] = []
    for claim in tx.keyed("open", key):
        if claim.role == "also":
            also.append(Touch("open", claim.data["under"], None, ""))
            continue
        edge = _edge(tx, claim)
        found[claim.anchor] = [edge] if edge is not None else []
    return Outcome(found, tuple(also))


def _edge(tx: Transaction, claim: KeyedClaim) -> Derived | None:
    data = claim.data
    src, dst = answer(tx, data["src"]), answer(tx, data["dst"])
    if src is None or dst is None:
        return None
    kind = EdgeKind(data["kind"])
    kinds: tuple[NodeKind | None, NodeKind | None] = (kind_of(src), kind_of(dst))
    if kinds[0] is None or kinds[1] is None or check_ends(kind, kinds[0], kinds[1]) is not None:
        return None
    evidence = data["evidence"] or f"the only match for {data['src']} → {data['dst']}"
    edge = Links(kind, src, dst, data["since"], data["until"], data["properties"], evidence)
    return Derived(edge, (claim.source,))


def answer(tx: Transaction, text: str) -> str | None:
    """The exact identifier that a reference means: itself, or the one node's that matches."""
    head, _, value = text.partition("=")
    if not head_of(head).is_open:
        return text
    matches = tx.matching(head, value)
    if len({node for _, node in matches}) != 1:
        return None
    return min(name for name, _ in matches)
