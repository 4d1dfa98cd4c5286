"""Lineage from plain Python: what was read and written."""

from __future__ import annotations

import getpass
import os
import sys
import uuid
import warnings
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Union

from kinlore_client import digests, spool, tree
from kinlore_client.redaction import Redactor, secrets_in

Data = Union[str, "os.PathLike[str]", Mapping[str, Any]]
"""A path, or what is known of data elsewhere: ``name`` and one of ``dvc.md5``, ``md5``, ``sha256``."""

_KEYS = {"path", "name", "dvc.md5", "md5", "sha256", "size", "files"}
_PATIENCE = 3.0
#: The run of this process, where neither MLflow nor ``kinlore run`` has one.
_session = str(uuid.uuid4())


def record(
    inputs: Iterable[Data] | Data = (), outputs: Iterable[Data] | Data = (), *, name: str | None = None
) -> str:
    """Say what was read and written; the identifier of the run it belongs to.

    That is the MLflow run that is active, else the run of ``kinlore run`` around this process, else one for
    this process, called ``name`` or after its script. Files and folders are read to compute their digests,
    as DVC does. Delivered to KINLORE_URL, else kept until somebody delivers it. Raises TypeError and
    ValueError for arguments that are none; nothing else: what cannot be read or delivered is a warning.
    """
    found = tree.here()
    told: dict[str, Any] = {
        "format": 1,
        "kind": "lineage",
        "id": str(uuid.uuid4()),
        "inputs": [_described(each, found) for each in _listed(inputs)],
        "outputs": [_described(each, found) for each in _listed(outputs)],
    }
    mlflow_run = _mlflow_run()
    kinlore_run = os.environ.get("KINLORE_RUN_ID")
    told["code"] = {key: found[key] for key in ("remote",) if key in found}
    if mlflow_run is not None:
        told["mlflow_run_id"] = mlflow_run
        whose = f"mlflow.run_id={mlflow_run}"
    elif kinlore_run:
        told["run"] = kinlore_run
        whose = f"kinlore.run={kinlore_run}"
    else:
        told["run"] = _session
        told["name"] = name or _script()
        told["user"] = _user()
        told["code"] = {key: value for key, value in found.items() if key not in ("root", "dvc")}
        whose = f"kinlore.run={_session}"
    told["started"] = told["ended"] = datetime.now(timezone.utc).isoformat()
    _deliver(Redactor(os.urandom(16), secrets_in(os.environ)).value(told))
    return whose


def _listed(given: Iterable[Data] | Data) -> list[Data]:
    if isinstance(given, (str, os.PathLike, Mapping)):
        return [given]
    return list(given)


def _described(given: Data, found: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(given, Mapping):
        unknown = set(given) - _KEYS
        if unknown or not ({"path", "name"} & set(given)):
            raise ValueError(f"data is described by name or path and by {sorted(_KEYS)}; got {sorted(given)}")
        return dict(given)
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"data is a path or a mapping, not a {type(given).__name__}")
    path = os.fspath(given)
    if "://" in path:
        return {"name": path}
    place = os.path.abspath(path)
    shown = place
    if "root" in found:
        inside = os.path.relpath(os.path.realpath(place), os.path.realpath(found["root"]))
        shown = place if inside.startswith("..") else inside
    try:
        return {"path": shown, **digests.digest(place)}
    except OSError as problem:
        warnings.warn(f"kinlore: {path} cannot be read: {problem.strerror}", stacklevel=3)
        return {"path": shown}


def _mlflow_run() -> str | None:
    mlflow = sys.modules.get("mlflow")
    try:
        run = mlflow.active_run() if mlflow is not None else None
        return None if run is None else str(run.info.run_id)
    except Exception:
        return None


def _script() -> str:
    script = os.path.basename(sys.argv[0] if sys.argv else "")
    # "-c", "-m" and "-" are no names.
    return "python" if not script or script.startswith("-") else script


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None


def _deliver(told: Mapping[str, Any]) -> None:
    try:
        file = spool.put(spool.folder(os.environ), told)
    except (OSError, ValueError) as problem:
        warnings.warn(f"kinlore: lineage was not recorded: {problem}", stacklevel=4)
        return
    url = os.environ.get("KINLORE_URL", "").strip()
    if not url:
        return
    try:
        with open(file, "rb") as kept:
            spool.post(url, os.environ.get("KINLORE_TOKEN"), kept.read(), _PATIENCE)
    except spool.NotDelivered as problem:
        warnings.warn(f"kinlore: lineage waits in {file}: {problem}", stacklevel=4)
    except OSError:
        pass
    else:
        spool.remove(file)
