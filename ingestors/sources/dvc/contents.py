"""The md5 that DVC computes of what git keeps: files as they are, folders by their list of files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ingestors.git_objects import GitRepository
from ingestors.sources.dvc.history import Entry


class Contents:
    """md5s of git objects. Everything is asked of git in a few batches, and remembered."""

    def __init__(self, repository: GitRepository) -> None:
        self._repository = repository
        self._files: dict[str, _Md5s] = {}
        self._trees: dict[str, list[tuple[str, Entry]]] = {}
        self._folders: dict[str, frozenset[str]] = {}

    def prefetch(self, entries: Iterable[Entry]) -> None:
        """Read these objects, and what lies in them, level by level."""
        wanted = {entry for entry in entries if entry.oid not in self._files and entry.oid not in self._trees}
        while wanted:
            below: set[Entry] = set()
            for oid, kind, content in self._repository.objects(sorted({entry.oid for entry in wanted})):
                if kind == "tree":
                    self._trees[oid] = _entries(content, len(oid) // 2)
                    below.update(entry for _, entry in self._trees[oid])
                elif kind == "blob":
                    self._files[oid] = _md5s(content)
            wanted = {e for e in below if e.oid not in self._files and e.oid not in self._trees}

    def md5s(self, entry: Entry) -> frozenset[str]:
        """The md5s, in DVC's spelling, under which an object may stand in a lock; none if too large."""
        if not entry.is_tree:
            return frozenset(self._files.get(entry.oid, ()))
        if entry.oid not in self._folders:
            listed = self._list(entry.oid, "")
            self._folders[entry.oid] = frozenset() if listed is None else frozenset({_folder_md5(listed)})
        return self._folders[entry.oid]

    def _list(self, oid: str, before: str) -> dict[str, str] | None:
        found: dict[str, str] = {}
        for name, entry in self._trees.get(oid, ()):
            if entry.is_tree:
                inner = self._list(entry.oid, f"{before}{name}/")
                if inner is None:
                    return None
                found.update(inner)
            else:
                md5s = self._files.get(entry.oid)
                if md5s is None:
                    return None
                found[before + name] = md5s.plain
        return found


class _Md5s(NamedTuple):
    """md5s of a file: of the content as it is, and with its line ends changed, as DVC 2 read text files."""

    plain: str
    unix: str


def _md5s(content: bytes) -> _Md5s:
    plain = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if b"\r\n" not in content:
        return _Md5s(plain, plain)
    return _Md5s(plain, hashlib.md5(content.replace(b"\r\n", b"\n"), usedforsecurity=False).hexdigest())


def _folder_md5(listed: Mapping[str, str]) -> str:
    lines = [{"md5": listed[path], "relpath": path} for path in sorted(listed)]
    return hashlib.md5(json.dumps(lines, sort_keys=True).encode(), usedforsecurity=False).hexdigest() + ".dir"


def _entries(content: bytes, size: int) -> list[tuple[str, Entry]]:
    """A tree object: ``<mode> <name>\\0<id>``, again and again."""
    found = []
    at = 0
    while at < len(content):
        end = content.index(b"\0", at)
        mode, _, name = content[at:end].partition(b" ")
        oid = content[end + 1 : end + 1 + size].hex()
        found.append((name.decode("utf-8", "surrogateescape"), Entry(oid, mode == b"40000")))
        at = end + 1 + size
    return found
