"""References that wait: which of those that a rule asks about have no answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.store.rows import IdentRow
from graph_schema.identifiers import kind_of
from graph_schema.kinds import NodeKind


def is_asked(data: Mapping[str, Any]) -> bool:
    """Whether a claim on a reference is there for another rule, which makes the edge once it is answered."""
    return "thing" in data


def waits(data: Mapping[str, Any], matches: Iterable[IdentRow]) -> bool:
    """Whether the thing that is meant is unknown, or may be one of several."""
    kind = NodeKind(data["thing"])
    return len({row.nid for row in matches if row.live and kind_of(row.text) is kind}) != 1


def in_words(data: Mapping[str, Any]) -> str:
    """The edge that waits, in a line."""
    return f"{data['src']} {data['kind']} {data['dst']}"
