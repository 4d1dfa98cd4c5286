"""Claims on identity as people are shown them: who says that two identifiers are one, and is it believed."""

from __future__ import annotations

from collections.abc import Sequence

from app.store.engine import Engine
from app.store.rows import JoinRow, from_json
from graph_schema.identity import Verdict
from graph_schema.values import Bond, Spaces


def bonds_of(engine: Engine, nids: Sequence[int], spaces: Spaces) -> list[Bond]:
    """The claims on the identity of nodes and, from claim to claim, of all that they tie to them."""
    readable = {
        oid: spaces is None or all(space in spaces for space in held)
        for oid, held in _spaces_of_origins(engine).items()
    }
    found: dict[int, JoinRow] = {}
    seen: set[int] = set()
    frontier = {row.iid for row in engine.members(nids)}
    while frontier:
        seen |= frontier
        rows = engine.joins_touching(frontier)
        found.update((row.jid, row) for row in rows if readable[row.oid])
        frontier = {end for row in rows for end in (row.a, row.b)} - seen
    texts = {iid: row.text for iid, row in engine.idents_by_id(seen).items()}
    made = [_bond(row, texts[row.a], texts[row.b]) for row in found.values()]
    return sorted(made, key=lambda bond: (bond.a, bond.b, bond.verdict, bond.said_in))


def _spaces_of_origins(engine: Engine) -> dict[int, list[str]]:
    space_of = {row.sid: row.space for row in engine.sources()}
    return {oid: [space_of[sid] for sid in sids] for sids, oid in engine.origins().items()}


def _bond(row: JoinRow, a: str, b: str) -> Bond:
    evidence = None if row.data is None else from_json(row.data)[1]
    stands = row.accepted or row.verdict == Verdict.APART
    return Bond(Verdict(row.verdict).name.lower(), a, b, stands, (row.tie[0], row.tie[1]), evidence)
