"""The content hash of a record, by which an unchanged one is told without reading what it claimed."""

from __future__ import annotations

import math
import re
from hashlib import blake2b
from typing import Any

import msgspec

from app.store.rows import pack
from graph_schema.claims import Record
from graph_schema.errors import BadClaim

#: How MessagePack spells infinities and what is not a number.
_NOT_FINITE = re.compile(rb"\xcb[\x7f\xff][\xf0\xf8]")


def record_digest(record: Record) -> bytes:
    """Hash of what a record claims. Raises BadClaim for a value that no store can hold."""
    try:
        packed = pack(record.claims)
    except (UnicodeEncodeError, OverflowError, RecursionError, TypeError) as error:
        raise BadClaim(f"{record.key}: holds a value that cannot be stored ({error})") from None
    if _NOT_FINITE.search(packed) and _not_finite(msgspec.to_builtins(record.claims)):
        raise BadClaim(f"{record.key}: holds a number that is not finite; spell it as text, for example NaN")
    return blake2b(packed, digest_size=16).digest()


def _not_finite(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_not_finite(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(_not_finite(inner) for inner in value)
    return isinstance(value, float) and not math.isfinite(value)
