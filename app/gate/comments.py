"""One comment a pull request, written, brought up to date or taken away.

It is found again by a mark that nobody sees. A comment counts as ours only if whoever the token stands for
wrote it: anybody may write the mark into a comment of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from app.errors import Failed
from app.gate.ci import Pull

MARK = "<!-- kinlore-check -->"
#: The variables that hold the token, the first that is set.
TOKENS = {"github": ("GITHUB_TOKEN", "GH_TOKEN"), "gitlab": ("GITLAB_TOKEN",)}

_PAGE, _MAX_PAGES = 100, 30
_ATTEMPTS = 3
_RETRIED = frozenset({429, 500, 502, 503, 504})
_LONGEST_WAIT = 20.0


class Forge(Protocol):
    """Comments of one pull request."""

    def mine(self) -> Iterator[tuple[int, str]]:
        """(number, text) of our own comments that carry the mark, oldest first."""

    def write(self, text: str) -> None:
        """A new one."""

    def rewrite(self, number: int, text: str) -> None:
        """Another text for it."""

    def remove(self, number: int) -> None:
        """Take it away."""


def put(forge: Forge, text: str | None) -> str:
    """Leave exactly one comment with this text, or none. What was done: ``written``, ``updated``,
    ``unchanged``, ``removed`` or ``none``. Raises Failed."""
    held = list(forge.mine())
    if text is None:
        for number, _ in held:
            forge.remove(number)
        return "removed" if held else "none"
    if not held:
        forge.write(text)
        return "written"
    (first, before), *others = held
    # Two checks at once may have written one each.
    for number, _ in others:
        forge.remove(number)
    if before.strip() == text.strip():
        return "unchanged"
    forge.rewrite(first, text)
    return "updated"


def forge_of(pull: Pull, environ: Mapping[str, str], transport: httpx.BaseTransport | None = None) -> Forge:
    """The comments of a pull request. Raises Failed where no token is set or the request cannot be found."""
    names = TOKENS[pull.forge]
    token = next((environ[name].strip() for name in names if environ.get(name, "").strip()), None)
    if token is None:
        raise Failed(f"a comment needs a token: set {' or '.join(names)}")
    if pull.forge == "gitlab":
        return _GitLab(pull, _Http(pull.api, {"PRIVATE-TOKEN": token}, transport))
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    return _GitHub(pull, _Http(pull.api, headers, transport))


class _Http:
    """JSON over HTTP: what breaks is tried again, what is refused is said in one line, without the token."""

    def __init__(
        self,
        base: str,
        headers: Mapping[str, str],
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = base
        self._sleep = sleep
        self._client = httpx.Client(
            headers={"User-Agent": "kinlore", **headers},
            timeout=httpx.Timeout(20.0, connect=5.0),
            transport=transport,
            follow_redirects=False,
        )

    def call(
        self, method: str, path: str, body: Any = None, params: Mapping[str, Any] | None = None,
        allowed: tuple[int, ...] = (),
    ) -> tuple[int, Any]:  # fmt: skip
        """(status, JSON). Raises Failed for what is no success and not ``allowed``."""
        failure = ""
        for attempt in range(_ATTEMPTS):
            try:
                answer = self._client.request(
                    method, self._base + path, json=body, params=None if params is None else dict(params)
                )
            except httpx.TransportError as problem:
                failure = f"{self._base} does not answer: {str(problem) or type(problem).__name__}"
                # A comment that was sent may have arrived: it is looked for, not sent again.
                if method == "POST" and not isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
                    break
                self._sleep(0.5 * 2**attempt)
                continue
            if answer.status_code < 300 or answer.status_code in allowed:
                return answer.status_code, _decoded(answer)
            failure = f"{self._base}{path} answers {answer.status_code}: {_message(answer)}"
            if answer.status_code not in _RETRIED or (method == "POST" and answer.status_code != 429):
                break
            self._sleep(min(_asked(answer, 0.5 * 2**attempt), _LONGEST_WAIT))
        raise Failed(failure)

    def pages(self, path: str, params: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Every entry of a list. Raises Failed for one that does not end."""
        for page in range(1, _MAX_PAGES + 1):
            _, entries = self.call("GET", path, params={**params, "per_page": _PAGE, "page": page})
            if not isinstance(entries, list):
                raise Failed(f"{self._base}{path} answers with something else than a list")
            yield from (entry for entry in entries if isinstance(entry, dict))
            if len(entries) < _PAGE:
                return
        raise Failed(f"{self._base}{path} has more than {_MAX_PAGES * _PAGE:,} entries")


