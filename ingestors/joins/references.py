"""References without a scope: an edge whose end says ``churn/3`` but not on which server.

It joins where exactly one node matches; else it stays open, and joins when that changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from graph_schema.claims import Links
from graph_schema.edges import EDGES, EdgeKind
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
            also.append(Touch(claim.data.get("rule", "open"), claim.data["under"], None, ""))
            continue
        edge = _edge(tx, claim)
        found[claim.anchor] = [edge] if edge is not None else []
    return Outcome(found, tuple(also))


def _edge(tx: Transaction, claim: KeyedClaim) -> Derived | None:
    data = claim.data
    kind = EdgeKind(data["kind"])
    ends = [None if known is None else NodeKind(known) for known in data["kinds"]]
    src = answer(tx, data["src"], ends[0], {a for a, b in EDGES[kind].pairs if ends[1] in (None, b)})
    dst = answer(tx, data["dst"], ends[1], {b for a, b in EDGES[kind].pairs if ends[0] in (None, a)})
    if src is None or dst is None or (src.kind, dst.kind) not in EDGES[kind].pairs:
        return None
    evidence = data["evidence"] or f"the only match for {data['src']} → {data['dst']}"
    edge = Links(kind, src.text, dst.text, data["since"], data["until"], data["properties"], evidence)
    return Derived(edge, (claim.source,))


class Answer(NamedTuple):
    """What a reference means."""

    text: str
    kind: NodeKind


def answer(tx: Transaction, text: str, kind: NodeKind | None, allowed: set[NodeKind]) -> Answer | None:
    """The exact identifier that a reference means: itself, or that of the one node that matches.

    ``kind`` is that of an exact end; ``allowed`` are the kinds that the edge may have at this end.
    """
    head, _, value = text.partition("=")
    if not head_of(head).is_open:
        return None if kind is None else Answer(text, kind)
    matches: list[tuple[str, int, NodeKind]] = []
    for name, node in tx.matching(head, value):
        named = kind_of(name)
        if named in allowed and named is not None:
            matches.append((name, node, named))
    if len({node for _, node, _ in matches}) != 1:
        return None
    name, _, named = min(matches)
    return Answer(name, named)
