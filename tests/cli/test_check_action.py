"""The composite action: its shape, and its steps run by bash as a runner runs them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cli.check import command
from tests.cli.conftest import KINLORE, git
from tests.cli.test_check import Project
from tests.cli.test_serve import free_port, started
from tests.forges import BOT, TOKEN, Forges

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".github" / "actions" / "kinlore-check"
ACTION: dict[str, Any] = yaml.safe_load((FOLDER / "action.yml").read_text(encoding="utf-8"))
STEPS: list[dict[str, Any]] = ACTION["runs"]["steps"]
_EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")


# --- its shape -------------------------------------------------------------------------------------------


def test_it_is_a_composite_action_as_github_reads_one() -> None:
    assert set(ACTION) == {"name", "description", "inputs", "outputs", "runs"}
    assert ACTION["runs"]["using"] == "composite"
    for each in ACTION["inputs"].values():
        assert set(each) <= {"description", "default", "required"}
        assert isinstance(each["default"], str)
    for each in ACTION["outputs"].values():
        assert set(each) == {"description", "value"}
    for step in STEPS:
        assert set(step) <= {"name", "id", "shell", "env", "run"}
        assert step["shell"] == "bash"
        assert all(isinstance(value, str) for value in step["env"].values())


def test_no_expression_stands_within_a_script() -> None:
    assert not [step["name"] for step in STEPS if "${{" in step["run"]]


def test_every_input_is_used_and_every_expression_means_something() -> None:
    written = json.dumps(ACTION)
    used = set(_EXPRESSION.findall(written))
    outputs = {
        f"steps.{step['id']}.outputs.{name}" for step in STEPS if "id" in step for name in ACTION["outputs"]
    }

    assert used == {f"inputs.{name}" for name in ACTION["inputs"]} | outputs | {"github.token"}


def test_what_the_step_gives_on_is_what_kinlore_writes() -> None:
    assert set(ACTION["outputs"]) == {"verdict", "score"}


# --- its steps -------------------------------------------------------------------------------------------


class Runner:
    """Runs the action's steps as GitHub's runner does: expressions filled in, bash -eo pipefail, files for
    outputs and summary."""

    def __init__(self, workspace: Path, temp: Path, **more: str) -> None:
        self.workspace = workspace
        self.temp = temp
        self.event = temp / "event.json"
        self.output, self.summary = temp / "output", temp / "summary"
        for file in (self.output, self.summary):
            file.touch()
        self.more = more

    def step(self, number: int, given: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        inputs = {name: each["default"] for name, each in ACTION["inputs"].items()} | dict(given)
        known = {f"inputs.{name}": value for name, value in inputs.items()}

        def filled(text: str) -> str:
            once = _EXPRESSION.sub(lambda match: known.get(match[1], match[0]), text)
            return _EXPRESSION.sub(lambda match: {"github.token": TOKEN}[match[1]], once)

        step = STEPS[number]
        environment = {
            **os.environ,
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_ACTION_PATH": str(FOLDER),
            "GITHUB_EVENT_PATH": str(self.event),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_REPOSITORY": "acme/churn",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "RUNNER_TEMP": str(self.temp),
            **self.more,
            **{name: filled(value) for name, value in step["env"].items()},
        }
        script = self.temp / f"step{number}.sh"
        script.write_text(step["run"], encoding="utf-8")
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.workspace, env=environment, capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    def outputs(self) -> dict[str, str]:
        lines = self.output.read_text(encoding="utf-8").splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="module")
def project(dvc_tool: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("action") / "demo", dvc_tool)


@pytest.fixture(scope="module")
def served(project: Project) -> Iterator[str]:
    words = ("--config", str(project.settings), "serve", "--no-jobs", "--port", str(free_port()))
    with started(project.settings.parent, *words) as (_, said):
        yield str(said["address"])


@pytest.fixture
def forges() -> Iterator[Forges]:
    with Forges() as running:
        yield running


@pytest.fixture
def runner(project: Project, forges: Forges, tmp_path: Path) -> Runner:
    """On a pull request whose merge is checked out, with this Kinlore in the place where it is installed."""
    made = Runner(project.folder, tmp_path, GITHUB_API_URL=forges.url, GITHUB_BASE_REF="main")
    base = git(project.folder, "rev-parse", "main").strip()
    made.event.write_text(
        json.dumps({"pull_request": {"number": 7, "base": {"sha": base}}}), encoding="utf-8"
    )
    place = tmp_path / "kinlore" / "bin" / "kinlore"
    place.parent.mkdir(parents=True)
    place.symlink_to(KINLORE)
    return made


def checked_out(project: Project, branch: str) -> None:
    git(project.folder, "checkout", "--quiet", branch)


def test_a_pull_request_that_touches_the_data_gets_a_comment(
    runner: Runner, project: Project, served: str, forges: Forges
) -> None:
    checked_out(project, "data")

    done = runner.step(1, {"url": served})

    assert done.returncode == 0, done.stderr
    assert runner.outputs()["verdict"] == "warn"
    assert float(runner.outputs()["score"]) > 10
    (text,) = forges.texts
    assert "production&#47;churn&#45;api&#64;17" in text
    assert runner.summary.read_text(encoding="utf-8") == text
    # Whatever is printed in between is no command to the runner.
    first, last = done.stdout.splitlines()[0], done.stdout.splitlines()[-1]
    assert first.removeprefix("::stop-commands::") == last.strip(":")
    assert len(last) == 36


def test_above_the_threshold_the_step_fails(runner: Runner, project: Project, served: str) -> None:
    checked_out(project, "data")

    done = runner.step(1, {"url": served, "fail-above": "10", "comment": "false"})

    assert done.returncode == 3
    assert runner.outputs()["verdict"] == "fail"


def test_one_that_touches_the_readme_is_silent(
    runner: Runner, project: Project, served: str, forges: Forges
) -> None:
    checked_out(project, "readme")

    done = runner.step(1, {"url": served, "fail-above": "0"})

    assert done.returncode == 0
    assert forges.texts == []
    assert runner.summary.read_text(encoding="utf-8") == ""


def test_without_secrets_it_warns_and_passes(runner: Runner, project: Project, forges: Forges) -> None:
    """As on a pull request from a fork: the secrets are empty."""
    checked_out(project, "data")
    forges.add(BOT, "another")

    done = runner.step(1, {"url": "", "token": "", "fail-above": "0"})

    assert done.returncode == 0
    assert runner.outputs()["verdict"] == "unknown"
    assert "::warning title=Kinlore::" in done.stdout
    assert "Kinlore could not be asked" in runner.summary.read_text(encoding="utf-8")
    assert forges.texts == ["another"]


def test_the_two_workflows_of_a_fork(
    runner: Runner, project: Project, served: str, forges: Forges, tmp_path: Path
) -> None:
    checked_out(project, "data")
    sha = git(project.folder, "rev-parse", "HEAD").strip()
    saved = tmp_path / "changes.json"

    first = runner.step(1, {"save": str(saved)})
    run = {
        "event": "pull_request",
        "head_branch": "data",
        "head_sha": sha,
        "head_repository": {"owner": {"login": "fork"}},
    }
    runner.event.write_text(json.dumps({"workflow_run": run}), encoding="utf-8")
    forges.pulls = [{"number": 7, "head": {"label": "fork:data", "sha": sha}}]
    runner.workspace = tmp_path
    second = runner.step(1, {"from": str(saved), "url": served})

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    (text,) = forges.texts
    assert "production&#47;churn&#45;api&#64;17" in text


@pytest.mark.slow
def test_the_first_step_installs_the_kinlore_that_the_action_is_a_part_of(
    runner: Runner, tmp_path: Path
) -> None:
    copy = tmp_path / "checkout"
    for name in ("app", "graph_schema", "ingestors", ".github"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy / name)
    shutil.rmtree(tmp_path / "kinlore")
    runner.more |= {"GITHUB_ACTION_PATH": str(copy / ".github" / "actions" / "kinlore-check")}

    done = runner.step(0, {})

    assert done.returncode == 0, done.stderr
    installed = tmp_path / "kinlore" / "bin" / "kinlore"
    told = subprocess.run([installed, "check", "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "--fail-above" in told.stdout


# --- the workflows in the docs ---------------------------------------------------------------------------

SNIPPETS: list[dict[Any, Any]] = [
    yaml.safe_load(text)
    for text in re.findall(
        r"^```yaml\n(.*?)^```",
        (ROOT / "docs" / "check.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
]
WORKFLOWS = [snippet for snippet in SNIPPETS if "jobs" in snippet]


def uses(workflow: dict[Any, Any], action: str) -> list[dict[str, Any]]:
    """What each step that uses the action is given."""
    return [
        step.get("with", {})
        for job in workflow["jobs"].values()
        for step in job["steps"]
        if step.get("uses", "").partition("@")[0].endswith(action)
    ]


def test_the_workflows_of_the_docs_give_the_action_what_it_takes() -> None:
    assert len(WORKFLOWS) == 3
    for workflow in WORKFLOWS:
        (given,) = uses(workflow, "/.github/actions/kinlore-check")
        assert set(given) <= set(ACTION["inputs"])
        assert all(isinstance(value, str) for value in given.values())


def test_no_workflow_of_the_docs_runs_what_strangers_propose_beside_secrets() -> None:
    for workflow in WORKFLOWS:
        # YAML 1.1 reads the key `on` as true.
        trigger = workflow[True]
        assert trigger == "pull_request" or set(trigger) == {"workflow_run"}
        checked_out = uses(workflow, "actions/checkout")
        assert "write-all" not in json.dumps(workflow)
        if trigger != "pull_request":
            assert not checked_out
            continue
        assert all(
            given["fetch-depth"] == 0 and given["persist-credentials"] is False for given in checked_out
        )
        # Secrets are there on pull requests of the repository itself; forks get none.
        assert "${{ github.event.pull_request" not in json.dumps(workflow)


def test_what_one_workflow_saves_the_other_takes_and_needs_no_secret() -> None:
    (saves,) = [workflow for workflow in WORKFLOWS if "save" in uses(workflow, "kinlore-check")[0]]
    (takes,) = [workflow for workflow in WORKFLOWS if "from" in uses(workflow, "kinlore-check")[0]]

    assert "secrets." not in json.dumps(saves)
    assert saves["permissions"] == {"contents": "read"}
    assert takes[True]["workflow_run"]["workflows"] == [saves["name"]]
    (up,), (down,) = uses(saves, "actions/upload-artifact"), uses(takes, "actions/download-artifact")
    assert up["name"] == down["name"]
    assert up["path"] == uses(saves, "kinlore-check")[0]["save"] == uses(takes, "kinlore-check")[0]["from"]


def test_the_job_for_gitlab_calls_what_there_is() -> None:
    (job,) = [snippet["kinlore"] for snippet in SNIPPETS if "kinlore" in snippet]
    line = next(line for line in job["script"] if line.startswith("kinlore "))

    known = {option for each in command.params for option in each.opts}
    assert {word for word in line.split() if word.startswith("--")} <= known
    assert job["variables"]["GIT_DEPTH"] == "0"
