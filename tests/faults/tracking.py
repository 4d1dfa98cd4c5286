"""A tracking server that misbehaves on request: MLflow's answers over a real socket on the loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from ingestors.http import HttpClient
from ingestors.sources.mlflow import MLflowConfig, MLflowSource
from ingestors.sources.mlflow.api import Server

ROOT = "/api/2.0/mlflow/"


class Answer(NamedTuple):
    """``cut``: the connection ends after so many bytes of the body."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    cut: int | None = None


class Asked(NamedTuple):
    """A request: its path below the API's root, its body, and the time by the test's clock."""

    path: str
    body: Any
    at: float


#: The wrong answer to the n-th request (from 1), or None for the right one.
Wrong = Callable[[int, Asked, Answer], Answer | None]


def run(number: int, **info: Any) -> dict[str, Any]:
    """A run as MLflow sends it."""
    times = {"start_time": 1_795_249_000_000 + number, "end_time": 1_795_249_001_000 + number}
    about = {
        "run_id": f"{number:032x}",
        "experiment_id": "1",
        "status": "FINISHED",
        "lifecycle_stage": "active",
    }
    return {
        "info": {**about, **times, **info},
        "data": {"params": [{"key": "lr", "value": f"0.{number}"}], "metrics": [], "tags": []},
    }


class Tracking:
    """The server. ``runs`` is what it holds, ``size`` the length of its pages; ``wrong`` spoils answers."""

    def __init__(self, runs: int, size: int = 10, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.runs = [run(number) for number in range(runs)]
        self.size = size
        self.wrong: Wrong = lambda number, asked, answer: None
        self.asked: list[Asked] = []
        self._clock = clock
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer._serve(self)

            do_POST = do_GET

            def log_message(self, *arguments: Any) -> None:
                return

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that has heard enough hangs up."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = json.loads(request.rfile.read(length)) if length else {}
        path = request.path.partition("?")[0].removeprefix(ROOT)
        asked = Asked(path, body, self._clock())
        self.asked.append(asked)
        right = self._right(asked)
        answer = self.wrong(len(self.asked), asked, right) or right
        request.send_response(answer.status)
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(answer.body)),
            **answer.headers,
        }
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(answer.body[: answer.cut])
        if answer.cut is not None:
            request.close_connection = True

    def _right(self, asked: Asked) -> Answer:
        lists: dict[str, tuple[str, list[Any]]] = {
            "experiments/search": ("experiments", [{"experiment_id": "1", "name": "churn"}]),
            "runs/search": ("runs", self.runs),
            "registered-models/search": ("registered_models", []),
            "model-versions/search": ("model_versions", []),
            "logged-models/search": ("models", []),
        }
        if asked.path == "runs/get":
            return as_json({"error_code": "RESOURCE_DOES_NOT_EXIST"}, 404)
        if asked.path not in lists:
            return as_json({"error_code": "ENDPOINT_NOT_FOUND"}, 404)
        key, entries = lists[asked.path]
        start = int(asked.body.get("page_token") or 0)
        end = start + self.size
        more = {"next_page_token": str(end)} if end < len(entries) else {}
        return as_json({key: entries[start:end], **more})


def as_json(value: Any, status: int = 200) -> Answer:
    """An answer that holds this value."""
    return Answer(status, json.dumps(value).encode())


class Source(MLflowSource):
    """The mlflow source with a clock of the test's: ``sleep`` is called instead of waiting."""

    def __init__(self, url: str, sleep: Callable[[float], None]) -> None:
        super().__init__(MLflowConfig(type="mlflow", name="tracking", tracking_uri=url))
        self._served = Server(HttpClient(url, self.config, sleep=sleep))

    def api(self) -> Server:
        return self._served

    def close(self) -> None:
        self._served.close()
