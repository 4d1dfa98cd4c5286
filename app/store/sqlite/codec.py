"""Rows of the SQLite store as columns, and lists of values as one parameter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from app.store.rows import Fact, IdentRow, JoinRow, NodeRow, from_json, pack, to_json

_lone = msgspec.msgpack.Decoder(list[Any]).decode

BELIEF = "bid, kind, src, dst, src_nid, dst_nid, oid, rid, anchor, since, until, recorded, retired, data"
JOIN = "jid, a, b, verdict, oid, rid, anchor, tie, since, until, data, accepted, belief"
KEYED = "kid, rule, key, role, ref, by, at, until, data, rid, sid, anchor"
IDENT = "iid, text, kind, nid, since, live"
NODE = "nid, kind, id, name, created_at, gone_at, live, stub, facts, properties, identifiers"


#: A list of values handed over as one JSON parameter, as a table with the column ``value``.
EACH = "(SELECT value FROM json_each(?))"
EACH_1 = "(SELECT value FROM json_each(?1))"
EACH_3 = "(SELECT value FROM json_each(?3))"


def listed(values: Iterable[Any]) -> str:
    """Values as a JSON array, for ``json_each``."""
    return to_json(list(values)).decode()


def decode_node(row: Sequence[Any]) -> NodeRow:
    """A node from the columns of ``NODE``."""
    nid, kind, id_, name, created_at, gone_at, live, stub, facts, properties, identifiers = row
    merged = from_json(properties)
    raw = _lone(facts)
    if len(raw) == 1:
        # A lone fact is what the node's properties say; it is kept once.
        raw[0][6] = merged
    url = merged.get("url")
    return NodeRow(
        nid, kind, id_, name, str(url) if url else None, created_at, gone_at, bool(live), bool(stub),
        [Fact(*f) for f in raw], merged, from_json(identifiers) if identifiers else [id_],
        bool(live) and not stub,
    )  # fmt: skip


def encode_node(node: NodeRow) -> tuple[Any, ...]:
    """A node as the columns of ``NODE``."""
    facts = node.facts
    if len(facts) == 1:
        f = facts[0]
        packed = pack([[f.iid, f.rid, f.sid, f.at, f.since, f.gone_at, None]])
    else:
        packed = pack(facts)
    names = node.identifiers
    return (
        node.nid, node.kind, node.id, node.name, node.created_at, node.gone_at, node.live, node.stub,
        packed, to_json(node.properties).decode(), None if names == [node.id] else to_json(names).decode(),
    )  # fmt: skip


def ident(row: Sequence[Any]) -> IdentRow:
    """An identifier from the columns of ``IDENT``."""
    iid, text, kind, nid, since, live = row
    return IdentRow(iid, text, kind, nid, since, bool(live))


def join(row: Sequence[Any]) -> JoinRow:
    """A claim on identity from the columns of ``JOIN``."""
    jid, a, b, verdict, oid, rid, anchor, tie, since, until, data, accepted, belief = row
    source, record = from_json(tie)
    return JoinRow(
        jid, a, b, verdict, oid, rid, anchor, (source, record), since, until, data, bool(accepted), belief
    )
