"""Processes that pull by schedule, and sources that write down when they were pulled and by whom."""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from app.jobs.leases import Leases
from app.jobs.runs import Runs
from app.jobs.scheduler import Scheduler
from graph_schema.claims import Claim
from graph_schema.times import Micros
from ingestors.source import Item, Pulled, Source, SourceConfig
from tests.faults.synthetic import Synthetic
from tests.faults.victim import _CONTEXT, SHORT, Address, start


class Pull(NamedTuple):
    """A pull as its source saw it. ``who`` is process and thread; times are the machine's steady clock's, in
    seconds."""

    source: str
    who: str
    cursor: int
    began: float
    ended: float | None


class Journal(Source):
    """Brings nothing but a cursor that counts, and writes down each pull in a file."""

    type: ClassVar[str] = "journal"
    config_model = SourceConfig

    def __init__(
        self, name: str, file: Path, every: str = "1s", takes: tuple[float, float] = (0.0, 0.2)
    ) -> None:
        super().__init__(SourceConfig(type="journal", name=name, every=every))
        self.file = file
        self.takes = takes

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        self._note("began", cursor or 0)
        time.sleep(random.uniform(*self.takes))
        yield Pulled((), (cursor or 0) + 1)
        self._note("ended", cursor or 0)

    def _note(self, what: str, cursor: int) -> None:
        # Servers of one process pull in threads of their own.
        who = f"{os.getpid()}.{threading.get_ident()}"
        line = f"{self.config.name} {who} {cursor} {what} {time.monotonic()}\n"
        with self.file.open("a") as file:
            file.write(line)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        return []


def pulls(file: Path) -> dict[str, list[Pull]]:
    """What was written down, by source, in the order of beginning. Without an end where a process died."""
    found: dict[str, list[Pull]] = {}
    open_: dict[tuple[str, str], Pull] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        name, who, cursor, what, at = line.split()
        if what == "began":
            open_[name, who] = Pull(name, who, int(cursor), float(at), None)
            found.setdefault(name, []).append(open_[name, who])
        else:
            began = open_.pop((name, who))
            found[name][found[name].index(began)] = began._replace(ended=float(at))
    return found


def overlaps(made: list[Pull]) -> int:
    """Pulls that began before another one had ended."""
    return sum(
        other.who != pull.who and other.began < pull.began < (other.ended or float("-inf"))
        for pull in made
        for other in made
    )


def start_server(
    address: Address, sources: list[Journal], lease: float, elsewhere: bool = False
) -> tuple[BaseProcess, Connection]:
    """A process that pulls these sources; it ends when the connection is closed. ``elsewhere``: as on another
    machine, where nobody can look whether a process lives."""
    theirs, ours = _CONTEXT.Pipe(duplex=False)
    process = start(pull_by_schedule, address, sources, lease, elsewhere, theirs)
    theirs.close()
    return process, ours


def pull_by_schedule(
    address: Address, sources: list[Journal], lease: float, elsewhere: bool, until: Connection
) -> None:
    store = address.open()
    store.migrate()
    scheduler = Scheduler(store, sources, lease=lease)
    if elsewhere:
        scheduler.leases._place = ""
    scheduler.start()
    with contextlib.suppress(EOFError):
        until.recv_bytes()
    scheduler.stop()
    store.close()


class Slow(Synthetic):
    """The synthetic source; before each page it tells, and takes a while, outside of any transaction."""

    telling: Connection | None = None
    before: Callable[[], None]

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        for page in super().pull(cursor, now=now):
            if self.telling is not None:
                self.before()
                self.telling.send_bytes(b".")
                time.sleep(0.5)
            yield page


#: Exit codes of :func:`ingest_under_lease`.
DONE, LOST, REFUSED = 0, 3, 4


def ingest_under_lease(address: Address, count: int, seed: int, lease: float, telling: Connection) -> None:
    """Ingest the synthetic source as ``kinlore ingest`` does, telling of each page before it."""
    store = address.open()
    store.migrate()
    # Renewed between pages and not by a thread: stopped in a transaction, that would keep the store's lock.
    leases = Leases(store, duration=lease, place="", beats=False)
    runs = Runs(store, leases)
    source = Slow(count, seed)
    source.telling, source.before = telling, leases.renew
    begun = runs.begin(source)
    if begun is None:
        raise SystemExit(REFUSED)

    report = runs.carry_out(begun, policy=SHORT)
    leases.close()
    store.close()
    raise SystemExit(LOST if report is None else DONE)
