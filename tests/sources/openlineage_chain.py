"""The nightly chain, for real: Airflow → OpenLineage's client → dbt on DuckDB → MLflow, over two nights.

In the second night a column is called otherwise than the night before: a dbt model fails, twice, the model
after it is skipped, and no training takes place. Every tool runs unmodified in an environment of its own,
``airflow dags test`` standing for the scheduler; all of them send their events over HTTP to a recorder,
which can pass them on.

``python -m tests.sources.openlineage_chain`` records it for the tests that need no tools.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import msgspec

from ingestors.sources.mlflow import MLflowConfig, MLflowSource
from tests.tool_venvs import TOOLS, MLflowServer, tool

CHAIN = Path(__file__).with_name("chain")
RECORDED = Path(__file__).with_name("recorded") / "openlineage"

TOKEN = "senders-token"
EXPERIMENT = "warehouse-nightly"
#: For one command: what takes half a minute takes ten times that where much else runs.
_SECONDS = 480

CUSTOMERS = "id,tenure,churned\n1,3,0\n2,12,1\n3,30,0\n"
CALLS = "customer,at\n1,2026-11-01\n1,2026-11-02\n3,2026-11-02\n"


class Recorder:
    """Takes events as a server of OpenLineage does, keeps them, and passes them on where it is told to."""

    def __init__(self, forward_to: str | None = None) -> None:
        self.events: list[Any] = []
        self.answers: list[int] = []
        self.tokens: set[str | None] = set()
        self._forward_to = forward_to
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = recorder.take(self.path, body, {k.lower(): v for k, v in self.headers.items()})
                self.send_response(answer)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._lock = threading.Lock()

    def take(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Keep an event, and pass the very bytes on; the status to answer with."""
        plain = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
        with self._lock:
            self.events.append(json.loads(plain))
            self.tokens.add(headers.get("authorization"))
        status = 201
        if self._forward_to is not None:
            kept = ("authorization", "content-type", "content-encoding")
            passed = {name: value for name in kept if (value := headers.get(name)) is not None}
            request = urllib.request.Request(f"{self._forward_to}{path}", body, passed)
            with urllib.request.urlopen(request, timeout=30) as answer:
                status = answer.status
        self.answers.append(status)
        return status

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def run(home: Path, tracking: str, receiver: str) -> str:
    """Both nights; what Airflow printed. Raises RuntimeError with its end if they did not go as they should.

    ``home``: an empty folder for the warehouse and Airflow's own; ``receiver``: where events go.
    """
    (home / "in").mkdir(parents=True)
    (home / "in" / "customers.csv").write_text(CUSTOMERS, encoding="utf-8")
    (home / "in" / "calls.csv").write_text(CALLS, encoding="utf-8")
    shutil.copytree(CHAIN / "dbt", home / "dbt")
    airflow = tool("airflow")
    environment = {
        **os.environ,
        "PATH": f"{airflow}:/usr/bin:/bin",
        "CHAIN": str(CHAIN),
        "CHAIN_HOME": str(home),
        "DBT_BIN": str(tool("dbt")),
        "MLFLOW_BIN": str(tool("mlflow")),
        "MLFLOW_TRACKING_URI": tracking,
        "OPENLINEAGE_URL": receiver,
        "OPENLINEAGE_API_KEY": TOKEN,
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(CHAIN / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "airflow-prod",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    printed = ""
    for command in (
        [str(airflow / "airflow"), "db", "migrate"],
        [str(airflow / "python"), str(CHAIN / "nights.py")],
    ):
        done = subprocess.run(
            command, cwd=home, env=environment, timeout=_SECONDS, check=False, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        printed += done.stdout
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{printed[-6_000:]}")
    return printed


def pulled(tracking: str) -> list[Any]:
    """What the source ``mlflow`` reads of the trainings, as JSON."""
    config = MLflowConfig(type="mlflow", name="tracking", tracking_uri=tracking, include=(EXPERIMENT,))
    source = MLflowSource(config)
    try:
        pages = list(source.pull(None, now=1_800_000_000_000_000))
    finally:
        source.close()
    return [msgspec.to_builtins(item) for page in pages for item in page.items]


def recorded(name: str) -> list[Any]:
    """What was recorded: ``events`` of the chain, or ``mlflow``, the items of the source mlflow."""
    return list(json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))["recorded"])


def main() -> int:
    with TemporaryDirectory() as folder:
        home = Path(folder).resolve()
        with MLflowServer(home / "mlflow") as server, Recorder() as recorder:
            run(home / "nights", server.url, recorder.url)
            items = pulled(server.url)
        places = {
            str(home / "nights"): "/srv/nightly",
            str(home / "mlflow"): "/srv/mlflow",
            str(CHAIN): "/opt/nightly",
            server.url: "http://mlflow.example.com:5000",
            **{str(tool(name).parent): f"/opt/{name}" for name in ("airflow", "dbt", "mlflow")},
        }
        tools = ", ".join(r for name in ("airflow", "dbt", "mlflow") for r in TOOLS[name])
        today = datetime.now(UTC).date().isoformat()
        _keep("events", f"OpenLineage events of {tools}, recorded on {today}", recorder.events, places)
        _keep("mlflow", f"items of the source mlflow, of the same nights: {tools}, {today}", items, places)
    return 0


def _keep(name: str, origin: str, what: list[Any], places: Mapping[str, str]) -> None:
    text = json.dumps({"origin": origin, "recorded": what}, indent=1, sort_keys=True) + "\n"
    for place in sorted(places, key=len, reverse=True):
        text = text.replace(place, places[place])
    RECORDED.mkdir(parents=True, exist_ok=True)
    (RECORDED / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
