"""On call: the real Alertmanager tells a running Kinlore and PagerDuty, and PagerDuty tells Kinlore."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from graph_schema.times import parse_time
from tests.alerting import Alertmanager, wait_for
from tests.sources.pagerduty_account import SECRET, TOKEN, Account, signed, told, webhook
from tests.tool_venvs import free_port

SETTINGS = """
[store]
url = "sqlite:///kinlore.db"

[[sources]]
type = "alertmanager"
name = "alerts"
secret_env = "ALERTS_TOKEN"

[[sources]]
type = "pagerduty"
name = "duty"
secret_env = "DUTY_SECRET"
token_env = "DUTY_TOKEN"
url = "{account}"
"""


@contextmanager
def served(folder: Path, account: str) -> Iterator[str]:
    """`kinlore serve` in a folder; its address."""
    folder.mkdir()
    (folder / "kinlore.toml").write_text(SETTINGS.format(account=account), encoding="utf-8")
    secrets = {"ALERTS_TOKEN": "s3cret", "DUTY_SECRET": SECRET.decode(), "DUTY_TOKEN": TOKEN}
    kinlore = str(Path(sys.executable).with_name("kinlore"))
    process = subprocess.Popen(
        [kinlore, "serve", "--port", str(free_port()), "--json"],
        cwd=folder,
        env={**os.environ, **secrets},
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("w"),
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "log").read_text()
        yield str(json.loads(line)["address"])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.communicate()


def ask(address: str, query: str, **variables: Any) -> Any:
    """The data of a GraphQL answer."""
    answer = httpx.post(
        f"{address}/graphql", json={"query": query, "variables": variables}, timeout=30
    ).json()
    assert "errors" not in answer, answer
    return answer["data"]


def incidents(address: str) -> dict[str, dict[str, Any]]:
    """Properties of every incident by id."""
    found = ask(address, "{ find(kind: INCIDENT) { nodes { id properties } } }")["find"]["nodes"]
    return {node["id"]: node["properties"] for node in found}


def tied(address: str, incident: str) -> set[str]:
    """Where a walk from an incident gets without a hop."""
    walk = ask(
        address,
        "query($id: ID!) { lineage(id: $id, direction: UPSTREAM) { nodes { hops node { id } } } }",
        id=incident,
    )["lineage"]
    return {each["node"]["id"] for each in walk["nodes"] if each["hops"] == 0}


def test_one_alert_is_one_story_for_all_who_are_told(tmp_path: Path) -> None:
    with Account() as account, served(tmp_path / "kinlore", account.url) as address:
        hook = {
            "url": f"{address}/hooks/alerts",
            "http_config": {"authorization": {"type": "Bearer", "credentials": "s3cret"}},
        }
        events = {"routing_key": "0" * 32, "url": f"{account.url}/v2/enqueue"}
        receivers = {"webhook_configs": [hook], "pagerduty_configs": [events]}
        firing = {"labels": {"alertname": "Drift", "severity": "critical"}}
        with Alertmanager(tmp_path / "am", receivers) as manager:
            manager.post(firing)
            wait_for("PagerDuty's incident", lambda: account.incidents)
            wait_for("the alert", lambda: incidents(address))
            (alert,) = incidents(address)
            (made,) = account.incidents.values()
            number, created = made["incident_number"], made["created_at"]
            at = made["created_at"].replace("Z", ".200Z")
            assert tell(address, webhook("incident.triggered", at, told(number, created))) == 202
            duty = f"pagerduty.incident={made['id']}"
            wait_for("one story", lambda: tied(address, alert) >= {alert, duty})

            ended = (datetime.now(UTC) - timedelta(milliseconds=1)).isoformat()
            manager.post(firing | {"endsAt": ended})
            over = wait_for("its end", lambda: account.incidents[made["id"]]["resolved_at"])
            done = webhook("incident.resolved", over, told(number, created, "resolved"))
            assert tell(address, done) == tell(address, done) == 202
            wait_for("both ends", lambda: all("endedAt" in p for p in incidents(address).values()))

        known = incidents(address)
        assert set(known) == {alert, duty}
        assert {properties["status"] for properties in known.values()} == {"RESOLVED"}
        assert tied(address, duty) == {alert, duty}
        assert parse_time(known[alert]["endedAt"]) <= parse_time(known[duty]["endedAt"]) + 1_000_000
        assert tell(address, done, b"another secret") == 401
        stranger = httpx.post(f"{address}/hooks/alerts", json={"alerts": [], "version": "4"})
        assert stranger.status_code == 401


def tell(address: str, body: dict[str, Any], secret: bytes = SECRET) -> int:
    """What a webhook of PagerDuty is answered."""
    content = json.dumps(body).encode()
    headers = signed(content, secret) | {"x-webhook-id": body["event"]["id"]}
    return httpx.post(f"{address}/hooks/duty", content=content, headers=headers, timeout=30).status_code
