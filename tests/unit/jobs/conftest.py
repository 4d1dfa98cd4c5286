"""What tests of jobs share: the stores of the contract's tests, and a steady clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from app.jobs.leases import Leases
from graph_schema.store import GraphStore
from tests.contract.conftest import chosen_engines, clock, engine, fresh, sqlite_template, store

__all__ = ["chosen_engines", "clock", "engine", "fresh", "sqlite_template", "store"]


class Steady:
    """A clock that stands still until it is told to go on, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def go(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def steady() -> Steady:
    return Steady()


Process = Callable[..., Leases]


@pytest.fixture
def process(store: GraphStore, steady: Steady) -> Iterator[Process]:
    """Call it for the leases of another process, which are renewed only when the test says so."""
    made: list[Leases] = []

    def make(name: str, **more: Any) -> Leases:
        more = {"duration": 15.0, "place": "", "beats": False, "clock": steady, **more}
        made.append(Leases(store, holder=name, **more))
        return made[-1]

    yield make
    for leases in made:
        leases.close()
