"""HTTP for sources: credentials by name of an environment variable, bounded retries, nothing but JSON."""

from __future__ import annotations

import email.utils
import os
import random
import ssl
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec
from pydantic import Field, model_validator

from ingestors.paths import LocalPath
from ingestors.source import Refused, SourceConfig, SourceError, Unreachable

if TYPE_CHECKING:
    # Imported by who sends something: loading it takes longer than most commands.
    import httpx

_RETRIED = frozenset({429, 500, 502, 503, 504})
_NOT_MODIFIED, _FORBIDDEN = 304, 403
#: Seconds that one request may wait by itself; a longer Retry-After is left to the loop.
_PATIENCE = 60.0


class HttpConfig(SourceConfig):
    """Keys of every source that is read over HTTP. Secrets stay in the environment; these name them."""

    token_env: str | None = Field(default=None, description="variable that holds a bearer token")
    user_env: str | None = Field(default=None, description="variable that holds a user name")
    password_env: str | None = Field(default=None, description="variable that holds the password")
    ca_file: LocalPath | None = Field(default=None, description="certificates to trust, PEM")
    proxy: str | None = Field(default=None, description="proxy, http(s)://host:port")

    @model_validator(mode="after")
    def _credentials(self) -> HttpConfig:
        if (self.user_env is None) != (self.password_env is None):
            raise ValueError("user_env and password_env go together")
        if self.token_env is not None and self.user_env is not None:
            raise ValueError("give token_env, or user_env and password_env, not both")
        return self


