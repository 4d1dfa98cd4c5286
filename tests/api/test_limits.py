"""What costs too much is refused before it is expanded, and at once."""

from __future__ import annotations

import time

import pytest

from app.api import limits
from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.api.schema import schema
from tests.api.conftest import Query


def doubled(times: int) -> str:
    """Every fragment spreads the next one twice: 2 ** times fields."""
    fragments = [f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(times)]
    return " ".join(["{ ...F0 }", *fragments, f"fragment F{times} on Query {{ __typename }}"])


def nested(levels: int) -> str:
    inside = "id"
    for _ in range(levels):
        inside = f"owners {{ owner {{ {inside} }} }}"
    return f'{{ node(id: "tag=x") {{ {inside} }} }}'


BOMBS = {
    "doubled fragments": doubled(25),
    "doubled fields": " ".join(
        ["{ node(id: 1) { ...N0 } }"]
        + [f"fragment N{n} on Node {{ ...N{n + 1} ...N{n + 1} }}" for n in range(25)]
        + ["fragment N25 on Node { id }"]
    ),
    "depth": nested(8),
    "depth of nothing": '{ node(id: "tag=x") ' + "{ owners { owner " * 300 + "{ id }" + " } }" * 300 + " }",
    "aliases": "{ " + " ".join(f"a{n}: __typename" for n in range(100)) + " }",
    "aliases below": '{ node(id: "tag=x") { ' + " ".join(f"a{n}: id" for n in range(100)) + " } }",
    "directives": "{ __typename " + "@include(if: true) " * 100 + "}",
    "unknown directives": "{ __typename " + "@boom " * 100 + "}",
    "tokens": "{ " + "__typename " * 5_000 + "}",
    "length": "{ __typename }" + " " * 200_000,
    "cost": '{ lineage(id: "tag=x", first: 2000) { nodes { node { '
    + "owners { owner { owners { owner { owners { owner { owners { owner { id name url } } } } } } } }"
    + " } } } }",
    "pages": "{ "
    + " ".join(f'a{n}: lineage(id: "tag=x", first: 50000) {{ table }}' for n in range(15))
    + " }",
    "circular introspection": "{ __schema { types { fields { type { "
    + "fields { type { " * 8
    + "name"
    + " } }" * 8
    + " } } } } }",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_at_once(name: str) -> None:
    schema()
    # Of this thread's own work: how busy the machine is does not count.
    start = time.thread_time()

    body = answer(Request(BOMBS[name]), lambda: pytest.fail("a bomb reached the store"))

    assert body["errors"][0]["extensions"]["code"] == "TOO_COSTLY", body
    assert "data" not in body
    assert time.thread_time() - start < 0.5


def test_an_operation_that_is_not_run_may_not_cost_more() -> None:
    text = "query A { a: __typename } query B { ...F0 } " + doubled(25).removeprefix("{ ...F0 } ")

    body = answer(Request(text, operationName="A"), lambda: pytest.fail("ran"))

    assert body["errors"][0]["extensions"]["code"] == "TOO_COSTLY"


def test_a_cycle_of_fragments_is_refused() -> None:
    text = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"

    body = answer(Request(text), lambda: pytest.fail("ran"))

    assert body["errors"][0]["extensions"]["code"] == "BAD_INPUT"
    assert "contains itself" in body["errors"][0]["message"]


def test_lengths_in_variables_count() -> None:
    text = (
        "query($n: Int, $ids: [ID!]!) { a: nodes(ids: $ids) { id } b: lineage(id: 1, first: $n) { table } }"
    )
    body = answer(Request(text, {"n": 900_000, "ids": ["x"]}), lambda: pytest.fail("ran"))

    assert body["errors"][0]["extensions"]["code"] == "TOO_COSTLY"
    assert f"allowed are {limits.MAX_COST:,}" in body["errors"][0]["message"]


def test_a_leaderboard_counts_by_its_rows_and_not_by_its_ids(query: Query) -> None:
    tagged = "tags { tag { " * 4 + "id" + " } }" * 4
    board = f'leaderboard(ids: ["tag=x"], first: $first) {{ rows {{ runs {{ {tagged} }} }} }}'
    text = f"query($first: Int) {{ {board} }}"

    codes = [query(text, fails=True, first=first)["extensions"]["code"] for first in (1_000, 100)]

    assert codes == ["TOO_COSTLY", "NOT_FOUND"]


def test_every_list_counts_by_the_length_that_it_has_without_first() -> None:
    defaults = {
        name: field.args["first"].default_value
        for name, field in schema()._schema.query_type.fields.items()
        if "first" in field.args
    }

    assert defaults == limits._PAGED


def test_no_length_is_the_default_length(query: Query) -> None:
    for name in ("rootCauses", "remediations", "experiments", "similar", "impact"):
        ids = 'ids: ["tag=x"]' if name == "impact" else 'id: "tag=x"'

        error = query(
            f"query($first: Int) {{ {name}({ids}, first: $first) {{ __typename }} }}", fails=True, first=None
        )

        assert error["extensions"]["code"] == "NOT_FOUND", name


def test_ids_are_bounded(query: Query) -> None:
    error = query("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", fails=True, ids=["tag=x"] * 201)

    assert error["extensions"]["code"] == "BAD_INPUT" and "up to 200" in error["message"]


def test_names_of_the_schema_are_not_given_away() -> None:
    for text in ("{ nod { id } }", '{ node(idd: "x") { id } }', '{ node(id: "x") { nam } }'):
        body = answer(Request(text), lambda: Ask(None, None, list))  # type: ignore[arg-type]

        assert "Did you mean" not in str(body), body
