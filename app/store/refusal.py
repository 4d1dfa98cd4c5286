"""How a refused claim on identity is told."""

from __future__ import annotations

from app.store.rows import JoinRow
from graph_schema.identity import Verdict


def refusal(row: JoinRow, a: str, b: str) -> str:
    """One line: who says that these are one, and that it is not believed."""
    verb = "are one node" if row.verdict == Verdict.JOIN else "are the same"
    why = "two values of an exclusive scheme, or held apart by a person"
    return f"{row.tie[0]} says in {row.tie[1]} that {a} and {b} {verb}: refused, {why}"
