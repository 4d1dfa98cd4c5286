"""A script that breaks under ``kinlore run``, in a real git: the commit that touched where it broke."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.commands import PYTHON, Commands
from tests.cli.conftest import git

TRAIN = """
import csv
from churn import features, model
print(model.fit(features.build(list(csv.DictReader(open("orders.csv"))))))
"""
FEATURES = """
def build(rows):
    return [float(row["{column}"]) / 30 for row in rows]
"""


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Commands:
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / ".git" / "info" / "exclude").write_text("kinlore*\n")
    return Commands(folder, tmp_path / "state")


def commit(folder: Path, number: int, message: str, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    git(folder, "add", "-A")
    # An hour apart, as commits have whole seconds.
    at = f"@{1_767_225_600 + number * 3_600} +0000"
    git(folder, "commit", "--quiet", "-m", message, "--date", at)


def test_the_commit_that_touched_where_it_broke_comes_first(
    run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run.folder
    (folder / "kinlore.toml").write_text('[[sources]]\ntype = "git"\nname = "churn"\npath = "."\n')
    for number, (message, files) in enumerate(
        [
            ("First", {"train_dot_py": TRAIN, "churn__features_dot_py": FEATURES.format(column="tenure_days"),
                       "churn__model_dot_py": "fit = sum", "orders_dot_csv": "id,tenure_days\n1,30\n"}),
            ("Mean, not sum", {"churn__model_dot_py": "def fit(x): return sum(x) / len(x)"}),
            ("Shorter", {"churn__features_dot_py": FEATURES.format(column="tenure")}),
            ("Loading", {"churn__loading_dot_py": "SIZE = 3"}),
            ("How to run", {"README_dot_md": "python train.py"}),
        ]
    ):  # fmt: skip
        monkeypatch.setenv("GIT_COMMITTER_DATE", f"@{1_767_225_600 + number * 3_600} +0000")
        commit(folder, number, message, **files)
        if number == 0:
            assert run("--quiet", "--", PYTHON, "train.py").code == 0
    failed = run("--", PYTHON, "train.py")
    assert failed.code == 1 and "KeyError: 'tenure'" in failed.err
    run_id = failed.err.partition("kinlore.run=")[2].split()[0]
    assert run.kinlore("ingest").code == 0

    shown = run.kinlore("causes", f"kinlore.run={run_id}")
    told = json.loads(run.kinlore("causes", f"kinlore.run={run_id}", "--json", "--first", "9").out)

    lines = shown.out.decode().splitlines()
    first = next(line for line in lines if line.startswith("1. "))
    assert first.endswith(" Shorter"), lines
    assert "touched churn/features.py, where the failure came from" in " ".join(lines)
    assert any(line.startswith("Last good: train.py of ") for line in lines)
    names = [cause["node"]["name"].partition(" ")[2] for cause in told["candidates"]]
    assert {"Mean, not sum", "Loading", "How to run"} <= set(names[1:])
