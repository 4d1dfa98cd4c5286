"""Owners by path: what lies at a path of a repository has the owners that its CODEOWNERS gives the path."""

from __future__ import annotations

from collections.abc import Sequence

from graph_schema.claims import Links
from graph_schema.edges import EdgeKind
from graph_schema.store import Derived, Touch, Transaction
from ingestors import codeowners
from ingestors.joins.rule import Outcome, ref_of


def rule(tx: Transaction, key: str, touches: Sequence[Touch]) -> Outcome:
    """``OWNED_BY`` for everything that is known to lie in the repository ``key``."""
    found: dict[str, list[Derived]] = {t.anchor: [] for t in touches if t.anchor}
    files = sorted(tx.keyed(codeowners.RULE, key, role="rules"), key=lambda c: (c.source, c.anchor))
    # Two sources that watch one repository say the same: the first, in order, stands.
    sections = codeowners.read(files[0].data) if files else []
    for place in tx.keyed(codeowners.RULE, key, role="path"):
        owners = codeowners.owners_of(sections, str(place.data["path"]))
        found[place.anchor] = [
            Derived(
                Links(
                    EdgeKind.OWNED_BY,
                    ref_of(place),
                    owner,
                    properties={"role": codeowners.ROLE},
                    evidence=f"CODEOWNERS: {pattern}",
                ),
                tuple(sorted({files[0].source, place.source})),
            )
            for owner, pattern in owners
        ]
    return Outcome(found)
