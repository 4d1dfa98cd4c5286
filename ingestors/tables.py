"""Tables without versions: a table is a slot, a write occupies it, a read uses what stands there then.

What was read before any known write is one version called ``unobserved``, there only while it is used.
"""

from __future__ import annotations

from graph_schema.claims import Keyed, Properties
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.times import Micros

#: How the slots of tables begin.
TABLE = "dataset:"


def dataset(table: str) -> str:
    """The identifier of a table, ``namespace/name``. Raises BadIdentifier."""
    return identifier("dataset", table)


def version(table: str, what: str) -> str:
    """One state of a table: ``what`` is the run that wrote it, a version of the table's own, or
    ``unobserved``. Raises BadIdentifier."""
    return identifier("openlineage.dataset_version", f"{dataset(table).partition('=')[2]}@{what}")


def slot(table: str) -> str:
    """Under which key writes and reads of a table meet."""
    return f"{TABLE}{dataset(table).partition('=')[2]}"


def written(table: str, thing: str, at: Micros, by: str) -> Keyed:
    """``by`` wrote the version ``thing`` of a table: it stands there from ``at`` until the next write."""
    return Keyed("slot", slot(table), "occupies", thing, by, at, None, {"of": dataset(table)})


def read(
    table: str,
    by: str,
    at: Micros,
    edge: EdgeKind = EdgeKind.INPUT_TO,
    properties: Properties | None = None,
    but_not_of: str | None = None,
) -> Keyed:
    """``by`` read what stood in the table then, and gets an ``edge`` from it. What ``but_not_of`` wrote
    (default: ``by`` itself) does not count: nothing reads its own result."""
    data = {"edge": edge.value, "of": dataset(table), "unobserved": version(table, "unobserved")}
    return Keyed("slot", slot(table), "uses", by, but_not_of, at, None, {**(properties or {}), **data})
