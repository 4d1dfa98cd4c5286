"""What a request has to pass before it runs, as extensions of Strawberry: our limits, then the rules of
the specification; and how its failures are told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import strawberry
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, specified_rules
from graphql.validation import MaxIntrospectionDepthRule
from strawberry.extensions import ParserCache
from strawberry.types import ExecutionContext

from app.api import limits
from app.errors import TooCostly
from graph_schema.errors import BadInput, KinloreError

log = logging.getLogger(__name__)

#: limits.py bounds depth with the fragments counted once, which the rule on introspection depth does not.
_RULES = tuple(rule for rule in specified_rules if rule is not MaxIntrospectionDepthRule)


class Checks(ParserCache):
    """Counts what a query may cost before it is validated: validation can be made to run for minutes."""

    def on_operation(self) -> Iterator[None]:
        """Before anything else."""
        asked = self.execution_context
        length = len(asked.query or "")
        if not length:
            raise BadInput("the query is empty")
        if length > limits.MAX_LENGTH:
            raise TooCostly(f"the query has {length:,} characters; allowed are {limits.MAX_LENGTH:,}")
        asked.parse_options["max_tokens"] = limits.MAX_TOKENS
        asked.validation_rules = _RULES
        yield

    def on_parse(self) -> Iterator[None]:
        """Instead of parsing."""
        asked = self.execution_context
        try:
            document = self.cached_parse_document(asked.query, **asked.parse_options)
        except GraphQLError as problem:
            raise _too_long(problem) from None
        limits.check(document, _chosen(document, asked._provided_operation_name), asked.variables or {})
        asked.graphql_document = document
        yield


def _too_long(problem: GraphQLError) -> Exception:
    if "token" in problem.message and str(limits.MAX_TOKENS) in problem.message:
        return TooCostly(f"the query has too many tokens; allowed are {limits.MAX_TOKENS:,}")
    if "nested too deeply" in problem.message:
        return TooCostly(f"the query is nested too deeply; allowed are {limits.MAX_DEPTH} levels")
    return problem


def _chosen(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    # Strawberry runs the first of several where none is named; the specification asks for an error.
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


class CheckedSchema(strawberry.Schema):
    """A schema whose failures give nothing away."""

    @staticmethod
    def remove_field_suggestion(error: GraphQLError) -> None:
        """Drop what the schema has instead, of fields and of everything else."""
        error.message = error.message.split(" Did you mean ")[0]

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Log failures that nobody expected, with the number that their answer shows."""
        number = None if execution_context is None else execution_context.context.number
        for error in errors:
            if not is_expected(error):
                log.error("request %s failed", number, exc_info=error.original_error)


def is_expected(error: GraphQLError) -> bool:
    """Whether whoever asked may read why it failed."""
    return isinstance(error.original_error, KinloreError | GraphQLError | None)


def told(error: GraphQLError, number: str) -> dict[str, Any]:
    """An error as it is sent: expected ones by their code, all others masked with the request's number."""
    sent: dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    if not is_expected(error):
        sent["message"] = f"something went wrong here; the log has it under request {number}"
        sent["extensions"] = {"code": "INTERNAL", "requestId": number}
    elif isinstance(cause, KinloreError):
        sent["extensions"] = {"code": cause.code}
        if candidates := getattr(cause, "candidates", ()):
            sent["extensions"]["candidates"] = list(candidates)
    else:
        sent["extensions"] = {"code": "BAD_INPUT"}
    return sent
