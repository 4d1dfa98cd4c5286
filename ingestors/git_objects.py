"""Reading git repositories that nobody vouches for.

Only plumbing is called (see :mod:`ingestors.git_command`): no hooks, no monitors, no filters, no signature
programs, no transports. Nothing is checked out.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, model_validator

from graph_schema import normalise
from graph_schema.errors import BadInput
from ingestors.git_command import run_git
from ingestors.git_format import (
    Change,
    Commit,
    Touched,
    batch,
    parse_commit,
    raw_changes,
    raw_touched,
    touched,
)
from ingestors.http import shown
from ingestors.paths import LocalPath
from ingestors.source import SourceConfig, SourceError, Unreachable

_CHUNK = 2_000
MAX_BLOB = 8 * 2**20
_BATCH_BYTES = 64 * 2**20


class GitConfig(SourceConfig):
    """Keys of every source that reads a git repository: one of ``path`` and ``url``."""

    path: LocalPath | None = Field(default=None, description="working tree or bare repository")
    url: str | None = Field(default=None, description="address to clone from, into a cache folder")

    @model_validator(mode="after")
    def _one_place(self) -> GitConfig:
        if (self.path is None) == (self.url is None):
            raise ValueError("give path or url, one of them")
        if self.url is not None and (self.url.startswith("-") or "::" in self.url):
            raise ValueError(f"{self.url[:80]!r} is not a git address")
        return self


class Ref(NamedTuple):
    """A branch or tag and the commit it points at."""

    name: str
    sha: str


class GitRepository:
    """One repository on disk. All methods raise SourceError, in one line, when git does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not folder.exists():
            raise SourceError(f"{folder} does not exist")
        try:
            found = self._run("rev-parse", "--absolute-git-dir")
        except SourceError:
            raise SourceError(f"{folder} is not in a git repository") from None
        self.git_dir = Path(os.fsdecode(found.rstrip(b"\n")))

    def _run(self, *arguments: str, stdin: bytes = b"", timeout: float = 600.0) -> bytes:
        return run_git(["-C", str(self.folder), *arguments], stdin=stdin, timeout=timeout)

    @property
    def name(self) -> str:
        """What people call it: the folder's name."""
        folder = self.git_dir.parent if self.git_dir.name == ".git" else self.git_dir
        return folder.name.removesuffix(".git")

    def remote(self) -> str:
        """The value of ``git.remote``: origin's address, else the only remote's, else the ``file:`` URI."""
        try:
            raw = self._run("config", "--local", "--null", "--get-regexp", r"^remote\..*\.url$")
        except SourceError:
            raw = b""
        found: dict[str, str] = {}
        for entry in raw.decode(errors="replace").split("\0"):
            key, _, url = entry.partition("\n")
            if url:
                found.setdefault(key[len("remote.") : -len(".url")], url)
        url = found.get("origin") or (next(iter(found.values())) if len(found) == 1 else "")
        if url.startswith(("./", "../")):
            url = str((self.folder / url).resolve())
        try:
            return normalise.git_remote(url)
        except BadInput:
            home = self.git_dir.parent if self.git_dir.name == ".git" else self.git_dir
            return normalise.git_remote(str(home.resolve()))

    def head(self) -> str | None:
        """The branch that is checked out, by its short name; None for a detached or absent one."""
        try:
            name = self._run("symbolic-ref", "--quiet", "--short", "HEAD").decode(errors="replace").strip()
        except SourceError:
            return None
        return name or None

    def refs(self, *prefixes: str) -> list[Ref]:
        """Refs under these prefixes that lead to commits, by name; a detached HEAD as ``HEAD``."""
        lines = self._run(
            "for-each-ref",
            "--format=%(refname)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)",
            *prefixes,
        )
        found = []
        for line in lines.decode(errors="replace").splitlines():
            name, kind, sha, peeled_kind, peeled = line.split("\0")
            if kind == "tag" and peeled_kind == "commit":
                found.append(Ref(name, peeled))
            elif kind == "commit":
                found.append(Ref(name, sha))
        return found

    def detached(self) -> str | None:
        """The commit that HEAD is on, when no branch is."""
        return None if self.head() is not None else self.commit_of("HEAD")

    def commit_of(self, name: str) -> str | None:
        """The commit that a name leads to, None where there is none."""
        try:
            found = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except SourceError:
            return None
        return found.decode().strip() or None

    def shallow(self) -> frozenset[str]:
        """Commits whose parents were not fetched."""
        common = self._run("rev-parse", "--git-common-dir").decode(errors="replace").strip()
        try:
            text = Path(self.folder, common, "shallow").read_text(encoding="ascii", errors="replace")
        except OSError:
            return frozenset()
        return frozenset(text.split())

    def existing(self, shas: Iterable[str]) -> frozenset[str]:
        """Those of these objects that the repository has."""
        asked = list(shas)
        answer = self._run("cat-file", "--batch-check=%(objectname)", stdin="\n".join([*asked, ""]).encode())
        lines = answer.decode(errors="replace").splitlines()
        return frozenset(s for s, line in zip(asked, lines, strict=True) if not line.endswith(" missing"))

    def walk(
        self, tips: Iterable[str], without: Iterable[str] = (), since: int | None = None
    ) -> list[tuple[str, tuple[str, ...]]]:
        """Commits that the tips reach and ``without`` does not, with their parents, parents first.

        ``since`` (seconds) ends the walk at older commits. The order is the same every time.
        """
        wanted = [*tips, *(f"^{sha}" for sha in without)]
        if not wanted:
            return []
        limits = [] if since is None else [f"--since=@{since}"]
        lines = self._run(
            "rev-list", "--topo-order", "--reverse", "--parents", *limits, "--stdin",
            stdin="\n".join([*wanted, ""]).encode(),
        )  # fmt: skip
        return [
            (line[0], tuple(line[1:])) for line in (row.split(" ") for row in lines.decode().splitlines())
        ]

    def objects(self, oids: Sequence[str], limit: int = MAX_BLOB) -> Iterator[tuple[str, str, bytes]]:
        """(object id, type, content) of the objects that exist and are not larger than ``limit`` bytes."""
        for start in range(0, len(oids), _CHUNK):
            asked = "\n".join([*oids[start : start + _CHUNK], ""]).encode()
            sizes = self._run(
                "cat-file", "--buffer", "--batch-check=%(objectname) %(objectsize)", stdin=asked
            )
            fit: list[str] = []
            weight = 0
            for line in sizes.decode(errors="replace").splitlines():
                oid, _, size = line.rpartition(" ")
                if not size.isdigit() or int(size) > limit:
                    continue
                if fit and weight + int(size) > _BATCH_BYTES:
                    yield from self._contents(fit)
                    fit, weight = [], 0
                fit.append(oid)
                weight += int(size)
            if fit:
                yield from self._contents(fit)

    def _contents(self, oids: Sequence[str]) -> Iterator[tuple[str, str, bytes]]:
        yield from batch(self._run("cat-file", "--buffer", "--batch", stdin="\n".join([*oids, ""]).encode()))

    def places(self, specs: Sequence[tuple[str, str]]) -> list[str | None]:
        """The object at each (commit, path), None where there is none."""
        safe = [spec for spec in specs if "\n" not in spec[1]]
        asked = "".join(f"{commit}:{path}\n" for commit, path in safe)
        answer = self._run(
            "cat-file", "--batch-check=%(objectname)", stdin=asked.encode("utf-8", "surrogateescape")
        )
        found: dict[tuple[str, str], str] = {}
        for spec, line in zip(safe, answer.decode(errors="replace").splitlines(), strict=True):
            if not line.endswith((" missing", " ambiguous")):
                found[spec] = line
        return [found.get(spec) for spec in specs]

    def commits(self, shas: Sequence[str]) -> Iterator[Commit]:
        """Commit objects, in order. Objects that are no commits, or broken, are left out."""
        for sha, kind, content in self.objects(shas):
            if kind == "commit" and (commit := parse_commit(sha, content)) is not None:
                yield commit

    def changes(self, pairs: Sequence[tuple[str, str]], paths: Sequence[str] = ()) -> Iterator[list[Change]]:
        """For each pair of trees (old, new), the paths that differ, folders included; in the pairs' order.

        ``paths`` are pathspecs that narrow it down. Equal trees give no changes.
        """
        for start in range(0, len(pairs), _CHUNK):
            chunk = pairs[start : start + _CHUNK]
            told = self._run(
                "diff-tree", "--stdin", "-r", "-t", "-z", "--raw", "--no-abbrev", "--no-renames",
                "--no-ext-diff", "--no-textconv", "--end-of-options", "--", *paths,
                stdin="".join(f"{old} {new}\n" for old, new in chunk).encode(),
            )  # fmt: skip
            yield from raw_changes(told, chunk)

    def touched(self, shas: Sequence[str]) -> dict[str, Touched]:
        """What each of these commits changed against its parent; nothing of a merge, of a commit whose
        parents were not fetched, and where the trees were not."""
        cut = self.shallow()
        asked = "\n".join([*(sha for sha in shas if sha not in cut), ""]).encode()
        try:
            told = self._run(
                "diff-tree", "--stdin", "-r", "--root", "-z", "--raw", "--no-renames", "--no-ext-diff",
                "--no-textconv", "--end-of-options",
                stdin=asked,
            )  # fmt: skip
        except SourceError:
            return {}
        return {sha: touched(paths) for sha, paths in raw_touched(told)}

    def empty_tree(self) -> str:
        """The id of the tree with nothing in it, made known to this repository's hash."""
        return self._run("hash-object", "-t", "tree", "--stdin").decode().strip()


