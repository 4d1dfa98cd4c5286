"""`leaderboard`, `repro`, `correlations` and what `compare` shows, as people see them."""

from __future__ import annotations

import json

import pytest

from app.container import Container
from graph_schema.claims import Links, Record
from graph_schema.edges import EdgeKind
from tests.api.conftest import DATA, VERSION, write
from tests.api.test_versus import EXPERIMENT, trial, tried
from tests.cli.conftest import Kinlore


@pytest.fixture(autouse=True)
def trials(graph: Container) -> None:
    """Forty runs more, in an experiment of their own."""
    write(graph.store, trial())


def test_leaderboard(kinlore: Kinlore) -> None:
    shown = kinlore("leaderboard", EXPERIMENT)
    answer = json.loads(kinlore("leaderboard", EXPERIMENT, "--metric", "odd", "--higher", "--json").out)

    lines = shown.out.splitlines()
    assert shown.code == 0
    assert lines[0].split() == ["#", "what", "auc", "95", "%", "interval", "seeds"]
    assert lines[1].split() == ["1", "tried", "39", "0.63", "–", "n", "=", "1"]
    assert " ".join(lines[2].split()) == "2 tried 36, tried 37, tried 38 0.621 0.61852 … 0.62348 n = 3"
    assert "not comparable" in shown.out and "its run failed" in shown.out
    assert all(len(line) <= 100 for line in lines)
    assert (
        "measured on users.csv; higher is better" in shown.err
        and "other metrics (--metric): odd" in shown.err
    )
    assert answer["metric"] == "odd" and answer["rows"][0]["rank"] == 1
    assert kinlore("leaderboard", EXPERIMENT, "--metric", "odd").code == 2
    assert kinlore("leaderboard", "mlflow.run_id=nobody").code == 4
    assert kinlore("leaderboard").code == 2


def test_a_leaderboard_of_rows_that_overlap(kinlore: Kinlore) -> None:
    shown = kinlore("leaderboard", tried(0), tried(3), tried(39), "--first", "2")

    assert "2 of 3 rows shown: raise --first" in shown.err


def test_repro(kinlore: Kinlore) -> None:
    shown = kinlore("repro", VERSION)
    answer = json.loads(kinlore("repro", VERSION, "--json").out)

    assert shown.code == 0 and shown.out == answer["script"]
    assert shown.out.startswith("#!/bin/sh\n# Repeats run 0 (mlflow.run_id=run00000).\nset -eu\n")
    assert "things are missing for an exact repetition:\n  code: whether the tree had" in shown.err
    assert "# Missing (seed): no parameter names a seed" in shown.out
    assert kinlore("repro", DATA).code == 2
    assert kinlore("repro", "mlflow.run_id=nobody").code == 4


def test_correlations(kinlore: Kinlore) -> None:
    shown = kinlore("correlations", "--where", "name~tried", "--first", "1")
    answer = json.loads(kinlore("correlations", "--where", "name~tried", "--json").out)
    none = kinlore("correlations", "--where", "params.fast=true")

    first, *rest = shown.out.splitlines()
    assert first.startswith(
        "1. fast = true goes with failure: 12 of 16 failed, of the others 0 of 24 (lift 2.5,"
    )
    assert rest == [
        "   not told apart: lr > 6 (12 of 19)",
        "   failed: tried 35, tried 34, tried 33 and 9 more",
        "   did not fail: tried 39, tried 38, tried 37 and 1 more",
    ]
    assert "goes with failure: that is not why" in shown.err and "12 of 40 failed; " in shown.err
    assert "cause" not in shown.out + shown.err
    assert answer["findings"][0]["name"] == "fast" and answer["complete"]
    assert none.code == 0 and "nothing goes with failure more than chance explains" in none.err
    assert kinlore("correlations", "--kind", "Commit").code == 2
    nobody = kinlore("correlations", "--where", "name=nobody")
    assert nobody.err == "nothing has an outcome that could go with anything\n"


def test_compare_leaves_noise_out_unless_it_is_asked_for(kinlore: Kinlore) -> None:
    shown = kinlore("compare", tried(0), tried(30))
    everything = kinlore("compare", tried(0), tried(30), "--all", "--edges")

    assert [line.split()[0] for line in shown.out.splitlines()] == [
        "what", "params.fast", "params.lr", "metrics.auc", "status",
    ]  # fmt: skip
    assert "(--edges)" in shown.err and "─INPUT_TO→" not in shown.out
    assert "+ DatasetVersion users.csv ─INPUT_TO→ Run tried 30" in everything.out


def test_compare_says_what_nobody_knows(graph: Container, kinlore: Kinlore) -> None:
    table = "openlineage.dataset_version=warehouse/calls"
    versions = [f"{table}@{number:08d}-0000-4000-8000-000000000000" for number in (1, 2)]
    claims = [
        claim
        for place, name in zip((0, 30), versions, strict=True)
        for claim in (
            Links(EdgeKind.HAS, "dataset=warehouse/calls", name),
            Links(EdgeKind.INPUT_TO, name, tried(place)),
        )
    ]
    write(graph.store, [Record("tables", "tables", 1, tuple(claims))])

    shown = kinlore("compare", tried(0), tried(30))

    assert "whether the content differs nobody says" in shown.out
