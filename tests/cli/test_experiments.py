"""``kinlore experiments``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.container import Container
from tests.api.conftest import run
from tests.cli.conftest import Kinlore


@pytest.fixture(autouse=True)
def _graph(graph: Container) -> None:
    """The story is in the folder's store: five runs that differ in lr, the second of which failed."""


def test_of_a_run(kinlore: Kinlore) -> None:
    shown = kinlore("experiments", run(1))

    assert shown.code == 0
    assert shown.out.splitlines()[0].startswith(
        "not tried: the nearest run, run 2, which worked, differs in lr"
    )
    assert "✓ run 2" in shown.out and "lr 0.1 → 0.2" in shown.out
    lines = shown.out.splitlines()
    assert "nearest that worked:" in lines
    # Each run once, below the first heading that it fits.
    names = [line.split("  ")[1] for line in lines if line.startswith("  ")]
    assert len(names) == len(set(names)) and max(map(len, lines)) <= 100


def test_of_a_plan(kinlore: Kinlore, folder: Path) -> None:
    (folder / "plan.yaml").write_text("lr: 0.3\n")

    shown = kinlore("experiments", "--config", "plan.yaml", "--first", "1")
    told = json.loads(kinlore("experiments", "--config", "plan.yaml", "--json").out)

    assert shown.out.startswith("already tried: 1 run with these settings, worked 1×\n")
    assert told["alreadyTried"] is True and told["alike"][0]["node"]["id"] == run(3)


def test_what_cannot_be_asked(kinlore: Kinlore, folder: Path) -> None:
    assert kinlore("experiments").code == 2
    assert kinlore("experiments", run(1), "--config", "x.yaml").code == 2
    missing = kinlore("experiments", "--config", "x.yaml")
    assert missing.code != 0 and "x.yaml cannot be read" in missing.err
    assert kinlore("experiments", "mlflow.run_id=nobody").code == 4
