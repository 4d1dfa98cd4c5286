"""Between rows of the writer and properties in Neo4j: keys that an index can hold, and compact nodes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from app.store.neo4j.schema import PAST as PAST
from app.store.neo4j.schema import indexed_property
from app.store.rows import (
    EDGE_KINDS,
    NODE_KINDS,
    BeliefRow,
    Fact,
    IdentRow,
    JoinRow,
    KeyedRow,
    NodeRow,
    from_json,
    pack,
)
from app.store.rows import to_json as _to_json
from app.store.text import text_of
from graph_schema.edges import EDGE_CODES, EdgeKind
from graph_schema.identifiers import head_of
from graph_schema.kinds import KINDS

#: An index entry holds 8,164 bytes, a character has up to four, and some entries have two keys.
KEY_MAX = 1_900
_HASHED = 40
_SPELLED = "\ue000"
_FILTER_MAX = 200
#: Before all times there are: where a keyed claim without a time is kept.
NEVER = -(2**63)

_facts = msgspec.msgpack.Decoder(list[Fact]).decode
_lone = msgspec.msgpack.Decoder(list[Any]).decode
_CODES: Mapping[str, int] = {kind.value: code for kind, code in EDGE_CODES.items()}
_INDEXED = tuple(tuple((key, indexed_property(key)) for key in KINDS[kind].properties) for kind in NODE_KINDS)
_BELIEF_BITS = 5
#: Words are cut here and not by the index, which would keep ``train.py`` in one piece.
_WORD = re.compile(r"\w+")


def index_key(text: str) -> str:
    """The text itself, where an index can hold it and Java orders it as by code points.

    Java compares UTF-16, in which characters beyond U+FFFF lie before U+E000: from there on, characters
    are spelled out. Of a text that is too long there is the beginning, and a hash of the whole."""
    key = text
    if not text.isascii() and max(text) >= _SPELLED:
        key = "".join(f"{_SPELLED}{ord(c):06x}" if c >= _SPELLED else c for c in text)
    if len(key) <= KEY_MAX:
        return key
    digest = blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{key[: KEY_MAX - _HASHED]}…#{digest}"


def record_key(sid: int, key: str) -> str:
    """What a record is found by."""
    return index_key(f"{sid}/{key}")


def key_prefix(text: str) -> str:
    """What the keys of all texts that begin with this text begin with."""
    return index_key(text)[: KEY_MAX - _HASHED]


def text_json(value: Any) -> str:
    """A value as JSON text."""
    return _to_json(value).decode()


def handle_of(bid: int, kind: int) -> int:
    """The handle of a belief: its id and its kind, so that one index finds it again."""
    return bid << _BELIEF_BITS | kind


def belief_of(handle: int) -> tuple[int, int]:
    """(belief id, edge code) of a handle."""
    return handle >> _BELIEF_BITS, handle & ((1 << _BELIEF_BITS) - 1)


def edge_code(type_: str) -> int:
    """The code of a relationship type."""
    return _CODES[type_]


def edge_type(code: int) -> str:
    """The relationship type of a code."""
    return EDGE_KINDS[code].value


if len(EdgeKind) > 1 << _BELIEF_BITS:
    raise AssertionError("handles of beliefs have too few bits for the kinds of edges")


# identifiers -------------------------------------------------------------------------------------------

IDENT = (
    "{0}.num, coalesce({0}.fullText, {0}.text), {0}.ikind, coalesce({0}.names, {0}.num), {0}.isince, {0}.dead"
)


def ident_row(row: Sequence[Any]) -> IdentRow:
    """An identifier from the columns of ``IDENT``."""
    return IdentRow(row[0], row[1], row[2], row[3], row[4], row[5] is None)


def ident_columns(row: IdentRow) -> tuple[Any, ...]:
    """An identifier as the columns of ``IDENT`` have it."""
    return (row.iid, row.text, row.kind, row.nid, row.since, None if row.live else True)


def ident_properties(row: IdentRow) -> dict[str, Any]:
    """The identifier's part of an item. What is usual is left out."""
    text = index_key(row.text)
    found: dict[str, Any] = {"num": row.iid, "text": text, "ikind": row.kind, "isince": row.since}
    if text is not row.text:
        found["fullText"] = row.text
    if row.nid != row.iid:
        found["names"] = row.nid
    if not row.live:
        found["dead"] = True
    head, _, value = row.text.partition("=")
    if "@" in head:
        found["bare"] = index_key(f"{head_of(head).scheme.name}={value}")
    return found


# nodes -------------------------------------------------------------------------------------------------

NODE = (
    "{0}.num, {0}.kind, coalesce({0}.fullId, {0}.id), coalesce({0}.fullName, {0}.name), {0}.createdAt,"
    " {0}.goneAt, {0}.live, {0}.stub, {0}.facts, {0}.properties, {0}.identifiers"
)


def node_row(row: Sequence[Any]) -> NodeRow:
    """A node from the columns of ``NODE``."""
    num, kind, id_, name, created_at, gone_at, live, stub, facts, properties, identifiers = row
    merged = from_json(properties)
    url = merged.get("url")
    if facts is None:
        held: list[Fact] = []
    else:
        raw = _lone(facts)
        if len(raw) == 1:
            # A lone fact is what the node's properties say; it is kept once.
            raw[0][6] = merged
        held = [Fact(*f) for f in raw]
    return NodeRow(
        num, kind, id_, name, str(url) if url else None, created_at, gone_at, live, bool(stub),
        held, merged, [id_] if identifiers is None else identifiers,
    )  # fmt: skip


