"""The two states that a change lies between, read out of git's objects: files, and what DVC says of them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import msgspec

from app.errors import Failed
from app.gate.ci import Candidate
from graph_schema.errors import BadInput
from ingestors.git_command import run_git
from ingestors.git_objects import GitRepository
from ingestors.source import SourceError
from ingestors.sources.dvc import files
from ingestors.sources.dvc.files import BadFile, Out, Stage


class Span(msgspec.Struct, frozen=True):
    """Two commits, and why the first is the one compared with."""

    base: str
    head: str
    because: str


def find_span(
    repository: GitRepository, candidates: Sequence[Candidate], base: str | None, head: str
) -> Span:
    """What to compare with what: ``base``, else the first candidate that the clone has. The commit compared
    with is the one in which both histories last met. Raises BadInput saying what the clone lacks."""
    tip = repository.commit_of(head)
    if tip is None:
        raise BadInput(f"--head {head[:200]!r} is no commit of {repository.name}")
    if base is not None:
        start = repository.commit_of(base) or repository.commit_of(f"refs/remotes/origin/{base}")
        if start is None:
            raise BadInput(f"--base {base[:200]!r} is no commit of {repository.name}; {_FETCH}")
        return Span(_met(repository, start, tip) or start, tip, f"--base {base}")
    for candidate in candidates:
        start = repository.commit_of(candidate.revision)
        if start is None:
            continue
        met = _met(repository, start, tip) if candidate.fork else start
        if met is None:
            raise BadInput(f"the history of {candidate.because} does not meet that of {head}; {_FETCH}")
        return Span(met, tip, candidate.because)
    raise BadInput(f"there is nothing to compare with: give --base; {_FETCH}")


_FETCH = "a clone of CI may lack history: check out with fetch-depth: 0 (GitHub) or GIT_DEPTH: 0 (GitLab)"


def _met(repository: GitRepository, one: str, other: str) -> str | None:
    try:
        told = run_git(
            ["-C", str(repository.folder), "merge-base", "--end-of-options", one, other], timeout=120
        )
    except SourceError:
        return None
    return told.decode().split("\n")[0].strip() or None


def commits_of(repository: GitRepository, path: str, base: str, most: int) -> list[str]:
    """The last commits before the base, newest first, that changed a path."""
    told = run_git(
        ["-C", str(repository.folder), "rev-list", f"--max-count={most}", base, "--",
         f":(literal,top){path}"],
        timeout=120,
    )  # fmt: skip
    return told.decode().split()


def history_of(repository: GitRepository, most: int) -> list[str]:
    """The last commits of all branches and tags, newest first."""
    told = run_git(
        ["-C", str(repository.folder), "rev-list", f"--max-count={most}", "--all", "HEAD"], timeout=120
    )
    return told.decode().split()


class Locked(msgspec.Struct, frozen=True):
    """A stage of a dvc.lock, and the dvc.yaml that it belongs to."""

    recipe: str
    stage: Stage

    @property
    def name(self) -> str:
        """As DVC calls it; one of many by its template's name."""
        return self.stage.name

    @property
    def template(self) -> str:
        """The name that dvc.yaml has for it."""
        return self.stage.name.partition("@")[0]


class Tree:
    """All files of a commit by path, and what DVC's files among them say. ``problems`` are files that could
    not be read, each with its reason."""

    def __init__(self, repository: GitRepository, commit: str) -> None:
        self._repository = repository
        read = next(repository.commits([commit]), None)
        if read is None:
            raise Failed(f"commit {commit[:12]} cannot be read")
        entries = next(repository.changes([(repository.empty_tree(), read.tree)]))
        self.commit = commit
        self.files: dict[str, str] = {e.path: e.oid for e in entries if e.oid is not None and not e.is_tree}
        self.problems: list[str] = []

    def contents(self, paths: Iterable[str]) -> dict[str, bytes]:
        """Files by path; those that are not there are left out, and of those that git has not got or that are
        too large ``problems`` says how many."""
        wanted = {path: self.files[path] for path in paths if path in self.files}
        held = {oid: content for oid, kind, content in self._repository.objects(sorted(set(wanted.values())))
                if kind == "blob"}  # fmt: skip
        missing = sorted(path for path, oid in wanted.items() if oid not in held)
        if missing:
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            self.problems.append(f"{missing[0]}{more} could not be read: too large, or not in this clone")
        return {path: held[oid] for path, oid in wanted.items() if oid in held}

    @cached_property
    def _dvc(self) -> dict[str, bytes]:
        return self.contents(
            path
            for path in self.files
            if path.endswith(".dvc") or posixpath.basename(path) in ("dvc.lock", "dvc.yaml")
        )

    @cached_property
    def definitions(self) -> dict[tuple[str, str], str]:
        """What dvc.yaml says of each stage, by (file, name), in a form that compares."""
        found: dict[tuple[str, str], str] = {}
        for path, content in self._dvc.items():
            if posixpath.basename(path) != "dvc.yaml":
                continue
            try:
                held = files.typed(files.load(content))
            except BadFile as problem:
                self.problems.append(f"{path} {problem}")
                continue
            stages = held.get("stages") if isinstance(held, Mapping) else None
            for name, body in stages.items() if isinstance(stages, Mapping) else ():
                found[path, str(name)] = msgspec.json.encode(body, order="deterministic").decode()
        return found

    @cached_property
    def stages(self) -> list[Locked]:
        """The stages that were run, as the locks of this tree have them."""
        found: list[Locked] = []
        for path, content in self._dvc.items():
            if posixpath.basename(path) != "dvc.lock":
                continue
            place = posixpath.join(posixpath.dirname(path), "dvc.yaml")
            try:
                stages = files.lock(path, content, self._wdirs(place))
                found += [Locked(place, stage) for stage in stages]
            except BadFile as problem:
                self.problems.append(f"{path} {problem}")
        return found

    def _wdirs(self, recipe: str) -> Mapping[str, str]:
        """The working folders of a dvc.yaml's stages; what is wrong with it ``definitions`` says."""
        try:
            return files.recipe(recipe, self._dvc[recipe]).wdirs if recipe in self._dvc else {}
        except BadFile:
            return {}

    @cached_property
    def outs(self) -> dict[str, Out]:
        """What DVC holds in this tree: path → what. Files that git keeps are no data."""
        found = {
            out.path: out for locked in self.stages for out in locked.stage.outs if out.path not in self.files
        }
        for path, content in self._dvc.items():
            if path.endswith(".dvc"):
                try:
                    tracked, _ = files.pointer(path, content)
                    found.update((out.path, out) for out in tracked)
                except BadFile as problem:
                    self.problems.append(f"{path} {problem}")
        return found
