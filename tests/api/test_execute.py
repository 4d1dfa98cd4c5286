"""The level-by-level execution gives what graphql-core gives, object by object."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import (
    GraphQLResolveInfo,
    get_introspection_query,
    get_named_type,
    graphql_sync,
    is_leaf_type,
)

from app.api.fields import LEAVES, Ask
from app.api.graphql import Request, answer
from app.api.queries import WIRING
from app.api.types import schema
from app.container import Container
from tests.api.conftest import COMMIT, DATA, VERSION, run


def by_graphql_core(store: Any, text: str, variables: dict[str, Any]) -> Any:
    """The same resolvers, called for one object at a time."""
    ask = Ask(store, None, list)

    def written(value: Any, name: str) -> Any:
        if isinstance(value, list):
            return [written(item, name) for item in value]
        return value if value is None or name not in LEAVES else LEAVES[name](value)

    def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        place = (info.parent_type.name, info.field_name)
        if info.parent_type.name == "Query":
            # Everything in full: what is selected must not change an answer.
            full = {
                "Lineage": {"nodes"},
                "LineageNode": {"hiddenUpstream"},
                "Node": {"url"},
                "Edge": {"source"},
            }
            return WIRING.roots[info.field_name](ask, arguments, lambda: full)
        if place in WIRING.batches:
            (value,) = WIRING.batches[place](ask, [source], arguments)
        else:
            value = source
            for part in WIRING.attributes.get(place, info.field_name).split("."):
                value = getattr(value, part)
        named = get_named_type(info.return_type)
        return written(value, named.name) if is_leaf_type(named) else value

    result = graphql_sync(
        schema(),
        text,
        variable_values=variables,
        field_resolver=resolve,
        type_resolver=lambda value, info, kind: str(value.kind),
    )
    assert result.errors is None, result.errors
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
def test_same_answer_as_graphql_core(container: Container, text: str) -> None:
    variables = {"no": False} if "$no" in text else {}

    ours = answer(Request(text, variables), lambda: Ask(container.store, None, list))

    assert "errors" not in ours, ours
    assert ours["data"] == by_graphql_core(container.store, text, variables)


def test_introspection_is_the_standard_one(container: Container) -> None:
    text = get_introspection_query()

    ours = answer(Request(text), lambda: Ask(container.store, None, list))

    assert ours["data"] == graphql_sync(schema(), text).data


@pytest.mark.parametrize(
    ("text", "variables", "said"),
    [
        ("query($id: ID!) { node(id: $id) { id } }", {}, "to be provided"),
        ("query($n: Int) { find(kind: RUN, first: $n) { nodes { id } } }", {"n": "many"}, "Int"),
        ("query($n: Int) { find(kind: RUN, first: $n) { nodes { id } } }", {"n": -(2**40)}, "32-bit"),
        ("query A { sources { name } } query B { sources { name } }", {}, "say which one in operationName"),
        ("fragment F on Run { id }", {}, "no operation"),
        ("subscription { x }", {}, "no subscriptions"),
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
