"""The shipped recording answers as its server did (the two are compared by record_demo, when it records)."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.demo.replay import RecordedMLflow
from tests.workspace.record_demo import LIMIT_BYTES, TARGET, ask, pages


@pytest.fixture(scope="module")
def recording() -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(gzip.decompress((TARGET / "mlflow.json.gz").read_bytes()))
    return whole


@pytest.fixture
def server() -> Iterator[httpx.Client]:
    transport = RecordedMLflow.load(TARGET / "mlflow.json.gz")
    with httpx.Client(base_url="http://recorded", transport=transport) as client:
        yield client


@pytest.fixture
def experiments(recording: dict[str, Any]) -> list[str]:
    return [each["experiment_id"] for each in recording["experiments"]]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_every_run_comes_once_whatever_the_page_size(
    server: httpx.Client, recording: dict[str, Any], experiments: list[str], size: int
) -> None:
    asked = {"experiment_ids": experiments, "run_view_type": "ALL", "max_results": size}

    found = pages(server, "POST", "runs/search", "runs", **asked)

    ids = [each["info"]["run_id"] for each in found]
    assert sorted(ids) == sorted(each["info"]["run_id"] for each in recording["runs"])
    assert len(set(ids)) == len(ids)


def test_filter_by_time_leaves_out_runs_that_have_no_end(
    server: httpx.Client, recording: dict[str, Any], experiments: list[str]
) -> None:
    ends = sorted(each["info"].get("end_time", 0) for each in recording["runs"])
    middle = ends[len(ends) // 2]
    asked = {"experiment_ids": experiments, "filter": f"attributes.end_time > {middle}", "max_results": 5}

    found = pages(server, "POST", "runs/search", "runs", **asked)

    assert len(found) == sum(end > middle for end in ends)


def test_running_is_the_killed_run(server: httpx.Client, experiments: list[str]) -> None:
    asked = {"experiment_ids": experiments, "filter": "status = 'RUNNING' AND start_time > 0"}

    found = pages(server, "POST", "runs/search", "runs", **asked)

    assert [each["info"]["run_name"] for each in found] == ["nine-months"]


def test_what_only_the_single_look_up_has_is_not_in_the_search(
    server: httpx.Client, experiments: list[str]
) -> None:
    runs = pages(server, "POST", "runs/search", "runs", experiment_ids=experiments)
    evaluated = next(each["info"]["run_id"] for each in runs if each["info"]["run_name"] == "evaluate-v2")

    full = ask(server, "GET", "runs/get", {"run_id": evaluated})["run"]
    champion = ask(server, "GET", "model-versions/get", {"name": "churn", "version": "4"})["model_version"]
    versions = pages(server, "GET", "model-versions/search", "model_versions", max_results=2)

    assert not any("model_inputs" in each["inputs"] for each in runs)
    assert len(full["inputs"]["model_inputs"]) == 1
    assert champion["aliases"] == ["champion"]
    assert len(versions) == 4
    assert not any("aliases" in each for each in versions)


def test_artifacts_of_a_failed_run_and_of_a_model(server: httpx.Client, experiments: list[str]) -> None:
    runs = pages(server, "POST", "runs/search", "runs", experiment_ids=experiments)
    failed = next(each["info"] for each in runs if each["info"]["run_name"] == "october-newton")
    model = pages(server, "POST", "logged-models/search", "models", experiment_ids=experiments)[0]["info"]

    listed = ask(server, "GET", "artifacts/list", {"run_id": failed["run_id"]})["files"]
    text = server.get("/get-artifact", params={"run_uuid": failed["run_id"], "path": "error.txt"}).text
    stored = model["artifact_uri"].removeprefix("mlflow-artifacts:/")
    requirements = server.get(f"/api/2.0/mlflow-artifacts/artifacts/{stored}/requirements.txt").text

    assert [each["path"] for each in listed] == ["error.txt"]
    assert text.rstrip().endswith("numpy.linalg.LinAlgError: Singular matrix")
    assert "numpy==" in requirements


@pytest.mark.parametrize(
    ("path", "asked", "status"),
    [
        ("runs/get", {"run_id": "0" * 32}, 404),
        ("model-versions/search", {"page_token": "?"}, 400),
        ("model-versions/search", {"filter": "tags.`a` LIKE 'b%'"}, 400),
        ("traces/search", {}, 404),
    ],
)
def test_refuses_as_mlflow_does(server: httpx.Client, path: str, asked: dict[str, str], status: int) -> None:
    answer = server.get(f"/api/2.0/mlflow/{path}", params=asked)

    assert answer.status_code == status
    assert answer.json()["error_code"]


def test_the_demo_is_small_and_tells_nothing_of_the_machine() -> None:
    kinds = (".json", ".gz", ".bundle", ".bin")
    files = [file for file in TARGET.rglob("*") if file.suffix in kinds]
    texts = [gzip.decompress(f.read_bytes()) if f.suffix == ".gz" else f.read_bytes() for f in files]

    assert sum(file.stat().st_size for file in files) < LIMIT_BYTES
    homes = (b"/root", b"/Users/", b"/tmp/", str(Path(__file__).parents[2]).encode())
    assert not [place for place in homes for text in texts if place in text]


def test_the_bundle_has_every_commit_that_runs_are_tagged_with(
    recording: dict[str, Any], tmp_path: Path
) -> None:
    subprocess.run(
        ["git", "clone", "--quiet", "--mirror", TARGET / "churn.bundle", tmp_path / "churn"], check=True
    )
    listed = subprocess.run(
        ["git", "rev-list", "--all"], cwd=tmp_path / "churn", capture_output=True, text=True, check=True
    )

    tags = [tag for each in recording["runs"] for tag in each["data"]["tags"]]
    tagged = {tag["value"] for tag in tags if tag["key"] == "mlflow.source.git.commit"}

    assert len(tagged) > 5
    assert tagged <= set(listed.stdout.split())
