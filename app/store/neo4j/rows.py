"""Many rows in one answer.

The driver spends some fifty microseconds on each record that it receives, and next to nothing on an entry of
a list: bulk reads collect their rows into one list on the server.
"""

from __future__ import annotations

from typing import Any

from neo4j import ManagedTransaction

#: Before statements that use Neo4j's own ids as numbers, which later versions of Cypher may drop.
PLACED = "CYPHER 5"


def listing(columns: str, *branches: str) -> str:
    """A statement for :func:`rows`: the columns of all the branches, which bind the same names."""
    if len(branches) == 1:
        return f"{branches[0]} RETURN collect([{columns}])"
    united = " UNION ALL ".join(f"{branch} RETURN [{columns}] AS row" for branch in branches)
    return f"CALL {{ {united} }} RETURN collect(row)"


def rows(tx: ManagedTransaction, query: str, **parameters: Any) -> list[list[Any]]:
    """The rows of a statement made by :func:`listing`."""
    record = tx.run(query, parameters).single(strict=True)
    found: list[list[Any]] = record[0]
    return found
