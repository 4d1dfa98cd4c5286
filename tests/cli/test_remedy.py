"""``kinlore remedy``."""

from __future__ import annotations

import json

import pytest

from app.container import Container
from tests.api.conftest import run
from tests.cli.conftest import Kinlore
from tests.unit.ingestors_joins.test_repairs import INCIDENT, change, incident, tell


@pytest.fixture(autouse=True)
def _graph(graph: Container) -> None:
    """The story is in the folder's store."""


def test_from_an_attempt_to_what_to_try(kinlore: Kinlore) -> None:
    made = kinlore("remedy", "attempt", run(1), "Lower the rate", "--outcome", "worked", "--by", "ada")
    kinlore("remedy", "record", "lower the rate", "--if", "the loss is not finite")
    kinlore("remedy", "attempt", run(1), "Restart", "--outcome", "failed", "--by", "bob")

    shown = kinlore("remedy", "list", run(1))

    assert (made.code, made.out.split(":")[0]) == (0, "Lower the rate")
    assert "taken back by: kinlore identity withdraw attempt/" in made.err
    lines = shown.out.splitlines()
    assert lines[0].lower() == "✓ lower the rate"
    assert lines[1].startswith("  tried 1×, worked 1×, it worked here, as ada says")
    assert lines[1].endswith("(by its record it helps in at least 27%)")
    assert lines[2] == "  if the loss is not finite"
    assert lines[3:] == ["· Restart", "  tried 1×, worked 0×, failed 1×, it did not help here"]
    assert "Restart" in kinlore("remedy", "list").out


def test_a_person_s_word_on_an_attempt(kinlore: Kinlore) -> None:
    made = json.loads(kinlore("remedy", "attempt", run(1), "Restart", "--json").out)
    attempt = made["attempt"]["id"]

    confirmed = kinlore("remedy", "confirm", attempt, "--outcome", "worked", "--recurred")
    assert confirmed.out == f"Restart: worked, and the failure came back  {attempt}\n"
    assert "worked 0×, failed 1×" in kinlore("remedy", "list", run(1)).out

    rejected = kinlore("remedy", "confirm", attempt, "--reject")
    assert "rejected" in rejected.out
    assert kinlore("remedy", "list", run(1)).err == "no precedent\n"
    assert kinlore("remedy", "confirm", attempt, "--reject", "--recurred").code == 2


def test_what_a_forge_closed_is_shown_as_that_until_somebody_confirms_it(
    kinlore: Kinlore, graph: Container
) -> None:
    tell(graph.store, [change(), incident()])

    shown = kinlore("remedy", "list", INCIDENT)

    lines = shown.out.splitlines()
    assert lines[0] == "· Scale the input"
    assert lines[1].startswith(
        "  tried 1×, worked 1×, closed by the forge, not confirmed by a person, github"
    )
    assert lines[1].endswith("(by its record it helps in at least 16%)")
    attempt = lines[2].removeprefix("  confirm it with: kinlore remedy confirm ")
    assert kinlore("remedy", "confirm", attempt, "--by", "ada").code == 0
    lines = kinlore("remedy", "list", INCIDENT).out.splitlines()
    assert lines[0] == "✓ Scale the input" and len(lines) == 2
    assert lines[1].startswith("  tried 1×, worked 1×, it worked here, as ada says (")


def test_feedback(kinlore: Kinlore) -> None:
    made = json.loads(kinlore("remedy", "attempt", run(1), "Restart", "--json").out)
    thing = made["remediation"]["id"]
    kinlore("remedy", "list", run(1))

    said = kinlore("remedy", "feedback", run(1), thing, "--irrelevant", "--not-applied")

    assert said.out == f"noted of {thing}, which was shown at rank 1\n"
    assert kinlore("remedy", "feedback", run(1), thing).code == 2


def test_nothing_recorded(kinlore: Kinlore) -> None:
    assert kinlore("remedy", "list").err.startswith("no remediation is recorded")
    assert kinlore("remedy", "list", run(2)).err == "no precedent\n"
    assert kinlore("remedy", "list", "mlflow.run_id=nobody").code == 4
    assert kinlore("remedy", "list", run(2), "--text", "x").code == 2
