"""DVC experiments: commits under refs/exps, with what they read, made and measured."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ingestors.git_objects import GitRepository, Ref
from ingestors.sources.dvc import files
from ingestors.sources.dvc.describe import Described
from ingestors.sources.dvc.history import History

# refs/exps/<2 hex>/<38 hex>/<name>: the commit it started from, and its name. Others are DVC's own.
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38}(?:[0-9a-f]{24})?)/(.+)")


def experiment_refs(repository: GitRepository) -> list[Ref]:
    """Refs of finished experiments."""
    return [ref for ref in repository.refs("refs/exps") if _EXPERIMENT.fullmatch(ref.name)]


def describe_experiments(
    repository: GitRepository, history: History, refs: Sequence[Ref], described: Described
) -> Described:
    """One item per experiment, keyed by its commit."""
    wanted: dict[str, list[tuple[str, str]]] = {}
    for ref in refs:
        if ref.sha not in history.commits:
            continue
        recipes = history.held_at(ref.sha).recipes
        metrics = dict.fromkeys(path for recipe in recipes for path in recipe.metrics)
        params = dict.fromkeys(["params.yaml", *(path for recipe in recipes for path in recipe.params)])
        wanted[ref.sha] = [*(("metrics", path) for path in metrics), *(("params", path) for path in params)]
    specs = [(sha, path) for sha, paths in wanted.items() for _, path in paths]
    oids = dict(zip(specs, repository.places(specs), strict=True))
    contents = {
        oid: content
        for oid, kind, content in repository.objects(
            sorted({oid for oid in oids.values() if oid is not None})
        )
        if kind == "blob"
    }
    found: Described = {}
    for ref in refs:
        match = _EXPERIMENT.fullmatch(ref.name)
        if match is None or ref.sha not in wanted:
            continue
        values: dict[str, dict[str, Any]] = {"metrics": {}, "params": {}}
        for role, path in wanted[ref.sha]:
            content = contents.get(oids[ref.sha, path] or "")
            if content is not None:
                values[role].update(_named(path, files.values(path, content)))
        commit = history.commits[ref.sha]
        found["experiment", f"experiment/{ref.sha}"] = {
            "sha": ref.sha,
            "name": match[3],
            "baseline": match[1] + match[2],
            "parents": list(history.parents[ref.sha]),
            "author": commit.author,
            "email": commit.author_email,
            "committed": commit.committed,
            "subject": commit.message.strip().partition("\n")[0][:200],
            "params": {**values["params"], **_locked(history, ref.sha)},
            "metrics": {k: v for k, v in values["metrics"].items() if isinstance(v, int | float | str)},
            "inputs": _inputs(history, ref.sha),
            "produced": _produced(history, ref.sha, described),
        }
    return found


def _named(path: str, tree: Any) -> dict[str, Any]:
    """Dotted keys; those of unusual files stand behind the file's name, as DVC shows them."""
    usual = path.rpartition("/")[2] in ("params.yaml", "metrics.json", "metrics.yaml")
    if not isinstance(tree, Mapping):
        return {}
    return {key if usual else f"{path}:{key}": value for key, value in files.flat(tree).items()}


def _locked(history: History, sha: str) -> dict[str, Any]:
    """Parameters as the lock has them: what the stages really ran with."""
    found: dict[str, Any] = {}
    for number in history.held_at(sha).stages:
        for path, wanted in history.stages[number].params:
            found.update(_named(path, json.loads(wanted)))
    return found


def _inputs(history: History, sha: str) -> list[tuple[str, str]]:
    """(md5, path) of the data that the experiment's stages read and none of them made."""
    held = history.held_at(sha)
    made = {out.path for number in held.stages for out in history.stages[number].outs}
    view = history.view_of[sha]
    found: dict[str, str] = {}
    for number in held.stages:
        for dep in history.stages[number].deps:
            if dep.path not in made and not history.is_code(view, dep.path):
                found.setdefault(dep.md5, dep.path)
    return sorted(found.items())


def _produced(history: History, sha: str, described: Described) -> list[tuple[str, str]]:
    """(md5, path) of what its stages made anew."""
    introduced = described.get(("commit", sha), {}).get("introduced", [])
    made = {out.md5 for outs in history.held_at(sha).stages.values() for out in outs}
    return [(md5, path) for md5, path in introduced if md5 in made]
