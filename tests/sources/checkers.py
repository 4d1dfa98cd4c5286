"""Results of checks, made by the real Great Expectations, Evidently and whylogs."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.tool_venvs import tool

#: What whylogs itself calls the statistics of a column.
OF_WHYLOGS = {
    "mean": "distribution/mean",
    "stddev": "distribution/stddev",
    "min": "distribution/min",
    "max": "distribution/max",
    "q05": "distribution/q_05",
    "q25": "distribution/q_25",
    "median": "distribution/median",
    "q75": "distribution/q_75",
    "q95": "distribution/q_95",
    "count": "counts/n",
    "nulls": "counts/null",
}
#: Validates a table by a suite; ``meta`` goes into the result as its author would write it.
_GREAT_EXPECTATIONS = """
import json, sys
from datetime import datetime
import great_expectations as gx, pandas as pd

told = json.loads(sys.argv[1])
context = gx.get_context(mode="file", project_root_dir=told["root"])
E = gx.expectations
asset = context.data_sources.add_pandas("files").add_dataframe_asset("users")
batch = asset.add_batch_definition_whole_dataframe("all")
suite = context.suites.add(gx.ExpectationSuite(name="users_quality"))
for each in (
    E.ExpectColumnToExist(column="amount"),
    E.ExpectColumnValuesToNotBeNull(column="amount", mostly=0.9, severity="warning"),
    E.ExpectColumnMeanToBeBetween(column="amount", min_value=0, max_value=100),
    E.ExpectColumnValuesToBeBetween(
        column="amount", min_value=0, row_condition='region=="eu"', condition_parser="pandas"
    ),
    E.ExpectColumnMinToBeBetween(column="nope", min_value=0),
    E.ExpectTableRowCountToBeBetween(min_value=1, max_value=10),
):
    suite.add_expectation(each)
definition = context.validation_definitions.add(gx.ValidationDefinition(name="v", data=batch, suite=suite))
checkpoint = context.checkpoints.add(gx.Checkpoint(name="c", validation_definitions=[definition], actions=[]))
for at, rows in told["runs"]:
    run_id = gx.RunIdentifier(run_name="nightly", run_time=datetime.fromisoformat(at))
    frame = pd.DataFrame(rows)
    checkpoint.run(batch_parameters={"dataframe": frame}, run_id=run_id)
result = batch.get_batch(batch_parameters={"dataframe": frame}).validate(suite)
result.meta.update(told["meta"])
with open(told["result"], "w") as file:
    json.dump(result.to_json_dict(), file)
"""

_EVIDENTLY = """
import json, sys
import numpy as np, pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, Report
from evidently.metrics import Accuracy, GroupBy, MeanValue, MissingValueCount, RowCount, ValueDrift
from evidently.tests import eq, gte, lt
from evidently.ui.workspace import Workspace

told = json.loads(sys.argv[1])
chance = np.random.default_rng(0)

def made(shift):
    frame = pd.DataFrame({"amount": chance.normal(shift, 1, 200), "region": ["eu", "us"] * 100})
    frame["target"] = [0, 1] * 100
    frame["prediction"] = [0, 1, 1, 1] * 50
    return Dataset.from_pandas(frame, data_definition=definition)

definition = DataDefinition(
    numerical_columns=["amount"], categorical_columns=["region"],
    classification=[BinaryClassification(target="target", prediction_labels="prediction")],
)
workspace = Workspace.create(told["root"])
project = workspace.create_project("churn")
for metadata in told["snapshots"]:
    metrics = [ValueDrift(column="amount")]
    if not metadata.get("kinlore.kind"):
        metrics += [
            MissingValueCount(column="amount", tests=[eq(0)]), RowCount(tests=[gte(1000, is_critical=False)]),
            Accuracy(tests=[gte(0.9)]), GroupBy(MeanValue(column="amount", tests=[lt(2.9)]), "region"),
        ]
    report = Report(metrics, include_tests=True, metadata=metadata, tags=["nightly"])
    snapshot = report.run(made(metadata.pop("shift")), made(0))
    workspace.add_run(project.id, snapshot)
