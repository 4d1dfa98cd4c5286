"""The bodies that the service answers with, beside pages: JSON, and refusals in GraphQL's form."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from app.api import access


def reply(body: Any, status: int = 200, **extra: str) -> Response:
    """A JSON answer; ``extra`` are headers."""
    return Response(
        msgspec.json.encode(body),
        status,
        headers={**access.headers(), **extra},
        media_type="application/json",
    )


def refusal(message: str, code: str, status: int, **extra: str) -> Response:
    """Why something was not done, as every address of the service says it."""
    return reply({"errors": [{"message": message, "extensions": {"code": code}}]}, status, **extra)
