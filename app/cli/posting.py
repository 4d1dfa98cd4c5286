"""One POST of JSON by the standard library: a command asks once, and loading httpx takes longer than that."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Any

#: Seconds that a server may take to answer.
_PATIENCE = 60.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes to the server that was named and to no other."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


def post(url: str, body: bytes, token: str | None) -> tuple[int, bytes]:
    """Status and body of what answers, whichever status that is. ``url`` is http(s), as settings have it.
    Raises OSError where nobody answers."""
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310
    request.add_header("Content-Type", "application/json")
    if token is not None:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=_PATIENCE) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, problem.read()
    except http.client.HTTPException as problem:
        raise OSError(f"its answer is broken: {type(problem).__name__}") from None
