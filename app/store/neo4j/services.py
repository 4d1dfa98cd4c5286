"""Service records: what a transaction has read of them and is going to write, and how they are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from neo4j import ManagedTransaction

from app.store.neo4j import codec
from app.store.neo4j.codec import index_key, text_json
from app.store.neo4j.rows import PLANNED, rows, seek
from app.store.rows import from_json

#: Stands for a record that has been deleted in this transaction.
_GONE = object()

_SERVICE = f"{PLANNED} {seek('s:Service', 'skey', '$skey')} RETURN collect([s.value])"
_SERVICES_DELETE = f"UNWIND $skeys AS skey {seek('s:Service', 'skey', 'skey')} DELETE s"
SERVICES_PUT = """
UNWIND $rows AS r MERGE (s:Service {skey: r.skey})
SET s.collection = r.collection, s.key = r.key, s.value = r.value
"""
SERVICES = """
MATCH (s:Service) WHERE s.skey STARTS WITH $start AND s.skey > $after
AND s.collection = $collection AND s.key STARTS WITH $prefix
WITH s ORDER BY s.skey LIMIT $limit RETURN collect([s.key, s.value])
"""


def service_key(collection: str, key: str) -> str:
    """What a service record is found by."""
    return index_key(f"{collection}/{key}")


def service_rows(records: Iterable[tuple[str, str, Any]]) -> list[dict[str, Any]]:
    """Rows of ``SERVICES_PUT`` for (collection, key, value)."""
    made = [
        {"skey": service_key(name, key), "collection": name, "key": key, "value": text_json(value)}
        for name, key, value in records
    ]
    # Locks are taken in one order.
    return sorted(made, key=lambda row: row["skey"])


def service_range(collection: str, prefix: str, after: str, limit: int) -> dict[str, Any]:
    """Parameters of ``SERVICES``."""
    return {
        "collection": collection,
        "prefix": prefix,
        "start": codec.key_prefix(f"{collection}/{prefix}"),
        "after": service_key(collection, after) if after else codec.key_prefix(f"{collection}/"),
        "limit": limit,
    }


def services(
    tx: ManagedTransaction, collection: str, prefix: str, after: str, limit: int
) -> list[tuple[str, Any]]:
    """Service records by key, whose key has the prefix and lies behind ``after``."""
    found = rows(tx, SERVICES, **service_range(collection, prefix, after, limit))
    return [(key, from_json(value)) for key, value in found]


class ServiceRecords:
    """``read``: what has been read already, JSON or None by collection and key. Records are written when the
    transaction ends, all at once."""

    def __init__(self, tx: ManagedTransaction, read: Mapping[tuple[str, str], str | None]) -> None:
        self._tx = tx
        self._read = dict(read)
        self._changed: dict[tuple[str, str], Any] = {}

    def get(self, collection: str, key: str) -> Any | None:
        """A record, or None."""
        at = collection, key
        if at in self._changed:
            value = self._changed[at]
            return None if value is _GONE else value
        if at not in self._read:
            found = rows(self._tx, _SERVICE, skey=service_key(collection, key))
            self._read[at] = found[0][0] if found else None
        text = self._read[at]
        return None if text is None else from_json(text)

    def put(self, collection: str, key: str, value: Any) -> None:
        """Write a record."""
        # Through JSON, so that what is read back in this transaction is what later ones read.
        self._changed[collection, key] = from_json(text_json(value))

    def delete(self, collection: str, key: str) -> None:
        """Remove a record."""
        self._changed[collection, key] = _GONE

    def listed(self, collection: str, prefix: str, after: str, limit: int) -> list[tuple[str, Any]]:
        """See :func:`services`."""
        put, gone = self.unwritten()
        if put:
            self._tx.run(SERVICES_PUT, rows=put)
        if gone:
            self._tx.run(_SERVICES_DELETE, skeys=gone)
        return services(self._tx, collection, prefix, after, limit)

    def unwritten(self) -> tuple[list[dict[str, Any]], list[str]]:
        """The records to put, and the keys of those to delete; whoever asks writes them."""
        put = [(*at, value) for at, value in self._changed.items() if value is not _GONE]
        gone = [service_key(*at) for at, value in self._changed.items() if value is _GONE]
        for at, value in self._changed.items():
            self._read[at] = None if value is _GONE else text_json(value)
        self._changed.clear()
        return service_rows(put), gone
