"""The command line on a real Neo4j: the demo lands there, and a wrong password gets one line."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.cli.conftest import Kinlore
from tests.contract.harness import clean_neo4j
from tests.neo4j_server import Neo4jServer


def test_the_demo_on_neo4j_answers_as_on_sqlite(
    kinlore: Kinlore, neo4j_server: Neo4jServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean_neo4j(neo4j_server)
    monkeypatch.setenv("KINLORE_STORE__PASSWORD", neo4j_server.password)
    answers = []

    for words in (["--store", neo4j_server.url, "--folder", "graph"], ["--folder", "file"]):
        told = json.loads(kinlore("demo", "--no-serve", "--json", *words).out)
        for question in told["questions"]:
            asked = [*shlex.split(question["command"])[1:], "--json", "--config", f"{words[-1]}/kinlore.toml"]
            answers.append(json.loads(kinlore(*asked).out))

    half = len(answers) // 2
    assert half == 9 and answers[:half] == answers[half:]


# Two, because a third wrong password in a row makes Neo4j refuse right ones too for a while.
@pytest.mark.parametrize("words", [["lineage", "tag=x"], ["demo"]])
def test_a_wrong_password_gets_one_line(
    kinlore: Kinlore, neo4j_server: Neo4jServer, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("KINLORE_STORE__URL", neo4j_server.url)
    monkeypatch.setenv("KINLORE_STORE__PASSWORD", "swordfish")
    if words[0] == "demo":
        words = ["demo", "--no-serve", "--store", neo4j_server.url]

    outcome = kinlore(*words)

    problems = [line for line in outcome.err.splitlines() if line.startswith("kinlore:")]
    assert outcome.code == 5 and len(problems) == 1, outcome
    assert "password" in problems[0] and "swordfish" not in outcome.err
