"""What tests of sources share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from ingestors.sources.mlflow import pulling
from tests.contract.conftest import clock, engine, fresh, sqlite_template
from tests.npm_tools import GitHubServer
from tests.sources.forge import SEED
from tests.sources.kubernetes_cluster import TOKEN as CLUSTER_TOKEN
from tests.sources.kubernetes_cluster import Cluster
from tests.sources.mlflow_tracking import Tracking
from tests.sources.repositories import Repository
from tests.tool_venvs import MLflowServer

#: Sources whose claims derive from each other in any order are tried on both stores.
__all__ = ["clock", "engine", "fresh", "sqlite_template"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "kinlore.db")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """An empty cluster, and the token for it in CLUSTER_TOKEN."""
    monkeypatch.setenv("CLUSTER_TOKEN", CLUSTER_TOKEN)
    made = Cluster()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "churn")


@pytest.fixture
def tracking(mlflow_server: MLflowServer, monkeypatch: pytest.MonkeyPatch) -> Tracking:
    # As on a server that is too large to be read as a whole at every pull.
    monkeypatch.setattr(pulling, "SWEEP_ALWAYS", -1)
    return Tracking(mlflow_server)


@pytest.fixture(scope="session")
def github_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHubServer]:
    """The run's one emulated GitHub. A repository of your own per test."""
    with GitHubServer(tmp_path_factory.mktemp("github"), SEED) as server:
        yield server


@pytest.fixture
def plain(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "plain")
