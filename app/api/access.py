"""Who may talk to the service.

With a token: every request but the probes carries it. Without one the service is open to the users of its
own machine and to nobody else: it listens on loopback only, and a page from elsewhere that a browser shows
is kept out by its Host (DNS rebinding) and Origin (foreign pages).
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import ConfigError
from app.settings import ServerSettings

#: Where pushed sources are sent to: each knows its senders by a secret of its own.
HOOKS_PATH = "/hooks/"
#: Where OpenLineage's clients send to.
LINEAGE_PATH = "/api/v1/lineage"
#: What a proxy says of whom it speaks for.
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-real-ip")
_CALLER = "kinlore.caller"

#: Probes need no token: they tell nothing but whether the service is up.
OPEN_PATHS = frozenset({"/livez", "/readyz"})


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, without asking any resolver."""
    name = host.strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def check_openness(server: ServerSettings) -> str:
    """What to say at start about who may come in. Raises ConfigError where nobody should start it so."""
    if server.token is not None:
        return "every request needs the token (Authorization: Bearer …)"
    if server.auth == "required":
        raise ConfigError('server.auth is "required": set KINLORE_SERVER__TOKEN to a token')
    if not is_loopback(server.host):
        raise ConfigError(
            f"server.host is {server.host}, beyond this machine: set KINLORE_SERVER__TOKEN, or use 127.0.0.1"
        )
    return "open to the users of this machine, without a token"


class Caller(NamedTuple):
    """Who pushes: ``trusted`` with the server's own token; ``local`` from this machine itself, and neither
    through a proxy nor from a page of somebody else's."""

    trusted: bool
    local: bool


def caller_of(request: Request) -> Caller:
    """Who sends a request to a source; nobody in particular elsewhere."""
    found = request.scope.get(_CALLER)
    return found if isinstance(found, Caller) else Caller(False, False)


class Access:
    """ASGI middleware: refuses whoever may not come in, before anything is read. What is pushed to a source
    needs no token: the source's own secret is checked where it is taken."""

    def __init__(self, app: ASGIApp, server: ServerSettings) -> None:
        self.app = app
        self.closed = server.auth == "required"
        self.token = None if server.token is None else server.token.get_secret_value().encode()
        public = urlsplit(server.public_url or "")
        self.public_host = (public.hostname or "").lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, or answer 401, 403 or 421."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if self.token is not None:
            refusal = _by_token(self.token, scope["path"], headers)
        else:
            refusal = self._by_origin(headers)
        if _is_push(scope):
            trusted = self.token is not None and refusal is None
            scope[_CALLER] = Caller(trusted, self._is_local(scope, headers))
            if self.token is not None:
                refusal = None
        if refusal is None:
            await self.app(scope, receive, send)
            return
        status, message, extra = refusal
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": message})
            return
        body = {"errors": [{"message": message, "extensions": {"code": "FORBIDDEN"}}]}
        await JSONResponse(body, status, extra)(scope, receive, send)

    def _by_origin(self, headers: dict[bytes, bytes]) -> tuple[int, str, dict[str, str]] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not self._known(_host_of(f"//{host}")):
            return 421, f"this service does not answer for the host {host[:80]!r}", {}
        origin = headers.get(b"origin")
        if origin is None:
            return None
        said = origin.decode("latin-1")
        # Another port of this machine is another service, and its pages are foreign too.
        same = urlsplit(said).netloc.lower() == host.lower() and urlsplit(said).scheme in ("http", "https")
        if same or (self.public_host and _host_of(said) == self.public_host):
            return None
        return 403, f"requests from pages of {said[:80]!r} are not answered", {}

    def _is_local(self, scope: Scope, headers: dict[bytes, bytes]) -> bool:
        client = scope.get("client")
        if self.closed or client is None or not is_loopback(client[0]):
            return False
        if any(name in headers for name in _FORWARDED) or self._by_origin(headers) is not None:
            return False
        # Behind a proxy on this machine everybody comes from it; the name they used tells.
        host = _host_of(f"//{headers.get(b'host', b'').decode('latin-1')}")
        return self.token is None or is_loopback(host)

    def _known(self, host: str) -> bool:
        return bool(host) and (is_loopback(host) or host == self.public_host)


def _is_push(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    path: str = scope["path"]
    return path == LINEAGE_PATH or (path.startswith(HOOKS_PATH) and path != HOOKS_PATH)


def _by_token(token: bytes, path: str, headers: dict[bytes, bytes]) -> tuple[int, str, dict[str, str]] | None:
    if path in OPEN_PATHS:
        return None
    word, _, given = headers.get(b"authorization", b"").partition(b" ")
    if word.lower() == b"bearer" and hmac.compare_digest(given.strip(), token):
        return None
    return 401, "a token is needed: Authorization: Bearer …", {"www-authenticate": "Bearer"}


def _host_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


async def body_of(request: Request, most: int) -> bytes | None:
    """The body, or None as soon as it is longer than ``most`` bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


def headers(page: bool = False, style: str = "") -> dict[str, Any]:
    """Headers of every answer; pages may show the one style sheet with this hash and send forms home."""
    policy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    if page:
        policy = (
            f"default-src 'none'; style-src '{style}'; form-action 'self'; "
            "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
        )
    return {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cross-origin-resource-policy": "same-origin",
        "cache-control": "no-store",
    }
