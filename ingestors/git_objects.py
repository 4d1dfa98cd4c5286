"""Reading git repositories that nobody vouches for.

Only plumbing is called, with the repository's own config kept from running anything: no hooks, no monitors,
no filters, no pagers, no signature programs, no transports. Nothing is checked out.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from pydantic import Field, model_validator

from graph_schema import normalise
from graph_schema.errors import BadInput
from ingestors.http import shown
from ingestors.paths import LocalPath
from ingestors.source import SourceConfig, SourceError, Unreachable

_NEUTRAL = (
    "core.fsmonitor=",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.attributesFile=/dev/null",
    "log.showSignature=false",
    "gpg.program=/bin/false",
    "diff.external=",
    "protocol.ext.allow=never",
    "safe.directory=*",
    "gc.auto=0",
    "maintenance.auto=false",
)
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}
_CHUNK = 2_000
MAX_BLOB = 8 * 2**20


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
        if self.head() is not None:
            return None
        try:
            return self._run("rev-parse", "--verify", "--quiet", "HEAD^{commit}").decode().strip() or None
        except SourceError:
            return None

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
            fit = [
                line.split(" ")[0]
                for line in sizes.decode(errors="replace").splitlines()
                if line.rpartition(" ")[2].isdigit() and int(line.rpartition(" ")[2]) <= limit
            ]
            if fit:
                yield from _batch(
                    self._run("cat-file", "--buffer", "--batch", stdin="\n".join([*fit, ""]).encode())
                )

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
            yield from _changes(told, chunk)

    def empty_tree(self) -> str:
        """The id of the tree with nothing in it, made known to this repository's hash."""
        return self._run("hash-object", "-t", "tree", "--stdin").decode().strip()


def run_git(arguments: Sequence[str], *, stdin: bytes = b"", timeout: float, network: bool = False) -> bytes:
    """Run git with everything neutral that could run something else. Raises SourceError, Unreachable."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= _ENVIRONMENT
    if network:
        # The user's own config may hold credentials; the remote's cannot reach us.
        environ["GIT_ALLOW_PROTOCOL"] = "https:http:ssh:git:file"
        environ["GIT_SSH_COMMAND"] = os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        for name in ("GIT_CONFIG_GLOBAL", "GIT_ASKPASS"):
            if name in os.environ:
                environ[name] = os.environ[name]
    else:
        environ["GIT_ALLOW_PROTOCOL"] = "none"
        environ["GIT_CONFIG_GLOBAL"] = os.devnull
    settings = [part for setting in _NEUTRAL for part in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", "--no-pager", *settings, *arguments],
            input=stdin, capture_output=True, timeout=timeout, env=environ, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        raise SourceError("git is not installed, or not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise Unreachable(f"git took longer than {timeout:.0f} s and was ended") from None
    if done.returncode:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        said = next(
            (line for line in lines if line.startswith("fatal:")), lines[-1] if lines else "no reason given"
        )
        message = f"git {_verb(arguments)}: {said.removeprefix('fatal: ')[:300]}"
        raise Unreachable(message) if network else SourceError(message)
    return done.stdout


def _verb(arguments: Sequence[str]) -> str:
    return arguments[2] if len(arguments) > 2 and arguments[0] in ("-C", "--git-dir") else arguments[0]


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


def _batch(told: bytes) -> Iterator[tuple[str, str, bytes]]:
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


def _changes(told: bytes, pairs: Sequence[tuple[str, str]]) -> Iterator[list[Change]]:
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
