"""What earlier failures that read alike were caused by, as people confirmed: pure over what was read.

Only what they say of themselves counts, not their names: these count as they are (``judged``). How alike two
are is the share of what the later one says, weighted by rarity, that the earlier one says too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.learnings.lexical import InvertedIndex
from app.learnings.signature import terms
from graph_schema.values import Node

#: The most alike that count; the least share, and number of words, that they have in common.
_COUNTED, _LEAST, _WORDS = 5, 0.3, 3
_SAID = ("errorType", "errorMessage", "error", "summary", "description", "text", "body", "message", "log")
_LONGEST = 4_000


def roles_of_similar(
    subject: Node, judged: Sequence[Node], roles: Mapping[int, Sequence[str]]
) -> dict[str, float]:
    """By role of a cause: how alike the failures with such a cause are, 0 to 1 each, added up. ``judged`` are
    earlier failures, ``roles`` has those of their confirmed causes by handle."""
    asked = set(_terms(subject))
    if not asked:
        return {}
    index = InvertedIndex()
    said = [set(_terms(node)) for node in judged]
    for each in said:
        index.add(each)
    whole = index.mass(asked)
    alike = [
        (index.mass(asked & each) / whole, node.handle)
        for node, each in zip(judged, said, strict=True)
        if roles.get(node.handle) and len(asked & each) >= _WORDS
    ]
    found: dict[str, float] = {}
    for share, handle in sorted(alike, reverse=True)[:_COUNTED]:
        if share >= _LEAST:
            for role in set(roles[handle]):
                found[role] = found.get(role, 0.0) + share
    return found


def _terms(node: Node) -> list[str]:
    said = (node.properties.get(key) for key in _SAID)
    return terms("\n".join(text[-_LONGEST:] for text in said if isinstance(text, str)))
