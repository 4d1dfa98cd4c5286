"""Captures that wait on disk until they are delivered, and the delivery to a server.

Standard library only, from Python 3.9 on: the client distribution ships this one file as it is.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from typing import Any

#: More are not kept: the oldest go first.
MAX_WAITING = 10_000


class NotDelivered(Exception):
    """A server did not take a capture. ``refused``: it never will, for the capture itself is wrong."""

    def __init__(self, message: str, refused: bool = False) -> None:
        super().__init__(message)
        self.refused = refused


def folder(environ: Mapping[str, str]) -> str:
    """Where captures wait: ``kinlore/spool`` in the user's state folder."""
    state = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "kinlore", "spool")


def put(place: str, capture: Mapping[str, Any]) -> str:
    """Write a capture durably; the file. Raises OSError."""
    os.makedirs(place, mode=0o700, exist_ok=True)
    name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
    unfinished = os.path.join(place, f".{name}")
    finished = os.path.join(place, f"{name}.json")
    body = json.dumps(capture, ensure_ascii=True, allow_nan=False).encode()
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, finished)
    except OSError:
        remove(unfinished)
        raise
    for old in waiting(place)[:-MAX_WAITING]:
        remove(old)
    return finished


def waiting(place: str) -> list[str]:
    """Files that wait, the oldest first."""
    try:
        names = sorted(name for name in os.listdir(place) if name.endswith(".json"))
    except OSError:
        return []
    return [os.path.join(place, name) for name in names if not name.startswith(".")]


def remove(file: str) -> None:
    """Delivered, by us or by somebody beside us."""
    with contextlib.suppress(OSError):
        os.remove(file)


def set_aside(file: str) -> None:
    """Keep what a server refuses for good, out of the way."""
    place = os.path.join(os.path.dirname(file), "refused")
    with contextlib.suppress(OSError):
        os.makedirs(place, mode=0o700, exist_ok=True)
        os.replace(file, os.path.join(place, os.path.basename(file)))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes to the server that was named and to no other."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


def send(url: str, body: bytes, token: str | None, timeout: float) -> tuple[int, bytes]:
    """One POST of JSON: status and body of what answers, whichever status that is. ``url`` is http(s),
    ``timeout`` in seconds. Raises OSError where nobody answers, ValueError for what is no address."""
    request = urllib.request.Request(url, data=body, method="POST")  # noqa: S310
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=timeout) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as problem:
        with problem:
            return problem.code, problem.read()
    except http.client.HTTPException as problem:
        raise OSError(f"its answer is broken: {type(problem).__name__}") from None


def post(url: str, token: str | None, body: bytes, timeout: float) -> None:
    """Hand a capture to a server (``KINLORE_URL``). Raises NotDelivered."""
    if not url.startswith(("http://", "https://")):
        raise NotDelivered(
            f"KINLORE_URL is {url[:80]!r}; allowed is an address such as http://127.0.0.1:8420"
        )
    try:
        status, answer = send(f"{url.rstrip('/')}/hooks/capture", body, token, timeout)
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        raise NotDelivered(f"{url} cannot be reached: {reason}") from None
    if not 200 <= status < 300:
        said = answer[:300].decode(errors="replace")
        line = " ".join(f"{url} answered {status} {said}".split())
        raise NotDelivered(line, refused=status in (400, 413, 415, 422))
