"""What people type into a search box, as a full-text query that cannot be broken by what they type."""

from __future__ import annotations

import re

_WORD = re.compile(r"\w+", re.UNICODE)
_MAX_WORDS = 32
#: Longer words stand in no index; one engine refuses them.
_MAX_WORD = 100


def words_of(text: str) -> list[str]:
    """The words of a text: at most 32, each once, in order. Folded as the indexed texts are."""
    words = (word[:_MAX_WORD] for word in _WORD.findall(text.casefold()))
    return list(dict.fromkeys(words))[:_MAX_WORDS]


def fts_query(text: str) -> str | None:
    """An FTS5 query: any of the words, the last also as a prefix. None where there is no word."""
    words = words_of(text)
    if not words:
        return None
    quoted = [f'"{word}"' for word in words]
    return " OR ".join([*quoted, f"{quoted[-1]}*"])
