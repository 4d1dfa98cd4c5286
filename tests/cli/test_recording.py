"""What ``kinlore run`` records of a command."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from graph_schema.edges import EdgeKind
from graph_schema.values import Direction
from tests.cli.commands import PYTHON, Commands
from tests.cli.conftest import git, repository
from tests.sources.repositories import Repository

FAILS = """
import os

def train(lr):
    password = "hunter2hunter2"
    raise ValueError(f"cannot connect: password={password}, {os.environ['DB_PASSWORD']}")

print("epoch 1")
train(0.1)
"""


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Commands:
    return Commands(folder, tmp_path / "state")


def script(run: Commands, text: str) -> str:
    (run.folder / "train.py").write_text(text, encoding="utf-8")
    return "train.py"


def test_a_traceback_with_its_commit_and_without_secrets(run: Commands) -> None:
    repository(run.folder)
    git(run.folder, "remote", "add", "origin", "https://ada:secretsecret@git.example.com/acme/churn.git")
    script(run, FAILS)
    (run.folder / "file.txt").write_text("changed\n")
    run.configure()

    done = run(
        "--name", "nightly", "--", PYTHON, "train.py", "--lr", "0.1", "batch=32", DB_PASSWORD="open sesame"
    )

    assert done.code == 1
    assert done.err.endswith("is recorded in sqlite:///kinlore.db\nkinlore: no precedent\n")
    (found,) = run.runs()
    properties = found.properties
    assert (found.name, properties["status"], properties["errorType"]) == ("nightly", "FAILED", "ValueError")
    assert properties["params"] == {"lr": "0.1", "batch": "32"}
    assert properties["error"].startswith("Traceback (most recent call last):")
    assert [frame["function"] for frame in properties["frames"]] == ["<module>", "train"]
    assert properties["log"].startswith("epoch 1\nTraceback")
    assert properties["dirty"] is True and len(properties["diff"]) == 64
    head = git(run.folder, "rev-parse", "HEAD").strip()
    with run.container() as container:
        upstream = container.store.resolve(f"git.sha={head}")
        assert len(upstream) == 1
        assert container.store.resolve("git.remote=git.example.com/acme/churn")
    held = b"".join(file.read_bytes() for file in run.folder.glob("kinlore.db*"))
    for secret in (b"hunter2", b"open sesame", b"secretsecret"):
        assert secret not in held
    assert run.files() == []


def test_inputs_and_outputs_named_by_options(run: Commands) -> None:
    repository(run.folder)
    (run.folder / "in.csv").write_text("a\n1\n")
    run.configure()

    done = run(
        "--input",
        "in.csv",
        "--input",
        "gone.csv",
        "--output",
        "model",
        "--",
        "sh",
        "-c",
        "mkdir model; cp in.csv model/a",
    )

    assert done.code == 0
    assert "kinlore: gone.csv cannot be read: No such file or directory" in done.err
    (found,) = run.runs()
    md5 = hashlib.md5(b"a\n1\n").hexdigest()
    assert found.properties["inputs"][0] == {"path": "in.csv", "dvc.md5": md5, "size": 4}
    with run.container() as container:
        (data,) = container.store.resolve(f"dvc.md5={md5}")
        (node,) = container.store.get([data])
        assert node is not None and {str(i) for i in node.identifiers} == {
            f"dvc.md5={md5}",
            f"md5@dataset_version={md5}",
        }


def test_what_dvc_says_of_the_stage_it_runs(folder: Path, run: Commands, dvc_tool: Path) -> None:
    project = Repository(folder, dvc_tool)
    project.start_dvc()
    command = " ".join(run.words("--quiet", "--", "sh", "train.sh"))
    project.write(
        {
            "raw/a.csv": "a\n",
            "train.sh": "cp raw/a.csv model\n",
            "dvc.yaml": f"stages:\n  train:\n    cmd: XDG_STATE_HOME={run.state} {command}\n"
            "    deps: [raw, train.sh]\n    outs: [model]\n",
        }
    )
    project.dvc("add", "raw")
    project.git("add", "train.sh")

    project.dvc("repro")

    told = run.only()
    lock = (folder / "dvc.lock").read_text()
    assert [each["path"] for each in told["inputs"]] == ["raw"]
    assert [each["path"] for each in told["outputs"]] == ["model"]
    for each in (*told["inputs"], *told["outputs"]):
        assert each["dvc.md5"] in lock


def test_processes_of_one_launch_are_one_run(run: Commands) -> None:
    run.configure()
    (run.folder / "rank.py").write_text(
        "import os, time\n"
        "time.sleep(0.2 * (os.environ['RANK'] != '1'))\n"
        "assert os.environ['RANK'] != '1', 'rank one diverged'\n"
    )
    launcher = f"""
import os, subprocess, sys
words = [*{run.words("--quiet", "--")!r}, {PYTHON!r}, "rank.py"]
launch = {{"WORLD_SIZE": "3", "LOCAL_WORLD_SIZE": "3", "MASTER_PORT": "29500"}}
processes = [subprocess.Popen(words, env={{**os.environ, **launch, "RANK": str(n)}}) for n in range(3)]
sys.exit(max(process.wait() for process in processes))
"""
    for _ in range(2):
        subprocess.run([PYTHON, "-c", launcher], cwd=run.folder, env=run.environ(), capture_output=True)
    run.kinlore("ingest", "capture")

    first, second = run.runs()
    assert first.id != second.id
    for found in (first, second):
        properties = found.properties
        assert (properties["status"], properties["processes"], properties["rank"]) == ("FAILED", 3, 1)
        assert properties["failedRanks"] == [1]
        assert properties["errorMessage"] == "rank one diverged"


def test_a_run_within_a_run(run: Commands) -> None:
    run.configure()

    run("--name", "outer", "--", *run.words("--name", "inner", "--", "true"))

    names = {found.name: found for found in run.runs()}
    assert names.keys() == {"outer", "inner"}
    with run.container() as container:
        (inner,) = container.store.resolve(names["inner"].id)
        steps = container.store.expand([inner], Direction.UPSTREAM, [EdgeKind.HAS]).steps
        assert [container.store.labels([step.src])[0].id for step in steps] == [names["outer"].id]


def test_a_very_long_command_is_cut(run: Commands) -> None:
    done = run("--quiet", "--", "true", *(f"{number:0400}" for number in range(2_000)))

    command = run.only()["command"]
    assert done.code == 0
    assert command[0] == "true" and command[-1] == "…" and sum(map(len, command)) <= 50_000
