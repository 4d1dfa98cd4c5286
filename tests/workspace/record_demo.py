"""Record the workspace that `kinlore demo` ships: `python -m tests.workspace.record_demo`.

Builds the demo's project with the real git, DVC and MLflow, and writes what they say to `app/demo/`. Give
`--alertmanager` (the program) and `--openlineage-python` (a Python with openlineage-python) to record those
too; without them their files stay as they are.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sqlite3
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from app.demo.replay import RecordedMLflow
from tests.tool_venvs import MLflowServer
from tests.workspace import demo_outside as outside
from tests.workspace.demo_story import build_demo
from tests.workspace.record_alerts import record as record_alerts
from tests.workspace.tools import Tools, isolated_environment, run
from tests.workspace.workspace import REMOTE, Project

TARGET = Path(__file__).resolve().parents[2] / "app" / "demo"
MODEL_FILES = ("python_env.yaml", "requirements.txt")
LIMIT_BYTES = 2_000_000
Recording = dict[str, Any]


def ask(client: httpx.Client, method: str, path: str, asked: dict[str, Any]) -> dict[str, Any]:
    if method == "GET":
        response = client.get(f"/api/2.0/mlflow/{path}", params=asked)
    else:
        response = client.post(f"/api/2.0/mlflow/{path}", json=asked)
    response.raise_for_status()
    answer: dict[str, Any] = response.json()
    return answer


def pages(client: httpx.Client, method: str, path: str, key: str, **asked: Any) -> list[dict[str, Any]]:
    """All objects of a search, page by page."""
    found: list[dict[str, Any]] = []
    token = None
    while True:
        answer = ask(client, method, path, {**asked, **({"page_token": token} if token else {})})
        found += answer.get(key, [])
        token = answer.get("next_page_token")
        if not token:
            return found


def searches(experiments: list[str], size: int) -> list[tuple[str, str, str, dict[str, Any]]]:
    """(method, path, key, question): how the objects are asked for, and how the replay is compared."""
    runs = {"experiment_ids": experiments, "run_view_type": "ALL", "max_results": size}
    since = {"filter": "attributes.start_time > 1793000000000"}
    models = {"experiment_ids": experiments, "max_results": size}
    by_time = [{"field_name": "last_updated_timestamp", "ascending": True}]
    return [
        ("GET", "experiments/search", "experiments", {"view_type": "ALL", "max_results": size}),
        ("POST", "experiments/search", "experiments", {"view_type": "ALL", "max_results": size}),
        ("POST", "runs/search", "runs", runs),
        ("POST", "runs/search", "runs", {**runs, "order_by": ["attributes.start_time ASC"]}),
        ("POST", "runs/search", "runs", {**runs, **since}),
        ("POST", "runs/search", "runs", {**runs, "filter": "attributes.end_time > 1793000000000"}),
        ("POST", "runs/search", "runs", {**runs, "filter": "attributes.status = 'RUNNING'"}),
        ("GET", "registered-models/search", "registered_models", {"max_results": size}),
        ("GET", "model-versions/search", "model_versions", {"max_results": size}),
        ("POST", "logged-models/search", "models", models),
        ("POST", "logged-models/search", "models", {**models, "order_by": by_time}),
    ]


def give_times(database: Path) -> None:
    """MLflow stamps models and versions with the time of recording; give them the time of their run instead.

    This is the one thing that the recording changes in the tool's own database.
    """
    with sqlite3.connect(database) as connection:
        ended = "(SELECT end_time FROM runs WHERE run_uuid = {run})"
        connection.execute(
            f"UPDATE logged_models SET creation_timestamp_ms = {ended.format(run='source_run_id')} - 4000,"
            f" last_updated_timestamp_ms = {ended.format(run='source_run_id')} - 2000"
        )
        connection.execute(
            f"UPDATE model_versions SET creation_time = {ended.format(run='run_id')} - 1000,"
            f" last_updated_time = {ended.format(run='run_id')} - 1000"
        )
        for column, pick in (("creation_time", "MIN"), ("last_updated_time", "MAX")):
            versions = "FROM model_versions WHERE model_versions.name = registered_models.name"
            connection.execute(
                f"UPDATE registered_models SET {column} = (SELECT {pick}(creation_time) {versions})"
            )
        earliest, theirs = (
            "SELECT MIN(start_time) FROM runs",
            "runs.experiment_id = experiments.experiment_id",
        )
        first = f"COALESCE(({earliest} WHERE {theirs}), ({earliest}))"
        connection.execute(f"UPDATE experiments SET creation_time = {first}, last_update_time = {first}")


def record_mlflow(client: httpx.Client) -> Recording:
    """Every object in its fullest form: runs with model inputs, versions with aliases, texts."""
    found = pages(client, "GET", "experiments/search", "experiments", view_type="ALL", max_results=100)
    ids = [each["experiment_id"] for each in found]
    runs = pages(
        client, "POST", "runs/search", "runs", experiment_ids=ids, run_view_type="ALL", max_results=100
    )
    full = [ask(client, "GET", "runs/get", {"run_id": each["info"]["run_id"]})["run"] for each in runs]
    versions = pages(client, "GET", "model-versions/search", "model_versions", max_results=100)
    aliased = [
        ask(client, "GET", "model-versions/get", {"name": each["name"], "version": each["version"]})
        for each in versions
    ]
    models = pages(client, "POST", "logged-models/search", "models", experiment_ids=ids, max_results=50)
    registered = pages(client, "GET", "registered-models/search", "registered_models", max_results=100)
    recording: Recording = {
        "mlflow_version": client.get("/version").text,
        "experiments": found,
        "runs": full,
        "registered_models": registered,
        "model_versions": [each["model_version"] for each in aliased],
        "logged_models": models,
        "files": {},
    }
    wanted = [(each["info"]["artifact_uri"], name) for each in models for name in MODEL_FILES]
    wanted += [
        (each["info"]["artifact_uri"], "error.txt") for each in full if each["info"]["status"] == "FAILED"
    ]
    for uri, name in wanted:
        path = f"{uri.removeprefix('mlflow-artifacts:/')}/{name}"
        answer = client.get(f"/api/2.0/mlflow-artifacts/artifacts/{path}")
        if answer.is_success:
            recording["files"][path] = answer.text
    return recording


def places_of_this_machine() -> tuple[str, ...]:
    """Folders whose names must not get into the recording."""
    return (str(Path.home()), f"{tempfile.gettempdir()}/", str(Path(__file__).resolve().parents[2]))


def without_machine(value: Any, project: Project) -> Any:
    """The same, told from where the story's people work: tracebacks carry paths of the recording machine."""
    base = run(
        [project.tools.mlflow_python, "-c", "import sys; print(sys.base_prefix)"], project.folder, {}
    ).strip()
    places = {
        str(project.folder): "/home/dana/churn",
        str(project.tools.mlflow_python.parents[1]): "/home/dana/.venv",
        base: "/usr/local",
    }
    text = json.dumps(value)
    for here, there in places.items():
        text = text.replace(json.dumps(here)[1:-1], there)
    for private in places_of_this_machine():
        if private in text:
            raise RuntimeError(
                f"the recording tells of this machine: …{text[text.index(private) - 80 :][:200]}…"
            )
    return json.loads(text)


