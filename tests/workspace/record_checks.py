"""What the demo's team checks since the extract of 2 November went wrong, recorded with the real tools:
`python -m tests.workspace.record_checks`.

Every extract that arrives is validated by Great Expectations and profiled by whylogs. The extracts are
written again as the story wrote them, and are what its commits hold, by their md5.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path

from tests.tool_venvs import tool
from tests.workspace.data import Extract, extract_md5, write_raw
from tests.workspace.demo_story import at
from tests.workspace.project import RAW

HERE = Path(__file__).resolve().parents[2] / "app" / "demo"
CHECKS = HERE / "checks"
#: What the profiles have in common: the stream that a bound is set on.
STREAM = "churn extracts"
#: (extract, the commit that brought it, when it was checked).
SEEN: tuple[tuple[Extract, str, datetime], ...] = (
    ("third", "67c54e3", at(11, 5, 8, 10)),
    ("gaps", "3a993d2", at(11, 10, 2, 10)),
)

_VALIDATE = """
import json, sys
from datetime import datetime
import great_expectations as gx, pandas as pd

told = json.loads(sys.argv[1])
context = gx.get_context(mode="ephemeral")
E = gx.expectations
asset = context.data_sources.add_pandas("extracts").add_dataframe_asset("raw.csv")
batch = asset.add_batch_definition_whole_dataframe("all")
suite = context.suites.add(gx.ExpectationSuite(name="raw_extract"))
for each in (
    E.ExpectTableRowCountToBeBetween(min_value=10000),
    E.ExpectColumnValuesToBeBetween(column="tenure", min_value=1, max_value=72),
    E.ExpectColumnValuesToNotBeNull(column="monthly", severity="critical"),
    E.ExpectColumnValuesToBeInSet(column="churned", value_set=[0, 1]),
):
    suite.add_expectation(each)
definition = context.validation_definitions.add(gx.ValidationDefinition(name="v", data=batch, suite=suite))
checkpoint = context.checkpoints.add(gx.Checkpoint(name="c", validation_definitions=[definition], actions=[]))
run_id = gx.RunIdentifier(run_name="extract", run_time=datetime.fromisoformat(told["at"]))
done = checkpoint.run(batch_parameters={"dataframe": pd.read_csv(told["data"])}, run_id=run_id)
(result,) = done.run_results.values()
result.meta["dvc.md5"] = told["md5"]
said = result.to_json_dict()
said["results"] = [{**each, "result": {k: v for k, v in each["result"].items() if "partial" not in k}}
                   for each in said["results"]]
with open(told["file"], "w") as file:
    json.dump(said, file, indent=1)
"""

_PROFILE = """
import json, os, sys
from datetime import datetime
import pandas as pd, whylogs as why
from whylogs.core.metrics import StandardMetric
from whylogs.core.resolvers import ResolverSpec, MetricSpec
from whylogs.core.schema import DeclarativeSchema

told = json.loads(sys.argv[1])
kept = [MetricSpec(getattr(StandardMetric, name).value) for name in ("counts", "types", "distribution")]
columns = ["tenure", "monthly"]
schema = DeclarativeSchema([ResolverSpec(column_name=name, metrics=kept) for name in columns])
results = why.log(
    pd.read_csv(told["data"])[columns], schema=schema, dataset_timestamp=datetime.fromisoformat(told["at"])
)
results.metadata.update({"name": told["stream"], "dvc.md5": told["md5"]})
folder, name = os.path.split(told["file"])
results.writer("local").option(base_dir=folder).write(dest=name)
"""


def _run(name: str, script: str, told: dict[str, str]) -> None:
    quiet = {"GX_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1", "WHYLOGS_NO_ANALYTICS": "1"}
    command = [str(tool(name) / "python"), "-W", "ignore", "-c", script, json.dumps(told)]
    subprocess.run(command, env={**os.environ, **quiet}, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    shutil.rmtree(CHECKS, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        project, data = Path(scratch) / "churn", Path(scratch) / "raw.csv"
        subprocess.run(["git", "clone", "--quiet", str(HERE / "churn.bundle"), str(project)], check=True)
        for extract, commit, when in SEEN:
            write_raw(data, extract)
            md5 = extract_md5(extract)
            tracked = ["git", "-C", str(project), "show", f"{commit}:{RAW}.dvc"]
            if md5 not in subprocess.run(tracked, check=True, capture_output=True, text=True).stdout:
                raise RuntimeError(f"the extract {extract!r} is not what {commit} holds")
            told = {"at": when.isoformat(), "data": str(data), "md5": md5}
            for tool_name, script, ending in (
                ("great_expectations", _VALIDATE, "json"),
                ("whylogs", _PROFILE, "bin"),
            ):
                file = CHECKS / tool_name / f"extract-{when:%Y-%m-%d}.{ending}"
                file.parent.mkdir(parents=True, exist_ok=True)
                _run(tool_name, script, {**told, "file": str(file), "stream": STREAM})
                print(f"{file.relative_to(CHECKS)}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
