"""One fixture, two engines: every test of the contract runs on SQLite and on a real Neo4j.

``KINLORE_TEST_ENGINES=sqlite`` leaves Neo4j out for quick work on one's own machine; CI runs both always.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from shutil import copy

import pytest

from graph_schema.store import GraphStore
from tests.contract.harness import Clock, clean_neo4j, open_neo4j, open_sqlite

ENGINES = ("sqlite", "neo4j")


def chosen_engines() -> tuple[str, ...]:
    """The engines to run on."""
    wanted = os.environ.get("KINLORE_TEST_ENGINES", "")
    if not wanted or os.environ.get("CI") == "true":
        return ENGINES
    unknown = set(wanted.split(",")) - set(ENGINES)
    if unknown:
        raise pytest.UsageError(f"KINLORE_TEST_ENGINES: {unknown} unknown; allowed are {', '.join(ENGINES)}")
    return tuple(wanted.split(","))


@pytest.fixture
def clock() -> Clock:
    """The time by which the stores of a test go: a second later each time it is asked."""
    return Clock()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite store to copy: a random test needs hundreds."""
    path = tmp_path_factory.mktemp("template") / "empty.db"
    store = open_sqlite(path, Clock())
    store.migrate()
    store.close()
    return path


Fresh = Callable[[], GraphStore]


@pytest.fixture(params=chosen_engines())
def engine(request: pytest.FixtureRequest) -> str:
    """The name of the engine that the test runs on."""
    return str(request.param)


@pytest.fixture
def fresh(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, clock: Clock, sqlite_template: Path
) -> Iterator[Fresh]:
    """Call it for an empty, migrated store. On Neo4j there is one graph: the store before is emptied."""
    opened: list[GraphStore] = []
    numbers = count()

    def make() -> GraphStore:
        while opened:
            opened.pop().close()
        if engine == "sqlite":
            path = tmp_path / f"{next(numbers)}.db"
            copy(sqlite_template, path)
            store = open_sqlite(path, clock)
        else:
            server = request.getfixturevalue("neo4j_server")
            clean_neo4j(server)
            store = open_neo4j(server, clock)
        opened.append(store)
        store.migrate()
        return store

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(fresh: Fresh) -> GraphStore:
    """An empty store, migrated."""
    return fresh()