def compare(recording: Recording, server: httpx.Client, project: Project) -> int:
    """Ask the server and the replay the same questions in small pages; returns how many were equal."""
    ids = [each["experiment_id"] for each in recording["experiments"]]
    equal = 0
    with httpx.Client(base_url="http://recorded", transport=RecordedMLflow(recording)) as replay:
        for method, path, key, asked in searches(ids, 3):
            real = without_machine(pages(server, method, path, key, **asked), project)
            played = pages(replay, method, path, key, **asked)
            if real != played:
                raise RuntimeError(f"the replay of {path} {asked} differs from the server's answer")
            equal += len(real)
        for each in recording["runs"]:
            about = {"run_id": each["info"]["run_id"]}
            real = without_machine(ask(server, "GET", "runs/get", about), project)
            if ask(replay, "GET", "runs/get", about) != real:
                raise RuntimeError(f"the replay of {about} differs from the server's answer")
    return equal


def bundle(project: Project) -> None:
    """All branches and tags. A bundle has no remotes: whoever clones it sets the URL of the manifest."""
    project.git("bundle", "create", "--quiet", str(TARGET / "churn.bundle"), "HEAD", "--all")


def write(name: str, value: Any, origin: str | None = None) -> None:
    """One JSON file; where `origin` is given, it says how its content came to be."""
    whole = {"origin": origin, **value} if origin else value
    (TARGET / name).write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alertmanager", type=Path)
    parser.add_argument("--openlineage-python", type=Path)
    arguments = parser.parse_args()
    today, tools = datetime.now(UTC).date().isoformat(), Tools.installed()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch).resolve()
        with (
            MLflowServer(home / "server") as server,
            httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client,
        ):
            project = build_demo(home / "churn", tools, server.url)
            give_times(home / "server" / "mlflow.db")
            recording = without_machine(record_mlflow(client), project)
            equal = compare(recording, client, project)
        compact = json.dumps(recording, separators=(",", ":"), ensure_ascii=False).encode()
        # No time stamp in the header: the same recording is the same file.
        (TARGET / "mlflow.json.gz").write_bytes(gzip.compress(compact, 9, mtime=0))
        bundle(project)
        if arguments.alertmanager:
            heard = record_alerts(arguments.alertmanager.resolve(), home / "alertmanager")
            origin = f"recorded from Alertmanager {heard.pop('version')} on {today}, webhook version 4"
            write("alerts.json", heard, origin)
        if arguments.openlineage_python:
            write_openlineage(arguments.openlineage_python, home, today)
        write_rest(project, today)
        versions = {
            "git": project.git("--version").split()[-1],
            "dvc": project.dvc("--version").strip(),
            "mlflow": recording["mlflow_version"],
        }
        environment = isolated_environment(project.folder, tools)
        versions["python"] = run([tools.mlflow_python, "--version"], project.folder, environment).split()[-1]
    write("manifest.json", manifest(recording, versions, today))
    size = sum(file.stat().st_size for file in TARGET.iterdir() if file.is_file())
    print(
        f"{len(recording['runs'])} runs, {equal} searched objects equal on server and replay, {size:,} bytes"
    )
    if size > LIMIT_BYTES:
        raise SystemExit(f"the demo may have {LIMIT_BYTES:,} bytes")


