"""Pulls the sources when they are due, beside other servers that do the same on the same store.

Every server tries every source at its due time. The lease and the count of runs in the record decide, under
the store's lock, who of them runs it; the others see that it was run and wait for the next time.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from time import time as wall
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.triggers.date import DateTrigger

from app.jobs.leases import COLLECTION, DURATION, Held, Leases
from app.jobs.runs import PREFIX, SERVERS, SHORT_LOCK, Begun, Runs
from app.jobs.schedule import SHARE, Job, due_in, jitter
from app.jobs.threads import Timer
from graph_schema.errors import StoreBusy, StoreError
from graph_schema.store import GraphStore, Transaction
from ingestors.every import Every, parse_every
from ingestors.loop import Policy
from ingestors.source import Source

log = logging.getLogger(__name__)

#: Seconds between looks at a run of somebody else, and until a store that failed is asked again.
_LOOK, _AFTER_FAILURE = 1.0, 5.0
#: Seconds that a request to ingest waits for a run at hand to end.
_PATIENCE = 10.0
#: A start so much too early is not worth another look.
_EARLY = 0.05
#: Microseconds after which nobody believes that a server lives.
_LONG_AGO = 86_400_000_000
#: Seconds that are planned ahead at most.
_FAR = 86_400.0
#: Seconds by which the wall clock may differ from the steady one before everything is planned anew.
_STEP = 0.5


class Planned:
    """A source that is pulled by itself: how often, and the next time by the steady clock."""

    def __init__(self, source: Source, every: Every) -> None:
        self.source = source
        self.every = every
        self.seen: int | None = None
        self.watching = False
        self.base = 0.0
        self.due = 0.0

    @property
    def name(self) -> str:
        """The name of the source."""
        return str(self.source.config.name)


class Scheduler:
    """The schedules of one serving process. ``lease`` in seconds; ``share`` of the time at most is spent in
    pulling a source. ``start`` it once the store is migrated; ``stop`` it before the store is closed."""

    def __init__(
        self, store: GraphStore, sources: Sequence[Source], *, lease: float = DURATION, share: float = SHARE
    ) -> None:
        self.leases = Leases(store, duration=lease)
        self.runs = Runs(store, self.leases, share)
        self._sources = {str(source.config.name): source for source in sources if source.pulls}
        self.planned = {
            name: Planned(source, parse_every(source.config.every))
            for name, source in self._sources.items()
            if source.config.every is not None
        }
        self._stop = threading.Event()
        self._working: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._server: Held | None = None
        self._watcher = threading.Thread(target=self._watch, name="kinlore-jobs", daemon=True)
        self._timer = Timer()
        self._timer.add_listener(self._again, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)

    # --- starting and stopping ---------------------------------------------------------------------------

    def start(self) -> None:
        """Say that a server lives, and begin. Raises StoreError."""
        self._live()
        for planned in self.planned.values():
            self._plan(planned, self.runs.job(planned.name))
            self._arm(planned)
        self._timer.start()
        self._watcher.start()

    def stop(self, within: float = 8.0) -> None:
        """Begin nothing any more, end what runs after its page at hand, give the leases back. What has not
        ended ``within`` seconds can write no more: its lease is somebody else's."""
        self._stop.set()
        if self._timer.running:
            self._timer.shutdown(wait=False)
        deadline = time.monotonic() + within
        with self._lock:
            working = list(self._working)
        for thread in working:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._server is not None:
            try:
                self.leases.release(self._server, forget=True)
            except StoreError as problem:
                log.warning("%s", problem)
        self.leases.close()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def _live(self) -> None:
        if self._server is None or self._server.lost:
            self._server = self.leases.acquire(f"{SERVERS}{uuid.uuid4().hex}", forget_servers)

    # --- the next time -----------------------------------------------------------------------------------

    def _plan(self, planned: Planned, job: Job) -> None:
        """The next time, from the record of a run that was not ours."""
        planned.seen, planned.watching = job.runs, job.unfinished
        if job.unfinished:
            # Whoever runs it may end or die before its interval is over.
            planned.due = self.leases.clock() + self._look(planned)
            planned.base = planned.due
            return
        self._due(planned, due_in(planned.every, job, self.leases.now))

    @staticmethod
    def _look(planned: Planned) -> float:
        """Seconds until a run of somebody else is looked at again."""
        return min(_LOOK, (planned.every.seconds or _LOOK) / 4)

    def _due(self, planned: Planned, wait: float) -> None:
        # A moment further away is looked at again on the way.
        planned.base = self.leases.clock() + min(wait, _FAR)
        # What is overdue is not kept waiting.
        spread = min(jitter(planned.every, random.random()), max(wait, 0.0))  # noqa: S311
        planned.due = planned.base + spread

    def _arm(self, planned: Planned) -> None:
        """Let the timer call when it is due."""
        if not self.stopping:
            wait = max(0.0, planned.due - self.leases.clock())
            at = datetime.now(UTC) + timedelta(seconds=wait)
            self._timer.add_job(
                self._tick, DateTrigger(at), [planned.name], id=planned.name, replace_existing=True
            )

    def _again(self, event: Any) -> None:
        # Not from within the job: a next one that is due at once would find this one still running.
        self._arm(self.planned[event.job_id])

    def _watch(self) -> None:
        """The timer goes by the wall clock: when that is set, or a laptop wakes, arm everything anew."""
        apart = wall() - self.leases.clock()
        while not self._stop.wait(1.0):
            now = wall() - self.leases.clock()
            if abs(now - apart) > _STEP:
                log.info("the clock was set by %+.0f s", now - apart)
                apart = now
                self._rearm()
            try:
                self._live()
            except StoreError as problem:
                log.warning("%s", problem)

    def _rearm(self) -> None:
        try:
            # The store may go by the clock that was set; what it says now is what cron lines go by.
            self.leases.renew()
            for planned in self.planned.values():
                if planned.every.seconds is None:
                    self._plan(planned, self.runs.job(planned.name))
        except StoreError as problem:
            log.warning("%s", problem)
        for planned in self.planned.values():
            self._arm(planned)

    # --- one attempt -------------------------------------------------------------------------------------

    def _tick(self, name: str) -> None:
        planned = self.planned[name]
        with self._lock:
            self._working.add(threading.current_thread())
        try:
            if not self.stopping:
                self._attempt(planned)
        except Exception as problem:
            planned.due = self.leases.clock() + _AFTER_FAILURE
            if self.stopping:
                pass
            elif isinstance(problem, StoreError):
                log.warning("%s: %s", name, problem)
            else:
                log.exception("%s", name)
        finally:
            with self._lock:
                self._working.discard(threading.current_thread())

    def _attempt(self, planned: Planned) -> None:
        job = self.runs.job(planned.name)
        # What ended while it was looked at was somebody's run for this interval.
        moved = job.runs != planned.seen or planned.watching or planned.every.seconds is None
        if moved and not job.unfinished and due_in(planned.every, job, self.leases.now) > _EARLY:
            self._plan(planned, job)
            return
        planned.seen = job.runs
        late = max(0.0, self.leases.clock() - planned.base)
        if late > (planned.every.seconds or 0.0) / 2:
            # It was asleep, or could not: once is enough for all that it missed.
            late = 0.0
        _, free = self.leases.look(PREFIX + planned.name)
        begun = self.runs.begin(planned.source, seen=planned.seen, late=late) if free else None
        if begun is None:
            self._plan(planned, self.runs.job(planned.name))
            if planned.due <= self.leases.clock():
                planned.due = self.leases.clock() + self._look(planned)
            return
        self._work(begun)
        self._plan(planned, self.runs.job(planned.name))

    def _work(self, begun: Begun, full: bool = False, accept: bool = False) -> None:
        name = begun.source.config.name
        report = self.runs.carry_out(
            begun,
            full=full,
            accept_retirement=accept,
            should_stop=self._stop.is_set,
            policy=Policy(lock=SHORT_LOCK, sleep=self._sleep),
        )
        if report is not None and report.error is not None:
            log.warning("%s: %s", name, report.error)

    # --- on request --------------------------------------------------------------------------------------

    def ask(self, name: str, *, full: bool = False, accept_retirement: bool = False) -> int:
        """Ingest a source now, in a thread of its own. The number of the run, which its report will have.
        Raises StoreBusy where somebody ingests it for longer than a moment."""
        source = self._sources[name]
        deadline = time.monotonic() + _PATIENCE
        while not self.stopping:
            begun = self.runs.begin(source)
            if begun is not None:
                thread = threading.Thread(
                    target=self._asked, args=(begun, full, accept_retirement), daemon=True
                )
                with self._lock:
                    self._working.add(thread)
                thread.start()
                return begun.held.token
            if time.monotonic() > deadline:
                by = self.runs.job(name).by
                raise StoreBusy(f"{name} is being ingested by {by}; try again when that has ended")
            self._stop.wait(0.1)
        raise StoreBusy("this server is stopping")

    def _asked(self, begun: Begun, full: bool, accept: bool) -> None:
        try:
            self._work(begun, full, accept)
        except Exception as problem:
            if not self.stopping:
                log.warning("%s: %s", begun.source.config.name, problem)
        finally:
            with self._lock:
                self._working.discard(threading.current_thread())

    def _sleep(self, seconds: float) -> None:
        self._stop.wait(seconds)


def forget_servers(tx: Transaction, token: int) -> bool:
    """Remove what servers left that were killed long ago."""
    for key, value in tx.service_list(COLLECTION, prefix=SERVERS):
        if value["until"] < tx.now - _LONG_AGO:
            tx.service_delete(COLLECTION, key)
    return True
