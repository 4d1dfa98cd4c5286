"""What DVC says that a command reads and writes, when DVC itself runs it as a stage."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from graph_schema.errors import BadInput
from ingestors import git_neutral

_MAX_FILE = 8 * 2**20
_GIT_SECONDS = 10.0


class Stage(NamedTuple):
    """Absolute paths of the data that a stage reads and writes. What git keeps is code, and no data."""

    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


def stage(environ: Mapping[str, str], folder: Path) -> Stage:
    """The stage that DVC runs in this process (``DVC_STAGE``); an empty one where it runs none, or where its
    dvc.yaml says it in templates only. Never raises for what a dvc.yaml holds."""
    place, _, name = environ.get("DVC_STAGE", "").rpartition(":")
    root = Path(environ.get("DVC_ROOT") or folder)
    if not name:
        return Stage()
    for base in (folder, root):
        file = base / (place or "dvc.yaml")
        said = _stages(file).get(name)
        if isinstance(said, Mapping) and "cmd" in said:
            home = (file.parent / str(said.get("wdir") or ".")).resolve()
            inputs = [str(home / path) for path in _paths(said.get("deps"))]
            outputs = [str(home / path) for path in _paths(said.get("outs"))]
            return Stage(tuple(_not_in_git(inputs, root)), tuple(outputs))
    return Stage()


def _stages(file: Path) -> Mapping[str, Any]:
    # Few commands are stages: the others shall not wait for it.
    import yaml

    from ingestors.yaml_depth import check_depth

    try:
        if file.stat().st_size > _MAX_FILE:
            return {}
        text = file.read_text(encoding="utf-8")
        check_depth(text)
        # Texts only: no tag makes an object.
        held = yaml.load(text, Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506
        stages = held.get("stages") if isinstance(held, Mapping) else None
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError, BadInput):
        return {}
    return stages if isinstance(stages, Mapping) else {}


def _paths(listed: Any) -> list[str]:
    """Paths out of ``deps`` or ``outs``: texts, or a path with its settings."""
    found: list[str] = []
    for each in listed if isinstance(listed, list) else ():
        path = next(iter(each), None) if isinstance(each, Mapping) else each
        if isinstance(path, str) and "${" not in path and "://" not in path:
            found.append(path)
    return found


def _not_in_git(paths: list[str], root: Path) -> list[str]:
    inside = {path: os.path.relpath(path, root) for path in paths}
    if not inside:
        return []
    words = ["--literal-pathspecs", "-C", str(root), "ls-files", "-z", "--", *inside.values()]
    try:
        tracked = os.fsdecode(git_neutral.read(words, _GIT_SECONDS)).split("\0")
    except (OSError, subprocess.SubprocessError):
        tracked = []
    return [
        path
        for path, name in inside.items()
        if not any(held == name or held.startswith(f"{name}/") for held in tracked if held)
    ]
