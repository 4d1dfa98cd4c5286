"""What no store can hold, made harmless before it becomes claims; what cannot be mended is refused.

Texts lose NUL characters and lone surrogates, numbers without a JSON form become texts as MLflow spells
them, integers beyond 64 bits become texts. What holds none of these comes back as the very object given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from graph_schema.errors import BadInput
from ingestors.source import Item

MAX_DEPTH = 64
MAX_KEY = 1_000
_LIMIT = 2**63

_POISON = re.compile("[\0\ud800-\udfff]")


class Poison(BadInput):
    """A value that no mending brings into the graph."""


def text(value: str) -> str:
    """The text with U+FFFD in place of NUL characters and lone surrogates."""
    if value.isascii() and "\0" not in value:
        return value
    return _POISON.sub("\ufffd", value) if _POISON.search(value) else value


def clean(value: Any, depth: int = 0) -> Any:
    """A JSON value that stores can hold. Raises Poison for what is nested too deep or is no JSON at all."""
    kind = type(value)
    if kind is str:
        return text(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -_LIMIT <= value < _LIMIT else _long(value)
    if kind is float:
        return value if math.isfinite(value) else _not_finite(value)
    if depth >= MAX_DEPTH:
        raise Poison(f"nested deeper than {MAX_DEPTH} levels")
    # Asking an abstract class is slow, and nearly all are plain.
    if kind is dict or isinstance(value, Mapping):
        return _mapping(value, depth + 1)
    if kind is list or kind is tuple or isinstance(value, list | tuple):
        return _list(value, depth + 1)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return text(str(value))
    raise Poison(f"holds a {kind.__name__}, which has no JSON form")


def _mapping(value: Mapping[Any, Any], depth: int) -> Mapping[str, Any]:
    changed: dict[str, Any] | None = None
    for index, (key, held) in enumerate(value.items()):
        name = text(key) if isinstance(key, str) else str(clean(key, depth))
        kind = type(held)
        if kind is int:
            done = held if -_LIMIT <= held < _LIMIT else _long(held)
        else:
            done = text(held) if kind is str else clean(held, depth)
        if changed is None and (done is not held or name is not key):
            # What came before was fine as it was.
            changed = dict(list(value.items())[:index])
        if changed is not None:
            changed[name] = done
    return value if changed is None else changed


def _list(value: list[Any] | tuple[Any, ...], depth: int) -> list[Any] | tuple[Any, ...]:
    changed: list[Any] | None = None
    for index, held in enumerate(value):
        done = text(held) if type(held) is str else clean(held, depth)
        if done is not held:
            if changed is None:
                changed = list(value)
            changed[index] = done
    return value if changed is None else changed


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _long(value: int) -> str:
    # Python refuses to write very long integers in decimal.
    return str(value) if value.bit_length() <= 10_000 else hex(value)


def clean_item(item: Item) -> Item:
    """The item with data that stores can hold. Raises Poison with the reason."""
    data = clean(item.data)
    if not -_LIMIT <= item.version < _LIMIT:
        raise Poison(f"its version {item.version!r:.40} does not fit into 64 bits")
    if text(item.key) is not item.key or not item.key or len(item.key) > MAX_KEY:
        raise Poison("its key is empty, too long, or holds characters that no store can keep")
    return item if data is item.data else msgspec.structs.replace(item, data=data)


def shortened(data: Any, limit: int = 32_768) -> Any:
    """Data for a dead letter: as it is where small, else the beginning of its JSON or of its ``repr``."""
    try:
        encoded = msgspec.json.encode(clean(data))
    except (Poison, ValueError, TypeError, RecursionError, OverflowError):
        return _shown(data)[:limit]
    if len(encoded) <= limit:
        return msgspec.json.decode(encoded)
    return encoded[:limit].decode(errors="replace")


def _shown(data: Any) -> str:
    try:
        return text(repr(data))
    except (RecursionError, ValueError):
        return f"a {type(data).__name__} that cannot be shown"
