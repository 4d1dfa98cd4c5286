"""CODEOWNERS: who owns which paths, as GitHub and GitLab read the file. Pure.

Within a section the last pattern that matches a path decides. GitHub knows one section; GitLab's sections
each have their say, with owners of their own for patterns that name none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from graph_schema.claims import Claim, Keyed, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier
from graph_schema.identifiers import identifier, kind_of
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros

#: The role of an owner that the file names.
ROLE = "codeowner"
#: The rule that gives owners to what lies at a path: see ``ingestors.joins.owners``.
RULE = "owners"
#: A longer file is cut here; GitHub reads none above 3 MB.
MOST_RULES = 5_000

_SECTION = re.compile(r"(?P<optional>\^?)\[(?P<name>[^\]]+)\](?:\[\d+\])?(?P<owners>.*)")
_FIELD = re.compile(r"(?:\\.|[^\s\\])+")
_COMMENT = re.compile(r"(?:^|\s)#.*")


class Pattern(msgspec.Struct, frozen=True):
    """A line: the pattern as written, and the identifiers of its owners. ``exclude``: GitLab's ``!pattern``,
    what it matches has no owner in this section."""

    pattern: str
    owners: tuple[str, ...] = ()
    exclude: bool = False


class Section(msgspec.Struct, frozen=True):
    """Patterns of which the last that matches decides."""

    name: str
    patterns: tuple[Pattern, ...]


def parse(text: str, host: str) -> list[Section]:
    """The sections of a file. ``host`` is ``github`` or ``gitlab``: how ``@name`` is read, and whether
    ``[Section]`` lines are known. What names nobody that has an identifier is left out."""
    found: dict[str, list[Pattern]] = {"": []}
    name = ""
    default: tuple[str, ...] = ()
    left = MOST_RULES
    for raw in text.splitlines():
        # "\#" begins a pattern, "#" a comment, at the start of a line or after a blank.
        line = _COMMENT.sub("", raw).strip()
        if not line:
            continue
        section = _SECTION.fullmatch(line) if host == "gitlab" else None
        if section is not None:
            name, default = section["name"].strip().casefold(), _owners(section["owners"], host)
            found.setdefault(name, [])
            continue
        left -= 1
        if left < 0:
            break
        fields = _FIELD.findall(line)
        if not fields:
            continue
        pattern = fields[0]
        exclude = host == "gitlab" and pattern.startswith("!")
        named = _owners(" ".join(fields[1:]), host)
        # GitHub: a pattern without owners takes the owners away. GitLab: it has those of its section.
        owners = () if exclude else named if named or host == "github" else default
        found[name].append(Pattern(pattern.removeprefix("!") if exclude else pattern, owners, exclude))
    return [Section(name, tuple(patterns)) for name, patterns in found.items() if patterns]


def _owners(text: str, host: str) -> tuple[str, ...]:
    made = (_owner(word, host) for word in text.split())
    return tuple(dict.fromkeys(owner for owner in made if owner is not None))


def _owner(word: str, host: str) -> str | None:
    try:
        if not word.startswith("@"):
            return identifier("email", word) if "@" in word else None
        name = word[1:]
        if name.startswith("@"):
            # GitLab's roles (@@developer) are nobody in particular.
            return None
        if "/" in name:
            return identifier("team", name.lower())
        return identifier("github.login" if host == "github" else "gitlab.username", name)
    except BadIdentifier:
        return None


def owners_of(sections: Sequence[Section], path: str) -> list[tuple[str, str]]:
    """(owner, pattern) for a path relative to the repository's root, without a slash before it."""
    found: dict[str, str] = {}
    for section in sections:
        decided = _last(section, path)
        if decided is not None:
            for owner in decided.owners:
                found.setdefault(owner, decided.pattern)
    return list(found.items())


def _last(section: Section, path: str) -> Pattern | None:
    decided = None
    for each in section.patterns:
        if matches(each.pattern, path):
            if each.exclude:
                # What is excluded cannot be included again.
                return None
            decided = each
    return decided


