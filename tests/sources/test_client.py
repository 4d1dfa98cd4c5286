"""kinlore-client in a real environment with the real MLflow: scripts that know nothing of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.kinds import NodeKind
from graph_schema.values import Node
from ingestors.loop import ingest
from ingestors.registry import build
from tests.client_venv import build_client, training_environment
from tests.sources.captures import deliver
from tests.sources.mlflow_tracking import Tracking
from tests.sources.repositories import Repository, edges, every
from tests.tool_venvs import MLflowServer

pytestmark = pytest.mark.slow

LITERAL, OF_ENVIRONMENT = "hunter2hunter2", "open sesame 4711"
MD5 = "25a07ffc7bd3e0a9f0a4d2c4d9a1b3e7"

FAILS = f"""
import os, mlflow, pandas
data = mlflow.data.from_pandas(pandas.DataFrame({{"x": [1]}}), source="data/train.csv")
with mlflow.start_run(run_name="doomed"):
    mlflow.log_param("lr", 0.1)
    mlflow.log_input(data)
    password = "{LITERAL}"
    raise ConnectionError(f"no database: password={{password}}, tried {{os.environ['DB_PASSWORD']}}")
"""
MANY = """
import threading, mlflow
with mlflow.start_run(run_name="search"):
    for number in range(3):
        try:
            with mlflow.start_run(run_name=f"trial-{number}", nested=True):
                if number == 1:
                    raise ValueError("trial one diverged")
        except ValueError:
            pass

def work():
    mlflow.start_run(run_name="in-a-thread")
    raise OSError("the thread broke")

thread = threading.Thread(target=work)
thread.start()
thread.join()
try:
    mlflow.start_run(run_name="by-hand")
    raise RuntimeError("ended by hand")
except RuntimeError:
    mlflow.end_run("FAILED")
mlflow.start_run(run_name="left-open")
1 / 0
"""
NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
for cell in (
    "import mlflow; run = mlflow.start_run(run_name='cells')",
    "{}['missing']",
    "status = mlflow.get_run(run.info.run_id).info.status",
    "mlflow.end_run('FAILED')",
):
    shell.run_cell(cell)
print(shell.user_ns["status"])
"""
PLAIN = """
import kinlore_client, mlflow
print(kinlore_client.record(inputs=["data/train.csv", "s3://bucket/raw"], outputs=["model.pkl"]))
with mlflow.start_run(run_name="told") as run:
    print(kinlore_client.record(outputs=["model.pkl"]))
    print("mlflow.run_id=" + run.info.run_id)
"""


#: As `python -c` calls it.
TYPED = """
import sys, kinlore_client
sys.argv = ["-c"]
print(kinlore_client.record(outputs=["model.pkl"]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a training environment with the client's wheel."""
    wheel = build_client(tmp_path_factory.mktemp("wheel"))
    return training_environment(tmp_path_factory.mktemp("training") / "venv", wheel)


@pytest.fixture
def tracking(mlflow_server: MLflowServer) -> Tracking:
    return Tracking(mlflow_server)


class Project:
    """A repository with data by DVC, and the command lines that somebody types in it."""

    def __init__(self, repository: Repository, python: Path, tracking: Tracking, home: Path) -> None:
        self.repository = repository
        self.python = python
        self.tracking = tracking
        self.home = home
        self.sha = repository.commit(
            "Data",
            {"data/train.csv.dvc": f"outs:\n- md5: {MD5}\n  size: 3\n  hash: md5\n  path: train.csv\n"},
        )
        repository.git("remote", "add", "origin", "https://ada:secretsecret@git.example.com/acme/churn.git")

    def run(self, script: str, *before: str, **more: str) -> subprocess.CompletedProcess[str]:
        (self.repository.folder / "train.py").write_text(script, encoding="utf-8")
        environ = {
            **os.environ,
            "MLFLOW_TRACKING_URI": self.tracking.server.url,
            "MLFLOW_EXPERIMENT_NAME": self.tracking.name,
            "DB_PASSWORD": OF_ENVIRONMENT,
            "XDG_STATE_HOME": str(self.home / "state"),
            "HOME": str(self.home),
            "IPYTHONDIR": str(self.home / "ipython"),
            **more,
        }
        return subprocess.run(
            [*before, str(self.python), "train.py"],
            cwd=self.repository.folder, env=environ, capture_output=True, text=True,
        )  # fmt: skip

    def runs(self) -> dict[str, dict[str, Any]]:
        """Runs of the experiment by name: id, status, tags."""
        found = self.tracking.call("POST", "runs/search", experiment_ids=[self.tracking.experiment])
        return {
            run["info"]["run_name"]: {
                "id": run["info"]["run_id"],
                "status": run["info"]["status"],
                "tags": {tag["key"]: tag["value"] for tag in run["data"]["tags"]},
            }
            for run in found.get("runs", ())
        }

    def spooled(self) -> list[dict[str, Any]]:
        files = sorted((self.home / "state" / "kinlore" / "spool").glob("*.json"))
        return [json.loads(file.read_text(encoding="utf-8")) for file in files]


@pytest.fixture
def project(repository: Repository, python: Path, tracking: Tracking, tmp_path: Path) -> Project:
    (tmp_path / "home").mkdir()
    return Project(repository, python, tracking, tmp_path / "home")


def pull(store: SqliteStore, tracking: Tracking) -> None:
    table = {"type": "mlflow", "name": "tracking", "tracking_uri": tracking.server.url}
    report = ingest(store, build({**table, "include": [tracking.name]}, Path.cwd()))
    assert (report.error, report.dead_letters, report.refused) == (None, 0, [])


