"""Stamps: what an item was when claims were made of it, so that the same item is recognised at once.

Redacting an item and making claims of it costs some ten times as much as hashing it.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version

import msgspec

from ingestors.source import Item, SourceConfig

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


@cache
def _version() -> str:
    try:
        return version("kinlore")
    except PackageNotFoundError:
        return "uninstalled"


def stamp_salt(config: SourceConfig, redaction_key: bytes) -> bytes:
    """What besides the item goes into its claims: the code, the source's configuration, the redaction."""
    parts = [_version(), config.model_dump_json(), redaction_key]
    return blake2b(_encode(parts), digest_size=16).digest()


def stamp_of(item: Item, salt: bytes) -> bytes:
    """A digest of the item, or nothing where it holds what has no digest."""
    try:
        packed = _encode((item.type, item.data))
    except (UnicodeEncodeError, OverflowError, RecursionError, TypeError):
        return b""
    return blake2b(packed, digest_size=16, key=salt).digest()
