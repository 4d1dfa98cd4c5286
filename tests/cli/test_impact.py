"""``kinlore impact``: words first, then the way to each thing."""

from __future__ import annotations

import json

from app.container import Container
from tests.api.conftest import COMMIT, DATA, VERSION, run
from tests.cli.conftest import Kinlore


def test_what_is_at_risk_is_told_in_words_then_by_paths(graph: Container, kinlore: Kinlore) -> None:
    outcome = kinlore("impact", DATA, "--first", "2")

    lines = outcome.out.splitlines()
    assert outcome.code == 0
    assert lines[0] == "At risk: 1 model version and 5 runs. Ask ada@example.com and growth."
    assert lines[1].startswith("Score ") and lines[1].endswith(" of 100, which only sorts.")
    assert [line.strip() for line in lines[4:7]] == [
        "from DatasetVersion users.csv",
        "─INPUT_TO→ Run run 0",
        "─PRODUCED→ ModelVersion churn v3",
    ]
    assert lines[-1] == "Ask: ada@example.com (maintainer), growth"
    assert "4 more things make up" in outcome.err and "raise --first" in outcome.err


def test_several_ids_are_one_change(graph: Container, kinlore: Kinlore) -> None:
    one = json.loads(kinlore("impact", run(0), "--json").out)
    both = json.loads(kinlore("impact", run(0), COMMIT, "--json").out)

    assert [target["node"]["id"] for target in one["targets"]] == [VERSION]
    assert both["score"] > one["score"] and both["complete"]


def test_what_leads_nowhere_puts_nothing_at_risk(graph: Container, kinlore: Kinlore) -> None:
    outcome = kinlore("impact", VERSION)

    assert (outcome.code, outcome.out.splitlines()[0]) == (0, "Nothing downstream is at risk.")
