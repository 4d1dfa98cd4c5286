"""dvc.lock, ``*.dvc``, dvc.yaml, parameter and metric files, read without trust.

All scalars are read as texts (an md5 of digits only is no number), aliases are copied within a budget, and
whatever is not as DVC writes it raises :class:`BadFile` with the reason.
"""

from __future__ import annotations

import json
import math
import posixpath
import re
import tomllib
from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from graph_schema import normalise
from graph_schema.errors import BadInput
from ingestors.yaml_depth import check_depth

_LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_BUDGET = 200_000
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


class BadFile(BadInput):
    """A file is not as DVC writes it."""


class Out(msgspec.Struct, frozen=True):
    """A file or folder that DVC tracks. ``md5`` as in the file, ``.dir`` kept. ``plain``: it is the md5
    of the content, not of the content with its line ends changed, as DVC 2 had it. ``origin``: where an
    import came from, as JSON."""

    path: str
    md5: str
    size: int | None = None
    nfiles: int | None = None
    plain: bool = False
    origin: str | None = None


class Dep(msgspec.Struct, frozen=True):
    """What a stage read."""

    path: str
    md5: str
    size: int | None = None
    plain: bool = False


class Stage(msgspec.Struct, frozen=True):
    """A stage as its lock has it. Paths are relative to the repository; ``params`` is (file, JSON object)."""

    name: str
    deps: tuple[Dep, ...]
    outs: tuple[Out, ...]
    params: tuple[tuple[str, str], ...] = ()


class Recipe(msgspec.Struct, frozen=True):
    """What dvc.yaml adds to a lock: working folders of stages, paths that DVC does not keep, metric and
    parameter files. Paths are relative to the repository."""

    wdirs: Mapping[str, str]
    uncached: frozenset[str]
    metrics: tuple[str, ...]
    params: tuple[str, ...]


def load(content: bytes) -> Any:
    """YAML with all scalars as texts. Raises BadFile in one line."""
    if re.search(rb"^(<{7}|={7}|>{7})", content, re.MULTILINE):
        raise BadFile("holds the marks of an unresolved merge")
    try:
        text = content.decode("utf-8")
        check_depth(text)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - makes texts only
    except BadInput as problem:
        raise BadFile(str(problem)) from None
    except UnicodeDecodeError:
        raise BadFile("is not UTF-8") from None
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark is not None else ""
        raise BadFile(f"is not YAML{line}: {getattr(problem, 'problem', None) or 'unreadable'}") from None
    except (RecursionError, ValueError, TypeError) as problem:
        raise BadFile(f"is not YAML: {type(problem).__name__}") from None


def inside(base: str, path: str) -> str | None:
    """The path relative to the repository; None for one outside of it, on another machine or absolute."""
    if (
        not path
        or "://" in path
        or path.startswith(("/", "~"))
        or "\0" in path
        or re.match(r"[A-Za-z]:[\\/]", path)
    ):
        return None
    joined = posixpath.normpath(posixpath.join(base, path.replace("\\", "/")))
    return None if joined == ".." or joined.startswith("../") or joined == "." else joined


def pointer(path: str, content: bytes) -> tuple[list[Out], list[Stage]]:
    """What a ``.dvc`` file tracks, and the stage it is, where it is one of old times."""
    held = _mapping(load(content), "it")
    base = posixpath.join(posixpath.dirname(path), _text(held.get("wdir", ".")))
    origin = _origin(held.get("deps"))
    outs = [_out(base, entry, origin) for entry in _list(held.get("outs"), "outs")]
    kept = [out for out in outs if out is not None]
    if "cmd" in held:
        deps = [_dep(base, entry) for entry in _list(held.get("deps"), "deps")]
        return [], [Stage(path, tuple(d for d in deps if d is not None), tuple(kept))]
    return kept, []


