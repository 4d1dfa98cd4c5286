"""The source mlflow on stores without a server, through the real mlflow package."""

from __future__ import annotations

import json
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ingestors.source import Item
from ingestors.sources.mlflow import pulling
from tests.sources.mlflow_tracking import Reader, Tracking
from tests.tool_venvs import MLflowServer

ROOT = Path(__file__).resolve().parents[2]

# The package mlflow is in the tool's environment, what Kinlore itself needs in ours.
READ = """
import json, os, sys
sys.path += [{root!r}, {site!r}]
from pathlib import Path
import msgspec
from ingestors.registry import build
from ingestors.source import SourceError

def read(uri):
    try:
        source = build({{"type": "mlflow", "name": "tracking", "tracking_uri": uri}}, Path.cwd())
        before = sorted(os.listdir())
        pages = list(source.pull(None, now={now}))
        items = [item for page in pages for item in page.items]
        claims = [msgspec.to_builtins(source.to_claims(item)) for item in items]
        exist = source.get("run", [item.key for item in items if item.type == "run"] + ["run/" + "0" * 32])
        return {{"items": msgspec.to_builtins(items), "claims": claims, "check": source.check(),
                "exist": sorted(exist), "complete": {{k: sorted(v) for k, v in pages[-1].complete.items()}},
                "left": sorted(set(os.listdir()) - set(before))}}
    except SourceError as problem:
        return {{"error": str(problem)}}
"""

MAKE = """
import mlflow
def fill(uri):
    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("local-" + uri.partition(":")[0])
    with mlflow.start_run(run_name="fine"):
        mlflow.log_metric("loss", float("nan"))
        mlflow.log_param("lr", 0.1)
        model = mlflow.initialize_logged_model(name="model")
        Path("requirements.txt").write_text("numpy==2.4.0\\n")
        mlflow.MlflowClient().log_model_artifact(model.model_id, "requirements.txt")
        mlflow.finalize_logged_model(model.model_id, "READY")
        Path("requirements.txt").unlink()
        mlflow.register_model(f"models:/{{model.model_id}}", "churn")
    mlflow.MlflowClient().set_registered_model_alias("churn", "champion", "1")
    try:
        with mlflow.start_run(run_name="failed"):
            mlflow.log_text("MemoryError: out of memory", "error.txt")
            raise ValueError
    except ValueError:
        pass
"""


def in_tool(mlflow_tool: Path, cwd: Path, script: str, now: int) -> Any:
    """Run a script with the tool's Python; what it prints last is JSON."""
    text = (READ + script).format(root=str(ROOT), site=sysconfig.get_paths()["purelib"], now=now)
    done = subprocess.run(
        [str(mlflow_tool / "python"), "-c", text], cwd=cwd, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("place", ["sqlite:///mlflow.db", "mlruns"])
def test_a_store_without_a_server_is_read_as_one_with_it(
    tmp_path: Path, mlflow_tool: Path, place: str
) -> None:
    uri = place if ":" in place else (tmp_path / place).as_uri()
    allow = "os.environ['MLFLOW_ALLOW_FILE_STORE'] = 'true'\n"
    script = f"{allow}{MAKE}\nfill({uri!r})\ndel os.environ['MLFLOW_ALLOW_FILE_STORE']\n"
    script += f"print(json.dumps(read({place!r})))"

    found = in_tool(mlflow_tool, tmp_path, script, now=int(time.time() * 1_000_000))

    items = {item["key"]: item for item in found["items"]}
    runs = {item["data"]["name"]: item for item in found["items"] if item["type"] == "run"}
    assert runs["fine"]["data"]["metrics"] == {"loss": "NaN"}
    assert runs["failed"]["data"]["status"] == "FAILED"
    assert items[f"error/{runs['failed']['data']['id']}"]["data"]["text"] == "MemoryError: out of memory"
    (model,) = [item for item in found["items"] if item["type"] == "logged_model"]
    assert items[f"environment/{model['data']['id']}"]["data"]["packages"] == ["numpy==2.4.0"]
    assert items["model_version/churn/1"]["data"]["aliases"] == ["champion"]
    assert found["exist"] == sorted(item["key"] for item in runs.values())
    assert found["check"].startswith("MLflow 3.17 at ")
    assert found["left"] == []


def test_the_database_behind_a_server_says_what_the_server_says(
    own_mlflow_server: MLflowServer, mlflow_tool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulling, "SWEEP_ALWAYS", -1)
    tracking = Tracking(own_mlflow_server)
    run = tracking.run(tags={"team": "growth"})
    tracking.read(run, "a", '{"uri": "a.csv"}', dvc__path="a.csv")
    tracking.metric(run, "loss", "NaN")
    deleted = tracking.run("deleted", status="RUNNING")
    tracking.call("POST", "runs/delete", run_id=deleted)
    name = tracking.registered("both", (f"models:/{tracking.logged_model(run, None)}", run))
    tracking.alias(name, "champion", "1")
    reader = Reader(tracking, include=[])
    reader.pull()

    script = f"print(json.dumps(read({own_mlflow_server.backend_store_uri!r})))"
    found = in_tool(mlflow_tool, own_mlflow_server.home, script, now=reader.now)

    local = {item["key"]: msgspec.convert(item, Item) for item in found["items"]}
    assert local == reader.items
    assert reader.complete is not None
    assert found["complete"] == {kind: sorted(keys) for kind, keys in reader.complete.items()}


def test_what_is_not_there_is_not_made(tmp_path: Path, mlflow_tool: Path) -> None:
    places = ["sqlite:///none.db", "nowhere"]
    (tmp_path / "broken.db").write_text("this is no database")
    script = f"print(json.dumps([read(place) for place in {[*places, 'sqlite:///broken.db']!r}]))"

    found = in_tool(mlflow_tool, tmp_path, script, now=1)

    assert "no such file" in found[0]["error"]
    assert "no such folder" in found[1]["error"]
    assert "cannot be opened" in found[2]["error"]
    assert all("\n" not in each["error"] for each in found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.db"]