def _decoded(answer: httpx.Response) -> Any:
    try:
        return answer.json() if answer.content else None
    except ValueError:
        return None


def _message(answer: httpx.Response) -> str:
    body = _decoded(answer)
    said = body.get("message") or body.get("error") if isinstance(body, dict) else None
    return " ".join(str(said or answer.reason_phrase or "no reason given").split())[:300]


def _asked(answer: httpx.Response, otherwise: float) -> float:
    try:
        return max(0.0, float(answer.headers.get("retry-after", "")))
    except ValueError:
        return otherwise


def _carries(text: Any) -> bool:
    # At its beginning: an answer that quotes ours holds it too.
    return isinstance(text, str) and text.lstrip().startswith(MARK)


class _GitHub:
    """Issue comments, which are those of the conversation of a pull request."""

    def __init__(self, pull: Pull, http: _Http) -> None:
        self._http = http
        self._repo = f"/repos/{quote(pull.project)}"
        self._list = f"{self._repo}/issues/{self._number(pull)}/comments"

    def _number(self, pull: Pull) -> int:
        if pull.number is not None:
            return pull.number
        if pull.head is None:
            raise Failed("it is not told which pull request this is")
        head = pull.head
        params = {"state": "open", "head": f"{head.owner}:{head.branch}"}
        for each in self._http.pages(f"{self._repo}/pulls", params):
            tip = each.get("head")
            if isinstance(tip, dict) and tip.get("sha") == head.sha and isinstance(each.get("number"), int):
                return int(each["number"])
        raise Failed(f"no open pull request has {head.owner}:{head.branch} at {head.sha[:12]} for its head")

    def mine(self) -> Iterator[tuple[int, str]]:
        # The token of a workflow may not ask who it is; what it writes is a bot's.
        status, user = self._http.call("GET", "/user", allowed=(401, 403, 404))
        me = user.get("id") if status < 300 and isinstance(user, dict) else None
        for entry in self._http.pages(self._list, {}):
            author = entry.get("user") or {}
            ours = author.get("id") == me if me is not None else author.get("type") == "Bot"
            if ours and _carries(entry.get("body")):
                yield int(entry["id"]), str(entry["body"])

    def write(self, text: str) -> None:
        self._http.call("POST", self._list, {"body": text})

    def rewrite(self, number: int, text: str) -> None:
        self._http.call("PATCH", f"{self._repo}/issues/comments/{number}", {"body": text})

    def remove(self, number: int) -> None:
        self._http.call("DELETE", f"{self._repo}/issues/comments/{number}", allowed=(404,))


class _GitLab:
    """Notes of a merge request."""

    def __init__(self, pull: Pull, http: _Http) -> None:
        if pull.number is None:
            raise Failed("it is not told which merge request this is")
        self._http = http
        self._list = f"/projects/{quote(pull.project, safe='')}/merge_requests/{pull.number}/notes"

    def mine(self) -> Iterator[tuple[int, str]]:
        _, user = self._http.call("GET", "/user")
        me = user.get("id") if isinstance(user, dict) else None
        for entry in self._http.pages(self._list, {"sort": "asc", "order_by": "created_at"}):
            ours = (entry.get("author") or {}).get("id") == me and not entry.get("system")
            if me is not None and ours and _carries(entry.get("body")):
                yield int(entry["id"]), str(entry["body"])

    def write(self, text: str) -> None:
        self._http.call("POST", self._list, {"body": text})

    def rewrite(self, number: int, text: str) -> None:
        self._http.call("PUT", f"{self._list}/{number}", {"body": text})

    def remove(self, number: int) -> None:
        self._http.call("DELETE", f"{self._list}/{number}", allowed=(404,))
