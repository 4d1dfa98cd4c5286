"""From the body of a request to the body of the answer. No HTTP in here; GraphQL is Strawberry's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from app.api.checks import told
from app.api.fields import Ask, Context
from app.api.schema import schema
from graph_schema.errors import BadInput


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


def answer(request: Request, ask: Callable[[], Ask]) -> dict[str, Any]:
    """The answer as GraphQL over HTTP has it: ``data``, and ``errors`` where there are any.

    ``ask`` is called once for each root field. A request that could not be run has no ``data``."""
    context = Context(ask)
    result = schema().execute_sync(
        request.query,
        variable_values=request.variables,
        context_value=context,
        operation_name=request.operationName,
    )
    if not result.errors:
        return {"data": result.data}
    errors = [told(error, context.number) for error in result.errors]
    # Only a field that failed has a path; without one nothing was run.
    if result.data is None and not any("path" in error for error in errors):
        return {"errors": errors}
    return {"data": result.data, "errors": errors}
