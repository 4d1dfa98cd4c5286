"""Rows 14 and 15: servers that share a store. One pulls at a time, whoever dies or sleeps."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from app.jobs.leases import Leases
from app.jobs.runs import Runs, job_of
from graph_schema.store import GraphStore
from ingestors.history import history
from ingestors.loop import ingest
from ingestors.report import CURSOR
from tests.faults.conftest import Figure
from tests.faults.serving import (
    LOST,
    Journal,
    Pull,
    Slow,
    ingest_under_lease,
    overlaps,
    pulls,
    start_server,
)
from tests.faults.victim import _CONTEXT, SHORT, Address, start
from tests.waiting import soon

#: Beyond the interval, in seconds: what counts as a miss.
MISS = 2.0
#: A Neo4j that has just been started plans each statement for the first time, which takes it seconds: in the
#: first ones a miss is told, and not held against the schedule.
COLD = 30.0


def gaps(made: list[Pull], until: float | None = None) -> list[float]:
    """Seconds between the beginnings of pulls."""
    times = [pull.began for pull in made] + ([] if until is None else [until])
    return [after - before for before, after in itertools.pairwise(times)]


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [60, pytest.param(600, marks=pytest.mark.soak)])
@pytest.mark.timeout(900)
def test_two_servers_never_pull_one_source_twice_and_miss_nothing(
    address: Callable[[], Address], tmp_path: Path, seconds: int, figure: Figure
) -> None:
    here, file = address(), tmp_path / "pulls"
    store = here.open()
    store.migrate()
    sources = [Journal(f"source{number}", file) for number in range(4)]

    began = time.monotonic()
    servers = [start_server(here, sources, lease=5.0) for _ in range(2)]
    soon(lambda: len(pulls(file)) == 4)
    time.sleep(seconds)
    until = time.monotonic()
    for process, connection in servers:
        connection.close()
        process.join(30)

    # A pull that the end cuts short is done again by the other one, which is as it should be.
    made = {name: [pull for pull in each if pull.began < until] for name, each in pulls(file).items()}
    late = [
        (pull.began - began, gap)
        for each in made.values()
        for pull, gap in zip(each, gaps(each, until), strict=True)
        if gap > 1 + MISS
    ]
    told = "".join(f", {gap:.1f} s at {at:.0f} s" for at, gap in late)
    worst = max(gap for each in made.values() for gap in gaps(each))
    by_process = Counter(pull.who.partition(".")[0] for each in made.values() for pull in each)
    doubled = sum(overlaps(each) for each in made.values())
    repeated = sum(
        later.cursor <= earlier.cursor
        for each in made.values()
        for earlier, later in itertools.pairwise(each)
    )
    figure(
        f"{sum(map(len, made.values()))} runs of 4 sources in {seconds} s by two servers "
        f"({' and '.join(map(str, by_process.values()))}):",
        f"overlaps {doubled}, cursors repeated {repeated}, misses above {MISS:g} s {len(late)}"
        f"{told}, longest gap {worst:.2f} s",
    )
    assert [process.exitcode for process, _ in servers] == [0, 0]
    assert (doubled, repeated) == (0, 0)
    most = 1.2 * (until - began) + 3
    assert all(len(each) <= most for each in made.values()), "one run in an interval, whoever has it"
    assert all(report.error is None for name in made for report in history(store, name, 100))
    if seconds >= 600:
        assert all(at < COLD for at, _ in late)
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same machine", "another machine"])
def test_a_server_that_is_killed_hands_over_within_the_lease(
    address: Callable[[], Address], tmp_path: Path, elsewhere: bool, figure: Figure
) -> None:
    here, file, lease = address(), tmp_path / "pulls", 3.0
    store = here.open()
    store.migrate()
    # It is due again in an hour, and pulling takes long: who is killed leaves it in the middle.
    slow = Journal("slow", file, every="1h", takes=(30.0, 30.0))
    first, first_end = start_server(here, [slow], lease, elsewhere)
    soon(lambda: pulls(file))
    second, second_end = start_server(here, [slow], lease, elsewhere)
    time.sleep(1.5)

    killed = time.monotonic()
    first.kill()
    made = soon(lambda: len(found := pulls(file).get("slow", [])) == 2 and found)
    second.kill()
    for end in (first_end, second_end):
        end.close()

    figure("handed over after", f"{made[1].began - killed:.2f} s, the lease is {lease:g} s")
    assert (
        made[1].who.partition(".")[0] != made[0].who.partition(".")[0]
        and made[1].cursor == made[0].cursor == 0
    )
    assert job_of(store, "slow").runs == 2
    (interrupted,) = history(store, "slow")
    assert interrupted.error is not None and interrupted.error.startswith("interrupted:")
    store.close()


def resumed(process: BaseProcess) -> int | None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
    process.join(60)
    return process.exitcode


@pytest.mark.slow
@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.soak)])
@pytest.mark.timeout(900)
def test_a_leader_that_slept_past_its_lease_writes_nothing_any_more(
    address: Callable[[], Address], engine: str, times: int, figure: Figure
) -> None:
    count, seed, lease = {"sqlite": 400, "neo4j": 160}[engine], 7, 4.0
    clean = address().open()
    clean.migrate()
    ingest(clean, Slow(count, seed), policy=SHORT)
    digest = clean.digest()
    clean.close()
    rng = random.Random(times)
    stale = equal = lost = 0

    for _ in range(times):
        here = address()
        told, telling = _CONTEXT.Pipe(duplex=False)
        leader = start(ingest_under_lease, here, count, seed, lease, telling)
        telling.close()
        # Between two pages: one that stops in a transaction keeps the store's writer lock with it.
        for _ in range(rng.randint(2, 4)):
            told.recv_bytes()
        assert leader.pid is not None
        os.kill(leader.pid, signal.SIGSTOP)
        store = here.open()
        store.migrate()
        takes_over(store, Slow(count, seed), lease)
        before = state(store)

        exit_code = resumed(leader)

        lost += exit_code == LOST
        stale += state(store) != before
        equal += store.digest() == digest
        told.close()
        store.close()

    figure(f"{times} leaders slept past their lease:", f"stale writes {stale}, equal graphs {equal}/{times}")
    assert (stale, equal, lost) == (0, times, times)


def takes_over(store: GraphStore, source: Slow, lease: float) -> None:
    leases = Leases(store, duration=lease, place="")
    runs = Runs(store, leases)
    begun = soon(lambda: runs.begin(source))
    report = runs.carry_out(begun, policy=SHORT)
    assert report is not None and report.error is None
    leases.close()


def state(store: GraphStore) -> Any:
    """Whatever a stale write would change."""
    return (store.counts(), store.service(CURSOR), store.service("job"), store.service("ingestion"))
