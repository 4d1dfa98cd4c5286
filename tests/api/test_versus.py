"""Leaderboards, recipes and what goes with failure over GraphQL."""

from __future__ import annotations

from typing import Any

import pytest

from app.container import Container
from graph_schema.claims import Claim, Links, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from tests.api.conftest import COMMIT, DATA, JANUARY, SHA, VERSION, Query, run, story, write
from tests.api.test_calls import ask_for

EXPERIMENT = "mlflow.experiment_id@tracking=1"

BOARD = """query($ids: [ID!]!, $metric: String, $higher: Boolean, $first: Int) {
  leaderboard(ids: $ids, metric: $metric, higherIsBetter: $higher, first: $first) {
    metric higherIsBetter metrics data { id } total complete truncatedBecause
    rows { rank node { id } nodes { id } value low high n seeds overlapsFirst because
      runs { id } data { id } }
  } }"""
FINDINGS = """query($kind: NodeKind! = RUN, $where: [PropertyFilter!], $first: Int, $level: Float) {
  correlations(kind: $kind, where: $where, first: $first, level: $level) {
    subjects failed leftOut tested level total complete truncatedBecause
    findings { kind name value node { id } text failed total othersFailed othersTotal lift p q also
      examples { id } counterexamples { id } }
  } }"""


def tried(number: int) -> str:
    return run(1_000 + number)


def trial(runs: int = 40) -> list[Record]:
    """Runs of one experiment on the same data, three seeds each; those with a high rate mostly fail."""
    claims: list[Claim] = [States(NodeKind.EXPERIMENT, EXPERIMENT, {"name": "trial"})]
    for number in range(runs):
        rate = number // 3
        claims += [
            States(
                NodeKind.RUN,
                tried(number),
                {
                    "name": f"tried {number}",
                    "createdAt": JANUARY + number,
                    "status": "FAILED" if 24 <= number < 36 else "FINISHED",
                    "params": {"lr": rate, "fast": number >= 24, "seed": number % 3},
                    "metrics": {"auc": 0.5 + rate / 100 + (number % 3) / 1000, "odd": 1.0},
                },
            ),
            Links(EdgeKind.HAS, EXPERIMENT, tried(number)),
            Links(EdgeKind.INPUT_TO, DATA, tried(number), JANUARY),
            Links(EdgeKind.CODE_FOR, COMMIT, tried(number), JANUARY, None, {"dirty": False}),
        ]
    return [Record("trial", "trial", 1, tuple(claims))]


@pytest.fixture
def ask(container: Container, query: Query) -> Query:
    write(container.store, trial())
    return query


def test_a_leaderboard(ask: Query) -> None:
    board = ask(BOARD, ids=[EXPERIMENT])["leaderboard"]

    assert (board["metric"], board["higherIsBetter"], board["metrics"]) == ("auc", True, ["auc", "odd"])
    assert board["data"] == [{"id": DATA}] and board["complete"] and board["total"] == 22
    first, second = board["rows"][:2]
    assert (first["rank"], first["n"], first["seeds"], first["low"]) == (1, 1, ["0"], None)
    assert second["node"] == {"id": tried(36)} and second["seeds"] == ["0", "1", "2"]
    assert second["value"] == pytest.approx(0.621) and second["low"] < 0.621 < second["high"]
    assert [row["id"] for row in second["runs"]] == [tried(36), tried(37), tried(38)]
    assert {row["because"] for row in board["rows"] if row["rank"] is None} == {"its run failed"}
    assert len(ask(BOARD, ids=[EXPERIMENT], first=3)["leaderboard"]["rows"]) == 3


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        ({"ids": []}, "BAD_INPUT", "0 ids; allowed are 1 to 200"),
        ({"ids": [COMMIT]}, "BAD_INPUT", "is a Commit"),
        (
            {"ids": [EXPERIMENT], "metric": "f1"},
            "BAD_INPUT",
            "none of these has the metric 'f1'; they have auc",
        ),
        ({"ids": [EXPERIMENT], "metric": "odd"}, "BAD_INPUT", "does not say whether higher is better"),
        ({"ids": [EXPERIMENT], "first": 0}, "BAD_INPUT", "first is 0"),
        ({"ids": ["mlflow.run_id=none"]}, "NOT_FOUND", "no node is named"),
    ],
)
def test_what_a_leaderboard_refuses(ask: Query, asked: dict[str, Any], code: str, said: str) -> None:
    error = ask(BOARD, fails=True, **asked)

    assert error["extensions"]["code"] == code and said in error["message"]


def test_a_recipe(ask: Query) -> None:
    fields = "{ node { id } exact steps { what text commands } missing { what text } params seeds script }"

    recipe = ask(f'{{ repro(id: "{VERSION}") {fields} }}')["repro"]

    assert recipe["node"]["id"] == run(0) and not recipe["exact"]
    assert recipe["params"] == {"lr": 0} and recipe["seeds"] == {}
    missing = {gap["text"] for gap in recipe["missing"]}
    assert f"the repository of commit {SHA[:10]} is unknown" in missing
    assert {gap["what"] for gap in recipe["missing"]} == {"code", "data", "runtime", "seed", "command"}
    assert recipe["script"].startswith("#!/bin/sh\n")


def test_what_goes_with_failure(ask: Query) -> None:
    where = [{"key": "name", "op": "CONTAINS", "value": "tried"}]

    found = ask(FINDINGS, where=where)["correlations"]

    assert (found["subjects"], found["failed"], found["leftOut"], found["complete"]) == (40, 12, 0, True)
    first = found["findings"][0]
    assert (first["kind"], first["name"], first["value"], first["node"]) == (
        "parameter",
        "fast",
        "= true",
        None,
    )
    assert (first["failed"], first["total"], first["othersFailed"], first["othersTotal"]) == (12, 16, 0, 24)
    assert first["p"] < first["q"] < 0.05 and first["lift"] == pytest.approx(2.5)
    assert [each["id"] for each in first["counterexamples"]] == [tried(39), tried(38), tried(37)]
    assert len(ask(FINDINGS, where=where, first=1)["correlations"]["findings"]) == 1


def test_what_goes_with_failure_of_some(ask: Query) -> None:
    where = [{"key": "params.fast", "value": True}]

    found = ask(FINDINGS, where=where)["correlations"]

    assert (found["subjects"], found["failed"]) == (16, 12)
    assert ask(FINDINGS, fails=True, kind="COMMIT")["extensions"]["code"] == "BAD_INPUT"
    assert "level is 0.9" in ask(FINDINGS, fails=True, level=0.9)["message"]


@pytest.mark.parametrize(
    "text",
    [
        f'{{ leaderboard(ids: ["{EXPERIMENT}"], metric: "auc") {{ data {{ id }} rows {{ value nodes {{ id }} '
        "runs { id } } } }",
        "{ correlations { findings { text node { id } examples { id } counterexamples { id } } } }",
        f'{{ repro(id: "{run(0)}") {{ script }} }}',
        f'{{ compare(left: "{run(0)}", right: "{tried(30)}") {{ differences {{ leftNodes {{ id }} }} }} }}',
    ],
    ids=["leaderboard", "correlations", "repro", "compare"],
)
def test_calls_do_not_grow_with_the_graph(container: Container, text: str) -> None:
    write(container.store, trial(40))
    few, _ = ask_for(container.store, text)
    write(container.store, [*story(300), *trial(300)], "more")

    many, _ = ask_for(container.store, text)

    assert many == few
    assert sum(many.values()) <= 45
