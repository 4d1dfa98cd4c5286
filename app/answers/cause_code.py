"""Which code a commit touched, seen from what ran: pure over paths.

What starts a run or a job (``script``, ``path``) says where its code lies. A commit that touched that file or
its folder is near; one that touched only what other entry points start from is not; what lies elsewhere may
be used by all.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from graph_schema.values import Node

#: What documents, tests and build machines read, and nothing that runs does.
_ASIDE = re.compile(
    r"(^|/)(docs?|tests?|testing|examples?|\.github|\.gitlab|\.circleci|\.vscode|\.idea)/"
    r"|(^|/)(test_[^/]*|[^/]*_test)\.\w+$|(^|/)conftest\.py$|\.(md|rst|adoc)$"
    r"|(^|/)(LICEN[CS]E|NOTICE|CODEOWNERS|AUTHORS|CHANGELOG|CITATION)[^/]*$|(^|/)\.(gitignore|gitattributes|"
    r"pre-commit-config\.yaml|gitlab-ci\.yml|editorconfig|mailmap)$|(^|/)mkdocs\.ya?ml$",
    re.IGNORECASE,
)
#: What stands for data that lies elsewhere: DVC's files.
_POINTERS = re.compile(r"(^|/)(dvc\.lock|\.dvcignore|[^/]+\.dvc)$|(^|/)\.dvc/")
#: What says which packages are installed.
_LOCKS = re.compile(
    r"(^|/)(uv\.lock|poetry\.lock|pdm\.lock|pixi\.lock|Pipfile(\.lock)?|pyproject\.toml|setup\.(py|cfg)|"
    r"conda-lock\.ya?ml|environment\.ya?ml|(requirements|constraints)[\w.-]*\.(txt|in)|package(-lock)?\.json|"
    r"pnpm-lock\.yaml|yarn\.lock|renv\.lock|Cargo\.(toml|lock)|go\.(mod|sum))$"
)
_SCRIPT = re.compile(r"(?:[A-Za-z]:)?[^\s:*?\"<>|]+\.(py|ipynb|sh|R|jl|sql|scala|ts|js)")


_WORD = re.compile(r"[A-Za-z0-9]+")
#: Words that name what is done, and not what it is done for.
_GENERIC = frozenset({
    "app", "apps", "build", "built", "code", "common", "core", "data", "default", "deploy", "dev", "develop",
    "eval", "evaluate", "evaluation", "experiment", "feature", "features", "image", "inference", "infer",
    "job", "jobs", "latest", "lib", "main", "master", "model", "models", "notebook", "pipeline",
    "pipelines", "prod", "production", "project", "release", "run", "runs", "script", "scripts", "serve",
    "server", "service", "services", "serving", "shared", "src", "stage", "staging", "task", "test",
    "tests", "train", "trained", "training", "tune", "tuning", "utils", "validate", "version",
})  # fmt: skip


#: Subjects of commits that change no behaviour, by convention (conventionalcommits.org) or in plain words.
_TRIVIAL = re.compile(r"^(docs|style|chore|test)\b.*:|\b(typo|readme|changelog|spelling|lint|whitespace)\b")
#: Subjects of commits that take back or mend what another did.
_MENDS = re.compile(r"^(fix(es|ed)?|bugfix|hotfix|revert(s|ed)?|undo|repair)\b")


class Touch(IntEnum):
    """How near the files of a commit are to what ran; the greater, the nearer.

    ``ASIDE``: documents, tests and the like only; ``OTHERS``: only what others start from; ``DATA``: only
    what says which data there is; ``INSTALLED``: or which packages are installed; ``SHARED``: code that is
    nobody's own; ``OWN``: its own folder or file.
    """

    ASIDE = 0
    OTHERS = 1
    DATA = 2
    INSTALLED = 3
    SHARED = 4
    OWN = 5


class Place(NamedTuple):
    """Where the code of a run, job run or image lies, as far as that can be told: the file that it starts
    with, and words that its folder may be named by."""

    entry: str | None
    words: frozenset[str]


def entry_of(node: Node, repositories: Collection[str]) -> str | None:
    """The path of what a run or job run starts with, from the root of its repository as far as that can be
    told; None where nothing says it, or no folder. ``repositories`` are names (the last part of a remote)."""
    said = node.properties.get("script") or node.properties.get("path") or node.properties.get("command")
    words = said.replace("\\", "/").split() if isinstance(said, str) else []
    path = next((word for word in words if _SCRIPT.fullmatch(word)), None)
    if path is None:
        return None
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for name in repositories:
        if name in parts[:-1]:
            last = len(parts) - 2 - parts[:-1][::-1].index(name)
            parts = parts[last + 1 :]
            break
    else:
        if path.startswith(("/", "~")) or ".." in parts or re.match(r"[A-Za-z]:/", path):
            return None
    return "/".join(parts) if len(parts) > 1 else None


def paths_of(commit: Node) -> list[str] | None:
    """The files that a commit touched, or the folders where there were many; None where it is not known."""
    for key in ("files", "folders"):
        held = commit.properties.get(key)
        if isinstance(held, list) and held:
            return [str(path) for path in held]
    return None


def subject_of(commit: Node) -> str:
    """The first line of a commit's message, in lower case."""
    return str(commit.properties.get("message") or commit.name).lower().partition("\n")[0]