def node_properties(node: NodeRow) -> dict[str, Any]:
    """The node's part of an item. Keys that it does not need stand there as None, which removes them."""
    facts = node.facts
    if not facts:
        packed = None
    elif len(facts) == 1:
        f = facts[0]
        packed = pack([[f.iid, f.rid, f.sid, f.at, f.since, f.gone_at, None]])
    else:
        packed = pack(facts)
    id_, name, names, merged = index_key(node.id), index_key(node.name), node.identifiers, node.properties
    found: dict[str, Any] = {
        "num": node.nid,
        "kind": node.kind,
        "id": id_,
        "fullId": None if id_ is node.id else node.id,
        "name": name,
        "fullName": None if name is node.name else node.name,
        "createdAt": node.created_at,
        "goneAt": node.gone_at,
        "live": node.live,
        "stub": node.stub or None,
        "facts": packed,
        "properties": text_json(merged),
        "identifiers": None if names == [node.id] else names,
        "words": " ".join(_WORD.findall(text_of(node))) if node.live and not node.stub else None,
    }
    for key, kept in _INDEXED[node.kind]:
        value = merged.get(key)
        found[kept] = value if node.live and filterable(value) else None
    return found


def filterable(value: Any) -> bool:
    """Whether an index helps to find a property with this value: a short text that is no number or time.

    A text that reads as a number equals numbers too (:mod:`graph_schema.filters`): the index lacks those."""
    return (
        isinstance(value, str) and len(value) <= _FILTER_MAX and value[:1].isalpha() and not _is_float(value)
    )


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def fact_row(packed: bytes) -> Fact:
    """A past fact as packed."""
    return msgspec.msgpack.decode(packed, type=Fact)


# beliefs -----------------------------------------------------------------------------------------------

BELIEF = (
    "e.bid, coalesce(e.kind, type(e)), coalesce(e.src, s.num), coalesce(e.dst, d.num), s.num, d.num, e.oid,"
    " coalesce(e.rid, 0), e.anchor, e.since, e.until, e.recorded, e.retired, e.data"
)


def belief_row(row: Sequence[Any]) -> BeliefRow:
    """A belief from the columns of ``BELIEF``."""
    kind = row[1] if isinstance(row[1], int) else _CODES[row[1]]
    data = row[13]
    return BeliefRow(
        row[0], kind, row[2], row[3], row[4], row[5], row[6], row[7], row[8], row[9], row[10], row[11],
        row[12], None if data is None else data.encode(),
    )  # fmt: skip


def belief_properties(b: BeliefRow) -> dict[str, Any]:
    """The properties of the relationship. What is usual is left out."""
    found: dict[str, Any] = {"bid": b.bid, "oid": b.oid, "recorded": b.recorded}
    if b.rid:
        found["rid"] = b.rid
    if b.src != b.src_nid:
        found["src"] = b.src
    if b.dst != b.dst_nid:
        found["dst"] = b.dst
    if b.anchor is not None:
        found["anchor"] = b.anchor
    if b.since is not None:
        found["since"] = b.since
    if b.until is not None:
        found["until"] = b.until
    if b.data is not None:
        found["data"] = b.data.decode()
    if b.retired is not None:
        found["retired"] = b.retired
        found["kind"] = b.kind
    return found


# joins and keyed claims --------------------------------------------------------------------------------

JOIN = (
    "j.jid, j.a, j.b, j.verdict, j.oid, coalesce(j.rid, 0), j.anchor, j.tie, j.since, j.until, j.data,"
    " j.accepted, j.belief"
)
KEYED = (
    "k.kid, k.rule, k.key, k.role, k.ref, k.by, k.at, k.until, k.data, coalesce(k.rid, 0), k.sid, k.anchor"
)


def join_row(row: Sequence[Any]) -> JoinRow:
    """A claim on identity from the columns of ``JOIN``."""
    source, record = row[7]
    data = None if row[10] is None else row[10].encode()
    return JoinRow(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], (source, record), row[8], row[9], data,
        row[11], row[12],
    )  # fmt: skip


def join_properties(j: JoinRow) -> dict[str, Any]:
    """A claim on identity as properties."""
    return {
        "jid": j.jid, "a": j.a, "b": j.b, "verdict": j.verdict, "oid": j.oid, "rid": j.rid or None,
        "anchor": j.anchor, "tie": list(j.tie), "since": j.since, "until": j.until,
        "data": None if j.data is None else j.data.decode(), "accepted": j.accepted, "belief": j.belief,
    }  # fmt: skip


def place_of(rule: str, key: str) -> str:
    """What keyed claims are found by."""
    return index_key(f"{rule} {key}")


def keyed_row(row: Sequence[Any]) -> KeyedRow:
    """A keyed claim from the columns of ``KEYED``."""
    data = None if row[8] is None else row[8].encode()
    return KeyedRow(
        row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7], data, row[9], row[10], row[11]
    )


def keyed_properties(k: KeyedRow) -> dict[str, Any]:
    """A keyed claim as properties; ``place`` and ``when`` are for its index."""
    return {
        "kid": k.kid, "rule": k.rule, "key": k.key, "role": k.role, "ref": k.ref, "by": k.by, "at": k.at,
        "until": k.until, "data": None if k.data is None else k.data.decode(), "rid": k.rid or None,
        "sid": k.sid, "anchor": k.anchor, "place": place_of(k.rule, k.key),
        "when": NEVER if k.at is None else k.at,
    }  # fmt: skip
