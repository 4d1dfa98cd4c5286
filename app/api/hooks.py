"""What is pushed: webhooks at ``/hooks/<source>``, OpenLineage's events at ``/api/v1/lineage``.

A request is checked on its raw body before anything of it is read, and answered 2xx only once it is in the
store. What passes is told with 503: most senders try again after that, and after nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from hashlib import blake2b

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from app import settings
from app.api import access
from app.api.access import Caller
from app.api.replies import refusal, reply
from app.api.threads import Threads, outcome
from app.container import Configured, Container
from app.errors import Forbidden, TooCostly
from graph_schema.errors import BadInput, KinloreError, NotFound, StoreBusy, StoreError, StoreUnavailable
from graph_schema.redaction import Redactor
from ingestors.inbox import Answer
from ingestors.source import Delivery, Forged, Item, Source
from ingestors.writing import refused

log = logging.getLogger(__name__)

#: Bytes that a body may have, packed and unpacked, and all that are worked on at once; what one counts for
#: that does not say its length.
MAX_BODY = 10_000_000
_MOST_BYTES = 64_000_000
_UNSAID = 1_000_000
#: Bytes of a body that is read without a thread of its own.
_SMALL = 16_000
#: Parts that a gzip body may have; one is usual.
_MOST_MEMBERS = 16
#: Seconds until a sender is told to try again: PagerDuty waits for five.
_PATIENCE = 4.0
_OPENLINEAGE = "openlineage"


class Receiver(msgspec.Struct, frozen=True):
    """A source and the secret of whoever pushes to it; ``unset``: the variable that should hold it."""

    configured: Configured
    secret: bytes | None = None
    unset: str | None = None

    @property
    def name(self) -> str:
        """The name of the source."""
        return self.configured.name


class _Unsupported(KinloreError):
    """The body is packed in a way that nobody here unpacks."""


class Hooks:
    """The addresses that take what is pushed. Secrets are read from the environment when it is made."""

    def __init__(self, container: Container) -> None:
        environ = settings.environment()
        everybody = (*container.sources, *container.implicit)
        self._container = container
        self._receivers = {each.name: _receiver(each, environ) for each in everybody}
        self._threads = Threads(workers=4, waiting=500)
        self._bytes = 0
        self._preparing: asyncio.Future[Redactor] | None = None

    async def hook(self, request: Request) -> Response:
        """``POST /hooks/{source}``."""
        name = request.path_params["source"]
        return await self._answer(request, lambda delivery, caller: self._named(name, caller))

    async def lineage(self, request: Request) -> Response:
        """``POST /api/v1/lineage``."""
        return await self._answer(request, self._openlineage)

    async def _answer(self, request: Request, choose: Callable[[Delivery, Caller], Receiver]) -> Response:
        caller = access.caller_of(request)
        said = request.headers.get("content-length", "")
        size = int(said[:20]) if said.isdecimal() else _UNSAID
        if size > MAX_BODY:
            return _too_long()
        if self._bytes + size > _MOST_BYTES:
            return _told(StoreBusy("too much is being taken in at once; send it again in a moment"))
        self._bytes += size
        try:
            return await self._taken(request, choose, caller)
        except Exception as problem:
            return _told(problem)
        finally:
            self._bytes -= size

    async def _taken(
        self, request: Request, choose: Callable[[Delivery, Caller], Receiver], caller: Caller
    ) -> Response:
        body = await access.body_of(request, MAX_BODY)
        if body is None:
            return _too_long()
        delivery = Delivery(_headers(request), body, time.time_ns() // 1_000)

        def work() -> Future[Answer]:
            return self._take(choose(delivery, caller), delivery, caller)

        began = time.monotonic()
        if not self._container.inbox.ready:
            _admit(choose(delivery, caller), delivery, caller)
            await self._prepared()
        small = len(body) <= _SMALL and "content-encoding" not in delivery.headers
        # What is done within a fraction of a millisecond need not wait for a thread twice.
        stored = work() if small else await self._threads.run(work)
        answer = await outcome(stored, max(0.0, began + _PATIENCE - time.monotonic()))
        return reply(msgspec.to_builtins(answer), 202)

    async def _prepared(self) -> None:
        """Wait until the inbox can take something in without asking the store, as long as a sender waits and
        no longer: the first deliveries ask for the same, once, and the thread that does may be stuck."""
        if self._preparing is None or self._preparing.done():
            self._preparing = asyncio.ensure_future(self._threads.run(self._container.inbox.redactor))
            # Whoever waited for it may be gone when it fails.
            self._preparing.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait_for(asyncio.shield(self._preparing), _PATIENCE)

    # --- whom it is for ----------------------------------------------------------------------------------

    def _named(self, name: str, caller: Caller) -> Receiver:
        receiver = self._receivers.get(name)
        if receiver is not None:
            return receiver
        if not (caller.trusted or caller.local):
            # Which sources there are is not for everybody.
            raise Forged("a token is needed: Authorization: Bearer …")
        taking = ", ".join(sorted(source.config.name for source in self._container.receivers)) or "none"
        raise NotFound(f"no source is named {name[:100]!r}; these take requests: {taking}")

    def _openlineage(self, delivery: Delivery, caller: Caller) -> Receiver:
        found = [each for each in self._receivers.values() if each.configured.type == _OPENLINEAGE]
        known = [each for each in found if each.secret is not None and _verifies(each, delivery)]
        if len(known) == 1:
            return known[0]
        if len(found) == 1:
            return found[0]
        if not (caller.trusted or caller.local):
            raise Forged("a token is needed: Authorization: Bearer …")
        if not found:
            raise NotFound(f"no source of type {_OPENLINEAGE} is configured, which takes what comes here")
        names = ", ".join(each.name for each in found)
        raise BadInput(
            f"several sources of type {_OPENLINEAGE} are configured ({names}):"
            f" the bearer token says which, or POST to {access.HOOKS_PATH}<name>"
        )

    # --- taking it ---------------------------------------------------------------------------------------

    def _take(self, receiver: Receiver, delivery: Delivery, caller: Caller) -> Future[Answer]:
        source = _admit(receiver, delivery, caller)
        known_as = source.delivery_id(delivery)
        body = unpacked(delivery.body, delivery.headers.get("content-encoding", ""))
        inbox = self._container.inbox
        try:
            items = source.receive(msgspec.structs.replace(delivery, body=body))
        except (BadInput, ValueError, RecursionError) as problem:
            said = "it is nested too deep" if isinstance(problem, RecursionError) else str(problem)
            raise BadInput(f"{receiver.name} cannot take this: {' '.join(said.split())[:500]}") from None
        except Exception as problem:
            # A mistake in the source, not the sender's: what came is kept for whoever mends it.
            log.exception("source %s: a delivery could not be read", receiver.name)
            key = known_as or blake2b(body, digest_size=16).hexdigest()
            item = Item(key, "delivery", delivery.at, {"body": body.decode(errors="replace")})
            letter = refused(item, problem, inbox.redactor())
            return inbox.put(receiver.name, [], delivery=known_as, letters=[letter])
        return inbox.put(receiver.name, items, delivery=known_as)


def _receiver(configured: Configured, environ: Mapping[str, str]) -> Receiver:
    source = configured.source
    variable = getattr(source.config, "secret_env", None) if source is not None and source.accepts else None
    if variable is None:
        return Receiver(configured)
    secret = environ.get(variable, "").strip()
    if not secret:
        log.warning("source %s: %s is not set, so nothing is taken from anybody", configured.name, variable)
        return Receiver(configured, unset=variable)
    return Receiver(configured, secret.encode())


def _admit(receiver: Receiver, delivery: Delivery, caller: Caller) -> Source:
    """The source, if this may be pushed to it. Raises Forged, Forbidden, NotFound, StoreUnavailable."""
    source = receiver.configured.source
    if receiver.unset is not None:
        raise StoreUnavailable(f"{receiver.name} takes nothing: {receiver.unset} holds no secret")
    if receiver.secret is not None and source is not None:
        source.verify(delivery, receiver.secret)
    elif not (caller.trusted or caller.local):
        raise Forbidden(
            f"{receiver.name} has no secret, so it takes requests from this machine only: set secret_env"
        )
    if source is None:
        raise StoreUnavailable(f"{receiver.name} is disabled: {receiver.configured.disabled}")
    if not source.accepts:
        raise NotFound(f"{receiver.name} takes no requests: Kinlore pulls what there is from {source.type}")
    return source


def _verifies(receiver: Receiver, delivery: Delivery) -> bool:
    if receiver.configured.source is None or receiver.secret is None:
        return False
    try:
        receiver.configured.source.verify(delivery, receiver.secret)
    except Forged:
        return False
    return True


def _headers(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def unpacked(body: bytes, encoding: str, most: int = MAX_BODY) -> bytes:
    """The body as it was before a sender packed it (gzip). Raises TooCostly as soon as it is longer than
    ``most`` bytes, BadInput for what is no gzip."""
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise _Unsupported(f"the body is packed as {encoding[:40]!r}; allowed is gzip")
    parts: list[bytes] = []
    size = 0
    for _ in range(_MOST_MEMBERS):
        inflater = zlib.decompressobj(wbits=31)
        try:
            part = inflater.decompress(body, most - size + 1)
        except zlib.error as problem:
            raise BadInput(f"the body is no gzip: {problem}") from None
        size += len(part)
        if size > most:
            raise TooCostly(f"the body is longer than {most:,} bytes when it is unpacked")
        parts.append(part)
        if not inflater.eof:
            raise BadInput("the gzip body ends before its end")
        body = inflater.unused_data
        if not body:
            return b"".join(parts)
    raise BadInput(f"the gzip body has more than {_MOST_MEMBERS} parts")


def _too_long() -> Response:
    return refusal(f"the body is longer than {MAX_BODY:,} bytes", "TOO_COSTLY", 413)


def _told(problem: Exception) -> Response:
    """The answer to what went wrong."""
    said = str(problem)
    if isinstance(problem, Forged):
        return refusal(said, "FORBIDDEN", 401, **{"www-authenticate": "Bearer"})
    if isinstance(problem, StoreError | TimeoutError):
        # Alertmanager and others try again on 5xx only.
        return refusal(
            said or "the store is slow to answer", "STORE_UNAVAILABLE", 503, **{"retry-after": "2"}
        )
    for kind, status in _STATUSES:
        if isinstance(problem, kind):
            return refusal(said, kind.code, status)
    log.error("a delivery could not be taken", exc_info=problem)
    return refusal("something went wrong; the log of the server tells what", "INTERNAL", 500)


_STATUSES: Sequence[tuple[type[KinloreError], int]] = (
    (TooCostly, 413),
    (_Unsupported, 415),
    (Forbidden, 403),
    (NotFound, 404),
    (BadInput, 400),
)
