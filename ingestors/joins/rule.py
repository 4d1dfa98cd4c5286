"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from graph_schema.claims import Claim
from graph_schema.errors import BadClaim
from graph_schema.store import Derived, KeyedClaim, Touch, Transaction

Found = Mapping[str, Sequence[Derived]]
"""Edges by the anchor of the claim that they are derived from. An anchor with no edges loses what it had."""


class Outcome(NamedTuple):
    """What a rule found under a key, and other keys that have to be derived again because of it.

    ``concluded``: claims that follow from the key, by the source that they rest on; other rules read them.
    None where the rule concludes nothing; an empty mapping withdraws what was concluded.
    """

    found: Found
    also: tuple[Touch, ...] = ()
    concluded: Mapping[str, Sequence[Claim]] | None = None


def ref_of(claim: KeyedClaim) -> str:
    """What a claim names. Raises BadClaim where it names nothing, which its rule cannot do without."""
    if claim.ref is None:
        raise BadClaim(f"a claim by {claim.source} in the role {claim.role!r} names nothing")
    return claim.ref


Rule = Callable[[Transaction, str, Sequence[Touch]], Outcome]
"""``rule(tx, key, touches)``: reads claims through ``tx``, writes nothing. ``touches`` tell what changed."""

RuleOfMany = Callable[[Transaction, Collection[str]], Mapping[str, Outcome]]
"""A rule that answers all its keys at once, for what it reads is the same for many; by key."""
