"""What git's plumbing prints, taken apart. Pure functions; nothing here trusts what it reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import msgspec


class Change(NamedTuple):
    """One path that differs between two trees; ``oid`` is the new object, None where it was deleted."""

    path: str
    oid: str | None
    is_tree: bool


class Commit(msgspec.Struct, frozen=True):
    """A commit object, taken apart. Times are in seconds since 1970, as written, however odd."""

    sha: str
    tree: str
    author: str
    author_email: str
    authored: int
    committed: int
    message: str


#: Paths that a commit is told with: all of its files, or of more the folders that hold them. A path that is
#: longer than so many characters is counted, and not told.
MAX_PATHS, _LONGEST_PATH = 50, 500


class Touched(msgspec.Struct, frozen=True):
    """What a commit touched: ``count`` files. ``files`` has all of them where they are at most
    :data:`MAX_PATHS`; else ``folders`` has as many levels of their folders as are at most so many."""

    count: int
    files: list[str]
    folders: list[str]


def touched(paths: Iterable[str]) -> Touched:
    """The paths of a commit's files, in short."""
    files = sorted(set(paths))
    count = len(files)
    files = [path for path in files if len(path) <= _LONGEST_PATH]
    if count <= MAX_PATHS:
        return Touched(count, files, [])
    parts = [path.split("/")[:-1] for path in files]
    folders: set[str] = set()
    for depth in range(1, max(map(len, parts), default=0) + 1):
        deeper = {"/".join(folder[:depth] or ".") + "/" for folder in parts}
        if len(deeper) > MAX_PATHS:
            break
        folders = deeper
    return Touched(count, [], sorted(folders))


def parse_commit(sha: str, content: bytes) -> Commit | None:
    """A commit object taken apart; None for one without a tree. Texts are read in the encoding it names."""
    head, _, body = content.partition(b"\n\n")
    fields: dict[bytes, bytes] = {}
    for line in head.split(b"\n"):
        if not line.startswith(b" "):
            key, _, value = line.partition(b" ")
            fields.setdefault(key, value)
    if b"tree" not in fields:
        return None
    encoding = fields.get(b"encoding", b"utf-8").decode("ascii", "replace")
    author, email, authored = _signature(fields.get(b"author", b""), encoding)
    _, _, committed = _signature(fields.get(b"committer", b""), encoding)
    return Commit(
        sha,
        fields[b"tree"].decode("ascii", "replace"),
        author,
        email,
        authored,
        committed,
        _decode(body, encoding),
    )


def _signature(raw: bytes, encoding: str) -> tuple[str, str, int]:
    who, _, when = raw.rpartition(b"> ")
    name, _, email = who.rpartition(b"<")
    seconds = when.split(b" ")[0]
    at = int(seconds) if re.fullmatch(rb"-?\d{1,15}", seconds) else 0
    return _decode(name, encoding).strip(), _decode(email, encoding).strip(), at


def _decode(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding, "replace")
    except (LookupError, ValueError):
        return raw.decode("utf-8", "replace")


def batch(told: bytes) -> Iterator[tuple[str, str, bytes]]:
    """Objects out of what ``cat-file --batch`` prints: (id, type, content)."""
    at = 0
    while at < len(told):
        end = told.index(b"\n", at)
        words = told[at:end].decode("ascii", "replace").split(" ")
        at = end + 1
        if len(words) != 3 or not words[2].isdigit():
            continue  # missing
        size = int(words[2])
        yield words[0], words[1], told[at : at + size]
        at += size + 1


def raw_changes(told: bytes, pairs: Sequence[tuple[str, str]]) -> Iterator[list[Change]]:
    """Read ``diff-tree --stdin -z``: before each pair's changes stands ``<old> <new>`` and a line feed; pairs
    that do not differ may be left out."""
    place = 0
    found: list[Change] = []
    heads = [f"{old} {new}\n".encode() for old, new in pairs]
    current = -1
    at = 0
    while at < len(told):
        if told[at : at + 1] != b":":
            end = told.index(b"\n", at) + 1
            head = told[at:end]
            while current >= 0 and place <= current:
                yield found
                found = []
                place += 1
            current = heads.index(head, place)
            while place < current:
                yield []
                place += 1
            at = end
            continue
        end = told.index(b"\0", at)
        _, mode, _, oid, status = told[at + 1 : end].split(b" ")[:5]
        stop = told.index(b"\0", end + 1)
        path = told[end + 1 : stop].decode("utf-8", "surrogateescape")
        new = None if status.startswith(b"D") else oid.decode("ascii")
        found.append(Change(path, new, mode == b"040000"))
        at = stop + 1
    if current >= 0:
        yield found
        place += 1
    while place < len(pairs):
        yield []
        place += 1


def raw_touched(told: bytes) -> Iterator[tuple[str, list[str]]]:
    """Read ``diff-tree --stdin --raw -z`` of single commits: (commit id, paths). What changes nothing is left
    out, and so is a commit with several parents."""
    sha = ""
    paths: list[str] = []
    at = 0
    while at < len(told):
        end = told.index(b"\0", at)
        if told[at : at + 1] == b":":
            stop = told.index(b"\0", end + 1)
            paths.append(told[end + 1 : stop].decode("utf-8", "replace"))
            at = stop + 1
            continue
        if sha:
            yield sha, paths
        sha, paths = told[at:end].decode("ascii", "replace"), []
        at = end + 1
    if sha:
        yield sha, paths
