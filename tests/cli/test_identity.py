"""``kinlore identity``."""

from __future__ import annotations

import json

import pytest

from tests.api.conftest import VERSION, run
from tests.cli.conftest import Kinlore

pytestmark = pytest.mark.usefixtures("graph")

LOGGED = "mlflow.logged_model=m-1"


def test_people_join_and_part_and_take_it_back(kinlore: Kinlore) -> None:
    said = kinlore("identity", "apart", run(1), run(2), "--why", "two seeds", "--by", "ada")
    told = kinlore("identity", "explain", run(1), run(2))
    listed = json.loads(kinlore("identity", "list", "--json").out)

    assert said.code == 0 and "are held apart" in said.out
    assert f"kinlore identity withdraw {listed[0]['id']}" in said.err
    assert "held apart" in told.out and "said by ada: two seeds" in told.out
    (row,) = kinlore("identity", "list").out.splitlines()[1:]
    assert row[18:].split("  ") == ["ada", "apart", "Run run 1", "Run run 2", "two seeds", listed[0]["id"]]
    assert kinlore("identity", "withdraw", run(2), run(1)).code == 0
    assert kinlore("identity", "withdraw", run(2), run(1)).code == 4
    assert json.loads(kinlore("identity", "list", "--json").out) == []


def test_what_cannot_be_is_one_line(kinlore: Kinlore) -> None:
    refused = kinlore("identity", "same", run(1), run(2))
    kinds = kinlore("identity", "same", run(1), VERSION)

    assert refused.code == kinds.code == 2
    assert "exclusive" in refused.err and len(refused.err.splitlines()) == 1
    assert "SAME_AS may not join" in kinds.err
    assert kinlore("identity", "explain", run(1), LOGGED).code == 4
