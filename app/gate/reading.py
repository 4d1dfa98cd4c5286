"""Reads what a change touches out of a repository on disk. Nothing of the repository is executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import structs

from app.gate.changes import (
    MAX_CHANGES,
    MAX_COMMITS,
    MAX_HISTORY,
    MAX_NAMES,
    MAX_PLANS,
    MAX_SETTINGS,
    MAX_TEXT,
    Change,
    Changes,
    Plan,
)
from app.gate.ci import Surroundings
from app.gate.touched import REDACTOR, touched
from app.gate.trees import Tree, commits_of, find_span, history_of
from graph_schema.errors import BadInput
from ingestors import git_neutral, worktree
from ingestors.git_objects import GitRepository
from ingestors.source import SourceError
from ingestors.sources.dvc import files

_SECONDS = 30.0


def read_changes(folder: Path, around: Surroundings, base: str | None, head: str) -> Changes:
    """What differs between the two commits and may count, with the earlier commits that changed the same.

    Raises BadInput where the folder is no repository or the clone lacks what is to be compared with.
    """
    try:
        repository = GitRepository(folder)
        span = find_span(repository, around.bases, base, head)
        before, after = Tree(repository, span.base), Tree(repository, span.head)
        found = touched(before, after)
        notes = [*dict.fromkeys([*before.problems, *after.problems])]
        if around.where == "here" and head == "HEAD" and _is_dirty(folder):
            notes.append("uncommitted changes were not looked at")
        if len(found) > MAX_CHANGES:
            notes.append(f"{len(found) - MAX_CHANGES:,} of {len(found):,} changes were left out")
        kept = [_spelled(_since(repository, span.base, before, each)) for each in found[:MAX_CHANGES]]
        return Changes(
            repository=repository.remote(),
            base=span.base,
            head=span.head,
            against=span.because,
            total=sum(
                before.files.get(path) != after.files.get(path) for path in {*before.files, *after.files}
            ),
            changes=tuple(kept),
            plans=_plans(after, found),
            history=tuple(history_of(repository, MAX_HISTORY)),
            notes=tuple(_text(note) for note in notes[:MAX_NAMES]),
        )
    except SourceError as problem:
        hint = (
            "; a partial clone cannot be read: clone without a filter" if "promisor" in str(problem) else ""
        )
        raise BadInput(f"{problem}{hint}") from None


def _is_dirty(folder: Path) -> bool:
    read = worktree.read(str(folder), lambda words: git_neutral.read(words, _SECONDS))
    return bool(read.get("dirty"))


def _plans(tree: Tree, found: Sequence[Change]) -> tuple[Plan, ...]:
    """The configurations among what differs, as they are now."""
    paths = dict.fromkeys(
        change.path
        for change in found
        if change.kind in ("parameters", "code") and change.path.endswith((".yaml", ".yml", ".json", ".toml"))
    )
    read = {
        path: files.values(path, content) for path, content in tree.contents(list(paths)[:MAX_PLANS]).items()
    }
    return tuple(
        Plan(path, REDACTOR.value(dict(settings)))
        for path, settings in sorted(read.items())
        if isinstance(settings, Mapping) and 0 < len(settings) <= MAX_SETTINGS
    )


def _since(repository: GitRepository, base: str, tree: Tree, change: Change) -> Change:
    """With the commits that changed the same before."""
    path = change.path
    if change.kind == "data":
        # Data that a stage made has no file of its own: its versions tell when it changed.
        path = f"{change.path}.dvc"
    if path not in tree.files:
        return change
    return structs.replace(change, commits=tuple(commits_of(repository, path, base, MAX_COMMITS)))


def _spelled(change: Change) -> Change:
    """As it can be written down: git's paths are bytes, and may be no text at all."""
    return structs.replace(
        change,
        path=_text(change.path),
        text=_text(change.text),
        because=_text(change.because),
        datasets=tuple(map(_text, change.datasets)),
        scripts=tuple(map(_text, change.scripts)),
    )


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()[:MAX_TEXT]
