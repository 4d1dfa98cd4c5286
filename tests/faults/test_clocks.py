"""Row 7: the clock is set by an hour, forward and back, while two servers pull by schedule."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime as real
from datetime import timedelta, tzinfo
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from app.jobs.scheduler import Scheduler
from app.store.neo4j.store import Neo4jStore
from app.store.sqlite.store import SqliteStore
from graph_schema.store import GraphStore
from ingestors.history import history
from ingestors.report import CURSOR
from tests.faults.conftest import Figure
from tests.faults.serving import Journal, Pull, overlaps, pulls
from tests.faults.victim import Address

HOUR = 3_600.0
#: Seconds between two settings of the clock.
QUIET = 4.0
#: Seconds, on a machine that has other work: within which what a pull brought is committed, and from when its
#: lease was taken to when it began.
COMMITTED = LEASED = 0.3


class Wall:
    """The wall clock of everything that these servers use. ``off`` is by how many seconds it is wrong."""

    def __init__(self) -> None:
        self.off = 0.0

    def seconds(self) -> float:
        return time.monotonic() - self._start + self._at + self.off

    def micros(self) -> int:
        return round(self.seconds() * 1_000_000)

    _start = time.monotonic()
    _at = time.time()


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    wall = Wall()

    class Shown(real):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return real.now(tz) + timedelta(seconds=wall.off)

    monkeypatch.setattr("app.jobs.scheduler.datetime", Shown)
    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Shown)
    monkeypatch.setattr("app.jobs.scheduler.wall", wall.seconds)
    yield wall


def opened(address: Address, wall: Wall) -> GraphStore:
    """The store, going by this clock as it would by the machine's."""
    if address.password is None:
        return SqliteStore(Path(address.place), clock=wall.micros)
    return Neo4jStore(address.place, address.password, clock=wall.micros)


def _under_way(pull: Pull, at: float) -> bool:
    return pull.began - LEASED <= at <= (pull.ended or pull.began) + COMMITTED


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps", [(HOUR, -HOUR), (-HOUR, HOUR)], ids=["forward and back", "back and forward"]
)
def test_the_clock_is_set(
    address: Callable[[], Address], tmp_path: Path, wall: Wall, steps: tuple[float, ...], figure: Figure
) -> None:
    here, file = address(), tmp_path / "pulls"
    stores = [opened(here, wall) for _ in range(2)]
    stores[0].migrate()
    servers = [Scheduler(store, [Journal(name, file) for name in ("a", "b")], lease=6.0) for store in stores]
    for server in servers:
        server.start()
    cursors: dict[str, list[int]] = {"a": [], "b": []}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            for name, cursor in stores[0].service(CURSOR):
                cursors[name].append(cursor)

    watching = threading.Thread(target=look)
    watching.start()

    time.sleep(QUIET)
    set_at = []
    for step in steps:
        set_at.append(time.monotonic())
        wall.off += step
        time.sleep(QUIET)

    # What is under way when a server is asked to stop is cut short, and rightly done again by the other one.
    made = pulls(file)
    over.set()
    watching.join()
    for server in servers:
        server.stop()
    gaps = [later.began - earlier.began for each in made.values() for earlier, later in pairwise(each)]
    skipped = sum(gap > 2.5 for gap in gaps)
    early = sum(gap < 0.5 for gap in gaps)
    backwards = sum(later < earlier for each in cursors.values() for earlier, later in pairwise(each))
    # A lease is over for everybody once an hour has passed: what was under way then is fenced off, and done
    # again. It may have ended a moment before, and not been committed yet, or be about to begin.
    cut = {pull for each in made.values() for pull in each for at in set_at if _under_way(pull, at)}
    repeated = sum(
        later.cursor <= earlier.cursor and earlier not in cut
        for each in made.values()
        for earlier, later in pairwise(each)
    )
    figure(
        f"{len(gaps) + 2} runs of 2 sources every second while the clock was set by an hour twice:",
        f"skipped {skipped} (longest gap {max(gaps):.2f} s), early {early}, states repeated {repeated}, "
        f"cursors that went back {backwards}, overlaps {sum(map(overlaps, made.values()))}",
    )
    assert (backwards, repeated, sum(map(overlaps, made.values()))) == (0, 0, 0)
    # Each clock step may cost a source one run that is cut short, and no more than an interval.
    assert all(len(each) >= 4 for each in made.values())
    assert all(report.error is None for name in made for report in history(stores[0], name, 100))
    for store in stores:
        store.close()
