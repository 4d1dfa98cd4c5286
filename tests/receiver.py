"""A small server that takes whatever is pushed to it, as it comes."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from ingestors.source import Delivery


class Receiver:
    """Listens on loopback and keeps every POST as a :class:`Delivery`, in the order of arrival."""

    def __init__(self, status: int = 202) -> None:
        self.deliveries: list[Delivery] = []
        kept = self.deliveries

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                kept.append(Delivery(headers, body, time.time_ns() // 1_000))
                self.send_response(status)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        """Where to push to; any path below it does."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def wait_until(self, enough: Callable[[list[Delivery]], bool], seconds: float = 30) -> list[Delivery]:
        """The deliveries, once they are enough; fails with what came where they never are."""
        deadline = time.monotonic() + seconds
        while not enough(self.deliveries):
            if time.monotonic() > deadline:
                raise AssertionError(f"only this came: {[each.body[:200] for each in self.deliveries]}")
            time.sleep(0.02)
        return list(self.deliveries)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
