"""One ingestion under a lease: taken, recorded as a run, given back. The scheduler, the mutation and the
command line all go through here, so that a source is ingested by one of them at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from app.jobs.leases import COLLECTION as LEASES
from app.jobs.leases import Grant, Held, Leases
from app.jobs.schedule import COLLECTION, SHARE, Job, next_slot, pause
from graph_schema.errors import Fenced
from graph_schema.store import GraphStore, Transaction
from graph_schema.times import Micros
from ingestors.every import parse_every
from ingestors.history import interrupted
from ingestors.loop import Policy, ingest
from ingestors.report import Progress, Report
from ingestors.source import Source

log = logging.getLogger(__name__)

#: Leases of sources; the consumer of what is pushed writes under its own.
PREFIX = "source/"
#: Leases that serving processes keep for as long as they live.
SERVERS = "server/"
#: Seconds that a transaction may hold the writer lock: while somebody serves, and while nobody does.
SHORT_LOCK, LONG_LOCK = 0.02, 0.4


class Begun(NamedTuple):
    """A run that may be worked on."""

    source: Source
    held: Held
    at: float


class Runs:
    """Begins, carries out and ends the runs of one process. ``share``: see :mod:`app.jobs.schedule`."""

    def __init__(self, store: GraphStore, leases: Leases, share: float = SHARE) -> None:
        self.store = store
        self.leases = leases
        self.share = share

    def begin(self, source: Source, *, seen: int | None = None, late: float = 0.0) -> Begun | None:
        """The run, or None where somebody else ingests the source, or has since run number ``seen``."""
        config = source.config
        every = None if config.every is None else parse_every(config.every)

        def also(tx: Transaction, token: int) -> bool:
            job = Job.of(tx, config.name)
            if seen is not None and job.runs != seen:
                return False
            if job.unfinished:
                job.count("interrupted")
                interrupted(tx, config.name, source.type, job.started, job.run, job.by)
            slot = None if every is None else next_slot(every, job, tx.now)
            job.slot = slot if slot is not None and slot <= tx.now + _EARLY else job.slot
            job.runs, job.started, job.late, job.ended = job.runs + 1, tx.now, late, None
            job.by, job.run = self.leases.holder, token
            job.put(tx, config.name)
            return True

        at = self.leases.clock()
        held = self.leases.acquire(PREFIX + config.name, also)
        return None if held is None else Begun(source, held, at)

    def carry_out(
        self,
        begun: Begun,
        *,
        full: bool = False,
        accept_retirement: bool = False,
        progress: Progress | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        policy: Policy | None = None,
    ) -> Report | None:
        """The ingestion, and its end recorded. None where the lease was lost: the run is somebody else's
        then, and nothing more of it was written. Raises what the store raises."""
        source, held = begun.source, begun.held
        report: Report | None = None
        try:
            report = ingest(
                self.store,
                source,
                full=full,
                accept_retirement=accept_retirement,
                progress=progress,
                should_stop=lambda: should_stop() or held.lost,
                fence=held.fence,
                policy=policy or Policy(lock=SHORT_LOCK),
            )
        except Fenced as problem:
            log.info("%s: %s", source.config.name, problem)
        finally:
            ours = self._end(begun, report)
        return report if ours else None

    def _end(self, begun: Begun, report: Report | None) -> bool:
        name = begun.source.config.name
        took = self.leases.clock() - begun.at
        every = None if begun.source.config.every is None else parse_every(begun.source.config.every)

        def also(tx: Transaction) -> None:
            job = Job.of(tx, name)
            job.ended, job.took = tx.now, round(took, 3)
            if report is None or report.stopped:
                # Cut short, and nobody's failure: whoever comes next goes on.
                job.delay = 0.0
                job.count("stopped")
            else:
                job.failures = 0 if report.error is None else job.failures + 1
                job.count("success" if report.error is None else "failure")
                job.delay = None if every is None else pause(every, took, job.failures, self.share)
            job.put(tx, name)

        return self.leases.release(begun.held, also)

    def holder(self, name: str) -> Grant | None:
        """Whoever ingests a source now; None where nobody does."""
        grant, free = self.leases.look(PREFIX + name)
        return None if free else grant

    def job(self, name: str) -> Job:
        """What is recorded of a source's runs."""
        return job_of(self.store, name)


#: A run a little before its moment, by clocks that differ by so much, is that moment's.
_EARLY: Micros = 500_000


def job_of(store: GraphStore, name: str) -> Job:
    """What is recorded of a source's runs, read outside a transaction."""
    return Job.read(dict(store.service(COLLECTION, prefix=name, limit=1)).get(name))


def polite_lock(store: GraphStore) -> Callable[[], float]:
    """How long a transaction may take, in seconds, asked anew between two: short only while somebody serves
    and takes in what is pushed. Each transaction costs its commit, so a long ingestion is faster with few."""
    known = [float("-inf"), LONG_LOCK]

    def lock() -> float:
        now = time.monotonic()
        if now - known[0] >= 1.0:
            known[:] = now, SHORT_LOCK if live_servers(store) else LONG_LOCK
        return known[1]

    return lock


def live_servers(store: GraphStore, now: Micros | None = None) -> list[Grant]:
    """The serving processes that are heard of, on whichever machine."""
    moment = time.time_ns() // 1000 if now is None else now
    grants = [Grant.read(value) for _, value in store.service(LEASES, prefix=SERVERS)]
    return [grant for grant in grants if grant is not None and grant.lives(moment)]