class HttpClient:
    """A client for one base address. ``transport`` replaces the network: recordings are replayed through it.

    Times in seconds; ``max_bytes`` bounds an answer after decompression. What breaks may pass and is tried
    again; an address where nobody has answered yet is not, but for whoever calls.
    """

    def __init__(
        self,
        base_url: str,
        config: HttpConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        environ: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = 4.0,
        read_timeout: float = 60.0,
        max_bytes: int = 64 * 2**20,
        attempts: int = 4,
        wait: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        import httpx

        self.base_url, self._in_address = _without_user(base_url.rstrip("/"))
        self._where = shown(base_url)
        self._config = config
        self._environ = os.environ if environ is None else environ
        self._max_bytes = max_bytes
        self._attempts = attempts
        self._wait = wait
        self._answered = False
        self._sleep = sleep
        verify: ssl.SSLContext | bool = True
        if config.ca_file is not None:
            try:
                verify = ssl.create_default_context(cafile=str(config.ca_file))
            except (OSError, ssl.SSLError) as problem:
                raise SourceError(f"ca_file {config.ca_file}: {problem}") from None
        try:
            self._client = httpx.Client(
                timeout=httpx.Timeout(read_timeout, connect=connect_timeout),
                transport=transport,
                verify=verify,
                proxy=config.proxy if transport is None else None,
                headers={"Accept": "application/json", "User-Agent": "kinlore", **(headers or {})},
                # A redirect of an API is a login page or a wrong address.
                follow_redirects=False,
            )
        except (ValueError, httpx.InvalidURL) as problem:
            raise SourceError(f"proxy {shown(config.proxy or '')}: {problem}") from None

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON at a path. Raises Unreachable, Refused, NotThere or SourceError, each in one line."""
        return self._json("GET", path, params=params)

    def post(self, path: str, body: Any) -> Any:
        """The JSON that answers a JSON body. Only for requests that may be repeated."""
        return self._json("POST", path, body=body)

    def text(self, path: str, params: Mapping[str, Any] | None = None, max_bytes: int | None = None) -> str:
        """A text file, cut after ``max_bytes``."""
        limit = self._max_bytes if max_bytes is None else max_bytes
        content, _, _ = self._send("GET", path, params, None, limit, cut=True)
        return content.decode(errors="replace")

    def answer(
        self,
        path: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The JSON at a path, with the headers that came with it; for a request that carries
        ``If-None-Match``, ``json`` is None where nothing has changed."""
        content, got, status = self._send("GET", path, params, None, self._max_bytes, cut=False, more=headers)
        if status == _NOT_MODIFIED:
            return Answer(None, got, False)
        return Answer(self._decoded(content, got.get("content-type", ""), path), got)

    def close(self) -> None:
        """Release connections."""
        self._client.close()

    def _json(self, method: str, path: str, params: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        content, got, _ = self._send(method, path, params, body, self._max_bytes, cut=False)
        return self._decoded(content, got.get("content-type", ""), path)

    def _decoded(self, content: bytes, kind: str, path: str) -> Any:
        try:
            return msgspec.json.decode(content)
        except (msgspec.DecodeError, RecursionError):
            pass
        if b"<html" in content[:2_000].lower() or "html" in kind:
            raise SourceError(
                f"{self._where}{path} answers with a web page, not JSON; is the address right, "
                "and is there a login page before it?"
            )
        # A body that was cut on its way may be whole the next time.
        raise Unreachable(f"{self._where}{path} answers with broken JSON ({len(content)} bytes)")

    def _auth(self) -> tuple[httpx.Auth | None, dict[str, str]]:
        config = self._config
        if config.token_env is not None:
            return None, {"Authorization": f"Bearer {self._variable('token_env', config.token_env)}"}
        if config.user_env is not None and config.password_env is not None:
            import httpx

            user = self._variable("user_env", config.user_env)
            return httpx.BasicAuth(user, self._variable("password_env", config.password_env)), {}
        return self._in_address, {}

    def _variable(self, key: str, name: str) -> str:
        value = self._environ.get(name, "").strip()
        if not value:
            raise Refused(f"the environment variable {name} is not set ({key} of {self._config.name})")
        if not value.isascii() or not value.isprintable():
            raise Refused(f"the environment variable {name} ({key}) holds characters no header can carry")
        return value

    def _send(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None,
        body: Any,
        limit: int,
        *,
        cut: bool,
        more: Mapping[str, str] | None = None,
    ) -> tuple[bytes, Mapping[str, str], int]:
        import httpx

        auth, headers = self._auth()
        headers.update(more or {})
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        for attempt in range(1, self._attempts + 1):
            try:
                with self._client.stream(
                    method,
                    self.base_url + path,
                    params=dict(params) if params else None,
                    content=content,
                    headers=headers,
                    auth=auth if auth is not None else httpx.USE_CLIENT_DEFAULT,
                ) as answer:
                    self._answered = True
                    failure = self._failure(answer, path)
                    if failure is None:
                        content_read = self._read(answer, path, limit, cut)
                        return content_read, dict(answer.headers), answer.status_code
            except (httpx.InvalidURL, httpx.UnsupportedProtocol) as problem:
                raise SourceError(f"{self._where}: {problem}") from None
            except httpx.DecodingError as problem:
                raise SourceError(f"{self._where}{path}: {problem}") from None
            except httpx.TransportError as problem:
                reason = str(problem) or type(problem).__name__
                failure = Unreachable(f"{self._where} does not answer: {reason}")
                if not self._answered and isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
                    raise failure from None
            delay = failure.retry_after
            if delay is None:
                delay = self._wait * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311
            if attempt == self._attempts or delay > _PATIENCE:
                raise failure
            self._sleep(delay)
        raise AssertionError("unreachable")

    def _failure(self, answer: httpx.Response, path: str) -> Unreachable | None:
        """None for an answer to be read, an Unreachable for one to be tried again; raises for the rest."""
        status = answer.status_code
        if status < 300 or (status == _NOT_MODIFIED and "if-none-match" in answer.request.headers):
            return None
        where = f"{self._where}{path}"
        if status in _RETRIED or (status == _FORBIDDEN and _is_limit(answer.headers)):
            return Unreachable(f"{where} answers {status}", _asked_wait(answer.headers))
        if status in (401, 403):
            raise Refused(f"{where} answers {status}: {self._credentials()}")
        if status < 400:
            target = shown(answer.headers.get("location", "?"))
            raise SourceError(f"{where} redirects to {target}; give the final address, without a login page")
        said = answer.read()[:2_000].decode(errors="replace")
        if status == 404:
            raise NotThere(f"{where} answers 404: there is no such thing, or the address is wrong", said)
        raise HttpError(f"{where} answers {status}: {_message(said)}", said)

    def _credentials(self) -> str:
        config = self._config
        if config.token_env is not None:
            return f"it refuses the token in the environment variable {config.token_env}"
        if config.user_env is not None:
            return f"it refuses the user and password in {config.user_env} and {config.password_env}"
        return "it wants credentials; name their variable with token_env, or user_env and password_env"

    def _read(self, answer: httpx.Response, path: str, limit: int, cut: bool) -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in answer.iter_bytes():
            parts.append(part)
            size += len(part)
            if size > limit:
                if cut:
                    return b"".join(parts)[:limit]
                raise SourceError(f"{self._where}{path} answers with more than {limit / 2**20:.0f} MB")
        return b"".join(parts)


class Answer(NamedTuple):
    """An answer of 2xx, or 304 (``fresh`` False). ``headers`` by lower-case name."""

    json: Any
    headers: Mapping[str, str]
    fresh: bool = True


class HttpError(SourceError):
    """An answer of 4xx. ``body`` is its beginning, as text."""

    def __init__(self, message: str, body: str = "") -> None:
        super().__init__(message)
        self.body = body


class NotThere(HttpError):
    """404."""


def _without_user(url: str) -> tuple[str, httpx.BasicAuth | None]:
    """An address and the credentials that stood in it; they would override all others."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, None
    import httpx

    name, _, password = user.partition(":")
    return parts._replace(netloc=host).geturl(), httpx.BasicAuth(unquote(name), unquote(password))


def shown(url: str) -> str:
    """An address without user, password and query, for messages."""
    parts = urlsplit(url)
    if not parts.netloc:
        return url.partition("?")[0]
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")


def _is_limit(headers: httpx.Headers) -> bool:
    """Whether a refusal is one for a while: GitHub answers 403 where others answer 429."""
    return "retry-after" in headers or headers.get("x-ratelimit-remaining") == "0"


def _asked_wait(headers: httpx.Headers) -> float | None:
    """Seconds that the server asks to be left alone: ``Retry-After``, else the time when an exhausted
    allowance is filled again (GitHub's and GitLab's headers); None where it says nothing usable."""
    said = _retry_after(headers.get("retry-after"))
    if said is not None:
        return said
    for prefix in ("x-ratelimit", "ratelimit"):
        reset = headers.get(f"{prefix}-reset", "")
        if headers.get(f"{prefix}-remaining") == "0" and reset.isascii() and reset.isdigit():
            return min(max(0.0, int(reset[:12]) - time.time()), 1e6)
    return None


def _retry_after(header: str | None) -> float | None:
    """Seconds from a Retry-After header: a number, or a date; None where it says nothing usable."""
    if not header:
        return None
    try:
        return min(max(0.0, float(header)), 1e6)
    except ValueError:
        pass
    try:
        at = email.utils.parsedate_to_datetime(header)
    except (TypeError, ValueError):
        return None
    return max(0.0, at.timestamp() - time.time())


def _message(body: str) -> str:
    """What an error says for people: the message of a JSON error, else its first line."""
    try:
        held = msgspec.json.decode(body.encode())
    except (msgspec.DecodeError, RecursionError):
        held = None
    if isinstance(held, dict):
        for key in ("message", "error", "detail"):
            if isinstance(held.get(key), str):
                return " ".join(held[key].split())[:300]
    first = body.strip().partition("\n")[0][:200]
    return first or "nothing"
