"""The scheduler in one process: pulls when due, spares who struggles, stops at once, runs when asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from app.jobs.leases import Leases
from app.jobs.runs import LONG_LOCK, SHORT_LOCK, Runs, live_servers, polite_lock
from app.jobs.scheduler import Scheduler
from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Claim
from graph_schema.errors import StoreBusy
from graph_schema.times import Micros
from ingestors.history import history
from ingestors.source import Item, Pulled, Source, SourceConfig, SourceError
from tests.waiting import soon

Make = Callable[..., Scheduler]


class Told(Source):
    """Calls what it was given at each pull."""

    type: ClassVar[str] = "told"
    config_model = SourceConfig

    def __init__(
        self, every: str | None, work: Callable[[], None] = lambda: None, name: str = "told"
    ) -> None:
        super().__init__(SourceConfig(type="told", name=name, every=every))
        self.work = work
        self.pulled = threading.Semaphore(0)

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        self.pulled.release()
        self.work()
        yield Pulled((), (cursor or 0) + 1)
        yield Pulled((), (cursor or 0) + 2)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        return []


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "kinlore.db")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def serve(sqlite: SqliteStore) -> Iterator[Make]:
    made: list[Scheduler] = []

    def make(*sources: Source, **more: Any) -> Scheduler:
        made.append(Scheduler(sqlite, sources, **{"lease": 3.0, **more}))
        made[-1].start()
        return made[-1]

    yield make
    for scheduler in made:
        scheduler.stop()


def test_it_pulls_again_and_again(serve: Make, sqlite: SqliteStore) -> None:
    source, other = Told("1s"), Told(None, name="by-hand")

    serve(source, other)

    for _ in range(3):
        assert source.pulled.acquire(timeout=30)
    assert not other.pulled.acquire(blocking=False), "what has no interval is pulled by hand"
    soon(lambda: len(history(sqlite, "told")) >= 2)
    assert [report.run for report in history(sqlite, "told")][-2:] == [2, 1]


def test_a_server_that_starts_again_waits_for_what_is_left_of_the_interval(
    serve: Make, sqlite: SqliteStore
) -> None:
    source = Told("1h")
    first = serve(source)
    assert source.pulled.acquire(timeout=30)
    soon(lambda: first.runs.job("told").ended)
    first.stop()

    second = serve(source)

    left = second.planned["told"].due - second.leases.clock()
    assert 3_500 < left < 3_700 and not source.pulled.acquire(timeout=0.3)


def test_a_run_of_another_server_is_watched_and_not_repeated_when_it_ends(serve: Make) -> None:
    going = threading.Event()
    source, same = Told("1h", lambda: void(going.wait(30))), Told("1h")
    serve(source)
    assert source.pulled.acquire(timeout=30)
    other = serve(same)
    soon(lambda: other.planned["told"].watching)

    going.set()
    soon(lambda: not other.planned["told"].watching)

    left = other.planned["told"].due - other.leases.clock()
    assert left > 3_500 and other.runs.job("told").runs == 1 and not same.pulled.acquire(blocking=False)


def test_a_source_that_takes_long_is_pulled_less_often(serve: Make) -> None:
    source = Told("1s", lambda: time.sleep(1.0))

    scheduler = serve(source, share=0.25)
    job = soon(lambda: (job := scheduler.runs.job("told")).ended and job)

    assert job.delay == pytest.approx(job.took / 0.25, rel=0.01) and job.delay >= 4


def test_a_source_that_fails_is_recorded_and_tried_again_later(serve: Make, sqlite: SqliteStore) -> None:
    def fail() -> None:
        raise SourceError("it is down")

    scheduler = serve(Told("1s", fail))
    job = soon(lambda: (job := scheduler.runs.job("told")).failures == 2 and job.ended and job)

    assert job.delay == 2 and job.outcomes == {"failure": 2}
    assert history(sqlite, "told")[0].error == "it is down"


def test_stopping_ends_a_pull_after_its_page_and_gives_all_leases_back(
    serve: Make, sqlite: SqliteStore
) -> None:
    going = threading.Event()
    source = Told("1s", lambda: void(going.wait(30)))
    scheduler = serve(source)
    assert source.pulled.acquire(timeout=30)

    stopping = threading.Thread(target=scheduler.stop)
    stopping.start()
    soon(lambda: scheduler.stopping)
    going.set()
    stopping.join(30)

    assert not stopping.is_alive()
    assert history(sqlite, "told")[0].stopped
    assert all(value["until"] == 0 for _, value in sqlite.service("lease"))
    assert scheduler.runs.job("told").delay == 0, "whoever comes next goes on"


def test_a_pull_that_hangs_does_not_keep_the_process_and_writes_nothing_later(
    serve: Make, sqlite: SqliteStore
) -> None:
    going = threading.Event()
    source = Told("1s", lambda: void(going.wait(60)))
    scheduler = serve(source)
    assert source.pulled.acquire(timeout=30)

    scheduler.stop(within=0.1)
    other = Runs(sqlite, Leases(sqlite)).begin(source)
    before = sqlite.backup_digest()
    going.set()
    soon(lambda: not scheduler._working)

    assert other is not None and sqlite.backup_digest() == before


def test_on_request_it_runs_now_and_waits_for_whoever_is_at_it(
    serve: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.jobs.scheduler._PATIENCE", 0.3)
    going = threading.Event()
    source = Told(None, lambda: void(going.wait(30)))
    scheduler = serve(source)

    number = scheduler.ask("told", full=True)
    assert source.pulled.acquire(timeout=30)
    with pytest.raises(StoreBusy, match=r"told is being ingested by .*, process"):
        scheduler.ask("told")
    going.set()
    soon(lambda: scheduler.runs.job("told").ended)

    assert history(scheduler.runs.store, "told")[0].run == number
    assert scheduler.ask("told") > number


def test_transactions_are_long_only_while_nobody_serves(
    serve: Make, sqlite: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert polite_lock(sqlite)() == LONG_LOCK

    scheduler = serve()
    assert len(live_servers(sqlite)) == 1 and polite_lock(sqlite)() == SHORT_LOCK
    scheduler.stop()

    assert not live_servers(sqlite) and polite_lock(sqlite)() == LONG_LOCK


def void(_: Any) -> None:
    """Nothing."""
