"""Captures on their way into a store, as a server takes them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from graph_schema.claims import Record
from graph_schema.store import GraphStore
from ingestors import joins
from ingestors.registry import described
from ingestors.source import Delivery, Source


def deliver(store: GraphStore, source: Source, captures: Sequence[dict[str, Any]]) -> None:
    """Write these captures, one transaction each."""
    for capture in captures:
        items = source.receive(Delivery({}, json.dumps(capture).encode(), 0))
        records = [Record(i.key, i.type, i.version, tuple(source.to_claims(i))) for i in items]
        store.transact(lambda tx, records=records: joins.apply(tx, described(source), records))
