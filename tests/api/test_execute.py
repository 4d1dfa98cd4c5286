"""The level-by-level execution gives what Strawberry's own gives, object by object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry
import strawberry.types
from graphql import ExecutionResult, execute, get_introspection_query, parse
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from app.api import queries
from app.api.execute import LevelByLevel, batched
from app.api.fields import Ask, Context
from app.api.graphql import Request, answer
from app.api.inputs import SCALARS
from app.api.schema import Query, schema
from app.container import Container
from tests.api.conftest import COMMIT, DATA, VERSION, run

EVERYWHERE = {"nodes", "nodes.hiddenUpstream", "nodes.node.url", "edges", "edges.source"}


def by_strawberry(store: Any, text: str, variables: dict[str, Any]) -> Any:
    """The same resolvers, called for one object at a time."""
    result = execute(
        schema()._schema,
        parse(text),
        context_value=Context(lambda: Ask(store, None, list)),
        variable_values=variables,
        executor_class=StrawberryGraphQLCoreExecutionContext,
    )
    assert isinstance(result, ExecutionResult) and result.errors is None, result
    return result.data


EVERYTHING = """fragment Everything on Node {
  __typename id kind name url createdAt goneAt stub sources properties identifiers { id scheme scope value }
  owners { role owner { id name ... on Team { tags { by } } } } tags { by evidence tag { id __typename } }
  ... on ModelVersion { aliases { name current seenAt } }
}"""


@pytest.mark.parametrize(
    "text",
    [
        f'{{ __typename node(id: "{VERSION}") {{ ...Everything }} }} {EVERYTHING}',
        f'{{ nodes(ids: ["{DATA}", "tag=none", "{COMMIT}"]) {{ ...Everything }} }} {EVERYTHING}',
        f'{{ lineage(id: "{DATA}") {{ root {{ id }} nodes {{ hops direction hiddenUpstream hiddenDownstream '
        f"node {{ ...Everything }} }} edges {{ from to kind source validFrom evidence properties }} "
        f"table totalNodes complete truncatedBecause }} }} {EVERYTHING}",
        f'{{ lineage(id: "{DATA}", first: 2) {{ nodes {{ hops node {{ id kind name }} }} '
        "edges { from to kind } complete truncatedBecause } }",
        "{ find(kind: RUN) { edges { cursor node { name } } nodes { a: name b: name name } "
        "pageInfo { hasNextPage endCursor } } }",
        f'query($yes: Boolean = true, $no: Boolean!) {{ node(id: "{COMMIT}") {{ id @skip(if: $yes) '
        "name @include(if: $yes) kind @include(if: $no) ... @include(if: $no) { url } } }",
        f'{{ paths(from: "{COMMIT}", to: "{VERSION}") {{ paths {{ from to }} total complete }} }}',
        f'{{ node(id: "{run(0)}") {{ owners {{ owner {{ id }} }} '
        "owners { role } ... on Commit { url } } }",
        '{ resolve(scheme: "tag", value: "none") { id } sources { name } }',
    ],
)
def test_same_answer_as_object_by_object(
    container: Container, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    variables = {"no": False} if "$no" in text else {}

    ours = answer(Request(text, variables), lambda: Ask(container.store, None, list))

    assert "errors" not in ours, ours
    # Everything in full: what is selected must not change an answer.
    monkeypatch.setattr(queries, "_below", lambda info: EVERYWHERE)
    assert ours["data"] == by_strawberry(container.store, text, variables)


def test_introspection_is_the_standard_one(container: Container) -> None:
    text = get_introspection_query()

    ours = answer(Request(text), lambda: Ask(container.store, None, list))

    assert ours["data"] == by_strawberry(container.store, text, {})


@pytest.mark.parametrize(
    ("text", "variables", "said"),
    [
        ("query($id: ID!) { node(id: $id) { id } }", {}, "to be provided"),
        ("query($n: Int) { find(kind: RUN, first: $n) { nodes { id } } }", {"n": "many"}, "Int"),
        ("query($n: Int) { find(kind: RUN, first: $n) { nodes { id } } }", {"n": -(2**40)}, "32-bit"),
        ("query A { sources { name } } query B { sources { name } }", {}, "say which one in operationName"),
        ("fragment F on Run { id }", {}, "no operation"),
        ("subscription { x }", {}, "subscription operation is not supported"),
    ],
)
def test_requests_that_cannot_run(
    container: Container, text: str, variables: dict[str, Any], said: str
) -> None:
    body = answer(Request(text, variables), lambda: Ask(container.store, None, list))

    assert said in body["errors"][0]["message"]
    assert body["errors"][0]["extensions"]["code"] == "BAD_INPUT"


def test_the_operation_named_is_run(container: Container) -> None:
    text = "query A { a: __typename } query B { b: __typename }"

    body = answer(Request(text, operationName="B"), lambda: Ask(container.store, None, list))

    assert body == {"data": {"b": "Query"}}


def batches(schema: strawberry.Schema, text: str) -> tuple[list[Any], list[int]]:
    """The data of every result, and how many objects each call of the batch was for."""
    sizes: list[int] = []
    context = Context(lambda: sizes)  # type: ignore[arg-type, return-value]

    async def run_it() -> list[Any]:
        given = []
        async for result in await schema.stream(text, context_value=context):
            assert isinstance(result, strawberry.types.ExecutionResult) and result.errors is None, result
            given.append(result.data)
        return given

    return asyncio.run(run_it()), sizes


def loud(sizes: Any, parents: list[Any]) -> list[str]:
    sizes.append(len(parents))
    return [name.upper() for name in parents]


@strawberry.type
class Word:
    """A word, of which only the batch knows how it is shouted."""

    loud: str = batched(loud)


async def words() -> Any:
    return ["a", "b", "c"]


async def later() -> AsyncIterator[Any]:
    yield ["a", "b"]
    yield ["c"]


@strawberry.type
class Mutation:
    words: list[Word] = strawberry.mutation(resolver=words)


@strawberry.type
class Subscription:
    words: AsyncIterator[list[Word]] = strawberry.subscription(resolver=later)


@pytest.mark.parametrize(
    ("operation", "shouted", "sizes"),
    [("mutation", ["ABC"], [3]), ("subscription", ["AB", "C"], [2, 1])],
)
def test_mutations_and_subscriptions_go_level_by_level_too(
    operation: str, shouted: list[str], sizes: list[int]
) -> None:
    schema = strawberry.Schema(
        Query,
        Mutation,
        Subscription,
        execution_context_class=LevelByLevel,
        config=StrawberryConfig(scalar_map=SCALARS),
    )

    given, calls = batches(schema, f"{operation} {{ words {{ loud }} }}")

    assert given == [{"words": [{"loud": letter} for letter in each]} for each in shouted]
    assert calls == sizes
