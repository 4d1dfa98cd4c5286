"""What a pull request says it fixes: "Fixes #7", "Closes acme/churn#7", "Fixes <link of an incident>". Pure.

Only what is written to be read counts: comments of a template and code are no statements.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from graph_schema.errors import BadIdentifier
from graph_schema.identifiers import identifier, parse
from graph_schema.kinds import NodeKind
from graph_schema.schemes import SCHEMES

#: A text longer than this is read so far.
LONGEST = 65_536
_MOST = 50

_HIDDEN = re.compile(
    r"<!--.*?(?:-->|\Z)|^(?:```|~~~).*?(?:^(?:```|~~~)|\Z)|`[^`\n]*`", re.DOTALL | re.MULTILINE
)
_WORDS = {
    "github.issue": r"(?:close[sd]?|fix(?:es|ed)?|resolve[sd]?)",
    "gitlab.issue": r"(?:clos(?:e[sd]?|ing)|fix(?:es|ed|ing)?|resolv(?:e[sd]?|ing)|implement(?:s|ed|ing)?)",
}
_NUMBER = r"(?:[\w.-]+(?:/[\w.-]+)+)?#\d+(?!\w)"
_LINK = r"https?://[^\s<>()\[\]\"']+"
_NAMED = r"[a-z]+\.[a-z_]+=[^\s,;<>()]+"
_THING = rf"(?:{_LINK}|{_NAMED}|{_NUMBER})"
_THINGS = rf"(?P<things>{_THING}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+){_THING})*)"
_STATEMENTS = {
    scheme: re.compile(rf"(?<![\w-]){word}:?\s+{_THINGS}", re.IGNORECASE) for scheme, word in _WORDS.items()
}
_EACH = re.compile(_THING, re.IGNORECASE)
_ISSUE_PAGE = re.compile(
    r"https?://(?P<host>[^/\s]+)/(?P<path>[^\s#?]+?)/(?:-/)?(?:issues|work_items)(?:/incident)?/(?P<number>\d+)"
)
_PAGERDUTY = re.compile(r"https?://(?:[\w-]+\.)*pagerduty\.com/(?:[^\s?#]*/)?incidents/(?P<id>[A-Za-z0-9]+)")


def fixes(text: str | None, path: str, scheme: str) -> list[str]:
    """Identifiers of the incidents and issues that a text says it fixes, as they come.

    ``path`` is that of the repository (``acme/churn``), ``scheme`` that of its issues (``github.issue``).
    """
    if not text:
        return []
    found: dict[str, None] = {}
    for statement in _STATEMENTS[scheme].finditer(_HIDDEN.sub(" ", text[:LONGEST])):
        for thing in _EACH.findall(statement["things"]):
            name = _named(thing.rstrip(".,;:!?"), path, scheme)
            if name is not None:
                found.setdefault(name)
    return list(found)[:_MOST]


def _named(thing: str, path: str, scheme: str) -> str | None:
    try:
        for read in _READERS:
            name = read(thing, path, scheme)
            if name is not None:
                return name
    except BadIdentifier:
        pass
    return None


def _from_link(thing: str, path: str, scheme: str) -> str | None:
    if "://" not in thing:
        return None
    if match := _PAGERDUTY.match(thing):
        return identifier("pagerduty.incident", match["id"])
    if match := _ISSUE_PAGE.match(thing):
        host = match["host"].lower()
        of_gitlab = "/-/" in thing or host.startswith("gitlab.")
        issues = "github.issue" if host == "github.com" else "gitlab.issue" if of_gitlab else scheme
        return identifier(issues, f"{match['path']}#{match['number']}")
    return None


def _from_identifier(thing: str, path: str, scheme: str) -> str | None:
    if "=" not in thing or "://" in thing:
        return None
    read = parse(thing)
    return str(read) if NodeKind.INCIDENT in SCHEMES[read.scheme].kinds else None


def _from_number(thing: str, path: str, scheme: str) -> str | None:
    if "=" in thing or "://" in thing:
        return None
    there, _, number = thing.partition("#")
    return identifier(scheme, f"{there or path}#{number}")


_READERS: tuple[Callable[[str, str, str], str | None], ...] = (_from_link, _from_identifier, _from_number)
