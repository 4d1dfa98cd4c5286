"""MLflow's answers, brought to the shape of our items: key/value lists become objects, times numbers.

Pure. It happens before redaction, which recognises secrets by the names of keys.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Any

Json = Mapping[str, Any]

# MLflow's SQL stores cannot hold infinities and put the largest number in their place.
_LARGEST = sys.float_info.max


def pairs(entries: Iterable[Json] | None) -> dict[str, str]:
    """``[{"key": k, "value": v}, …]`` as an object."""
    return {entry["key"]: entry.get("value", "") for entry in entries or ()}


def number(value: Any) -> Any:
    """A metric's value: a number, or ``"NaN"``, ``"Infinity"``, ``"-Infinity"``."""
    if value == _LARGEST:
        return "Infinity"
    if value == -_LARGEST:
        return "-Infinity"
    return value


def metrics(entries: Iterable[Json] | None) -> dict[str, Any]:
    """The latest value of each metric; of a logged model, several runs and data sets may have set one."""
    latest: dict[str, tuple[tuple[int, int], Any]] = {}
    for entry in entries or ():
        order = (millis(entry.get("timestamp")) or 0, millis(entry.get("step")) or 0)
        held = latest.get(entry["key"])
        if held is None or order >= held[0]:
            # A zero may be left out, as protobuf does.
            latest[entry["key"]] = (order, number(entry.get("value", 0.0)))
    return {key: value for key, (_, value) in latest.items()}


def millis(value: Any) -> int | None:
    """A time as the server sends it: a number, or a number in quotes; 0 and nothing mean nothing."""
    try:
        return int(value) or None
    except (TypeError, ValueError):
        return None


def run(raw: Json) -> dict[str, Any]:
    """A run of ``runs/search`` or ``runs/get``."""
    info, data = raw["info"], raw.get("data") or {}
    tags = pairs(data.get("tags"))
    inputs, outputs = raw.get("inputs") or {}, raw.get("outputs") or {}
    return {
        "id": info.get("run_id") or info["run_uuid"],
        "experiment": str(info["experiment_id"]),
        "name": info.get("run_name") or tags.get("mlflow.runName") or "",
        "status": info.get("status", ""),
        "start": millis(info.get("start_time")),
        "end": millis(info.get("end_time")),
        "user": info.get("user_id") or tags.get("mlflow.user") or "",
        "stage": info.get("lifecycle_stage", "active"),
        "params": pairs(data.get("params")),
        "metrics": {m["key"]: number(m.get("value", 0.0)) for m in data.get("metrics") or ()},
        "tags": tags,
        "inputs": [dataset_input(each) for each in inputs.get("dataset_inputs") or ()],
        "outputs": sorted({m["model_id"] for m in outputs.get("model_outputs") or ()}),
    }


def model_inputs(raw: Json) -> list[str]:
    """Logged models that a run read; only ``runs/get`` tells."""
    return sorted({m["model_id"] for m in (raw.get("inputs") or {}).get("model_inputs") or ()})


def dataset_input(raw: Json) -> dict[str, Any]:
    """A data set that a run read. ``source`` is the address or path that MLflow recorded, as text."""
    dataset, tags = raw.get("dataset") or {}, pairs(raw.get("tags"))
    return {
        "name": dataset.get("name", ""),
        "digest": dataset.get("digest", ""),
        "context": tags.pop("mlflow.data.context", ""),
        "sourceType": dataset.get("source_type", ""),
        "source": _address(dataset.get("source")),
        "tags": tags,
    }


def _address(source: Any) -> str:
    """MLflow keeps JSON such as ``{"uri": …}``, ``{"url": …}`` or ``{"path": …}`` as text."""
    try:
        read = json.loads(source)
    except (TypeError, ValueError, RecursionError):
        return source if isinstance(source, str) else ""
    if isinstance(read, dict):
        for key in ("uri", "url", "path", "table_name"):
            if isinstance(read.get(key), str):
                return str(read[key])
        return ""
    return read if isinstance(read, str) else ""


def experiment(raw: Json) -> dict[str, Any]:
    """An experiment of ``experiments/search``."""
    return {
        "id": str(raw["experiment_id"]),
        "name": raw.get("name", ""),
        "stage": raw.get("lifecycle_stage", "active"),
        "created": millis(raw.get("creation_time")),
        "tags": pairs(raw.get("tags")),
    }


def logged_model(raw: Json) -> dict[str, Any]:
    """A logged model of ``logged-models/search``."""
    info, data = raw["info"], raw.get("data") or {}
    return {
        "id": info["model_id"],
        "experiment": str(info.get("experiment_id", "")),
        "name": info.get("name", ""),
        "status": str(info.get("status", "")).removeprefix("LOGGED_MODEL_"),
        "statusMessage": info.get("status_message", ""),
        "modelType": info.get("model_type", ""),
        "run": info.get("source_run_id", ""),
        "uri": info.get("artifact_uri", ""),
        "created": millis(info.get("creation_timestamp_ms")),
        "params": pairs(data.get("params")),
        "metrics": metrics(data.get("metrics")),
        "tags": pairs(info.get("tags")),
    }


def model(raw: Json) -> dict[str, Any]:
    """A registered model of ``registered-models/search``. ``aliases``: alias → version."""
    return {
        "name": raw["name"],
        "description": raw.get("description", ""),
        "created": millis(raw.get("creation_timestamp")),
        "tags": pairs(raw.get("tags")),
        "aliases": {a["alias"]: str(a["version"]) for a in raw.get("aliases") or ()},
    }


def model_version(raw: Json) -> dict[str, Any]:
    """A version of ``model-versions/search``; which aliases it has is known to its model only."""
    return {
        "name": raw["name"],
        "version": str(raw["version"]),
        "description": raw.get("description", ""),
        "created": millis(raw.get("creation_timestamp")),
        "stage": raw.get("current_stage", ""),
        "status": raw.get("status", ""),
        "statusMessage": raw.get("status_message", ""),
        "source": raw.get("source", ""),
        "run": raw.get("run_id", ""),
        "loggedModel": raw.get("model_id", ""),
        "user": raw.get("user_id", ""),
        "tags": pairs(raw.get("tags")),
    }
