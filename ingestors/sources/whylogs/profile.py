"""The file format of a whylogs profile: ``WHY1``, then length-delimited protobuf messages.

Read from the published schema (whylogs_messages.proto, whylogs 1.6), by field number: a header of the
segment, a header of the profile, then for each column a chunk with the components of its metrics. Of the
sketches only the one of quantiles (KLL) is read.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import msgspec

from graph_schema.errors import BadInput
from graph_schema.times import Micros

MAGIC = b"WHY1"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: Components that are read, and what they are called as statistics of a column.
_COUNTS = {
    "counts/n": "count",
    "counts/null": "nulls",
    "counts/nan": "nans",
    "counts/inf": "infs",
    "ints/min": "min",
    "ints/max": "max",
    "types/integral": "integral",
    "types/fractional": "fractional",
    "types/boolean": "boolean",
    "types/string": "string",
    "types/object": "object",
}
#: Quantiles that are taken, and the part of the values that lies below each.
_QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
_MOST_COLUMNS = 20_000
#: What taking apart bytes that mean something else comes to: places beyond the end, numbers for messages.
_BROKEN = (IndexError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError)


class Profile(msgspec.Struct, frozen=True):
    """A profile. ``at`` is the time of the data, ``segment`` such as ``region=eu``; statistics by column."""

    at: Micros
    segment: str | None
    metadata: dict[str, str]
    columns: dict[str, dict[str, float]]


def read(content: bytes) -> Profile:
    """Take a profile apart. Raises BadInput where it is none, or ends too soon."""
    if not content.startswith(MAGIC):
        raise BadInput("is no profile of whylogs 1: it does not begin with WHY1")
    try:
        return _read(content)
    except (*_BROKEN, struct.error) as problem:
        raise BadInput(f"is a broken profile: {type(problem).__name__} {problem}"[:200]) from None


def _read(content: bytes) -> Profile:
    segments, place = _delimited(content, len(MAGIC))
    header, start = _delimited(content, place)
    properties = dict[str, Any](timestamp=0, tags={}, metadata={})
    offsets: dict[str, list[int]] = {}
    paths: dict[int, str] = {}
    for number, value in _fields(header):
        if number == 1:
            properties = _properties(value)
        elif number == 2:
            column, packed = _entry(value)
            offsets[column.decode()] = _offsets(packed)
        elif number == 5:
            index, path = _index(value)
            paths[index] = path
    if len(offsets) > _MOST_COLUMNS:
        raise ValueError(f"{len(offsets):,} columns")
    columns = {
        name: _statistics(
            dict(pair for offset in places for pair in _components(content, start + offset, paths))
        )
        for name, places in sorted(offsets.items())
    }
    told = {**_segment_tags(segments), **properties["tags"]}
    # Tags of a segment are spelled whylogs.tag.region; others are metadata that somebody set.
    named = {k.removeprefix("whylogs.tag."): v for k, v in told.items() if k.startswith("whylogs.tag.")}
    return Profile(
        at=properties["timestamp"] * 1000,
        segment=", ".join(f"{key}={value}" for key, value in sorted(named.items())) or None,
        metadata={**properties["tags"], **properties["metadata"]},
        columns={name: stats for name, stats in columns.items() if stats},
    )


def _statistics(components: dict[str, float]) -> dict[str, float]:
    found = {stat: components[path] for path, stat in _COUNTS.items() if path in components}
    for stat in ("integral", "fractional", "boolean", "string", "object", "nans", "infs"):
        if found.get(stat) == 0:
            del found[stat]
    count, nulls = found.get("count", 0), found.get("nulls")
    if count and nulls is not None:
        found["nullFraction"] = round(nulls / count, 9)
    for stat in ("min", "max"):
        if f"kll/{stat}" in components:
            found[stat] = components[f"kll/{stat}"]
    values = components.get("kll/n", 0)
    if values:
        found.update({stat: components[f"kll/{stat}"] for stat in _QUANTILES})
        found["mean"] = components.get("distribution/mean", 0.0)
        if values > 1:
            found["stddev"] = math.sqrt(max(0.0, components.get("distribution/m2", 0.0)) / (values - 1))
    elif not found.get("integral"):
        # Of texts there is no least and greatest number.
        found.pop("min", None)
        found.pop("max", None)
    return {stat: value for stat, value in found.items() if math.isfinite(value)}


def _components(content: bytes, place: int, paths: dict[int, str]) -> Iterator[tuple[str, float]]:
    """The components of one chunk of a column that have a plain value."""
    chunk_header, place = _delimited(content, place)
    length = next((int(value) for number, value in _fields(chunk_header) if number == 3), 0)
    chunk = content[place : place + length]
    if len(chunk) != length:
        raise ValueError("it ends too soon")
    for number, value in _fields(chunk):
        if number != 1:
            continue
        index, message = 0, b""
        for inner, part in _fields(value):
            index, message = (int(part), message) if inner == 1 else (index, part)
        path = paths[index]
        for kind, part in _fields(message):
            if kind == 2:
                yield path, float(_signed(part))
            elif kind == 3:
                yield path, struct.unpack("<d", part)[0]
            elif kind == 6 and path == "distribution/kll":
                yield from _quantiles(next(each for number, each in _fields(part) if number == 1))
        if not message or all(kind == 1 for kind, _ in _fields(message)):
            # Protobuf leaves out zeros.
            yield path, 0.0


def _quantiles(sketch: bytes) -> Iterator[tuple[str, float]]:
    """How many values a KLL sketch of doubles has seen, the least, the greatest and its quantiles.

    The preamble, whose length in words of four bytes comes first, is followed by where each level begins, the
    least and the greatest value, and the items that were kept; one of level ``h`` stands for ``2**h`` values.
    See Apache DataSketches, kll_sketch_impl.hpp; Z. Karnin, K. Lang and E. Liberty, Optimal Quantile
    Approximation in Streams, FOCS 2016. Quantiles are whylogs' own: the first item that at least that part
    of the values comes before.
    """
    preamble, empty, single = 4 * sketch[0], sketch[3] & 1, sketch[3] & 4
    if empty:
        return
    if single:
        value = struct.unpack_from("<d", sketch, preamble)[0]
        yield from (("kll/n", 1.0), ("kll/min", value), ("kll/max", value))
        yield from ((f"kll/{stat}", value) for stat in _QUANTILES)
        return
    seen = struct.unpack_from("<Q", sketch, 8)[0]
    starts = struct.unpack_from(f"<{sketch[18]}I", sketch, preamble)
    place = preamble + 4 * len(starts)
    least, most = struct.unpack_from("<dd", sketch, place)
    yield from (("kll/n", float(seen)), ("kll/min", least), ("kll/max", most))
    kept = struct.unpack_from(f"<{(len(sketch) - place - 16) // 8}d", sketch, place + 16)
    ends = (*(start - starts[0] for start in starts[1:]), len(kept))
    items = sorted(
        (value, 1 << level)
        for level, (begin, end) in enumerate(zip((0, *ends), ends, strict=False))
        for value in kept[begin:end]
    )
    before = list(accumulate((weight for _, weight in items), initial=0))
    if before.pop() != seen:
        raise ValueError("what a sketch kept is not what it has seen")
    for stat, part in _QUANTILES.items():
        first = min(bisect_left(before, int(part * seen)), len(items) - 1)
        yield f"kll/{stat}", items[first][0]


# --- messages --------------------------------------------------------------------------------------------


def _properties(message: bytes) -> dict[str, Any]:
    found: dict[str, Any] = {"timestamp": 0, "tags": {}, "metadata": {}}
    for number, value in _fields(message):
        if number == 5:
            found["timestamp"] = int(value)
        elif number in (6, 7):
            key, text = _entry(value)
            found["tags" if number == 6 else "metadata"][key.decode()] = text.decode(errors="replace")
    return found


def _segment_tags(message: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, segment in _fields(message):
        for inner, tag in _fields(segment) if number == 4 else ():
            if inner == 1:
                key, text = _entry(tag)
                found[key.decode()] = text.decode(errors="replace")
    return found


def _offsets(message: bytes) -> list[int]:
    found: list[int] = []
    for number, value in _fields(message):
        if number == 1 and isinstance(value, bytes):
            place = 0
            while place < len(value):
                offset, place = _varint(value, place)
                found.append(offset)
        elif number == 1:
            found.append(int(value))
    return found


def _entry(message: bytes) -> tuple[bytes, bytes]:
    """An entry of a map whose key is a text."""
    parts = dict(_fields(message))
    return parts.get(1, b""), parts.get(2, b"")


def _index(message: bytes) -> tuple[int, str]:
    parts: dict[int, Any] = dict(_fields(message))
    return int(parts.get(1, 0)), parts.get(2, b"").decode()


# --- protobuf's wire format -------------------------------------------------------------------------------


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Number and value of each field: an integer, or the bytes of what is longer."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            length, place = _varint(message, place)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place + length > len(message):
            raise ValueError("it ends too soon")
        yield tag >> 3, message[place : place + length]
        place += length


def _delimited(content: bytes, place: int) -> tuple[bytes, int]:
    """A message with its length before it, and where it ends."""
    length, place = _varint(content, place)
    if place + length > len(content):
        raise ValueError("it ends too soon")
    return content[place : place + length], place + length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
        if shift > 63:
            raise ValueError("a number is too long")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
