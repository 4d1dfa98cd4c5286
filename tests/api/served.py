"""The service over some settings, and what is pushed to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi.testclient import TestClient

from app.api.app import create_app
from app.container import Container
from app.jobs.consumer import Consumer
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from ingestors.inbox import INBOX
from tests.bell import SECRET

TOKEN = "0123456789abcdef0123456789abcdef"
HERE = ("127.0.0.1", 50_000)
FAR = ("203.0.113.7", 50_000)
OPEN = '[[sources]]\ntype = "bell"\nname = "bell"\n'
LOCKED = OPEN + 'secret_env = "BELL_SECRET"\n'
GIT = '[[sources]]\ntype = "git"\nname = "code"\nurl = "https://git.example/team/code.git"\n'


class Served:
    """The service over some settings."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.app = create_app(container)

    def post(
        self,
        path: str,
        content: bytes,
        *,
        client: tuple[str, int] = HERE,
        base: str = "http://127.0.0.1:8420",
        **headers: Any,
    ) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return TestClient(self.app, base_url=base, client=client, raise_server_exceptions=False).post(
            path, content=content, headers=named
        )

    @property
    def store(self) -> GraphStore:
        return self.container.store

    def rows(self) -> int:
        return len(self.store.service(INBOX))

    def drain(self, name: str = "bell") -> Any:
        source = self.container.source(name).source
        assert source is not None
        return Consumer(self.container).drain(source)

    def runs(self) -> dict[str, Any]:
        return {node.name: node for node in self.store.find(NodeKind.RUN, first=500).items}


Serve = Callable[..., Served]


def bearer(secret: str = SECRET) -> dict[str, Any]:
    return {"authorization": f"Bearer {secret}"}
