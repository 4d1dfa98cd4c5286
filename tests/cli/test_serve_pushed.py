"""``kinlore serve`` takes what is pushed, and loses nothing of it when it is ended or killed."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.container import Container
from app.jobs.consumer import Consumer
from app.settings import load
from graph_schema.kinds import NodeKind
from tests.cli.test_serve import ended, free_port, started

SETTINGS = '[[sources]]\ntype = "openlineage"\nname = "pipelines"\nsecret_env = "PIPELINES_TOKEN"\n'
TOKEN = "0123456789abcdef0123456789abcdef"
RUNS = 40


def event(number: int) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE",
        "eventTime": "2026-11-20T08:00:00.000Z",
        "run": {"runId": f"019a9e5c-0000-7000-8000-{number:012d}"},
        "job": {"namespace": "night", "name": "load"},
        "inputs": [],
        "outputs": [],
        "producer": "https://example.com/tests",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
    }


def post(address: object, number: int, token: str = TOKEN) -> int:
    headers = {"authorization": f"Bearer {token}"}
    url = f"{address}/api/v1/lineage"
    return httpx.post(url, json=event(number), headers=headers, timeout=10).status_code


def job_runs(folder: Path) -> int:
    """How many runs of jobs are in the graph, when all that waits is applied."""
    with Container(load(folder / "kinlore.toml", environ={})) as container:
        source = container.source("pipelines").source
        assert source is not None
        Consumer(container).drain(source)
        return len(container.store.find(NodeKind.JOB_RUN, first=500).items)


def test_what_is_pushed_comes_into_the_graph_while_it_serves(folder: Path) -> None:
    (folder / "kinlore.toml").write_text(SETTINGS)
    query = {"query": "{ find(kind: JOB_RUN) { nodes { id } } sources { name counts } }"}
    with started(folder, "serve", "--port", str(free_port()), PIPELINES_TOKEN=TOKEN) as (process, said):
        address = said["address"]
        assert post(address, 1, "wrong") == 401
        assert post(address, 1) == 202
        deadline = time.monotonic() + 30
        data: dict[str, Any] = {}
        while time.monotonic() < deadline and not (data and data["find"]["nodes"]):
            time.sleep(0.1)
            data = json.loads(httpx.post(f"{address}/graphql", json=query).text)["data"]
        assert ended(process, signal.SIGTERM) == 0

    assert len(data["find"]["nodes"]) == 1


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_acknowledged_is_in_the_store(folder: Path, by: signal.Signals) -> None:
    (folder / "kinlore.toml").write_text(SETTINGS)
    with started(folder, "serve", "--port", str(free_port()), PIPELINES_TOKEN=TOKEN) as (process, said):
        statuses = [post(said["address"], number) for number in range(RUNS)]
        process.send_signal(by)
        process.wait(timeout=30)

    assert statuses == [202] * RUNS
    assert job_runs(folder) == RUNS
