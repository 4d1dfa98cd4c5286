"""What of a node is searched as text: its name, its identifiers, and what its properties say in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.store.rows import NodeRow

_MAX = 8_000
#: Numbers are found by filters; ``url`` repeats identifiers.
_SKIPPED = frozenset({"url", "name"})


def text_of(node: NodeRow) -> str:
    """Searchable text of a node, folded, at most 8,000 characters."""
    parts = [node.name, *(i.partition("=")[2] for i in node.identifiers)]
    parts.extend(_words(node.properties))
    return "\n".join(parts)[:_MAX].casefold()


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            if key in _SKIPPED:
                continue
            if isinstance(inner, dict | list):
                yield from _words(inner)
            elif isinstance(inner, str):
                yield inner
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)
