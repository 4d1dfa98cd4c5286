"""The real alerting tools: Debian's Prometheus and Alertmanager on loopback, something to scrape, and
somebody who takes down what they send.

Settings are given as Python values: JSON is YAML. Everything listens on free ports and is quick: rules are
evaluated and alerts are grouped every second.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.tool_venvs import free_port, stop_group

ALERTMANAGER = "0.25"
PROMETHEUS = "2.42"
_START_SECONDS = 60.0


def wait_for(what: str, ask: Callable[[], Any], seconds: float = 60.0) -> Any:
    """The first true answer. Raises AssertionError, saying what did not come."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, f"{what} did not come within {seconds:.0f} s"
        time.sleep(0.1)
    return answer


class Sent(NamedTuple):
    """A request that arrived: headers by lower-case name."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Server(ABC):
    """A small HTTP server in a thread of its own."""

    def __init__(self) -> None:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def _answer(self, body: bytes) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, content = outer.answer(Sent(self.path, headers, body))
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests say what went wrong."""

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def answer(self, sent: Sent) -> tuple[int, bytes]:
        """Status and body of the answer to a request."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class Recorder(_Server):
    """Takes down what is posted to it. ``statuses`` are the answers to the next requests; then it is 202."""

    def __init__(self, statuses: Sequence[int] = ()) -> None:
        super().__init__()
        self.sent: list[Sent] = []
        self._statuses = list(statuses)

    def answer(self, sent: Sent) -> tuple[int, bytes]:
        self.sent.append(sent)
        return (self._statuses.pop(0) if self._statuses else 202), b'{"status":"success"}'

    def at(self, path: str) -> list[Sent]:
        """What was sent to a path."""
        return [sent for sent in self.sent if sent.path == path]


class Exporter(_Server):
    """A service's /metrics. ``values`` maps a series (``drift{model="churn"}``) to its value."""

    def __init__(self, values: Mapping[str, float] | None = None) -> None:
        super().__init__()
        self.values = dict(values or {})

    def answer(self, sent: Sent) -> tuple[int, bytes]:
        return 200, "".join(f"{series} {value}\n" for series, value in self.values.items()).encode()


class _Tool(ABC):
    """A server process of Debian's. Give it as a context: it is ended with its group."""

    program: str

    def __init__(self, home: Path) -> None:
        self.home = home.resolve()
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @abstractmethod
    def words(self) -> list[str]:
        """The arguments of the program."""

    def start(self) -> Self:
        """Start and wait until it is ready (about a second); raises with the log's tail if it is not."""
        program = shutil.which(self.program)
        if program is None:
            raise RuntimeError(f"{self.program} is missing: run tests/provision.sh")
        self.home.mkdir(parents=True, exist_ok=True)
        log_file = self.home / "server.log"
        with log_file.open("ab") as log:
            self._process = subprocess.Popen(
                [program, *self.words()], cwd=self.home, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
                env={**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=2) as answer:
                    if answer.status == 200:
                        return self
            except OSError:
                time.sleep(0.05)
        tail = log_file.read_text(encoding="utf-8", errors="replace")[-3000:]
        self.stop()
        raise RuntimeError(f"{self.program} did not answer at {self.url}:\n{tail}")

    def stop(self) -> None:
        """End it; starting again keeps data and port."""
        if self._process is not None:
            stop_group(self._process, 10)
            self._process = None

    def get(self, path: str) -> Any:
        """The JSON at a path of its API."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Alertmanager(_Tool):
    """A real Alertmanager. ``receivers`` are entries of one receiver (``webhook_configs``,
    ``pagerduty_configs``, …) that gets everything; ``route`` is put over its quick route."""

    program = "prometheus-alertmanager"

    def __init__(
        self, home: Path, receivers: Mapping[str, Any], route: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(home)
        quick: dict[str, Any] = {
            "receiver": "all",
            "group_by": ["alertname"],
            "group_wait": "0s",
            "group_interval": "1s",
            "repeat_interval": "1h",
        }
        self.config: dict[str, Any] = {
            "route": {**quick, **(route or {})},
            "receivers": [{"name": "all", **receivers}],
        }

    def words(self) -> list[str]:
        (self.home / "alertmanager.yml").write_text(json.dumps(self.config), encoding="utf-8")
        return [
            f"--config.file={self.home / 'alertmanager.yml'}", f"--storage.path={self.home / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}", f"--web.external-url={self.url}",
            "--cluster.listen-address=",
        ]  # fmt: skip

    def post(self, *alerts: Mapping[str, Any]) -> None:
        """Alerts as Prometheus posts them: ``labels``, and optionally ``annotations``, ``startsAt``,
        ``endsAt`` (one that is past resolves it) and ``generatorURL``."""
        request = urllib.request.Request(
            f"{self.url}/api/v2/alerts",
            data=json.dumps(alerts).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200

    def alerts(self) -> list[dict[str, Any]]:
        """What it holds now."""
        held: list[dict[str, Any]] = self.get("/api/v2/alerts")
        return held


class Prometheus(_Tool):
    """A real Prometheus that scrapes one target (``host:port``), evaluates rules and tells Alertmanager.

    ``rules`` are alerting rules: ``{"alert": …, "expr": …, "for": "1s", "labels": {…}, …}``.
    """

    program = "prometheus"

    def __init__(
        self, home: Path, *, target: str, alertmanager: Alertmanager, rules: Sequence[Mapping[str, Any]]
    ) -> None:
        super().__init__(home)
        self.rules = {"groups": [{"name": "rules", "interval": "1s", "rules": list(rules)}]}
        self.config: dict[str, Any] = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self.home / "rules.yml")],
            "scrape_configs": [{"job_name": "service", "static_configs": [{"targets": [target]}]}],
            "alerting": {
                "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager.port}"]}]}]
            },
        }

    def words(self) -> list[str]:
        (self.home / "rules.yml").write_text(json.dumps(self.rules), encoding="utf-8")
        (self.home / "prometheus.yml").write_text(json.dumps(self.config), encoding="utf-8")
        return [
            f"--config.file={self.home / 'prometheus.yml'}", f"--storage.tsdb.path={self.home / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}", f"--web.external-url={self.url}",
            "--rules.alert.resend-delay=1s",
        ]  # fmt: skip

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector of an expression."""
        asked = urllib.parse.urlencode({"query": expression})
        found: list[dict[str, Any]] = self.get(f"/api/v1/query?{asked}")["data"]["result"]
        return found
