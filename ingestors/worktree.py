"""What a working tree is at this moment: commit, remote, how it differs from the commit, data by DVC.

Nothing that the repository says is executed: git is asked for its index and its objects only, and files are
compared here, because git itself would run the repository's filters to do it. Standard library only, from
Python 3.9 on: the client distribution ships this one file as it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Git = Callable[["list[str]"], bytes]
"""Runs git with these arguments and returns what it prints; raises whatever when git fails."""

_MAX_FILE = 8 * 2**20
_MAX_READ = 512 * 2**20
_MAX_DVC_FILES = 2_000
_SUBMODULE, _LINK = "160000", "120000"
# Of an index entry: somebody told git not to look at the file.
_NOT_LOOKED_AT = 0x8000 | 1 << 30
_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*://)[^/@]*@")
_ENTRY = re.compile(rb"(\d{6}) ([0-9a-f]{40,64}) (\d)\t([^\0]*)\0((?:  [^\n]*\n){5})")
_FIELD = re.compile(r"(- )?([A-Za-z_]\w*):(?: +(.*))?")


def read(folder: str, git: Git) -> dict[str, Any]:
    """What the tree around ``folder`` is; nothing where there is no repository or no git.

    ``root``, ``folder`` (relative to it), ``commit``, ``branch``, ``remote`` (without user and password; the
    path where there is none), ``dirty`` (tracked files differ from the commit), ``diff`` (sha256 of how),
    ``dvc`` (path → md5 as DVC spells it). Keys that nobody can tell are absent.
    """

    def ask(*arguments: str) -> bytes:
        return git(["-C", folder, *arguments])

    try:
        root = os.fsdecode(ask("rev-parse", "--show-toplevel").rstrip(b"\n"))
    except Exception:
        return {}
    if not os.path.lexists(os.path.join(root, ".git")):
        # The repository's config says that its tree is somewhere else, perhaps the whole disk.
        return {}
    found: dict[str, Any] = {"root": root, "folder": os.path.relpath(os.path.realpath(folder), root)}
    for key, asked in (
        ("commit", ("rev-parse", "--verify", "--quiet", "--end-of-options", "HEAD^{commit}")),
        ("branch", ("symbolic-ref", "--quiet", "--short", "HEAD")),
    ):
        # No commit yet, or no branch: it has no such key.
        with contextlib.suppress(Exception):
            found[key] = ask(*asked).decode(errors="replace").strip()
    found["remote"] = _remote(root, git)
    with contextlib.suppress(Exception):
        changes = _changes(root, git, "commit" in found)
        found["dirty"] = bool(changes)
        if changes:
            lines = "".join(f"{path}\0{held}\n" for path, held in sorted(changes.items()))
            found["diff"] = hashlib.sha256(lines.encode(errors="surrogateescape")).hexdigest()
    with contextlib.suppress(Exception):
        found["dvc"] = _dvc(root, git)
    return found


def _remote(root: str, git: Git) -> str:
    try:
        raw = git(["-C", root, "config", "--local", "--null", "--get-regexp", r"^remote\..*\.url$"])
    except Exception:
        raw = b""
    urls: dict[str, str] = {}
    for entry in raw.decode(errors="replace").split("\0"):
        key, _, url = entry.partition("\n")
        if url:
            urls.setdefault(key[len("remote.") : -len(".url")], url)
    url = urls.get("origin") or (next(iter(urls.values())) if len(urls) == 1 else "")
    if url.startswith(("./", "../")):
        url = os.path.realpath(os.path.join(root, url))
    return _USERINFO.sub(r"\1", url) or os.path.realpath(root)


# --- how it differs ------------------------------------------------------------------------------------


def _changes(root: str, git: Git, has_commit: bool) -> dict[str, str]:
    """Tracked paths that differ from the commit, and the object id of what lies there, ``-`` for nothing."""
    changed: dict[str, str] = {}
    committed: dict[str, str] = {}
    if has_commit:
        told = git(
            ["-C", root, "diff-index", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames",
             "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "HEAD", "--"]
        )  # fmt: skip
        parts = told.decode(errors="surrogateescape").split("\0")
        for at in range(0, len(parts) - 1, 2):
            _, _, before, after, status = parts[at].split(" ")[:5]
            committed[parts[at + 1]] = before
            changed[parts[at + 1]] = "-" if status.startswith("D") else after
    # Git cannot tell a change in the moment in which it wrote the index.
    git_dir = os.fsdecode(git(["-C", root, "rev-parse", "--absolute-git-dir"]).rstrip(b"\n"))
    written = os.stat(os.path.join(git_dir, "index")).st_mtime_ns if os.path.exists(git_dir + "/index") else 0
    budget = _MAX_READ
    for mode, oid, path, held in _index(root, git):
        present = _state(root, path, mode, held, written, git)
        if present is None:
            continue
        if present == "read":
            present, budget = _object_id(os.path.join(root, path), len(oid), budget)
        if present == oid:
            continue
        if present == committed.get(path):
            del changed[path]
        else:
            changed[path] = present
    return changed


def _index(root: str, git: Git) -> Iterator[tuple[str, str, str, dict[str, int]]]:
    """Entries of the index that git would look at: mode, object id, path, size and time of the file as git
    last saw it."""
    told = git(["-C", root, "ls-files", "--stage", "--debug", "-z"])
    for match in _ENTRY.finditer(told):
        mode, oid, stage, path, debug = match.groups()
        numbers = re.findall(rb"(\w+): ([0-9a-f]+)(?::(\d+))?", debug)
        held = {name.decode(): value for name, value, _ in numbers}
        fraction = {name.decode(): value for name, _, value in numbers}
        if stage != b"0" or int(held["flags"], 16) & _NOT_LOOKED_AT:
            continue
        seen = {
            "size": int(held["size"]),
            "mtime": int(held["mtime"]) * 10**9 + int(fraction["mtime"] or 0),
        }
        yield mode.decode(), oid.decode(), path.decode(errors="surrogateescape"), seen


def _state(root: str, path: str, mode: str, held: Mapping[str, int], written: int, git: Git) -> str | None:
    """None: as git last saw it; ``-``: nothing lies there; ``read``: its content must be compared; else the
    object id of a link or a submodule."""
    place = os.path.join(root, path)
    try:
        info = os.lstat(place)
    except OSError:
        return "-"
    if mode == _SUBMODULE:
        try:
            # One that is not checked out has no .git; asking there would answer for the tree around it.
            os.lstat(os.path.join(place, ".git"))
            return git(["-C", place, "rev-parse", "--verify", "--quiet", "HEAD"]).decode().strip()
        except Exception:
            return None
    if stat.S_ISREG(info.st_mode) != (mode != _LINK):
        return "-"
    if info.st_size == held["size"] and info.st_mtime_ns == held["mtime"] < written:
        return None
    return "read"


def _object_id(place: str, length: int, budget: int) -> tuple[str, int]:
    """The id that git would give the file, as it lies there, and what is left of the bytes to read."""
    try:
        info = os.lstat(place)
        if stat.S_ISLNK(info.st_mode):
            return _link(length, os.fsencode(os.readlink(place))), budget
        if info.st_size > budget:
            return f"size:{info.st_size}", budget
        digest = _blob(length, info.st_size)
        with open(os.open(place, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            for chunk in iter(lambda: file.read(2**20), b""):
                digest.update(chunk)
    except OSError:
        return "-", budget
    return digest.hexdigest(), budget - info.st_size


def _blob(length: int, size: int) -> hashlib._Hash:
    return hashlib.new("sha1" if length == 40 else "sha256", b"blob %d\0" % size)


def _link(length: int, target: bytes) -> str:
    digest = _blob(length, len(target))
    digest.update(target)
    return digest.hexdigest()


# --- data by DVC ---------------------------------------------------------------------------------------


def _dvc(root: str, git: Git) -> dict[str, str]:
    told = git(["-C", root, "ls-files", "-z", "--", "*.dvc", "dvc.lock", "*/dvc.lock"])
    names = [name for name in os.fsdecode(told).split("\0") if name]
    if "dvc.lock" not in names:
        names.append("dvc.lock")
    found: dict[str, str] = {}
    for name in names[:_MAX_DVC_FILES]:
        text = _text(root, name)
        if not text:
            continue
        base = name.rpartition("/")[0]
        if name.endswith(".dvc"):
            base = os.path.join(base, scalar(text, "wdir") or ".")
        elif re.search(r"^\s+wdir\s*:", _text(root, f"{base}/dvc.yaml" if base else "dvc.yaml"), re.M):
            # Paths in the lock are then relative to what only dvc.yaml says.
            continue
        for path, md5 in outs(text):
            place = os.path.normpath(os.path.join(base, path))
            if not place.startswith(("..", "/")):
                found[place] = md5
    return found


def _text(root: str, name: str) -> str:
    """A regular file inside the tree, not too large; nothing otherwise."""
    place = os.path.join(root, name)
    try:
        inside = os.path.realpath(place).startswith(os.path.realpath(root) + os.sep)
        if not inside or not stat.S_ISREG(os.lstat(place).st_mode) or os.lstat(place).st_size > _MAX_FILE:
            return ""
        with open(place, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def outs(text: str) -> list[tuple[str, str]]:
    """(path, md5) of the outs in a dvc.lock or .dvc file, in the layout in which DVC writes them.

    Read line by line: there is no YAML in the standard library, and what is not in that layout is not from
    DVC.
    """
    found: list[tuple[str, str]] = []
    section = field = -1
    item: dict[str, str] = {}

    def close() -> None:
        if "path" in item and re.fullmatch(r"[0-9a-f]{32}(\.dir)?", item.get("md5", "")):
            found.append((item["path"], item["md5"]))
        item.clear()

    for line in text.splitlines():
        body = line.lstrip(" ")
        if not body or body.startswith("#"):
            continue
        indent = len(line) - len(body)
        if section >= 0 and (indent < section or (indent == section and not body.startswith("- "))):
            close()
            section = field = -1
        match = _FIELD.fullmatch(body)
        if section < 0:
            if match and match[2] == "outs" and not match[1] and not match[3]:
                section, field = indent, -1
            continue
        if match is None:
            continue
        if match[1] and (field < 0 or indent + 2 == field):
            close()
            field = indent + 2
        elif match[1] or indent != field:
            continue
        if match[3] is not None:
            item[match[2]] = _plain(match[3])
    close()
    return found


def scalar(text: str, key: str) -> str | None:
    """The value of a key at the top of a file."""
    match = re.search(rf"^{key}:[ \t]+(.+)$", text, re.M)
    return _plain(match[1]) if match else None


def _plain(value: str) -> str:
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] == "'":
        return value[1:-1].replace("''", "'")
    if len(value) >= 2 and value[0] == value[-1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            return value[1:-1]
    return value