def open_repository(config: GitConfig) -> GitRepository:
    """The repository of a source; an address is fetched into the cache folder first."""
    if config.path is not None:
        return GitRepository(config.path)
    url = config.url or ""
    root = os.environ.get("KINLORE_CACHE")
    cache = Path(root) if root else Path.home() / ".cache" / "kinlore"
    folder = cache / "git" / hashlib.sha256(url.encode()).hexdigest()[:24]
    if not (folder / "HEAD").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run_git(["init", "--quiet", "--bare", "--template=", str(folder)], timeout=60)
        # What it is a copy of; without user and password.
        kept = re.sub(r"^([a-z+]+://)[^/@]*@", r"\1", url)
        run_git(["-C", str(folder), "config", "--local", "remote.origin.url", kept], timeout=60)
    try:
        run_git(
            [
                "-C", str(folder), "fetch", "--quiet", "--force", "--prune", "--no-tags", "--no-auto-gc",
                "--no-write-fetch-head", "--no-recurse-submodules", "--end-of-options", url,
                "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", "+refs/exps/*:refs/exps/*",
            ],
            timeout=3_600, network=True,
        )  # fmt: skip
    except Unreachable as problem:
        raise Unreachable(f"{shown(url)}: {problem}") from None
    return GitRepository(folder)