def write_openlineage(python: Path, home: Path, today: str) -> None:
    command = [str(python.absolute()), str(Path(__file__).with_name("emit_openlineage.py"))]
    told = json.dumps(outside.job_runs())
    done = subprocess.run(command, input=told, cwd=home, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    origin = (
        f"made by the client openlineage-python {answer.pop('version')} on {today}, for job runs of the story"
    )
    write("openlineage.json", answer, origin)


def write_rest(project: Project, today: str) -> None:
    alerts = json.loads((TARGET / "alerts.json").read_text(encoding="utf-8"))["deliveries"]
    published = f"written after the published format of CDEvents 0.5.1 on {today}; not recorded from a tool"
    write("deployments.json", {"events": outside.releases(project)}, published)
    ours = f"written for the demo in Kinlore's own words on {today}"
    known = {"incidents": outside.incidents(project, alerts), "failures": outside.failures(project)}
    write("incidents.json", known, ours)


def manifest(recording: Recording, versions: dict[str, str], today: str) -> dict[str, Any]:
    return {
        "description": "Seven weeks of a churn model: data under DVC, code in git, runs in MLflow, "
        "made by tests/workspace/record_demo.py with the real tools. The team and its data are invented.",
        "recorded": today,
        "versions": versions,
        "remote": REMOTE,
        "files": {
            "churn.bundle": "git bundle of HEAD and all branches and tags; set the remote after cloning",
            "mlflow.json.gz": "objects of MLflow's REST API, for app/demo/replay.py. Creation times of "
            "models and versions were set to those of their runs; paths of the machine were replaced",
            "alerts.json": "Alertmanager webhook deliveries",
            "openlineage.json": "OpenLineage events",
            "deployments.json": "CDEvents of releases",
            "incidents.json": "three incidents and some failures with what fixed them",
            "checks/": "results of Great Expectations and profiles of whylogs, by record_checks.py",
        },
        "counts": {key: len(value) for key, value in recording.items() if isinstance(value, list)},
    }


if __name__ == "__main__":
    main()
