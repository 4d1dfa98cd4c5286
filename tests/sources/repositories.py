"""Real repositories for tests, made by the real git and DVC."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import Any

from app.store.sqlite.store import SqliteStore
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Node
from ingestors.loop import ingest
from ingestors.registry import build
from ingestors.report import Report

AUTHOR = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Repository:
    """A working tree whose commits are a minute apart, from 2026-01-01 on."""

    def __init__(self, folder: Path, dvc: Path | None = None) -> None:
        self.folder = folder
        self._dvc = dvc
        self._clock = 1_767_225_600
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch", "main")

    def _environment(self) -> dict[str, str]:
        private = self.folder.parent / f"{self.folder.name}.private"
        when = f"{self._clock} +0000"
        path = os.environ["PATH"]
        if self._dvc is not None:
            # Stages run with the python that stands beside dvc.
            path = f"{self._dvc}{os.pathsep}{path}"
        return {
            **os.environ,
            **AUTHOR,
            "PATH": path,
            "HOME": str(private),
            "GIT_AUTHOR_DATE": when,
            "GIT_COMMITTER_DATE": when,
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(private / "site"),
            "DVC_GLOBAL_CONFIG_DIR": str(private / "global"),
            "DVC_SYSTEM_CONFIG_DIR": str(private / "system"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _run(self, *command: str, stdin: str | None = None) -> str:
        done = subprocess.run(
            command, cwd=self.folder, env=self._environment(), input=stdin, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout.strip()

    def git(self, *arguments: str, stdin: str | None = None) -> str:
        """Run git here and return what it prints."""
        return self._run("git", *arguments, stdin=stdin)

    def dvc(self, *arguments: str) -> str:
        """Run DVC here."""
        assert self._dvc is not None
        return self._run(str(self._dvc / "dvc"), *arguments)

    def start_dvc(self) -> None:
        """``dvc init`` with a run cache of its own."""
        self.dvc("init", "--quiet")

    def write(self, files: dict[str, str]) -> None:
        """Write text files, with their folders."""
        for name, text in files.items():
            place = self.folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")

    def commit(self, message: str, files: dict[str, str] | None = None) -> str:
        """Commit everything as it lies, a minute after the last commit; the new commit's id."""
        self._clock += 60
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.head()

    def head(self) -> str:
        """The id of the commit that is checked out."""
        return self.git("rev-parse", "HEAD")

    def fast_import(self, commits: int, every: int = 0, text: str = "") -> None:
        """Very many commits at once on ``main``; each ``every``-th writes dvc.lock with ``text``, in which
        ``{number}`` is the commit's."""
        lines = []
        for number in range(commits):
            lines.append(
                f"commit refs/heads/main\nmark :{number + 1}\n"
                f"committer Ada <ada@example.com> {self._clock + 60 * number} +0000\n"
                f"data <<END\nChange {number}\nEND\n"
            )
            if number:
                lines.append(f"from :{number}\n")
            lines.append(f"M 100644 inline src/module{number % 40}.py\ndata <<END\nx = {number}\nEND\n")
            if every and number % every == 0:
                lines.append(f"M 100644 inline dvc.lock\ndata <<END\n{text.format(number=number)}\nEND\n")
        self.git("fast-import", "--quiet", stdin="".join(lines))


def ingested(store: GraphStore, type: str, place: Path, *, full: bool = False, **keys: Any) -> Report:
    """Ingest a repository under the name of its type; fails the test when the report has an error."""
    source = build({"type": type, "name": type, "path": str(place), **keys}, place)
    report = ingest(store, source, full=full)
    assert report.error is None, report.error
    return report


def edges(store: GraphStore) -> set[tuple[str, str, str]]:
    """Every current edge as (source id, kind, target id)."""
    handles = [node.handle for kind in NodeKind for node in every(store, kind)]
    if not handles:
        return set()
    steps = store.expand(handles, Direction.DOWNSTREAM, list(EdgeKind)).steps
    names = {
        label.handle: label.id for label in store.labels(sorted({h for s in steps for h in (s.src, s.dst)}))
    }
    return {(names[step.src], step.kind.value, names[step.dst]) for step in steps}


def every(store: GraphStore, kind: NodeKind) -> list[Node]:
    """Every node of a kind."""
    found: list[Node] = []
    after = None
    while True:
        page = store.find(kind, first=500, after=after)
        found += page.items
        after = page.next
        if after is None:
            return found


def md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def flow(store: SqliteStore, *kinds: str) -> set[tuple[str, str, str]]:
    return {edge for edge in edges(store) if edge[1] in kinds}


def states(store: SqliteStore) -> dict[str, dict[str, str]]:
    """Commit → what a clean tree reads, as the join rule finds it."""

    def read(tx: Any) -> dict[str, dict[str, str]]:
        found = {}
        for node in every(store, NodeKind.COMMIT):
            sha = node.id.removeprefix("git.sha=")
            for tree in tx.keyed("tree", sha, role="tree"):
                files = tx.keyed("tree_state", tree.data["state"], role="file")
                found[sha] = {f.data["path"]: f.ref.removeprefix("dvc.md5=") for f in files}
        return found

    return store.transact(read)


def versions(store: SqliteStore) -> dict[str, Node]:
    return {node.id.removeprefix("dvc.md5="): node for node in every(store, NodeKind.DATASET_VERSION)}


def truth(repository: Repository) -> set[tuple[str, str, str]]:
    """All edges, asked of git one commit at a time."""
    home = f"git.remote=file://{repository.folder}"
    found = set()
    for line in repository.git("rev-list", "--all", "--parents").splitlines():
        sha, *parents = line.split()
        found.add((home, "HAS", f"git.sha={sha}"))
        found |= {(f"git.sha={parent}", "PRECEDES", f"git.sha={sha}") for parent in parents}
    return found