snapshot.save_json(told["root"] + "/plain.json")
"""

_WHYLOGS = """
import json, sys
from datetime import datetime
import pandas as pd, whylogs as why
from whylogs.core.constraints import ConstraintsBuilder
from whylogs.core.constraints.factories import greater_than_number, no_missing_values
from whylogs.core.schema import DatasetSchema
from whylogs.core.segmentation_partition import segment_on_column

told = json.loads(sys.argv[1])
at = datetime.fromisoformat(told["at"])
frame = pd.DataFrame(told["rows"])
results = why.log(frame, dataset_timestamp=at)
for key, value in told["metadata"].items():
    results.metadata[key] = value
results.writer("local").option(base_dir=told["root"]).write(dest="users.bin")
schema = DatasetSchema(segments=segment_on_column("region"))
why.log(frame, schema=schema, dataset_timestamp=at).writer("local").option(base_dir=told["root"]).write()

view = results.view()
builder = ConstraintsBuilder(dataset_profile_view=view)
builder.add_constraint(no_missing_values(column_name="amount"))
builder.add_constraint(greater_than_number(column_name="id", number=0))
report = builder.build().generate_constraints_report(with_summary=True)
with open(told["root"] + "/users.constraints.json", "w") as file:
    json.dump({
        "dataset_timestamp": view.dataset_timestamp.isoformat(),
        "metadata": view.metadata,
        "constraints": [constraint._asdict() for constraint in report],
    }, file)
print(view.to_pandas().to_json())
"""

_PROFILES = """
import json, sys
from datetime import datetime
import pandas as pd, whylogs as why

for told in json.loads(sys.argv[1]):
    results = why.log(pd.read_csv(told["table"]), dataset_timestamp=datetime.fromisoformat(told["at"]))
    for key, value in told["metadata"].items():
        results.metadata[key] = value
    results.writer("local").option(base_dir=told["root"]).write(dest=told["name"])
"""


def _run(name: str, script: str, told: dict[str, Any] | list[dict[str, Any]]) -> str:
    done = subprocess.run(
        [str(tool(name) / "python"), "-W", "ignore", "-c", script, json.dumps(told)],
        env={**os.environ, "GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "WHYLOGS_NO_ANALYTICS": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def great_expectations(root: Path, result: Path, meta: dict[str, str], *runs: tuple[str, Any]) -> None:
    """A file context in ``root`` with a checkpoint run at each of these times on these columns; the last of
    the tables is validated once more, with ``meta``, into the file ``result``."""
    root.mkdir(parents=True)
    told = {"root": str(root), "result": str(result), "meta": meta, "runs": runs}
    _run("great_expectations", _GREAT_EXPECTATIONS, told)


def evidently(root: Path, *snapshots: dict[str, Any]) -> None:
    """A workspace with a snapshot for each metadata; ``shift`` in it is how far the data drifted. The last is
    also kept by itself, as ``plain.json``."""
    _run("evidently", _EVIDENTLY, {"root": str(root), "snapshots": snapshots})


def whylogs(root: Path, at: str, rows: Any, metadata: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Profiles of a table, whole and by region, and a report of constraints; what whylogs itself reads in the
    whole profile, by statistic and column."""
    root.mkdir(parents=True)
    said = _run("whylogs", _WHYLOGS, {"root": str(root), "at": at, "rows": rows, "metadata": metadata})
    view: dict[str, dict[str, Any]] = json.loads(said.splitlines()[-1])
    return view


def profiles(root: Path, *tables: dict[str, Any]) -> None:
    """A profile of each of these: ``table`` (a CSV file), ``at``, ``name`` of the profile, ``metadata``."""
    root.mkdir(parents=True)
    _run("whylogs", _PROFILES, [{"root": str(root), **each} for each in tables])