def node(store: SqliteStore, identifier: str) -> Node:
    (handle,) = store.resolve(identifier)
    (found,) = store.get([handle])
    assert found is not None
    return found


def test_a_failed_run_carries_its_traceback_and_no_secret(
    project: Project, store: SqliteStore, tmp_path: Path
) -> None:
    done = project.run(FAILS)

    assert done.returncode == 1
    assert "ConnectionError" in done.stderr
    run = project.runs()["doomed"]
    assert run["status"] == "FAILED"
    tags = run["tags"]
    assert tags["kinlore.error_type"] == "ConnectionError"
    assert tags["kinlore.traceback"].startswith("Traceback (most recent call last):")
    assert "train.py" in tags["kinlore.traceback"]
    assert "no database: password=[redacted:" in tags["kinlore.traceback"]
    assert tags["mlflow.source.git.commit"] == project.sha
    assert tags["mlflow.source.git.repoURL"] == "https://git.example.com/acme/churn.git"
    assert tags["kinlore.dirty"] == "false"
    assert json.loads(tags["kinlore.dvc"]) == {"data/train.csv": MD5}

    pull(store, project.tracking)

    found = node(store, f"mlflow.run_id={run['id']}")
    assert found.properties["status"] == "FAILED"
    assert found.properties["errorType"] == "ConnectionError"
    assert found.properties["error"].startswith("Traceback (most recent call last):")
    drawn = edges(store)
    assert (f"git.sha={project.sha}", "CODE_FOR", found.id) in drawn
    assert (f"dvc.md5={MD5}", "INPUT_TO", found.id) in drawn
    everything = json.dumps([run, [n.properties for kind in NodeKind for n in every(store, kind)]])
    held = b"".join(file.read_bytes() for file in tmp_path.glob("kinlore.db*"))
    for secret in (LITERAL, OF_ENVIRONMENT, "secretsecret"):
        assert secret not in everything
        assert secret.encode() not in held


def test_every_way_in_which_a_run_fails_is_told(project: Project) -> None:
    done = project.run(MANY)

    assert done.returncode == 1
    runs = project.runs()
    told = {
        name: (run["status"], run["tags"].get("kinlore.error_type"), run["tags"].get("kinlore.traceback", ""))
        for name, run in runs.items()
    }
    assert {name: (status, kind) for name, (status, kind, _) in told.items()} == {
        "search": ("FINISHED", None),
        "trial-0": ("FINISHED", None),
        "trial-1": ("FAILED", "ValueError"),
        "trial-2": ("FINISHED", None),
        "in-a-thread": ("FAILED", "OSError"),
        "by-hand": ("FAILED", "RuntimeError"),
        "left-open": ("FAILED", "ZeroDivisionError"),
    }
    assert told["trial-1"][2].endswith("ValueError: trial one diverged")
    assert told["left-open"][2].endswith("ZeroDivisionError: division by zero")


def test_a_cell_that_fails_ends_no_run_and_is_told(project: Project) -> None:
    done = project.run(NOTEBOOK)

    assert done.stdout.splitlines()[-1] == "RUNNING", done.stderr
    run = project.runs()["cells"]
    assert run["status"] == "FAILED"
    assert run["tags"]["kinlore.error_type"] == "KeyError"
    assert run["tags"]["mlflow.source.git.commit"] == project.sha


def test_kinlore_run_and_the_mlflow_run_it_made_are_one(project: Project, store: SqliteStore) -> None:
    kinlore = str(Path(sys.executable).with_name("kinlore"))

    failed = project.run(FAILS, kinlore, "run", "--name", "nightly", "--")
    several = project.run(MANY, kinlore, "run", "--")

    assert (failed.returncode, several.returncode) == (1, 1)
    one, many = project.spooled()
    runs = project.runs()
    assert runs["doomed"]["tags"]["kinlore.run"] == one["run"]
    captures = build({"type": "capture", "name": "capture"}, Path.cwd())
    deliver(store, captures, [one, many])
    pull(store, project.tracking)
    nightly = node(store, f"kinlore.run={one['run']}")
    assert nightly.id == f"mlflow.run_id={runs['doomed']['id']}"
    assert nightly.properties["errorType"] == "ConnectionError"
    assert nightly.properties["exitCode"] == 1
    drawn = edges(store)
    assert {dst for src, kind, dst in drawn if src == f"kinlore.run={many['run']}" and kind == "HAS"} == {
        f"mlflow.run_id={runs[name]['id']}" for name in ("search", "in-a-thread", "by-hand", "left-open")
    }


def test_plain_python_tells_what_it_read_and_wrote(project: Project, store: SqliteStore) -> None:
    project.repository.write({"data/train.csv": "a,b\n1,2\n", "model.pkl": "weights"})

    done = project.run(PLAIN)
    typed = project.run(TYPED)

    session, told, made = done.stdout.split()[:3]
    assert session.startswith("kinlore.run=")
    assert told == made
    deliver(store, build({"type": "capture", "name": "capture"}, Path.cwd()), project.spooled())
    drawn = edges(store)
    named = {n.properties.get("path"): n.id for n in every(store, NodeKind.DATASET_VERSION)}
    assert (named["data/train.csv"], "INPUT_TO", session) in drawn
    assert {(session, "PRODUCED", named["model.pkl"]), (made, "PRODUCED", named["model.pkl"])} <= drawn
    assert (f"git.sha={project.sha}", "CODE_FOR", session) in drawn
    assert node(store, session).name == "train.py"
    assert node(store, typed.stdout.strip()).name == "python"
    assert ("dataset=git.example.com/acme/churn/model.pkl", "HAS", named["model.pkl"]) in drawn
