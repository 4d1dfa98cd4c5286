"""The recipe of a run that git, DVC and `kinlore run` know of, followed word by word in an empty folder."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.commands import PYTHON, Commands

pytestmark = pytest.mark.timeout(300)

#: Reads the data, draws from it by its seed, and writes what it came to.
TRAIN = """
import json, random, sys
seed = int(sys.argv[sys.argv.index("--seed") + 1])
rows = open("data/raw.csv").read().split()
random.Random(seed).shuffle(rows)
json.dump({"rows": len(rows), "first": rows[:3]}, open("result.json", "w"))
"""


def shell(folder: Path, *words: str, **environ: str) -> str:
    done = subprocess.run(
        words, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def tools(dvc_tool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC on the path, as on the machine of whoever follows a recipe."""
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{dvc_tool}")


@pytest.fixture
def project(tools: None, tmp_path: Path) -> Path:
    """A repository with a remote, data in DVC with a remote of its own, a lock file; the data changes after
    the run, and the commit that the run ran on comes before the one that holds its data."""
    origin, folder, store = tmp_path / "origin.git", tmp_path / "churn", tmp_path / "dvc-remote"
    shell(tmp_path, "git", "init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    shell(tmp_path, "git", "clone", "--quiet", str(origin), str(folder))
    shell(folder, "git", "checkout", "--quiet", "-B", "main")
    shell(folder, "dvc", "init", "--quiet")
    shell(folder, "dvc", "remote", "add", "--default", "--quiet", "kept", str(store))
    (folder / "train.py").write_text(TRAIN)
    (folder / "requirements.txt").write_text("# nothing but the standard library\n")
    (folder / ".gitignore").write_text("result.json\n.venv\nkinlore.*\n")
    commit(folder, "Begin")
    write(folder, 200)
    return folder


def commit(folder: Path, message: str) -> None:
    shell(folder, "git", "add", "--all")
    shell(folder, "git", "commit", "--quiet", "--message", message)
    shell(folder, "git", "push", "--quiet", "origin", "main")


def write(folder: Path, rows: int) -> None:
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "raw.csv").write_text("".join(f"row-{number}\n" for number in range(rows)))
    shell(folder, "dvc", "add", "--quiet", "data/raw.csv")
    shell(folder, "dvc", "push", "--quiet")


def test_a_recipe_is_followed_to_the_same_result(project: Path, tmp_path: Path) -> None:
    commands = Commands(project, tmp_path / "state")
    begin = shell(project, "git", "rev-parse", "HEAD").strip()
    ran = commands("--quiet", "--input", "data/raw.csv", "--", PYTHON, "train.py", "--seed", "7")
    assert ran.code == 0, ran.err
    result = json.loads((project / "result.json").read_text())
    commit(project, "The extract that was trained on")
    held = shell(project, "git", "rev-parse", "HEAD").strip()
    write(project, 300)
    commit(project, "The next extract")
    sources = "".join(
        f'[[sources]]\ntype = "{kind}"\nname = "{name}"\npath = "."\n'
        for kind, name in (("git", "code"), ("dvc", "data"))
    )
    (project / "kinlore.toml").write_text(f'{sources}[[sources]]\ntype = "capture"\nname = "captures"\n')
    assert commands.kinlore("ingest").code == 0
    (run,) = commands.runs()

    answer = json.loads(commands.kinlore("repro", run.id, "--json").out)
    printed = commands.kinlore("repro", run.id)

    assert answer["missing"] == [] and answer["exact"] and answer["seeds"] == {"seed": "7"}
    assert printed.err.endswith("nothing is missing\n")
    script = printed.out.decode()
    assert script == answer["script"]
    assert f"git checkout --detach {begin}" in script and f"--rev {held} " in script

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "repeat.sh").write_text(script)
    said = shell(elsewhere, "sh", "repeat.sh")

    (clone,) = [place for place in elsewhere.iterdir() if place.is_dir()]
    assert "data/raw.csv: OK" in said and "requirements.txt: OK" in said
    assert shell(clone, "git", "rev-parse", "HEAD").strip() == begin
    assert (clone / "data" / "raw.csv").read_text().count("\n") == 200
    assert json.loads((clone / "result.json").read_text()) == result
