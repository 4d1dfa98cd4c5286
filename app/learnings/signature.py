"""What a failure looks like once everything accidental is masked.

Pure functions over text: terms for the lexical index, and entities (exception types, normalised frames,
message templates, code and API names, versions) whose rarity decides how much an agreement is worth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*|\d+(?:\.\d+)+|\d+")
_HUMP = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_EXCEPTION = re.compile(
    r"\b((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Warning|Interrupt|Failure|Fault|Abort))\b"
)
_RAISED = re.compile(rf"{_EXCEPTION.pattern}:? ?([^\n]{{1,300}})")
_FRAME = re.compile(r"File \"?([^\"\n,]+)\"?, line \d+(?:, in (\S+))?|([\w/\\.-]+\.py) in (\w+)\(")
_JAVA_FRAME = re.compile(r"\bat ((?:[\w$]+\.)+[\w$<>]+)\(")
_VERSION = re.compile(r"\b([A-Za-z][\w-]{1,30})[ :=v]{1,4}(\d+\.\d+(?:\.\d+)?(?:[-.\w]{0,12})?)\b")
_CODE = re.compile(
    r"\b(?:[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*|\w+_\w+|[A-Za-z]\w*(?:(?:\.|::)[A-Za-z_]\w*)+)\b"
)
_ERROR_LINE = re.compile(r"error|exception|failed|failure|fatal|abort|cannot|unable|invalid|assert", re.I)
_STOP = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "do", "does", "for", "from",
    "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its", "me", "my", "not", "of",
    "on", "or", "our", "so", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "to", "was", "we", "were", "what", "when", "where", "which", "will", "with", "you", "your", "would",
    "could", "should", "just", "also", "get", "got", "am", "any", "all",
})  # fmt: skip

#: What messages quote of the language itself: it names nothing of whoever wrote the code.
_TYPES = frozenset({
    "NoneType", "str", "int", "float", "bool", "bytes", "list", "dict", "tuple", "set", "object", "type",
    "module", "function", "method", "generator", "self",
})  # fmt: skip
_NAME = re.compile(r"(['\"`])([A-Za-z_][\w.-]{0,79})\1")
_MASKS = (
    (re.compile(r"https?://\S+"), "<url>"),
    (re.compile(r"\b0x[0-9a-fA-F]+\b"), "<hex>"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "<uuid>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{12,64}\b"), "<hex>"),
    (re.compile(r"(?:[A-Za-z]:\\|\.{0,2}/)[\w.@+-]+(?:[/\\][\w.@+-]+)*"), "<path>"),
    (re.compile(r"'[^'\n]{1,80}'|\"[^\"\n]{1,80}\"|`[^`\n]{1,80}`"), "<str>"),
    (re.compile(r"[-+]?\d+(?:\.\d+)*(?:e[-+]?\d+)?", re.I), "<n>"),
)


class Signature(msgspec.Struct, frozen=True):
    """What identifies a failure: each field holds normalised texts, without repetition, in order of text.
    ``raised`` are exceptions with the names that their messages quote: ``KeyError 'plan'``."""

    exceptions: tuple[str, ...] = ()
    raised: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    def entities(self) -> tuple[str, ...]:
        """All of it as ``sort:value`` texts; what was raised by its type alone."""
        return tuple(
            f"{sort}:{value}"
            for sort, values in (
                ("exception", self.exceptions),
                ("frame", self.frames),
                ("message", self.templates),
                ("name", self.names),
                ("version", self.versions),
            )
            for value in values
        )


def signature(text: str) -> Signature:
    """The signature of a failure's text (message, traceback, log tail or report)."""
    return Signature(
        exceptions=_unique(found.rsplit(".", 1)[-1] for found in _EXCEPTION.findall(text)),
        raised=_unique(_raised(text)),
        frames=_unique(_frames(text)),
        templates=_unique(
            template(line)
            for line in text.splitlines()
            if _ERROR_LINE.search(line) and 12 <= len(line) <= 300
        ),
        names=_unique(name.lower() for name in _CODE.findall(text) if len(name) > 3),
        versions=_unique(f"{what.lower()} {number}" for what, number in _VERSION.findall(text)),
    )


def template(line: str) -> str:
    """A message with what differs from case to case masked: numbers, paths, addresses, quoted values."""
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return " ".join(line.lower().split())


def quoted(text: str) -> list[str]:
    """The names that a message quotes, of columns, settings and the like, in order."""
    return [name for _, name in _NAME.findall(text)]


def terms(text: str) -> list[str]:
    """The terms of a text for the lexical index: words, code names whole and in parts, versions."""
    found: list[str] = []
    for word in _WORD.findall(text):
        found.extend(_parts(word))
    return found


@lru_cache(maxsize=65_536)
def _parts(word: str) -> tuple[str, ...]:
    whole = word.lower()
    humps = [hump.lower() for piece in re.split(r"[._]", word) for hump in _HUMP.findall(piece)]
    parts = [stem(part) for part in humps if part not in _STOP and len(part) > 1]
    if len(humps) > 1 and len(whole) > 3:
        parts.append(whole)
    return tuple(parts)


def stem(word: str) -> str:
    """A light stem: plural and verb endings off, so that "crashes", "crashed" and "crashing" agree."""
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 4 and not word.endswith("ss"):
            return word[: -len(ending)]
    return word


def _raised(text: str) -> Iterator[str]:
    for name, message in _RAISED.findall(text):
        if names := [each for each in quoted(message) if each not in _TYPES]:
            yield f"{name.rsplit('.', 1)[-1]} {', '.join(map(repr, names))}"


def _frames(text: str) -> list[str]:
    found = []
    for path, function, bare, called in _FRAME.findall(text):
        file = (path or bare).replace("\\", "/").rsplit("/", 1)[-1]
        name = function or called
        found.append(f"{file}:{name}" if name else file)
    found.extend(_JAVA_FRAME.findall(text))
    return found


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
