"""Fixtures that several kinds of tests share: the real Neo4j, the real tools, a quiet environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.neo4j_server import Neo4jServer, server_for_tests
from tests.tool_venvs import MLflowServer, tool

# The machine's own settings must not reach into tests, nor tests out to telemetry.
_QUIET = {
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "HF_HUB_OFFLINE": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TOKENIZERS_PARALLELISM": "false",
}
_OURS = ("KINLORE_", "MLFLOW_", "GIT_", "DVC_", "BENTOML_")

_skipped: list[str] = []


def pytest_configure() -> None:
    for name in list(os.environ):
        if name.startswith(_OURS) and not name.startswith("KINLORE_TEST_"):
            del os.environ[name]
    os.environ.update(_QUIET)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """On CI nothing may be skipped: a skip there is a tool that provisioning forgot."""
    if _skipped and os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped and os.environ.get("CI") == "true":
        terminalreporter.write_line(f"skipped on CI, which counts as failed: {', '.join(_skipped)}", red=True)


@pytest.fixture(scope="session")
def neo4j_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neo4jServer]:
    """The run's one Neo4j, started when first asked for. Tests clean the graph, never the server."""
    server = server_for_tests(tmp_path_factory.mktemp("neo4j")).start()
    yield server
    if server.ours:
        # Its data goes with it: nothing to shut down cleanly for.
        server.kill()


@pytest.fixture
def own_neo4j_server(tmp_path: Path) -> Iterator[Neo4jServer]:
    """A server of the test's own, not yet started, for tests that kill or restart it."""
    server = Neo4jServer(tmp_path / "neo4j", heap="512m", pagecache="64m")
    yield server
    server.kill()


@pytest.fixture(scope="session")
def mlflow_tool() -> Path:
    """The bin folder of an environment with the real MLflow: ``mlflow``, ``python``."""
    return tool("mlflow")


@pytest.fixture(scope="session")
def dvc_tool() -> Path:
    """The bin folder of an environment with the real DVC: ``dvc``, ``python``."""
    return tool("dvc")


@pytest.fixture(scope="session")
def mlflow_server(mlflow_tool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    """The run's one tracking server (9 s to start). Share it: an experiment of your own per test."""
    with MLflowServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def own_mlflow_server(mlflow_tool: Path, tmp_path: Path) -> Iterator[MLflowServer]:
    """An empty tracking server of the test's own, started."""
    with MLflowServer(tmp_path / "mlflow") as server:
        yield server
