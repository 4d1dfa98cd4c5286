"""What tests of faults share: the stores of the contract's tests, and figures that are printed at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.conftest import chosen_engines, clock, engine, fresh, sqlite_template, store
from tests.contract.harness import clean_neo4j
from tests.faults.victim import Address

__all__ = ["address", "chosen_engines", "clock", "engine", "figure", "fresh", "sqlite_template", "store"]

Figure = Callable[[str, object], None]

_figures: list[str] = []


@pytest.fixture
def figure(request: pytest.FixtureRequest, record_property: Callable[[str, object], None]) -> Figure:
    """Say what a test has measured: in its report, and in a line at the end of the run."""

    def say(name: str, value: object) -> None:
        record_property(name, str(value))
        line = f"{request.node.name}: {name} {value}"
        print(line)
        _figures.append(line)

    return say


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _figures:
        terminalreporter.section("figures of the faults")
        for line in _figures:
            terminalreporter.write_line(line)


@pytest.fixture
def address(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Address]:
    """Call it for the address of an empty store that nobody has open. On Neo4j there is one graph."""
    made: list[Path] = []

    def make() -> Address:
        if engine == "sqlite":
            made.append(tmp_path / f"faults-{len(made)}.db")
            return Address(str(made[-1]))
        server = request.getfixturevalue("neo4j_server")
        clean_neo4j(server)
        return Address(server.url, server.password)

    return make
