"""What MLflow holds, asked of its own client in its own environment, and how it meets git and DVC."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import yaml

from tests.workspace.tools import isolated_environment, run
from tests.workspace.truth_code import Edges, History, data, data_at, sha
from tests.workspace.workspace import TEMPLATE, Project

SCOPE = "tracking"
"""The name of the MLflow source, which is the instance that its scoped identifiers belong to."""
Tracking = dict[str, Any]


def ask_mlflow(project: Project, mlflow_url: str) -> Tracking:
    """Everything on the server, by `dump_mlflow.py`."""
    environment = isolated_environment(project.folder, project.tools, mlflow_url)
    script = TEMPLATE.parent / "dump_mlflow.py"
    answer: Tracking = json.loads(run([project.tools.mlflow_python, script], project.folder, environment))
    return answer


def experiment_id(value: str) -> str:
    return f"mlflow.experiment_id@{SCOPE}={value}"


def run_id(value: str) -> str:
    return f"mlflow.run_id={value}"


def logged(value: str) -> str:
    return f"mlflow.logged_model={value}"


def model(name: str) -> str:
    return f"mlflow.model@{SCOPE}={name}"


def version(name: str, number: int) -> str:
    return f"mlflow.model_version@{SCOPE}={name}/{number}"


def runtime(environment: dict[str, str]) -> str:
    """ "Runtime: lock file and image digests, interpreter, hardware … `runtime` (digest of its parts)".

    MLflow records two parts, beside each logged model: the interpreter and the requirements.
    """
    parts = {
        "python": str(yaml.safe_load(environment["python_env.yaml"])["python"]),
        "requirements": hashlib.sha256(environment["requirements.txt"].encode()).hexdigest(),
    }
    return "runtime=" + hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def commits_code_for_runs(tracking: Tracking) -> Edges:
    """Commit `CODE_FOR` Run: the tag `mlflow.source.git.commit`, whether or not git still has that commit."""
    for each in tracking["runs"]:
        if commit := each["tags"].get("mlflow.source.git.commit"):
            yield sha(commit), "CODE_FOR", run_id(each["id"])


def experiments_have_runs(tracking: Tracking) -> Edges:
    """Experiment `HAS` Run: nested ones too."""
    for each in tracking["runs"]:
        yield experiment_id(each["experiment"]), "HAS", run_id(each["id"])


def runs_have_runs(tracking: Tracking) -> Edges:
    """Run `HAS` Run (nested)."""
    for each in tracking["runs"]:
        if parent := each["tags"].get("mlflow.parentRunId"):
            yield run_id(parent), "HAS", run_id(each["id"])


def versions_input_to_runs(tracking: Tracking, history: History) -> Edges:
    """DatasetVersion `INPUT_TO` Run: "a run's data is joined by content first".

    "Commit + path is used only without content, on a clean tree" (see `data_at` for the rest).
    """
    for each in tracking["runs"]:
        for used in each["inputs"]:
            if md5 := input_content(each, used, history):
                yield data(md5), "INPUT_TO", run_id(each["id"])


def input_content(each: dict[str, Any], used: dict[str, Any], history: History) -> str | None:
    """The md5 of one input, or None where nothing says it.

    The path is the tag `dvc.path`, else a local source's relative path. The tree counts as clean unless
    the run's tag `mlflow.source.git.dirty` says otherwise.
    """
    if md5 := used["tags"].get("dvc.md5"):
        return str(md5)
    path = used["tags"].get("dvc.path")
    if path is None and used["source_type"] == "local":
        path = used["source"]["uri"]
    commit = each["tags"].get("mlflow.source.git.commit")
    if path is None or commit is None or each["tags"].get("mlflow.source.git.dirty") == "true":
        return None
    return data_at(history, commit, path)


def runs_produced_models(tracking: Tracking) -> Edges:
    """Run `PRODUCED` ModelVersion: its logged models, and registered versions that have none."""
    for each in tracking["logged_models"]:
        if each["run"]:
            yield run_id(each["run"]), "PRODUCED", logged(each["id"])
    for each in tracking["model_versions"]:
        if each["run"] and not each["source"].startswith("models:/m-"):
            yield run_id(each["run"]), "PRODUCED", version(each["name"], each["version"])


def logged_registered_as(tracking: Tracking) -> Edges:
    """ModelVersion `REGISTERED_AS` ModelVersion (logged → registered), which its source names."""
    for each in tracking["model_versions"]:
        if each["source"].startswith("models:/m-"):
            source = each["source"].removeprefix("models:/")
            yield logged(source), "REGISTERED_AS", version(each["name"], each["version"])


def models_have_versions(tracking: Tracking) -> Edges:
    """Model `HAS` ModelVersion."""
    for each in tracking["model_versions"]:
        yield model(each["name"]), "HAS", version(each["name"], each["version"])


def model_versions_precede(tracking: Tracking) -> Edges:
    """ModelVersion `PRECEDES` its successor: the next higher number of the same model."""
    for name in {each["name"] for each in tracking["model_versions"]}:
        numbers = sorted(each["version"] for each in tracking["model_versions"] if each["name"] == name)
        for older, newer in itertools.pairwise(numbers):
            yield version(name, older), "PRECEDES", version(name, newer)


def runtimes_of_runs(tracking: Tracking) -> Edges:
    """Runtime `RUNTIME_OF` Run: where one of its logged models carries its environment."""
    for each in tracking["logged_models"]:
        if each["run"] and each["environment"]:
            yield runtime(each["environment"]), "RUNTIME_OF", run_id(each["run"])
