"""What a real Alertmanager sends to a webhook for the alerts of the demo's story."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.tool_venvs import free_port, stop_group
from tests.workspace.demo_story import at

Alert = dict[str, Any]
WAIT_SECONDS = 30.0
CONFIG = """\
route:
  receiver: kinlore
  group_by: [deployment, env]
  group_wait: 500ms
  group_interval: 1s
  repeat_interval: 24h
receivers:
  - name: kinlore
    webhook_configs:
      - url: http://127.0.0.1:{port}/hooks/alerts
        send_resolved: true
"""


def alert(
    name: str, minutes: tuple[int, int], begin: Any, severity: str, summary: str, **labels: str
) -> Alert:
    """One alert as Prometheus would post it; it fires and is over so many minutes after `begin`."""
    return {
        "labels": {
            "alertname": name,
            "deployment": "churn-api",
            "env": "production",
            "severity": severity,
            **labels,
        },
        "annotations": {"summary": summary, "runbook_url": "https://runbooks.example.com/churn-api"},
        "generatorURL": "https://prometheus.example.com/graph",
        "startsAt": (begin + timedelta(minutes=minutes[0])).isoformat(),
        "endsAt": (begin + timedelta(minutes=minutes[1])).isoformat(),
    }


def groups() -> list[list[Alert]]:
    """The alerts of the two incidents."""
    drift, errors = at(11, 3, 14), at(11, 6, 9)
    score = "Share of customers scored as leaving rose from 14 % to 41 % within an hour"
    positive = "Retention offers sent are three times the daily mean"
    failing = (
        "38 % of the requests to churn-api end with 500: ModuleNotFoundError: No module named 'numpy._core'"
    )
    version = {"model": "churn", "version": "3"}
    return [
        [
            alert("ChurnScoreDrift", (20, 151), drift, "critical", score, **version),
            alert("ChurnOffersHigh", (32, 155), drift, "warning", positive, **version),
        ],
        [alert("ChurnApiErrors", (41, 140), errors, "critical", failing)],
    ]


def record(binary: Path, folder: Path) -> dict[str, Any]:
    """Run Alertmanager on loopback, fire and resolve each group, and return what it posted, in order."""
    received: list[dict[str, Any]] = []
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(received.append))
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alertmanager.yml").write_text(CONFIG.format(port=receiver.server_port))
    port = free_port()
    command = [str(binary), f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address="]
    command += ["--web.external-url=http://alertmanager.example.com:9093", "--web.route-prefix=/"]
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True, env={"PATH": os.environ["PATH"]}
        )
    api = f"http://127.0.0.1:{port}"
    try:
        _until(lambda: _ready(api))
        for group in groups():
            firing = [{**each, "endsAt": "2100-01-01T00:00:00+00:00"} for each in group]
            _post(api, firing)
            _until(lambda: bool(received) and received[-1]["status"] == "firing")
            _post(api, group)
            _until(lambda: received[-1]["status"] == "resolved")
        version = httpx.get(f"{api}/api/v2/status", trust_env=False).json()["versionInfo"]["version"]
    finally:
        stop_group(process, 5)
        receiver.shutdown()
    return {"version": version, "deliveries": received}


def _handler(take: Callable[[dict[str, Any]], None]) -> type[http.server.BaseHTTPRequestHandler]:
    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            take(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *values: object) -> None:
            """Nothing: the recording is the log."""

    return Receiver


def _post(api: str, alerts: list[Alert]) -> None:
    httpx.post(f"{api}/api/v2/alerts", json=alerts, trust_env=False).raise_for_status()


def _ready(api: str) -> bool:
    try:
        return httpx.get(f"{api}/-/ready", timeout=2, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not happened():
        if time.monotonic() > deadline:
            raise TimeoutError("Alertmanager did not do what was expected of it")
        time.sleep(0.05)
