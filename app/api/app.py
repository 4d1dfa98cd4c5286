"""The FastAPI application: addresses, headers and bodies. What they answer is worked out elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from app.api import access, graphql, pages
from app.api.fields import Ask, Jobs
from app.api.hooks import Hooks
from app.api.metrics import metrics
from app.api.replies import refusal
from app.api.schema import sdl
from app.api.status import source_statuses
from app.api.threads import Threads
from app.container import Container
from app.lineage.lookup import find_one
from app.lineage.walk import lineage
from app.settings import seconds
from graph_schema.errors import BadIdentifier, BadInput, KinloreError, NotFound, StoreBusy, StoreError

log = logging.getLogger(__name__)

MAX_BODY = 1_000_000
# A page has no button for more hops, so it shows the whole story as far as it fits.
_PAGE_NODES, _PAGE_HOPS = 300, 20


def create_app(container: Container, jobs: Jobs | None = None) -> FastAPI:
    """The service over a container. ``jobs`` ingests where it is asked to; without, nothing is ingested.
    Raises ConfigError where it would be open to strangers."""
    access.check_openness(container.settings.server)

    # The generated documentation pages load scripts from elsewhere, so there are none.
    app = FastAPI(title="Kinlore", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(access.Access, server=container.settings.server)
    service = _Service(container, Threads(), jobs)
    app.add_api_route("/graphql", service.graphql, methods=["POST"])
    app.add_api_route("/graphql", service.graphql_page, methods=["GET"])
    hooks = Hooks(container)
    # Plain routes: they come by the hundred, and ask nothing of FastAPI.
    app.add_route("/hooks/{source}", hooks.hook, methods=["POST"])
    app.add_route(access.LINEAGE_PATH, hooks.lineage, methods=["POST"])
    app.add_api_route("/", service.home, methods=["GET"])
    app.add_api_route("/livez", service.alive, methods=["GET"])
    app.add_api_route("/readyz", service.ready, methods=["GET"])
    app.add_api_route("/metrics", service.metrics, methods=["GET"])
    return app


def _html(text: str, status: int = 200) -> Response:
    return HTMLResponse(text, status, headers=access.headers(page=True, style=pages.STYLE_HASH))


class _Service:
    def __init__(self, container: Container, threads: Threads, jobs: Jobs | None) -> None:
        self.container = container
        self.threads = threads
        self.jobs = jobs

    def _ask(self) -> Ask:
        return Ask(
            self.container.store,
            None,
            lambda: source_statuses(self.container),
            self.jobs,
            seconds(self.container.settings.runs.stalled_after),
            production=self.container.settings.environments.production,
            critical=self.container.settings.impact.critical,
            held=self.container.adjacencies,
            model=self.container.model,
        )

    async def graphql(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            # A browser sends other types across origins without asking first.
            return refusal("send the query as application/json", "BAD_INPUT", 415)
        body = await access.body_of(request, MAX_BODY)
        if body is None:
            return refusal(f"the body is longer than {MAX_BODY:,} bytes", "TOO_COSTLY", 413)
        try:
            asked = graphql.read(body)
            payload = await self.threads.run(lambda: msgspec.json.encode(graphql.answer(asked, self._ask)))
        except StoreBusy as problem:
            return refusal(str(problem), problem.code, 503, **{"retry-after": "1"})
        except BadInput as problem:
            return refusal(str(problem), problem.code, 400)
        return Response(payload, headers=access.headers(), media_type="application/json")

    async def graphql_page(self, request: Request) -> Response:
        if request.query_params:
            return refusal("queries are sent by POST", "BAD_INPUT", 405, allow="POST")
        address = self.container.settings.server.public_url or f"{request.url.scheme}://{request.url.netloc}"
        return _html(pages.graphql(address, sdl()))

    async def home(self, q: str = "") -> Response:
        return await self._page(q.strip()[:500])

    async def _page(self, text: str) -> Response:
        try:
            return _html(await self.threads.run(lambda: self._answer(text)))
        except NotFound as problem:
            return _html(pages.problem(text, str(problem)), 404)
        except StoreError as problem:
            return _html(pages.problem(text, str(problem)), 503)
        except KinloreError as problem:
            return _html(pages.problem(text, str(problem)), 400)

    def _answer(self, text: str) -> str:
        store = self.container.store
        if not text:
            return pages.home(store.counts(), source_statuses(self.container))
        try:
            root = find_one(store, text)
        except BadIdentifier:
            hits = store.search_text(text, first=50)
            nodes = store.get([hit.handle for hit in hits])
            return pages.found(text, [node for node in nodes if node is not None])
        node = store.get([root])[0]
        if node is None:
            raise NotFound(f"no node is named {text!r}")
        return pages.lineage(node, lineage(store, root, max_hops=_PAGE_HOPS, first=_PAGE_NODES, stubs=False))

    async def alive(self) -> Response:
        return PlainTextResponse("alive\n", headers=access.headers())

    async def ready(self) -> Response:
        return await self._told(lambda: (self.container.store.service("source", limit=1), "ready\n")[1])

    async def metrics(self) -> Response:
        return await self._told(lambda: metrics(self.container))

    async def _told(self, work: Callable[[], str]) -> Response:
        """Plain text, or 503 and why."""
        try:
            return PlainTextResponse(await self.threads.run(work), headers=access.headers())
        except StoreError as problem:
            return PlainTextResponse(f"{problem}\n", 503, headers=access.headers())
