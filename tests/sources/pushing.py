"""What the server does with a delivery, without the server: receive, enrich, claims, write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from graph_schema.claims import Record
from graph_schema.edges import EdgeKind
from graph_schema.redaction import Redactor
from graph_schema.store import GraphStore
from graph_schema.values import NOW, Direction, Edge, Moment, Node
from ingestors import joins
from ingestors.registry import build, described
from ingestors.sanitise import clean_item
from ingestors.source import Delivery, Item, Source

AT = 1_795_000_000_000_000
ALL_EDGES = tuple(kind for kind in EdgeKind if kind is not EdgeKind.SAME_AS)


def source_of(**table: Any) -> Source:
    """A source as kinlore.toml makes it."""
    return build({"name": table["type"], **table}, Path.cwd())


def delivery(body: Any, headers: Mapping[str, str] | None = None, at: int = AT) -> Delivery:
    """A request with this body: bytes as they are, all else as JSON."""
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    return Delivery({"content-type": "application/json", **(headers or {})}, content, at)


def received(source: Source, deliveries: Iterable[Delivery]) -> list[Item]:
    """What came, enriched, without secrets."""
    redactor = Redactor(b"for tests")
    items: list[Item] = []
    for one in deliveries:
        for item in source.enrich(source.receive(one)):
            cleaned = clean_item(item)
            items.append(msgspec.structs.replace(cleaned, data=redactor.value(cleaned.data)))
    return items


def write(store: GraphStore, source: Source, items: Iterable[Item]) -> int:
    """Write items as one transaction each; the number of changes."""
    changes = 0
    for item in items:
        record = Record(item.key, item.type, item.version, tuple(source.to_claims(item)))
        changes += apply(store, source, record)
    return changes


def apply(store: GraphStore, source: Source, record: Record) -> int:
    """Write a record and what follows from it; the number of changes."""
    return store.transact(lambda tx: joins.apply(tx, described(source), [record])).changes


def push(store: GraphStore, source: Source, *deliveries: Delivery) -> int:
    """Take deliveries in; the number of changes."""
    return write(store, source, received(source, deliveries))


def node(store: GraphStore, text: str) -> Node:
    """The one node that an identifier names."""
    (handle,) = store.resolve(text)
    (found,) = store.get([handle])
    assert found is not None
    return found


def edges(store: GraphStore, text: str, moment: Moment = NOW) -> list[Edge]:
    """All edges at a node, those that come in first."""
    found: list[Edge] = []
    for direction in (Direction.UPSTREAM, Direction.DOWNSTREAM):
        expansion = store.expand(store.resolve(text), direction, ALL_EDGES, moment)
        found += store.edges(sorted({step.belief for step in expansion.steps}))
    return found


def links(store: GraphStore, text: str) -> list[tuple[str, str, str]]:
    """The edges at a node as (from, kind, to), sorted; ids without their scope."""
    return sorted((_bare(e.src), e.kind.value, _bare(e.dst)) for e in edges(store, text))


def _bare(text: str) -> str:
    head, _, value = text.partition("=")
    return f"{head.partition('@')[0]}={value}"
