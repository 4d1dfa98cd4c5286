"""A script that breaks under ``kinlore run``, in a real git: the commit that touched where it broke."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.commands import PYTHON, Commands
from tests.sources.repositories import Repository

TRAIN = """
import csv
from churn import features, model
print(model.fit(features.build(list(csv.DictReader(open("orders.csv"))))))
"""
FEATURES = """
def build(rows):
    return [float(row["{column}"]) / 30 for row in rows]
"""


def test_the_commit_that_touched_where_it_broke_comes_first(folder: Path, tmp_path: Path) -> None:
    repository, run = Repository(folder), Commands(folder, tmp_path / "state")
    repository.write({".git/info/exclude": "kinlore*\n"})
    repository.write({"kinlore.toml": '[[sources]]\ntype = "git"\nname = "churn"\npath = "."\n'})
    first = {
        "train.py": TRAIN,
        "churn/features.py": FEATURES.format(column="tenure_days"),
        "churn/model.py": "fit = sum",
        "orders.csv": "id,tenure_days\n1,30\n",
    }
    repository.commit("First", first)
    assert run("--quiet", "--", PYTHON, "train.py").code == 0
    repository.commit("Mean, not sum", {"churn/model.py": "def fit(x): return sum(x) / len(x)"})
    repository.commit("Shorter", {"churn/features.py": FEATURES.format(column="tenure")})
    repository.commit("Loading", {"churn/loading.py": "SIZE = 3"})
    repository.commit("How to run", {"README.md": "python train.py"})
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
