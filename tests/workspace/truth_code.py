"""What git and DVC hold, asked of git one object at a time and read as YAML.

Slow on purpose: nothing here is batched the way the ingestors do it, so that no mistake is made twice.
"""

from __future__ import annotations

import functools
import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from tests.workspace.workspace import Project

Edge = tuple[str, str, str]
"""(identifier of the tail, edge kind, identifier of the head)."""
Edges = Iterator[Edge]


@dataclass(frozen=True, eq=False)
class History:
    """A repository, commit by commit. `eq=False`: its methods are cached per object."""

    project: Project

    @functools.cached_property
    def commits(self) -> list[str]:
        """Every commit that some ref reaches."""
        return self.project.git("rev-list", "--all").split()

    @functools.cached_property
    def remote(self) -> str:
        """`git.remote`: host/path without scheme, user and `.git`."""
        url = self.project.git("config", "remote.origin.url")
        return url.removeprefix("https://").removesuffix(".git")

    @functools.cache  # noqa: B019 (a history lives as long as one question)
    def parents(self, commit: str) -> list[str]:
        headers = self.project.git("cat-file", "commit", commit).split("\n\n")[0].splitlines()
        return [line.split()[1] for line in headers if line.startswith("parent ")]

    @functools.cache  # noqa: B019
    def files(self, commit: str) -> frozenset[str]:
        return frozenset(self.project.git("ls-tree", "-r", "--name-only", commit).splitlines())

    @functools.cache  # noqa: B019
    def text(self, commit: str, path: str) -> str:
        return self.project.git_output("cat-file", "blob", f"{commit}:{path}")

    def md5(self, commit: str, path: str) -> str:
        """The md5 of a file that git tracks, as DVC computes it for the dependencies of a stage."""
        return hashlib.md5(self.text(commit, path).encode(), usedforsecurity=False).hexdigest()

    @functools.cache  # noqa: B019
    def added(self, commit: str) -> dict[str, str]:
        """path → md5 of what the `.dvc` files in this tree hold."""
        held = {}
        for file in self.files(commit):
            if file.endswith(".dvc"):
                for out in yaml.safe_load(self.text(commit, file)).get("outs", []):
                    held[posixpath.join(posixpath.dirname(file), out["path"])] = out["md5"]
        return held

    @functools.cache  # noqa: B019
    def stages(self, commit: str) -> list[dict[str, Any]]:
        """The stages of this tree's dvc.lock, which in this project is at the top."""
        if "dvc.lock" not in self.files(commit):
            return []
        return list(yaml.safe_load(self.text(commit, "dvc.lock"))["stages"].values())

    def held(self, commit: str) -> dict[str, str]:
        """path → md5 of every data file that DVC holds in this tree: `.dvc` files and outs of stages."""
        outs = {out["path"]: out["md5"] for stage in self.stages(commit) for out in stage.get("outs", [])}
        return {**outs, **self.added(commit)}


def sha(commit: str) -> str:
    return f"git.sha={commit}"


def data(md5: str) -> str:
    return f"dvc.md5={md5}"


def repository(history: History) -> str:
    return f"git.remote={history.remote}"


def dataset(history: History, path: str) -> str:
    """Named by the repository and the path in it: `namespace/name`."""
    return f"dataset={history.remote}/{path}"


def repository_has_commits(history: History) -> Edges:
    """Repository `HAS` Commit: all that any branch or tag reaches."""
    for commit in history.commits:
        yield repository(history), "HAS", sha(commit)


def commits_precede(history: History) -> Edges:
    """Commit `PRECEDES` Commit: each parent its child."""
    for commit in history.commits:
        for parent in history.parents(commit):
            yield sha(parent), "PRECEDES", sha(commit)


def datasets_have_versions(history: History) -> Edges:
    """Dataset `HAS` DatasetVersion: all that some commit's tree holds at the path."""
    for commit in history.commits:
        for path, md5 in history.held(commit).items():
            yield dataset(history, path), "HAS", data(md5)


