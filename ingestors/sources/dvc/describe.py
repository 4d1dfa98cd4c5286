"""What a repository's history says of its data, as items: pure over what was read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ingestors.sources.dvc.effective import Effective
from ingestors.sources.dvc.files import Out
from ingestors.sources.dvc.history import History

Described = dict[tuple[str, str], dict[str, Any]]
"""(record type, key) → data of the item."""


def describe(history: History, effective: Effective, members: Sequence[str], remote: str) -> Described:
    """Data sets, versions, states, stages and commits, as far as the commits in ``members`` tell."""
    said: Described = {}
    chosen = set(members)
    for sha in members:
        _outs(said, history, sha, remote)
    for sha in members:
        _stages(said, history, sha)
    states: Described = {}
    commits: Described = {}
    for sha in members:
        data = _commit(history, sha, chosen)
        state = effective.at(sha)
        if state:
            name = _state_name(state)
            if ("state", name) not in states:
                states["state", name] = {"files": [[path, state[path].md5] for path in sorted(state)]}
            data["state"] = name
        if data["introduced"] or state:
            commits["commit", sha] = data
    # States stand before the commits that refer to them.
    return {**said, **states, **commits}


def _outs(said: Described, history: History, sha: str, remote: str) -> None:
    held = history.held_at(sha)
    parents = history.parents[sha]
    before = history.held_at(parents[0]).outs if parents else {}
    if held.outs is before:
        return
    at = history.commits[sha].committed
    for path, out in held.outs.items():
        if before.get(path) == out:
            continue
        said.setdefault(("dataset", f"dataset/{key_of(path)}"), {"dataset": f"{remote}/{path}", "path": path})
        data = said.setdefault(
            ("version", f"{out.md5}/{key_of(path)}"),
            {"dataset": f"{remote}/{path}", **_out(out), "at": at},
        )
        data["at"] = min(data["at"], at)
        data["plain"] = data["plain"] or out.plain


def _out(out: Out) -> dict[str, Any]:
    origin = None if out.origin is None else json.loads(out.origin)
    return {
        "path": out.path,
        "md5": out.md5,
        "size": out.size,
        "nfiles": out.nfiles,
        "plain": out.plain,
        "origin": origin,
    }


def _stages(said: Described, history: History, sha: str) -> None:
    held = history.held_at(sha)
    parents = history.parents[sha]
    before = history.held_at(parents[0]).stages if parents else {}
    if held.stages is before:
        return
    view, at = history.view_of[sha], history.commits[sha].committed
    for number, outs in held.stages.items():
        if number in before:
            continue
        stage = history.stages[number]
        deps = [
            {"path": dep.path, "md5": dep.md5, "size": dep.size, "plain": dep.plain}
            for dep in stage.deps
            if not history.is_code(view, dep.path)
        ]
        if not deps or not outs:
            continue
        data = {
            "name": stage.name,
            "deps": deps,
            "outs": [{"path": out.path, "md5": out.md5} for out in outs],
            "params": {file: json.loads(wanted) for file, wanted in stage.params},
        }
        key = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:40]
        entry = said.setdefault(("stage", key), {**data, "at": at})
        entry["at"] = min(entry["at"], at)


def _commit(history: History, sha: str, chosen: set[str]) -> dict[str, Any]:
    introduced: dict[str, str] = {}
    precedes: dict[tuple[str, str], str] = {}
    if sha not in history.cut:
        held = history.held_at(sha).outs
        parents = [history.held_at(parent).outs for parent in history.parents[sha] if parent in chosen]
        if not any(held is other for other in parents):
            for path, out in held.items():
                before = [other[path].md5 for other in parents if path in other]
                if out.md5 in before:
                    continue
                introduced.setdefault(out.md5, path)
                for md5 in before:
                    precedes.setdefault((md5, out.md5), path)
    return {
        "at": history.commits[sha].committed,
        "introduced": sorted(introduced.items()),
        "precedes": sorted((*pair, path) for pair, path in precedes.items()),
        "state": None,
    }


def _state_name(state: Mapping[str, Out]) -> str:
    listed = sorted((path, out.md5) for path, out in state.items())
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:40]


def key_of(path: str) -> str:
    """A path as part of a record's key: itself, or a digest where it is very long or odd."""
    if len(path) <= 400 and path.isprintable():
        return path
    return hashlib.sha256(path.encode("utf-8", "surrogateescape")).hexdigest()


def changed(old: Described, new: Described) -> Described:
    """What is new or different, in order."""
    return {place: data for place, data in new.items() if old.get(place) != data}


def unused_states(old: Described, new: Described, vanished: Iterable[str]) -> list[str]:
    """States that no commit refers to any more. Commits that vanished from the source keep theirs."""
    kept = {old["commit", sha]["state"] for sha in vanished}
    return [
        key
        for type_name, key in old
        if type_name == "state" and ("state", key) not in new and key not in kept
    ]
