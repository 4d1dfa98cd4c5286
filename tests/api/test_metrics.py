"""/metrics: what Prometheus reads, checked by Prometheus' own tool."""

from __future__ import annotations

import subprocess

import pytest
from fastapi.testclient import TestClient

from app.api.app import create_app
from app.container import Container
from app.jobs.leases import Leases
from app.jobs.runs import PREFIX, Runs
from app.settings import Loaded, Settings
from tests.cli.conftest import repository


@pytest.fixture
def served(tmp_path_factory: pytest.TempPathFactory) -> Container:
    folder = tmp_path_factory.mktemp("metrics")
    repository(folder / "code")
    tables = (
        {"type": "git", "name": "code", "path": str(folder / "code"), "every": "5m"},
        {"type": "git", "name": "gone", "path": str(folder / "nowhere"), "every": "0 3 * * *"},
        {"type": "openlineage", "name": "pipelines"},
    )
    return Container(Loaded(settings=Settings(sources=tables), file=None, folder=folder))


def scraped(container: Container) -> str:
    with TestClient(create_app(container), base_url="http://127.0.0.1:8420") as client:
        answer = client.get("/metrics")
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
    return answer.text


def test_prometheus_reads_it_and_finds_nothing_to_complain_of(served: Container) -> None:
    with served:
        leases = Leases(served.migrated())
        runs = Runs(served.store, leases)
        for configured in served.sources[:2]:
            assert configured.source is not None
            begun = runs.begin(configured.source)
            assert begun is not None
            runs.carry_out(begun)
        held = leases.acquire(f"{PREFIX}x")
        text = scraped(served)
        leases.close()

    assert held is not None
    samples = dict(line.rpartition(" ")[::2] for line in text.splitlines() if not line.startswith("#"))
    assert float(samples['kinlore_source_last_success_timestamp_seconds{source="code"}']) > 1.7e9
    assert 'kinlore_source_last_success_timestamp_seconds{source="gone"}' not in samples
    assert samples['kinlore_source_runs_total{source="code",outcome="success"}'] == "1.0"
    assert samples['kinlore_source_runs_total{source="gone",outcome="failure"}'] == "1.0"
    assert samples['kinlore_source_interval_seconds{source="code"}'] == "300.0"
    assert samples['kinlore_source_running{source="code"}'] == "0.0"
    assert float(samples['kinlore_source_last_items{source="code"}']) > 3
    assert samples['kinlore_source_dead_letters{source="code"}'] == "0.0"
    assert samples['kinlore_inbox_waiting{source="pipelines"}'] == "0.0"
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0 and not checked.stdout + checked.stderr
