"""Properties of a node: kept per source, put together for readers by declared precedence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from graph_schema.kinds import KINDS, TERMINAL_STATUSES, NodeKind
from graph_schema.times import Micros

_encoder = msgspec.json.Encoder(order="deterministic")


class Statement(NamedTuple):
    """What one record of one source says of a node, at the source's own time."""

    source: str
    source_type: str
    at: Micros | None
    properties: Mapping[str, Any]


def merge(kind: NodeKind, statements: Sequence[Statement]) -> dict[str, Any]:
    """One value per property: the later within a source, the declared order of sources across them.

    Objects (``params``, ``tags``) are merged one level deep. A terminal status outranks one that is not. A
    thing was created when its source first saw it, not when it was last met.
    """
    if len(statements) == 1:
        return dict(statements[0].properties)
    precedence = KINDS[kind].precedence
    last = len(precedence)

    def weight(s: Statement) -> tuple[int, tuple[int, ...], int, bytes]:
        place = precedence.index(s.source_type) if s.source_type in precedence else last
        # Descending by precedence and by name, so that what is applied last is what stands.
        name = tuple(-ord(c) for c in s.source)
        return (-place, name, s.at if s.at is not None else -(2**62), _encoder.encode(s.properties))

    merged: dict[str, Any] = {}
    created_by: str | None = None
    for statement in sorted(statements, key=weight):
        for key, value in statement.properties.items():
            held = merged.get(key)
            if key == "status" and is_terminal(held) and not is_terminal(value):
                continue
            if key == "createdAt" and created_by == statement.source and _is_earlier(held, value):
                continue
            if key == "createdAt":
                created_by = statement.source
            if isinstance(held, dict) and isinstance(value, dict):
                merged[key] = {**held, **value}
            else:
                merged[key] = value
    return merged


def _is_earlier(held: Any, value: Any) -> bool:
    return isinstance(held, int) and isinstance(value, int) and held <= value


def is_terminal(status: Any) -> bool:
    """Whether nothing more happens after this status."""
    return isinstance(status, str) and status in TERMINAL_STATUSES


def default_name(kind: NodeKind, leading: str) -> str:
    """A name for a node that no source has named: the value of its id, shortened where it is a digest."""
    head, _, value = leading.partition("=")
    if kind is NodeKind.COMMIT or head.partition("@")[0] in ("dvc.md5", "md5", "sha256", "runtime"):
        return value[:10] + (".dir" if value.endswith(".dir") else "")
    return value
