"""How numbers and long texts read, wherever lines for people are made."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 node``, ``1,204 nodes``. ``plural``: where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def a_or_an(noun: str) -> str:
    """``a Run``, ``an Incident``: by the first letter, which is right for kinds but not for all words."""
    return f"{'an' if noun[:1].lower() in tuple('aeio') else 'a'} {noun}"


def clipped(text: str, most: int) -> str:
    """The text, or its beginning up to a word and ``…``, at most ``most`` characters."""
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    words = kept.rpartition(" ")[0] if not text[most - 1].isspace() else kept
    # A single long word, such as a digest, is cut where it is too long.
    return (words if len(words) > most // 2 else kept).rstrip() + "…"
