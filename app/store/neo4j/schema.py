"""Constraints and indexes of the Neo4j store, from the declarations, as numbered and repeatable migrations.

How the graph is laid out:

- ``(:Item {num})`` is one number of the writer's. It carries what the number names: an identifier
  (``:Ident``, with ``text`` and, where it names another number, ``names``), a node (the label of its kind,
  with ``id``, ``name``, ``properties``, ``facts``), mostly both at once.
- Current beliefs are relationships typed by edge kind between items; retired ones are all of type ``PAST``,
  so that a walk over the present never meets them. ``(:Derived)`` finds derived beliefs by their anchor, and
  names the identifiers at their ends.
- ``:Same`` marks nodes at which a ``SAME_AS`` may end: a walk asks for the others' no further.
- ``(:Record)``, ``(:Join)``, ``(:Keyed)``, ``(:Service)``, ``(:Source)``, ``(:Origin)``, ``(:Revision)``,
  ``(:PastIdent)``, ``(:PastFact)`` are the rows of :mod:`app.store.rows` of that name.
- ``(:Lock)`` is what every writing transaction takes first; ``(:State)`` holds counters and versions.
"""

from __future__ import annotations

from graph_schema.edges import EdgeKind
from graph_schema.kinds import KINDS, NodeKind

TEXT_INDEX = "kinlore_words"
PAST = "PAST"


def _unique(label: str, key: str) -> str:
    name = f"kinlore_{label}_{key}"
    return f"CREATE CONSTRAINT {name} IF NOT EXISTS FOR (n:{label}) REQUIRE n.{key} IS UNIQUE"


def _index(label: str, *keys: str) -> str:
    name = f"kinlore_{label}_{'_'.join(keys)}"
    return f"CREATE INDEX {name} IF NOT EXISTS FOR (n:{label}) ON ({', '.join(f'n.{key}' for key in keys)})"


def _belief_index(type_: str) -> str:
    return f"CREATE INDEX kinlore_{type_}_bid IF NOT EXISTS FOR ()-[e:{type_}]-() ON (e.bid)"


def indexed_property(key: str) -> str:
    """Where a declared property of a node is kept a second time, for its index."""
    return f"p_{key}"


def _tables() -> tuple[str, ...]:
    return (
        _unique("Item", "num"),
        _unique("Ident", "text"),
        _index("Ident", "names"),
        _index("Ident", "bare"),
        _unique("Record", "rkey"),
        _unique("Join", "jid"),
        _index("Join", "a"),
        _index("Join", "b"),
        _index("Join", "anchor"),
        _unique("Keyed", "kid"),
        _index("Keyed", "place", "role", "when"),
        _index("Keyed", "ref"),
        _index("Keyed", "by"),
        _index("Derived", "anchor"),
        _unique("Service", "skey"),
        _unique("Source", "sid"),
        _unique("Origin", "oid"),
        _unique("Revision", "rev"),
        _index("Revision", "at"),
        _index("PastIdent", "iid"),
        _index("PastIdent", "nid"),
        _index("PastFact", "iid"),
        _index("Same", "num"),
        _unique("Client", "key"),
        _unique("VectorModel", "key"),
    )


def _declared() -> tuple[str, ...]:
    """What the kinds of nodes and edges call for."""
    filtered = sorted({key for spec in KINDS.values() for key in spec.properties})
    nodes = [_index("Item", "kind", key) for key in ("id", "name", "createdAt")]
    nodes += [_index("Item", "kind", indexed_property(key), "id") for key in filtered]
    beliefs = [_belief_index(type_) for type_ in (*EdgeKind, PAST)]
    # Lucene follows in the background: a commit need not wait for it, and a search does so itself.
    words = (
        f"CREATE FULLTEXT INDEX {TEXT_INDEX} IF NOT EXISTS FOR (n:{'|'.join(NodeKind)}) ON EACH [n.words]"
        " OPTIONS {indexConfig: {`fulltext.analyzer`: 'standard-folding',"
        " `fulltext.eventually_consistent`: true}}"
    )
    return (*nodes, *beliefs, words)


#: Statements of one step are repeatable: a migration that was killed runs its step again.
MIGRATIONS: tuple[tuple[str, ...], ...] = ((*_tables(), *_declared()),)

SCHEMA_VERSION = len(MIGRATIONS)


def name_of(statement: str) -> str:
    """The name of the constraint or index that a statement makes."""
    return statement.partition(" IF NOT EXISTS")[0].rpartition(" ")[2]
