"""The files of a BentoML store, read without trust.

Only ``model.yaml``, ``bento.yaml`` and the description of an imported MLflow model are read, as plain values.
What a model consists of is hashed at most; nothing is loaded, so nothing in it can run.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import yaml

from graph_schema.errors import BadInput
from graph_schema.times import Micros, parse_time, to_micros
from ingestors.source import Item, SourceError
from ingestors.yaml_depth import check_depth

_LONGEST_FILE = 2_000_000
#: Above this many bytes the content of a model is not hashed.
_LARGEST_CONTENT = 100_000_000
#: Values taken out of one file; more of them is nothing that BentoML writes.
_BUDGET = 5_000
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Record type → folder of the store, and the file that says what an entry is.
STORES = {"model": ("models", "model.yaml"), "bento": ("bentos", "bento.yaml")}
#: Where ``bentoml.mlflow.import_model`` puts what it imports.
_MLMODEL = "mlflow_model/MLmodel"


class Entry(NamedTuple):
    """A version in the store. ``stamp`` changes when its files do."""

    type: str
    name: str
    version: str
    folder: Path
    stamp: str

    @property
    def key(self) -> str:
        return f"{self.type}/{self.name}:{self.version}"


class _BadFile(Exception):
    """A file of the store is not as BentoML writes it; the message says how."""


def folders(place: Path) -> list[Path]:
    """The folders in a folder, links left out, by name; none where it is not there."""
    try:
        with os.scandir(place) as found:
            return sorted(Path(each.path) for each in found if each.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []
    except OSError as problem:
        raise SourceError(f"{place} cannot be read: {problem.strerror}") from None


def stamp(folder: Path, file: str) -> str:
    """What tells without reading whether an entry has changed: times, sizes and numbers of its files."""
    parts = []
    for place in (folder, folder / file):
        try:
            about = place.lstat()
            # Changed rights count too: what could not be read may be readable now.
            parts.append(f"{about.st_ctime_ns}-{about.st_size}-{about.st_ino}")
        except OSError as problem:
            parts.append(f"error {problem.errno}")
    return " ".join(parts)


def item(entry: Entry, now: Micros) -> Item:
    """An entry as a record. What is wrong with it comes along, so that it becomes a dead letter."""
    try:
        told = _mapping(_load(entry.folder / STORES[entry.type][1]))
        data = _model(entry, told) if entry.type == "model" else _bento(entry, told)
    except (_BadFile, BadInput) as problem:
        data = {"problem": str(problem)}
    except OSError as problem:
        data = {"problem": f"cannot be read: {problem.strerror}"}
    return Item(entry.key, entry.type, now, data)


def _opened(place: Path, longest: int) -> BinaryIO:
    """A regular file, open for reading; never a link, a pipe or a device."""
    try:
        handle = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as problem:
        why = "is a link" if problem.errno == errno.ELOOP else f"cannot be read: {problem.strerror}"
        raise _BadFile(f"{place.name} {why}") from None
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode) or about.st_size > longest:
        os.close(handle)
        raise _BadFile(f"{place.name} is no plain file, or larger than {longest:,} bytes")
    return os.fdopen(handle, "rb")


def _load(place: Path) -> Any:
    """YAML as plain values. Whatever asks for objects is refused."""
    with _opened(place, _LONGEST_FILE) as file:
        content = file.read(_LONGEST_FILE)
    try:
        text = content.decode("utf-8")
        check_depth(text)
        return yaml.load(text, Loader=_LOADER)  # noqa: S506 - the safe loader, in C
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        line = f" in line {mark.line + 1}" if mark is not None else ""
        reason = getattr(problem, "problem", None) or "unreadable"
        raise _BadFile(f"{place.name} is not plain YAML{line}: {reason}") from None
    except (UnicodeDecodeError, RecursionError, ValueError, TypeError, OverflowError) as problem:
        raise _BadFile(f"{place.name} is not plain YAML: {type(problem).__name__}") from None


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _BadFile("is not as BentoML writes it: no mapping of names to values")
    return {str(key): each for key, each in value.items()}


class _Copier:
    """Values copied out of YAML, where an alias stands for as much as it likes."""

    def __init__(self) -> None:
        self.left = _BUDGET

    def plain(self, value: Any, depth: int = 0) -> Any:
        """The value as JSON knows it; times as texts."""
        self.left -= 1
        if self.left < 0 or depth > 20:
            raise _BadFile("holds more than BentoML writes: too many values, or nested too deep")
        if isinstance(value, dict):
            return {str(key): self.plain(each, depth + 1) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(each, depth + 1) for each in value]
        if value is None or isinstance(value, str | int | float):
            return value
        return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _created(told: Mapping[str, Any]) -> Micros | None:
    said = told.get("creation_time")
    if isinstance(said, datetime):
        return to_micros(said)
    return None if said is None else parse_time(str(said))


def _common(entry: Entry, told: Mapping[str, Any]) -> dict[str, Any]:
    tag, said = f"{entry.name}:{entry.version}", f"{told.get('name')}:{told.get('version')}"
    if tag.lower() != said.lower():
        raise _BadFile(f"lies at {tag} and says it is {said[:200]}")
    labels = _Copier().plain(_mapping(told.get("labels") or {}))
    return {"tag": tag, "version": entry.version, "createdAt": _created(told), "labels": labels}


def _model(entry: Entry, told: Mapping[str, Any]) -> dict[str, Any]:
    context = _mapping(told.get("context") or {})
    metadata = _Copier().plain(_mapping(told.get("metadata") or {}))
    imported = _imported(entry.folder)
    return {
        **_common(entry, told),
        "metadata": metadata,
        "framework": short_text(context.get("framework_name")) or short_text(told.get("module")),
        "bentomlVersion": short_text(context.get("bentoml_version")),
        "pythonVersion": short_text(context.get("python_version")),
        "mlflowRunId": short_text(metadata.get("mlflow_run_id")) or imported.get("run_id"),
        "mlflowModelId": short_text(metadata.get("mlflow_model_id")) or imported.get("model_id"),
        **_digests(entry.folder),
    }


def _bento(entry: Entry, told: Mapping[str, Any]) -> dict[str, Any]:
    services = [_mapping(service) for service in _listed(told.get("services"), "services")]
    # Before 1.2 the list stood at the top; since then it is empty there.
    named = [*_listed(told.get("models"), "models")]
    for service in services:
        named += _listed(service.get("models"), "models of a service")
    # A model of another registry lies nowhere in this store.
    here = [m for m in map(_mapping, named) if m.get("registry", "bentoml") == "bentoml"]
    image = _mapping(told.get("image") or {})
    return {
        **_common(entry, told),
        "models": sorted({short_text(model.get("tag")) or "" for model in here} - {""}),
        "service": short_text(told.get("service")),
        "bentomlVersion": short_text(told.get("bentoml_version")),
        "pythonVersion": short_text(image.get("python_version")),
        "baseImage": short_text(image.get("base_image")),
    }


def _listed(value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _BUDGET:
        raise _BadFile(f"is not as BentoML writes it: {what} is no list")
    return value


def short_text(value: Any) -> str | None:
    """A short text of a scalar; None where there is none."""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)[:1_000] or None
    return None


def _imported(folder: Path) -> dict[str, str]:
    """The run and the logged model that an imported MLflow model names in its own description."""
    place = folder / _MLMODEL
    if not place.exists():
        return {}
    try:
        told = _mapping(_load(place))
    except _BadFile:
        # It belongs to another tool; the entry stands without it.
        return {}
    return {k: text for k in ("run_id", "model_id") if (text := short_text(told.get(k))) is not None}


def _digests(folder: Path) -> dict[str, Any]:
    """Size and digests of a model that is a single file: the same content elsewhere is the same model."""
    with os.scandir(folder) as found:
        files = [each for each in found if each.name != "model.yaml"]
    if len(files) != 1 or not files[0].is_file(follow_symlinks=False):
        return {}
    md5, sha256, size = hashlib.md5(usedforsecurity=False), hashlib.sha256(), 0
    try:
        with _opened(Path(files[0].path), _LARGEST_CONTENT) as file:
            while chunk := file.read(2**20):
                md5.update(chunk)
                sha256.update(chunk)
                size += len(chunk)
    except _BadFile:
        return {}
    return {"size": size, "md5": md5.hexdigest(), "sha256": sha256.hexdigest()}
