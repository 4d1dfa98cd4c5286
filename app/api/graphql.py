"""From the body of a request to the body of the answer: read, count, check, run. No HTTP in here."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from graphql import (
    DocumentNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import MaxIntrospectionDepthRule

from app.api import limits
from app.api.execute import describe, execute
from app.api.fields import Ask
from app.api.queries import WIRING
from app.api.types import schema
from app.errors import TooCostly
from graph_schema.errors import BadInput

#: limits.py bounds depth with the fragments counted once, which the rule on introspection depth does not.
_RULES = [rule for rule in specified_rules if rule is not MaxIntrospectionDepthRule]


class Request(msgspec.Struct):
    """The body of a POST, as GraphQL over HTTP has it."""

    query: str
    variables: dict[str, Any] | None = None
    operationName: str | None = None
    extensions: Any = None


def read(body: bytes) -> Request:
    """The request in a body. Raises BadInput."""
    try:
        return msgspec.json.decode(body, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadInput(
            f'the body must be one JSON object such as {{"query": "…", "variables": {{}}}}: {problem}'
        ) from None


def answer(request: Request, context: Callable[[], Ask]) -> dict[str, Any]:
    """The answer as GraphQL over HTTP has it: ``data``, and ``errors`` where there are any."""
    number = uuid.uuid4().hex[:12]
    try:
        document, operation = _prepared(request)
    except Exception as problem:
        return {"errors": [describe(problem, number)]}
    problems = _problems(request.query)
    if problems:
        return {"errors": [describe(problem, number) for problem in problems]}
    outcome = execute(
        schema(),
        WIRING,
        document,
        operation,
        request.variables or {},
        context,
        lambda problem: describe(problem, number),
    )
    if outcome.errors:
        return {"data": outcome.data, "errors": outcome.errors}
    return {"data": outcome.data}


def _prepared(request: Request) -> tuple[DocumentNode, OperationDefinitionNode]:
    if len(request.query) > limits.MAX_LENGTH:
        raise TooCostly(f"the query has {len(request.query):,} characters; allowed are {limits.MAX_LENGTH:,}")
    document = _parsed(request.query)
    operation = _chosen(document, request.operationName)
    limits.check(document, operation, request.variables or {})
    if operation.operation is not OperationType.QUERY:
        raise BadInput(f"there are only queries here yet, no {operation.operation.value}s")
    return document, operation


@lru_cache(maxsize=256)
def _parsed(query: str) -> DocumentNode:
    try:
        return parse(query, max_tokens=limits.MAX_TOKENS)
    except GraphQLError as problem:
        if "token" in problem.message and str(limits.MAX_TOKENS) in problem.message:
            raise TooCostly(f"the query has too many tokens; allowed are {limits.MAX_TOKENS:,}") from None
        if "nested too deeply" in problem.message:
            raise TooCostly(
                f"the query is nested too deeply; allowed are {limits.MAX_DEPTH} levels"
            ) from None
        raise


def _chosen(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    named = [
        node for node in operations if name is None or (node.name is not None and node.name.value == name)
    ]
    if len(named) == 1:
        # Validation looks at every operation; those that are not run may not cost more than the one that is.
        for other in operations:
            limits.check(document, other, {})
        return named[0]
    if not operations:
        raise BadInput("the query holds no operation")
    if name is None:
        raise BadInput("the query holds several operations: say which one in operationName")
    raise BadInput(f"the query holds {len(named)} operations named {name[:80]!r}")


@lru_cache(maxsize=256)
def _problems(query: str) -> tuple[GraphQLError, ...]:
    return tuple(validate(schema(), _parsed(query), _RULES, max_errors=5, hide_suggestions=True))
