"""Claims in a list, where the rules expect a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graph_schema.store import Derived, KeyedClaim, Touch, Transaction
from ingestors.joins.rule import Rule


class ClaimsAtHand:
    """The two verbs of a transaction that rules read with."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], list[KeyedClaim]] = {}
        self.identifiers: dict[str, int] = {}

    def put(self, rule: str, key: str, *claims: KeyedClaim) -> None:
        """Hold these claims."""
        self.held.setdefault((rule, key), []).extend(claims)

    def keyed(
        self,
        rule: str,
        key: str,
        *,
        role: str | None = None,
        since: int | None = None,
        until: int | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[KeyedClaim]:
        """See :meth:`graph_schema.store.Transaction.keyed`."""
        found = [
            c
            for c in self.held.get((rule, key), ())
            if role is None or c.role == role
            if since is None or (c.at is not None and c.at >= since)
            if until is None or (c.at is not None and c.at < until)
        ]
        found.sort(key=_place, reverse=descending)
        return found[:limit]

    def matching(self, scheme: str, value: str) -> list[tuple[str, int]]:
        """See :meth:`graph_schema.store.Transaction.matching`."""
        return sorted(
            (text, node)
            for text, node in self.identifiers.items()
            if text.startswith((f"{scheme}@", f"{scheme}=")) and text.partition("=")[2] == value
        )

    def run(self, rule: Rule, key: str, *touches: Touch) -> dict[str, Sequence[Derived]]:
        """What a rule finds, by anchor."""
        tx: Any = self
        as_transaction: Transaction = tx
        return dict(rule(as_transaction, key, touches).found)


def _place(claim: KeyedClaim) -> tuple[float, str, str]:
    return (float("-inf") if claim.at is None else claim.at, claim.ref or "", claim.anchor)


def claim(anchor: str, role: str, ref: str | None, at: int | None = None, **rest: Any) -> KeyedClaim:
    """A keyed claim; nodes are numbered by their name unless told."""
    node, by = rest.pop("node", None), rest.pop("by", None)
    return KeyedClaim(
        anchor=anchor,
        role=role,
        ref=ref,
        node=_number(ref) if node is None else node,
        by=by,
        by_node=rest.pop("by_node", _number(by)),
        at=at,
        until=rest.pop("until", None),
        data=rest.pop("data", {}),
        source=rest.pop("source", "tracking"),
    )


def _number(text: str | None) -> int | None:
    return None if text is None else hash(text)
