"""Great Expectations: the validation results that it keeps, one JSON file each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from graph_schema.errors import BadInput
from graph_schema.times import Micros, parse_time, to_micros
from ingestors.checks import ERROR, FAILED, PASSED, Assertion, Examination, in_words, number
from ingestors.documents import dig
from ingestors.result_files import Json, NoResult, ResultFiles, json_object, told
from ingestors.source import Discovered
from ingestors.subjects import said_in

_SCHEMA = re.compile(
    r"expect_(column_to_exist|table_column|column_values_to_be_(of_type|in_type_list)"
    r"|column_values_to_match_json_schema)"
)
_DRIFT = re.compile(r"expect_column_(kl_divergence|bootstrapped_ks_test|chisquare_test|parameterized)")
#: Expectations whose observed value is a statistic of the column.
_STATISTICS = {
    "expect_column_mean_to_be_between": "mean",
    "expect_column_median_to_be_between": "median",
    "expect_column_min_to_be_between": "min",
    "expect_column_max_to_be_between": "max",
    "expect_column_stdev_to_be_between": "stddev",
    "expect_column_sum_to_be_between": "sum",
    "expect_column_unique_value_count_to_be_between": "distinct",
    "expect_column_proportion_of_unique_values_to_be_between": "distinctFraction",
    "expect_column_proportion_of_non_null_values_to_be_between": "nonNullFraction",
}
_EQUALS = re.compile(r"""\s*(?:col\(["'])?([\w .-]+?)(?:["']\))?\s*==\s*["']?([^"'=&|]+?)["']?\s*""")
_LONGEST_LIST = 8


class GreatExpectationsSource(ResultFiles):
    """Validation results below a folder, mostly ``gx/uncommitted/validations``."""

    type: ClassVar[str] = "great_expectations"
    tool: ClassVar[str] = "great_expectations"
    what: ClassVar[str] = "validation result"

    def read(self, file: Path, key: str, content: bytes) -> Examination:
        result = json_object(content)
        results, meta = result.get("results"), result.get("meta")
        if not isinstance(results, list) or not isinstance(meta, Mapping) or "success" not in result:
            if isinstance(result.get("validation_results"), list):
                raise BadInput("describes a checkpoint: without times; the validation results are read")
            raise NoResult
        suite = told(result.get("suite_name")) or told(meta.get("expectation_suite_name"))
        asset = told(dig(meta, "active_batch_definition", "data_asset_name"))
        said = said_in(meta)
        kind = said.get("kinlore.kind")
        found = [_assertion(each, kind) for each in results if isinstance(each, Mapping)]
        metrics, columns = _statistics(results)
        kinds = [each.kind for each in found]
        return Examination(
            name=suite or asset or key.rpartition("/")[2],
            stream="/".join(part for part in (suite, asset) if part) or key.partition("/")[0],
            at=_time(meta),
            kind=kind or (max(sorted(set(kinds)), key=kinds.count) if kinds else "data_quality"),
            assertions=found,
            metrics=metrics,
            columns=columns,
            said=said,
            about=_about(result, meta, asset),
        )

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        for place in ("gx/uncommitted/validations", "great_expectations/uncommitted/validations"):
            if next((folder / place).glob("**/*.json"), None) is not None:
                return [Discovered({"path": place}, f"{place} holds validation results")]
        return []


def _about(result: Json, meta: Json, asset: str | None) -> dict[str, Any]:
    found = {
        "suite": told(result.get("suite_name")),
        "asset": asset,
        "datasource": told(dig(meta, "active_batch_definition", "datasource_name")),
        "runName": told(dig(meta, "run_id", "run_name")),
        "toolVersion": told(meta.get("great_expectations_version")),
    }
    return {key: value for key, value in found.items() if value is not None}


def _time(meta: Json) -> Micros:
    for said in (meta.get("validation_time"), dig(meta, "run_id", "run_time")):
        if isinstance(said, str) and said.strip():
            return parse_time(said)
    loaded = dig(meta, "batch_markers", "ge_load_time")
    try:
        return to_micros(datetime.strptime(str(loaded), "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC))
    except ValueError:
        raise BadInput("says nowhere when it was validated: meta.run_id.run_time is missing") from None


def _assertion(each: Json, kind: str | None) -> Assertion:
    config = each.get("expectation_config")
    config = config if isinstance(config, Mapping) else {}
    name = told(config.get("type")) or told(config.get("expectation_type")) or "expectation"
    kwargs = config.get("kwargs")
    kwargs = kwargs if isinstance(kwargs, Mapping) else {}
    own = said_in(config.get("meta"))
    problem = _exception(each.get("exception_info"))
    status = PASSED if each.get("success") is True else ERROR if problem else FAILED
    return Assertion(
        name=name,
        kind=own.get("kinlore.kind") or kind or _kind(name),
        status=status,
        column=_column(kwargs),
        segment=own.get("kinlore.segment") or _segment(kwargs.get("row_condition")),
        severity=told(config.get("severity")),
        value=_value(each.get("result")),
        threshold=_threshold(kwargs),
        text=problem or told(config.get("description")),
    )


def _kind(name: str) -> str:
    if _SCHEMA.match(name):
        return "schema"
    return "data_drift" if _DRIFT.match(name) else "data_quality"


def _column(kwargs: Json) -> str | None:
    if (column := told(kwargs.get("column"))) is not None:
        return column
    several = kwargs.get("column_list") or [kwargs.get("column_A"), kwargs.get("column_B")]
    named = [str(each) for each in several if each] if isinstance(several, list) else []
    return ", ".join(named[:_LONGEST_LIST]) or None


def _segment(condition: Any) -> str | None:
    """``region=eu`` where a row condition says no more than that, else the condition as it stands."""
    if isinstance(condition, Mapping):
        if condition.get("type") == "comparison" or "operator" in condition:
            column, value = dig(condition, "column", "name"), condition.get("parameter")
            if condition.get("operator") == "==" and column is not None:
                return f"{column}={value}"
        condition = condition.get("pass_through_filter") or repr(dict(sorted(condition.items())))
    text = told(condition)
    if text is None:
        return None
    match = _EQUALS.fullmatch(text)
    return f"{match[1]}={match[2]}" if match else text


def _exception(info: Any) -> str | None:
    """The message of what was raised; GX nests it under an id of the metric where that failed."""
    if not isinstance(info, Mapping):
        return None
    for one in (info, *info.values()):
        if isinstance(one, Mapping) and one.get("raised_exception"):
            return told(one.get("exception_message")) or "raised an exception"
    return None


def _value(result: Any) -> float | str | None:
    if not isinstance(result, Mapping):
        return None
    observed = result.get("observed_value")
    if (value := number(observed)) is not None:
        return value
    if (share := number(result.get("unexpected_percent"))) is not None:
        return round(share, 6)
    return None if observed is None else str(observed)[:200]


def _threshold(kwargs: Json) -> str | None:
    said = [in_words(number(kwargs.get("min_value")), number(kwargs.get("max_value")))]
    values = kwargs.get("value_set")
    if isinstance(values, list):
        listed = ", ".join(str(value)[:40] for value in values[:_LONGEST_LIST])
        said.append(f"one of {listed}" + (", …" if len(values) > _LONGEST_LIST else ""))
    for key, words in (("value", "exactly {}"), ("regex", "matches {}"), ("type_", "type {}")):
        if kwargs.get(key) is not None:
            said.append(words.format(str(kwargs[key])[:100]))
    mostly = number(kwargs.get("mostly"))
    if mostly is not None and mostly < 1:
        said.append(f"in at least {mostly * 100:g} % of the rows")
    return ", ".join(each for each in said if each) or None


def _statistics(results: list[Any]) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Measured values of the table, and of its columns, of results that speak of all rows."""
    metrics: dict[str, float] = {}
    columns: dict[str, dict[str, float]] = {}
    for each in results:
        config = dig(each, "expectation_config")
        name, kwargs = dig(config, "type") or dig(config, "expectation_type"), dig(config, "kwargs")
        if not isinstance(kwargs, Mapping) or kwargs.get("row_condition"):
            continue
        column = told(kwargs.get("column"))
        observed = number(dig(each, "result", "observed_value"))
        if str(name).startswith("expect_table_row_count") and observed is not None:
            metrics["rowCount"] = observed
        elif column is not None and name in _STATISTICS and observed is not None:
            columns.setdefault(column, {})[_STATISTICS[name]] = observed
        elif column is not None and name == "expect_column_values_to_not_be_null":
            share = number(dig(each, "result", "unexpected_percent"))
            if share is not None:
                columns.setdefault(column, {})["nullFraction"] = round(share / 100, 9)
    return metrics, columns