def is_trivial(commit: Node) -> bool:
    """Whether a commit's own words say that it changes no behaviour."""
    return bool(_TRIVIAL.search(subject_of(commit)))


def mends(commit: Node, earlier: Sequence[str]) -> bool:
    """Whether a commit says that it mends something, and touched all code that an earlier one did."""
    if is_trivial(commit) or not _MENDS.match(subject_of(commit)):
        return False
    code = {path for path in earlier if not is_aside(path)}
    return bool(code) and code <= set(paths_of(commit) or ())


def is_aside(path: str) -> bool:
    """Whether a file is read by people and machines that build, and not by what runs."""
    return bool(_ASIDE.search(path))


def words_of(*names: str) -> frozenset[str]:
    """The words by which a run, job or image may be told from others of its repository."""
    found = {word.lower() for name in names for word in _WORD.findall(name)}
    return frozenset(word for word in found if len(word) > 2 and word not in _GENERIC and not word.isdigit())


def touch(paths: Sequence[str], mine: Place, places: Collection[Place]) -> Touch:
    """How near what a commit touched is to one of the ``places`` that have code in its repository."""
    running = [path for path in paths if not is_aside(path)]
    if not running:
        return Touch.ASIDE
    made = [path for path in running if not _POINTERS.search(path)]
    if not made:
        return Touch.DATA
    code = [path for path in made if not _LOCKS.search(path)]
    if not code:
        return Touch.INSTALLED
    homes = [] if mine.entry is None else _homes(mine.entry, {p.entry for p in places if p.entry is not None})
    others = frozenset().union(*(place.words for place in places)) - mine.words
    return max(_near(path, mine, homes, others) for path in code)


def _homes(entry: str, others: Iterable[str]) -> list[str]:
    """What is another's own: the folders that hold no part of ours, and files beside ours."""
    folder = _folder(entry)
    found = set()
    for other in others:
        if other != entry:
            theirs = _folder(other)
            found.add(other if folder.startswith(theirs) else theirs)
    return sorted(found)


def _near(path: str, mine: Place, homes: Sequence[str], others: frozenset[str]) -> Touch:
    if mine.entry is not None:
        if any(path == home or (home.endswith("/") and path.startswith(home)) for home in homes):
            return Touch.OTHERS
        # Where several start in one folder, what is in it is shared, unless its name says more.
        alone = all(home.endswith("/") for home in homes)
        if path == mine.entry or (alone and path.startswith(_folder(mine.entry))):
            return Touch.OWN
    said = {part.lower() for part in path.split("/")[:-1]} | words_of(_stem(path))
    if said & mine.words:
        return Touch.OWN
    return Touch.OTHERS if said & others else Touch.SHARED


def _folder(path: str) -> str:
    return path.rpartition("/")[0] + "/"


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def upgrade(before: Mapping[str, str], after: Mapping[str, str]) -> int | None:
    """The greatest step that any package's version made: 2 the major part, or a package that came or went, 1
    the minor one, 0 less; None where nothing differs."""
    steps = [_step(before.get(name), after.get(name)) for name in {*before, *after}]
    return max((step for step in steps if step is not None), default=None)


def _step(before: str | None, after: str | None) -> int | None:
    if before == after:
        return None
    if not before or not after:
        return 2 if before is None or after is None else None
    pairs = zip(before.split("."), after.split("."), strict=False)
    place = next((place for place, (old, new) in enumerate(pairs) if old != new), 2)
    return max(0, 2 - place)
