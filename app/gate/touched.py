"""From two trees to what a change touches: data whose content differs, stages that will run again because
their code, parameters or command differ, and code that recorded runs may have run. Pure over the trees."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from app.gate.changes import MAX_NAMES, Change
from app.gate.imports import importers
from app.gate.trees import Locked, Tree
from graph_schema.redaction import Redactor
from ingestors.sources.dvc import files

Importers = Mapping[str, tuple[str, ...]]

_SHOWN = 5
#: What it leaves is shown or thrown away, never joined: the key of its marks keeps nothing.
REDACTOR = Redactor(b"check")
#: What people read and nothing runs. It counts only where a stage names the very file.
_PROSE = (
    "*.md", "*.markdown", "*.rst", "*.adoc", "docs/*", "doc/*", "*.png", "*.svg", "*.jpg", "*.gif", "*.pdf",
    "LICENSE*", "LICENCE*", "NOTICE*", "CHANGELOG*", "AUTHORS*", "*CODEOWNERS",
    "*.gitignore", "*.gitattributes", "*.dvcignore", "*.editorconfig", "*.mailmap",
)  # fmt: skip


def touched(base: Tree, head: Tree) -> list[Change]:
    """What differs and may count, data first, in an order that is always the same."""
    changed = sorted(
        path for path in {*base.files, *head.files} if base.files.get(path) != head.files.get(path)
    )
    imported = importers(base, [path for path in changed if path.endswith(".py") and path in base.files])
    found = list(_data(base, head))
    found += _stages(base, head, changed, imported)
    read = {change.path for change in found}
    found += _code(base, head, [path for path in changed if path not in read], imported)
    return found


# --- data --------------------------------------------------------------------------------------------------


def _data(base: Tree, head: Tree) -> Iterator[Change]:
    before, after = base.outs, head.outs
    differing = [
        path
        for path in sorted({*before, *after})
        if (before[path].md5 if path in before else None) != (after[path].md5 if path in after else None)
    ]
    sources = _made_from(base.stages) | _made_from(head.stages)
    # What a stage made anew because what it read is new tells nothing of its own.
    follows = {path for path in differing if any(_within(dep, differing) for dep in sources.get(path, ()))}
    for path in sorted(differing, key=lambda each: (each in follows, each)):
        old, new = before.get(path), after.get(path)
        if new is None and head.problems:
            # Perhaps it is in what could not be read.
            continue
        if old is None:
            # New data: nothing was made from it yet, unless it was known elsewhere.
            text = "new"
        else:
            text = "no longer there" if new is None else f"{_short(old.md5)} → {_short(new.md5)}"
        yield Change(
            kind="data",
            path=path,
            text=text,
            because="made anew from what changed" if path in follows else "",
            datasets=(path,),
            versions=tuple(out.md5 for out in (old, new) if out is not None),
            replaced=int(old is not None),
            follows=path in follows,
        )


def _made_from(stages: list[Locked]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for locked in stages:
        for out in locked.stage.outs:
            found.setdefault(out.path, set()).update(dep.path for dep in locked.stage.deps)
    return found


def _within(path: str, places: list[str]) -> bool:
    """Whether the path is one of the places, or lies in one, or holds one."""
    return any(_holds(place, path) or _holds(path, place) for place in places)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _short(md5: str) -> str:
    return md5[:7]


# --- stages ------------------------------------------------------------------------------------------------


def _stages(base: Tree, head: Tree, changed: list[str], imported: Importers) -> Iterator[Change]:
    """One change a file and reason; its data are the outs that the stages had at the base."""
    reasons: dict[tuple[str, str, str], list[Locked]] = {}
    for locked in base.stages:
        for kind, path, text in _why(locked, base, head, changed):
            reasons.setdefault((kind, path, text), []).append(locked)
    for (kind, path, text), readers in sorted(reasons.items()):
        names = sorted({locked.name for locked in readers})
        outs = {out.path: out.md5 for locked in readers for out in locked.stage.outs if out.path in base.outs}
        shown = ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
        yield Change(
            kind="parameters" if kind == "parameters" else "code" if kind == "code" else "stage",
            path=path,
            text=text,
            because=f"{'stage' if len(names) == 1 else 'stages'} {shown}",
            datasets=tuple(outs)[:MAX_NAMES],
            versions=tuple(outs.values())[:MAX_NAMES],
            replaced=len(outs),
            # The file may be run without DVC as well.
            scripts=(path, *imported.get(path, ()))[:MAX_NAMES] if kind == "code" else (),
        )


def _why(locked: Locked, base: Tree, head: Tree, changed: list[str]) -> Iterator[tuple[str, str, str]]:
    """(kind, file, how) of each reason for which a stage will run again, data left aside."""
    place = (locked.recipe, locked.template)
    if base.definitions.get(place) != head.definitions.get(place):
        gone = place not in head.definitions
        yield "stage", locked.recipe, f"{locked.template} {'is gone' if gone else 'is defined differently'}"
    tracked = base.outs
    for path in changed:
        for dep in locked.stage.deps:
            if dep.path in tracked or not _holds(dep.path, path):
                continue
            if path == dep.path or not is_prose(path):
                yield "code", path, "deleted" if path not in head.files else ""
    for file, wanted in locked.stage.params:
        if file in changed:
            for told in _parameters(file, json.loads(wanted), head):
                yield "parameters", file, told


def _parameters(file: str, wanted: Mapping[str, Any], head: Tree) -> Iterator[str]:
    """How the parameters that a stage reads differ from those it was run with."""
    content = head.contents([file]).get(file)
    tree = None if content is None else files.values(file, content)
    if content is None:
        yield "deleted"
    elif tree is None:
        # Python parameters cannot be read without running them.
        yield ""
    else:
        for key, was in sorted(wanted.items()):
            now = files.pick(tree, key)
            if now != was:
                secret = any(REDACTOR.value(each, key=key) != each for each in (was, now))
                yield f"{key} differs" if secret else f"{key}: {_value(was)} → {_value(now)}"


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


# --- code that no stage names ------------------------------------------------------------------------------


def _code(base: Tree, head: Tree, paths: list[str], imported: Importers) -> Iterator[Change]:
    for path in paths:
        if path not in base.files or is_prose(path) or _is_of_dvc(path):
            # What is new was read by nothing yet.
            continue
        if path.startswith(".github/workflows/") or path == ".gitlab-ci.yml":
            yield Change(kind="workflow", path=path)
            continue
        # A module counts where a script that was run imports it.
        users = imported.get(path, ())
        outs = {
            out.path: out.md5
            for locked in base.stages
            if any(dep.path in users for dep in locked.stage.deps)
            for out in locked.stage.outs
            if out.path in base.outs
        }
        yield Change(
            kind="code",
            path=path,
            text="" if path in head.files else "deleted",
            because=_imported_by(users),
            datasets=tuple(outs)[:MAX_NAMES],
            versions=tuple(outs.values())[:MAX_NAMES],
            replaced=len(outs),
            scripts=(path, *users)[:MAX_NAMES],
        )


def _imported_by(users: tuple[str, ...]) -> str:
    if not users:
        return ""
    return f"imported by {', '.join(users[:_SHOWN])}" + (", …" if len(users) > _SHOWN else "")


def is_prose(path: str) -> bool:
    """Whether a file is for readers only."""
    name = posixpath.basename(path)
    return any(fnmatchcase(path if "/" in glob else name, glob) for glob in _PROSE)


def _is_of_dvc(path: str) -> bool:
    return (
        path.endswith(".dvc")
        or posixpath.basename(path) in ("dvc.lock", "dvc.yaml")
        or path.startswith(".dvc/")
        or "/.dvc/" in path
    )
