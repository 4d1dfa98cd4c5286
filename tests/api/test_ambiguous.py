"""Names that mean several things, roots that fail, and failures that nobody expected."""

from __future__ import annotations

import pytest

from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.container import Container
from graph_schema.claims import Names, Record
from graph_schema.errors import StoreUnavailable
from graph_schema.kinds import NodeKind
from tests.api.conftest import COMMIT, VERSION, Query, write


def test_ambiguous_names_their_candidates(container: Container, query: Query) -> None:
    other = "mlflow.model_version@staging=churn/3"
    write(container.store, [Record("v", "v", 1, (Names(NodeKind.MODEL_VERSION, (other,)),))], "staging")

    error = query('{ node(id: "mlflow.model_version=churn/3") { id } }', fails=True)

    assert error["extensions"] == {"code": "AMBIGUOUS", "candidates": [other, VERSION]}
    assert error["path"] == ["node"]
    both = query('{ resolve(scheme: "mlflow.model_version", value: "churn/3") { id } }')
    assert both["resolve"] == [{"id": other}, {"id": VERSION}]


def test_one_root_may_fail_without_the_others(container: Container) -> None:
    text = f'{{ good: node(id: "{COMMIT}") {{ id }} bad: node(id: "git.sha=abcd") {{ id }} }}'

    body = answer(Request(text), lambda: Ask(container.store, None, list))

    assert body["data"] == {"good": {"id": COMMIT}, "bad": None}
    assert [error["path"] for error in body["errors"]] == [["bad"]]


def test_a_root_that_may_not_be_null_takes_all_data(container: Container) -> None:
    text = f'{{ node(id: "{COMMIT}") {{ id }} lineage(id: "git.sha=abcd") {{ table }} }}'

    body = answer(Request(text), lambda: Ask(container.store, None, list))

    assert body["data"] is None and body["errors"][0]["extensions"]["code"] == "NOT_FOUND"


class Broken:
    def __init__(self, problem: Exception) -> None:
        self.problem = problem

    def resolve(self, *arguments: object, **more: object) -> list[int]:
        raise self.problem


def test_an_unexpected_failure_is_masked_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    store = Broken(RuntimeError("the password is swordfish"))

    body = answer(Request('{ node(id: "tag=x") { id } }'), lambda: Ask(store, None, list))  # type: ignore[arg-type]

    (error,) = body["errors"]
    assert "swordfish" not in str(body)
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["extensions"]["requestId"] in caplog.text and "swordfish" in caplog.text


def test_a_store_that_is_away_says_so() -> None:
    store = Broken(StoreUnavailable("graph:7687 does not answer"))

    body = answer(Request('{ node(id: "tag=x") { id } }'), lambda: Ask(store, None, list))  # type: ignore[arg-type]

    assert body["errors"][0]["extensions"]["code"] == "STORE_UNAVAILABLE"
