"""Evidently: the snapshots of a workspace, one JSON file each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import field_validator

from graph_schema.errors import BadInput
from graph_schema.times import Micros, parse_time, to_micros
from ingestors.checks import ERROR, FAILED, PASSED, SKIPPED, WARNING, Assertion, Examination, number
from ingestors.documents import dig
from ingestors.result_files import Json, NoResult, ResultFiles, ResultFilesConfig, json_object, told
from ingestors.source import Discovered
from ingestors.subjects import said_in

_STATUSES = {"SUCCESS": PASSED, "FAIL": FAILED, "WARNING": WARNING, "ERROR": ERROR, "SKIPPED": SKIPPED}
#: Metrics of Evidently 0.7 that measure a model; what speaks of drift says so in its name.
_MODEL = frozenset(
    {
        "Accuracy", "Precision", "Recall", "F1Score", "RocAuc", "LogLoss", "TPR", "TNR", "FPR", "FNR",
        "F1ByLabel", "PrecisionByLabel", "RecallByLabel", "RocAucByLabel", "MeanError", "MAE", "RMSE", "MAPE",
        "R2Score", "AbsMaxError", "PrecisionTopK", "RecallTopK", "FBetaTopK", "MAP", "MRR", "NDCG", "HitRate",
        "ScoreDistribution", "Diversity", "Novelty", "Serendipity", "Personalization", "PopularityBias",
    }
)  # fmt: skip
_SCHEMA = frozenset({"ColumnCount", "ConstantColumnsCount", "DuplicatedColumnsCount", "EmptyColumnsCount"})
_STATISTICS = {
    "MeanValue": "mean",
    "MinValue": "min",
    "MaxValue": "max",
    "StdValue": "stddev",
    "MedianValue": "median",
    "SumValue": "sum",
    "MissingValueCount": "nullFraction",
}
_PREFIX = "evidently:metric_v2:"


class EvidentlyConfig(ResultFilesConfig):
    """``timezone`` is where the snapshots were made: they tell their time without one."""

    timezone: str = "UTC"

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("the name of a time zone, such as UTC or Europe/Berlin") from None
        return name


class EvidentlySource(ResultFiles):
    """Snapshots below a folder, mostly a workspace."""

    type: ClassVar[str] = "evidently"
    tool: ClassVar[str] = "evidently"
    what: ClassVar[str] = "snapshot"
    config_model = EvidentlyConfig

    def __init__(self, config: EvidentlyConfig) -> None:
        super().__init__(config)
        self.config: EvidentlyConfig = config

    def read(self, file: Path, key: str, content: bytes) -> Examination:
        snapshot = json_object(content)
        results = snapshot.get("metric_results")
        if not isinstance(results, Mapping):
            if isinstance(snapshot.get("metrics"), list) and isinstance(snapshot.get("tests"), list):
                raise BadInput(
                    "is from Snapshot.save_json, without time and metadata: keep it in a workspace"
                )
            raise NoResult
        said = said_in(snapshot.get("metadata"))
        measured = [_Measured(each) for each in results.values() if isinstance(each, Mapping)]
        found = [test for each in measured for test in each.tests(said.get("kinlore.kind"))]
        kinds = [each.kind for each in found] or [each.kind for each in measured]
        project = _project(file)
        tags = [str(tag) for tag in snapshot.get("tags") or () if isinstance(tag, str)]
        name = told(snapshot.get("name")) or ", ".join(sorted(tags)) or None
        return Examination(
            name=name or project or key.rpartition("/")[2],
            stream="/".join(part for part in (project, name) if part) or key.partition("/")[0],
            at=self._time(snapshot.get("timestamp")),
            kind=said.get("kinlore.kind")
            or (max(sorted(set(kinds)), key=kinds.count) if kinds else "data_quality"),
            assertions=found,
            metrics=dict(pair for each in measured for pair in each.values()),
            columns=_columns(measured),
            said=said,
            about={k: v for k, v in (("project", project), ("tags", dict.fromkeys(tags, ""))) if v},
        )

    def _time(self, said: Any) -> Micros:
        if not isinstance(said, str):
            raise BadInput("has no timestamp")
        try:
            naive = datetime.fromisoformat(said)
        except ValueError:
            return parse_time(said)
        return to_micros(naive if naive.tzinfo else naive.replace(tzinfo=ZoneInfo(self.config.timezone)))

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        for place in ("workspace", "evidently_workspace", "evidently"):
            if next((folder / place).glob("*/snapshots/*.json"), None) is not None:
                return [Discovered({"path": place}, f"{place} is a workspace of Evidently")]
        return []


class _Measured:
    """One entry of ``metric_results``: a metric, of all rows or of a group of them."""

    def __init__(self, result: Json) -> None:
        params = dig(result, "metric_value_location", "metric", "params")
        params = params if isinstance(params, Mapping) else {}
        self.result = result
        self.segment: str | None = None
        if str(params.get("type", "")).endswith(":GroupByMetric"):
            self.segment = f"{params.get('column_name')}={params.get('label')}"
            inner = params.get("metric")
            params = inner if isinstance(inner, Mapping) else {}
        self.params = params
        self.metric = str(params.get("type", "metric")).removeprefix(_PREFIX)
        self.column = told(params.get("column"))

    @property
    def kind(self) -> str:
        if "Drift" in self.metric:
            return "data_drift"
        if self.metric in _MODEL:
            return "model_quality"
        return "schema" if self.metric in _SCHEMA else "data_quality"

    def tests(self, kind: str | None) -> Iterator[Assertion]:
        for test in self.result.get("tests") or ():
            if isinstance(test, Mapping):
                critical = dig(test, "test_config", "is_critical")
                critical = dig(test, "bound_test", "test", "is_critical") if critical is None else critical
                yield Assertion(
                    name=f"{self.metric}.{test.get('id', 'test')}",
                    kind=kind or self.kind,
                    status=_STATUSES.get(str(test.get("status")), ERROR),
                    column=self.column,
                    segment=self.segment,
                    severity="warning" if critical is False else "critical",
                    value=self._tested(test),
                    threshold=self._threshold(test),
                    text=told(test.get("description")),
                )

    def _tested(self, test: Json) -> float | None:
        if dig(test, "bound_test", "is_count") is not None:
            part = "count" if dig(test, "bound_test", "is_count") else "share"
            return number(dig(self.result, part, "value"))
        return number(self.result.get("value"))

    def _threshold(self, test: Json) -> str | None:
        config = test.get("test_config")
        config = config if isinstance(config, Mapping) else {}
        for key, words in (("threshold", "{id} {v:g}"), ("expected", "{id} {v:g}")):
            if (value := number(config.get(key))) is not None:
                return words.format(id=test.get("id", ""), v=value)
        least, most = number(config.get("left")), number(config.get("right"))
        if least is not None and most is not None:
            return f"{test.get('id', '')} {least:g} and {most:g}"
        method, threshold = told(self.params.get("method")), number(self.params.get("threshold"))
        if method is not None:
            # Of a p-value, less is more drift; of a distance, more is: only the method tells.
            return method + ("" if threshold is None else f", threshold {threshold:g}")
        return None

    def values(self) -> Iterator[tuple[str, float]]:
        """Names and values, such as ``ValueDrift(amount)`` and ``DriftedColumnsCount.share``."""
        name = self.metric if self.column is None else f"{self.metric}({self.column})"
        name = name if self.segment is None else f"{name} [{self.segment}]"
        if (value := number(self.result.get("value"))) is not None:
            yield name, value
        for part in ("count", "share", "mean", "std"):
            if (value := number(dig(self.result, part, "value"))) is not None:
                yield f"{name}.{part}", value


def _columns(measured: list[_Measured]) -> dict[str, dict[str, float]]:
    columns: dict[str, dict[str, float]] = {}
    for each in measured:
        stat = _STATISTICS.get(each.metric)
        value = number(each.result.get("value"))
        if stat == "nullFraction":
            value = number(dig(each.result, "share", "value"))
        if stat is not None and value is not None and each.column is not None and each.segment is None:
            columns.setdefault(each.column, {})[stat] = value
    return columns


def _project(file: Path) -> str | None:
    """The name of the project that a snapshot of a workspace belongs to."""
    try:
        about = json.loads((file.parent.parent / "metadata.json").read_bytes()[:1_000_000])
    except (OSError, ValueError, RecursionError):
        return None
    return told(about.get("name")) if isinstance(about, Mapping) and file.parent.name == "snapshots" else None