def lock(path: str, content: bytes, wdirs: Mapping[str, str]) -> list[Stage]:
    """The stages of a dvc.lock, in its order. ``wdirs`` are the stages' working folders, from dvc.yaml."""
    held = _mapping(load(content), "it")
    entries = held.get("stages", {} if "schema" in held else held)
    stages = []
    for name, entry in _mapping(entries, "stages").items():
        stage = _mapping(entry, f"stage {name}")
        if "cmd" not in stage:
            raise BadFile(f"is not as DVC writes it: stage {name} has no command")
        base = wdirs.get(str(name).partition("@")[0], posixpath.dirname(path))
        deps = [_dep(base, each) for each in _list(stage.get("deps"), "deps")]
        outs = [_out(base, each, None) for each in _list(stage.get("outs"), "outs")]
        params = [
            (file, json.dumps(typed(wanted), sort_keys=True))
            for file_name, wanted in _mapping(stage.get("params") or {}, "params").items()
            if (file := inside(base, str(file_name))) is not None and isinstance(wanted, Mapping)
        ]
        stages.append(
            Stage(
                str(name),
                tuple(d for d in deps if d is not None),
                tuple(o for o in outs if o is not None),
                tuple(sorted(params)),
            )
        )
    return stages


def recipe(path: str, content: bytes) -> Recipe:
    """What dvc.yaml says beside the lock. What is templated is left out: the lock has it in full."""
    held = _mapping(load(content), "it")
    top = posixpath.dirname(path)
    wdirs: dict[str, str] = {}
    uncached: set[str] = set()
    metrics: list[str] = []
    params: list[str] = []
    for name, entry in _mapping(held.get("stages") or {}, "stages").items():
        body = entry.get("do", entry) if isinstance(entry, Mapping) else {}
        if not isinstance(body, Mapping):
            continue
        base = top
        if isinstance(body.get("wdir"), str) and "${" not in body["wdir"]:
            base = posixpath.normpath(posixpath.join(top, body["wdir"]))
            wdirs[str(name)] = "" if base == "." else base
        for kind in ("outs", "metrics", "plots"):
            for out_path, options in _named(body.get(kind)):
                place = inside(base, out_path)
                if place is None:
                    continue
                if kind == "metrics":
                    metrics.append(place)
                if isinstance(options, Mapping) and str(options.get("cache", "")).lower() == "false":
                    uncached.add(place)
        for file_name, _ in _named(body.get("params")):
            # "train.lr" is a key of params.yaml, "other.yaml:" and its keys stand as a mapping.
            if file_name.endswith((".yaml", ".yml", ".json", ".toml", ".py")):
                params.append(inside(base, file_name) or "")
    metrics += [inside(top, name) or "" for name, _ in _named(held.get("metrics"))]
    params += [inside(top, name) or "" for name, _ in _named(held.get("params"))]
    return Recipe(wdirs, frozenset(uncached), tuple(filter(None, metrics)), tuple(filter(None, params)))


def values(path: str, content: bytes) -> Any | None:
    """The content of a parameter or metric file; None for a kind that cannot be read without running it."""
    try:
        if path.endswith((".yaml", ".yml")):
            return typed(load(content))
        if path.endswith(".json"):
            return bounded(json.loads(content))
        if path.endswith(".toml"):
            return bounded(tomllib.loads(content.decode("utf-8")))
    except (BadFile, ValueError, RecursionError):
        return None
    return None


def pick(tree: Any, key: str) -> Any:
    """The value under a dotted key; None where there is none."""
    for part in key.split("."):
        if isinstance(tree, Mapping):
            tree = tree.get(part)
        elif isinstance(tree, list) and part.isdigit() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return None
    return tree


def flat(tree: Any, before: str = "") -> dict[str, Any]:
    """Nested values under dotted keys, as trackers show them. Lists stay whole."""
    if not isinstance(tree, Mapping):
        return {before: tree} if before else {}
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found.update(flat(value, f"{before}.{key}" if before else str(key)))
    return found