def commits_introduced(history: History) -> Edges:
    """Commit `INTRODUCED` DatasetVersion: "its tree holds it at that path and no parent's does".

    A mention as a dependency in a lock is not holding: the lock of `data-2` still names the first extract.
    """
    for commit in history.commits:
        for path, md5 in history.held(commit).items():
            if not any(history.held(parent).get(path) == md5 for parent in history.parents(commit)):
                yield sha(commit), "INTRODUCED", data(md5)


def versions_derived(history: History) -> Edges:
    """DatasetVersion `DERIVED_INTO` DatasetVersion.

    "A stage of dvc.lock gives DERIVED_INTO from deps to outs. Dependencies that git tracks (code) are no
    DatasetVersions; every other DVC file is one".
    """
    for commit in history.commits:
        for stage in history.stages(commit):
            for dependency in stage.get("deps", []):
                if dependency["path"] not in history.files(commit):
                    for out in stage.get("outs", []):
                        yield data(dependency["md5"]), "DERIVED_INTO", data(out["md5"])


def versions_precede(history: History) -> Edges:
    """DatasetVersion `PRECEDES` its successor: what a commit introduces, after what a parent held there."""
    for commit in history.commits:
        for parent in history.parents(commit):
            for path, md5 in history.held(commit).items():
                before = history.held(parent).get(path)
                introduced = all(history.held(each).get(path) != md5 for each in history.parents(commit))
                if before and introduced:
                    yield data(before), "PRECEDES", data(md5)


def data_at(history: History, commit: str, path: str) -> str | None:
    """The content at `path` when `commit` was checked out and reproduced; None where no commit tells.

    "Commit + path is used only without content, on a clean tree, and for a stage's output only where the
    lock's own dependencies match that tree (else at the nearest first-parent descendant whose lock does,
    else not)".
    """
    if commit not in history.commits:
        return None
    if path in history.added(commit):
        return history.added(commit)[path]
    for candidate in [commit, *_descendants(history, commit)]:
        for stage in history.stages(candidate):
            for out in stage.get("outs", []):
                if out["path"] == path and _matches(history, stage, candidate, commit):
                    return str(out["md5"])
    return None


def _descendants(history: History, commit: str) -> list[str]:
    """Those that reach `commit` by first parents alone, nearest first.

    At equal distance (branches) the older, then the lesser id.
    """
    found = []
    for other in history.commits:
        steps, at = 0, other
        while at != commit and history.parents(at):
            at, steps = history.parents(at)[0], steps + 1
        if at == commit and steps:
            time = int(history.project.git("show", "--no-patch", "--format=%ct", other))
            found.append((steps, time, other))
    return [other for _, _, other in sorted(found)]


def _matches(history: History, stage: dict[str, Any], locked_at: str, tree: str) -> bool:
    """Would `dvc status` at `tree` call this stage of the lock at `locked_at` up to date?

    Its data and code must be the tree's, its parameters too; what an earlier stage made must itself match.
    """
    makers = {out["path"]: other for other in history.stages(locked_at) for out in other.get("outs", [])}
    made = {
        path: out["md5"] for path, other in makers.items() for out in other["outs"] if out["path"] == path
    }
    for dependency in stage.get("deps", []):
        path, md5 = dependency["path"], dependency["md5"]
        if path in history.added(tree):
            ok = history.added(tree)[path] == md5
        elif path in history.files(tree):
            ok = history.md5(tree, path) == md5
        else:
            ok = made.get(path) == md5 and _matches(history, makers[path], locked_at, tree)
        if not ok:
            return False
    for file, wanted in stage.get("params", {}).items():
        given = yaml.safe_load(history.text(tree, file))
        for key, value in wanted.items():
            if functools.reduce(lambda found, part: found.get(part, {}), key.split("."), given) != value:
                return False
    return True