def matches(pattern: str, path: str) -> bool:
    """Whether a pattern matches a file, or a directory that is tracked as one thing. Takes time in proportion
    to the length of both, whatever stars there are."""
    segments, direct = _read_pattern(pattern)
    parts = path.strip("/").split("/")
    # The numbers of leading parts that the segments so far can stand for.
    reached = {0}
    for segment in segments:
        if segment == "**":
            reached = set(range(min(reached, default=0), len(parts) + 1)) if reached else set()
        else:
            reached = {n + 1 for n in reached if n < len(parts) and _segment(segment, parts[n])}
    # Every name may be that of a directory, and mean all in it.
    return len(parts) in reached if direct else bool(reached - {0})


@lru_cache(maxsize=8_192)
def _read_pattern(pattern: str) -> tuple[tuple[str, ...], bool]:
    """The segments, and whether only what lies directly there is meant: ``docs/*``."""
    body = pattern.removeprefix("\\") if pattern.startswith("\\#") else pattern
    body = body.replace("\\ ", " ").replace("\\#", "#")
    inner = body.strip("/")
    segments = tuple(segment for segment in inner.split("/") if segment)
    anchored = body.startswith("/") or "/" in inner
    direct = anchored and segments[-1:] == ("*",) and not body.endswith("/")
    return (segments if anchored else ("**", *segments)), direct


def _segment(pattern: str, name: str) -> bool:
    """``*`` and ``?`` within one name."""
    at = place = 0
    star, kept = -1, 0
    while at < len(name):
        if place < len(pattern) and pattern[place] == "*":
            star, kept = place, at
            place += 1
        elif place < len(pattern) and pattern[place] in ("?", name[at]):
            at += 1
            place += 1
        elif star >= 0:
            kept += 1
            place, at = star + 1, kept
        else:
            return False
    return not pattern[place:].strip("*")


def covers_everything(pattern: str) -> bool:
    """Whether a pattern speaks of the whole repository."""
    return pattern in ("*", "**", "/**", "/**/", "**/*", "/**/*")


def claims(sections: Sequence[Section], repository: str, at: Micros | None = None) -> list[Claim]:
    """What a file says: owners of the repository are those of the last pattern that covers all of it; what
    narrower patterns say is kept for the rule that gives owners to data sets and workflows by their path."""
    made: list[Claim] = []
    everyone = {owner: None for section in sections for each in section.patterns for owner in each.owners}
    for owner in everyone:
        kind = kind_of(owner)
        if kind is not None:
            made.append(Names(kind, (owner,)))
    for section in sections:
        whole = [each for each in section.patterns if covers_everything(each.pattern)]
        for owner in whole[-1].owners if whole else ():
            made.append(
                Links(EdgeKind.OWNED_BY, repository, owner, at, None, {"role": ROLE},
                      f"CODEOWNERS: {whole[-1].pattern}")
            )  # fmt: skip
    data = {"sections": msgspec.to_builtins(list(sections))}
    made.append(Keyed(RULE, key_of(repository), "rules", ref=repository, data=data))
    return made


def shown(sections: Sequence[Section]) -> list[list[Any]]:
    """The patterns for people: [pattern, owners], in the order of the file."""
    return [
        [("!" if each.exclude else "") + each.pattern, [owner.partition("=")[2] for owner in each.owners]]
        for section in sections
        for each in section.patterns
    ]


def key_of(remote: str) -> str:
    """The key of the rule: the repository's address (a value of ``git.remote``), whose case hosts ignore."""
    return remote.removeprefix("git.remote=").lower()


def lies_at(remote: str, path: str, thing: str) -> Keyed:
    """That ``thing`` (an identifier) lies at a path of the repository at ``remote``, and so has the owners of
    that path."""
    return Keyed(RULE, key_of(remote), "path", ref=thing, data={"path": path})


def read(data: Mapping[str, Any]) -> list[Section]:
    """Sections out of a claim of :func:`claims`."""
    return msgspec.convert(data["sections"], list[Section])


def is_person(owner: str) -> bool:
    """Whether an owner is a person rather than a team."""
    return kind_of(owner) is NodeKind.PERSON