def typed(tree: Any) -> Any:
    """Texts of YAML 1.2, as DVC reads them, with the types they mean. Raises BadFile over budget."""
    return bounded(tree, _scalar)


def bounded(tree: Any, scalar: Any = lambda value: value) -> Any:
    """A copy with at most so many values, however often an alias repeats them. Raises BadFile."""
    budget = [_BUDGET]

    def copy(node: Any, depth: int) -> Any:
        budget[0] -= 1
        if budget[0] < 0 or depth > 60:
            raise BadFile(f"holds more than {_BUDGET} values, or nests them too deep")
        if isinstance(node, Mapping):
            return {str(key): copy(value, depth + 1) for key, value in node.items()}
        if isinstance(node, list):
            return [copy(value, depth + 1) for value in node]
        return scalar(node)

    return copy(tree, 0)


def _scalar(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value in ("", "~", "null", "Null", "NULL"):
        return None
    if value in ("true", "True", "TRUE"):
        return True
    if value in ("false", "False", "FALSE"):
        return False
    if len(value) < 400:
        if _INT.fullmatch(value):
            return int(value)
        if _FLOAT.fullmatch(value):
            number = float(value)
            return number if math.isfinite(number) else value
    return value


def _mapping(value: Any, what: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise BadFile(f"is not as DVC writes it: {what} is not a mapping")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise BadFile(f"is not as DVC writes it: {what} is not a list")
    if len(value) > _BUDGET:
        raise BadFile(f"is not as DVC writes it: {what} is too long")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadFile("is not as DVC writes it: a path is not a text")
    return value


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 19 else None


def _md5(entry: Mapping[Any, Any]) -> str | None:
    value = entry.get("md5")
    if value is None:
        # Kept by another hash or only by version id: nothing that DVC's md5 could be compared with.
        return None
    try:
        return normalise.dvc_md5(_text(value))
    except BadInput as problem:
        raise BadFile(f"is not as DVC writes it: {problem}") from None


def _out(base: str, entry: Any, origin: str | None) -> Out | None:
    held = _mapping(entry, "an out")
    path, md5 = inside(base, _text(held.get("path"))), _md5(held)
    if path is None or md5 is None or str(held.get("cache", "true")).lower() == "false":
        return None
    return Out(
        path, md5, _count(held.get("size")), _count(held.get("nfiles")), held.get("hash") == "md5", origin
    )


def _dep(base: str, entry: Any) -> Dep | None:
    held = _mapping(entry, "a dependency")
    path, md5 = inside(base, _text(held.get("path"))), _md5(held)
    if path is None or md5 is None or "repo" in held:
        return None
    return Dep(path, md5, _count(held.get("size")), held.get("hash") == "md5")


def _origin(deps: Any) -> str | None:
    """Where ``dvc import`` and ``dvc import-url`` got it from: {path, repository, revision, etag}."""
    if not isinstance(deps, list) or not deps or not isinstance(deps[0], Mapping):
        return None
    first = deps[0]
    repository = first.get("repo")
    origin = {"path": first.get("path"), "etag": first.get("etag")}
    if isinstance(repository, Mapping):
        origin["repository"] = repository.get("url")
        origin["revision"] = repository.get("rev_lock") or repository.get("rev")
    kept = {key: value for key, value in origin.items() if isinstance(value, str) and value}
    return json.dumps(kept, sort_keys=True) if kept else None


def _named(value: Any) -> list[tuple[str, Any]]:
    """Entries that are a name, or one name with its options."""
    found: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        value = [{name: options} for name, options in value.items()]
    for entry in value if isinstance(value, list) else []:
        if isinstance(entry, str):
            found.append((entry, None))
        elif isinstance(entry, Mapping):
            found += [(str(name), options) for name, options in entry.items()]
    return [(name, options) for name, options in found if "${" not in name]
