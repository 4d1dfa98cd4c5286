"""Many rows in one answer, and many questions in one statement.

The driver spends some fifty microseconds on each record that it receives, and next to nothing on an entry of
a list: bulk reads collect their rows into one list on the server. A statement costs its round trip and the
server some tenths of a millisecond, whatever it does: what is wanted at one time is asked for in one.
"""

from __future__ import annotations

from typing import Any

from neo4j import ManagedTransaction

#: Before statements of the writer. They use Neo4j's own ids as numbers, which later versions of Cypher may
#: drop; and they are planned once: else a plan is made anew as the graph grows, and whoever waits for the
#: lock waits for that. So they name their indexes (:func:`seek`); what they are planned as is tested on an
#: empty graph, where most are first seen.
PLANNED = "CYPHER 5 replan=skip"

#: Where claims are found by their place, and may be in the order of their times.
BY_PLACE = "MATCH (k:Keyed) USING INDEX SEEK k:Keyed(place, role, when)"
#: All of one place.
OF_PLACE = f"{BY_PLACE} WHERE k.place = place AND k.role IS NOT NULL AND k.when IS NOT NULL"


def seek(what: str, key: str, value: str, rest: str = "") -> str:
    """``MATCH`` for nodes, such as ``i:Item``, that have this value under an indexed key; ``rest`` of the
    pattern follows. The index is named: where a statement is planned while the graph holds a few nodes,
    reading all of them looks as good, and stays its plan when there are millions."""
    return f"MATCH ({what} {{{key}: {value}}}){rest} USING INDEX SEEK {what}({key})"


def listing(columns: str, *branches: str) -> str:
    """A statement for :func:`rows`: the columns of all the branches, which bind the same names."""
    if len(branches) == 1:
        return f"{branches[0]} RETURN collect([{columns}])"
    united = " UNION ALL ".join(f"{branch} RETURN [{columns}] AS row" for branch in branches)
    return f"CALL () {{ {united} }} RETURN collect(row)"


def together(**sections: str) -> str:
    """A statement for :func:`gathered` out of several that :func:`listing` makes. They take what they need
    from the one parameter ``$p``: plans are kept by the sizes of lists that are parameters, but not by those
    of lists within one, and a text that is planned anew for each size is planned while others wait."""
    parts = " ".join(f"CALL () {{ {text} AS {name} }}" for name, text in sections.items())
    return f"{PLANNED} {parts} RETURN [{', '.join(sections)}]"


def rows(tx: ManagedTransaction, query: str, **parameters: Any) -> list[list[Any]]:
    """The rows of a statement made by :func:`listing`."""
    record = tx.run(query, parameters).single(strict=True)
    found: list[list[Any]] = record[0]
    return found


def gathered(tx: ManagedTransaction, query: str, **asked: Any) -> list[list[list[Any]]]:
    """The rows of each section of a statement made by :func:`together`, in their order."""
    return rows(tx, query, p=asked)
