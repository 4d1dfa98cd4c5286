"""Applies what was pushed: takes the inbox' rows into the graph while the service serves, and when asked."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from app.jobs.leases import DURATION, Held, Leases
from graph_schema.errors import Fenced, KinloreError, StoreError
from graph_schema.store import GraphStore
from ingestors.inbox import Inbox, forget_deliveries
from ingestors.pushed import Pushed
from ingestors.report import Report
from ingestors.source import Source, SourceError, Unreachable

log = logging.getLogger(__name__)

#: The lease of whoever applies: one process at a time.
LEASE = "inbox/consumer"
#: Seconds that whoever asks for it waits for another process.
PATIENCE = 5.0
#: Days for which the id of a delivery is known.
KNOWN_DAYS = 3

#: Seconds: between looks at an inbox into which another process may have put something; between tries for
#: the lease; until a burst is over, its longest, and between two pages of it; between two times of
#: forgetting old deliveries.
_LOOK, _TRY = 1.0, 2.0
_QUIET, _LONGEST, _GATHER = 1.0, 30.0, 0.05
_FORGET = 3_600.0
#: Seconds that a source waits after its first failure, doubled each time, and at most.
_WAIT, _LONGEST_WAIT = 1.0, 60.0


class House(Protocol):
    """What the consumer needs of the container: the store, the inbox, and the sources that take requests."""

    @property
    def store(self) -> GraphStore: ...

    @property
    def inbox(self) -> Inbox: ...

    @property
    def receivers(self) -> Sequence[Source]: ...


class Consumer:
    """Takes what waits in the inbox into the graph: ``Consumer(container).start()``, ``.stop()``.

    Start it once the store is migrated, stop it before the container is closed. Of several processes on one
    store one applies, under a lease; each source in a thread of its own, so that none waits for another.
    """

    def __init__(self, container: House, *, lease: float = DURATION) -> None:
        self._container = container
        self._lease = lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kinlore-consumer", daemon=True)

    def start(self) -> None:
        """Begin to apply what waits and what comes."""
        if self._container.receivers:
            self._thread.start()

    def stop(self, within: float = 10.0) -> None:
        """End after the transaction at hand. What waits stays in the store for the next one."""
        self._stop.set()
        for source in self._container.receivers:
            self._container.inbox.arrived(_name(source)).set()
        if self._thread.is_alive():
            self._thread.join(within)

    def drain(self, source: Source, *, should_stop: Callable[[], bool] = lambda: False) -> Report | None:
        """Apply what waits for one source now, in this thread; how it went, or None where nothing waited.

        Raises Fenced where another process is at it and does not stop within :data:`PATIENCE` seconds,
        SourceError where something has to be asked for and cannot be had, and what the store raises.
        """
        leases = Leases(self._container.store, duration=self._lease)
        try:
            deadline = time.monotonic() + PATIENCE
            while (held := leases.acquire(LEASE)) is None:
                if time.monotonic() > deadline or should_stop():
                    raise Fenced("a server that runs on this store applies what is pushed")
                time.sleep(0.2)
            pushed = Pushed(self._container.store, source, held.fence, should_stop)
            try:
                while not should_stop() and pushed.apply():
                    pass
            except SourceError as problem:
                pushed.finish(problem)
                raise
            return pushed.finish()
        finally:
            leases.close()

    # --- while the service serves ----------------------------------------------------------------------

    def _run(self) -> None:
        leases = Leases(self._container.store, duration=self._lease)
        while not self._stop.is_set():
            try:
                held = leases.acquire(LEASE)
                if held is not None:
                    self._hold(held)
            except KinloreError as problem:
                log.warning("what was pushed is not applied: %s", problem)
            except Exception:
                log.exception("what was pushed is not applied")
            self._stop.wait(_TRY)
        leases.close()

    def _hold(self, held: Held) -> None:
        """Apply until the lease is lost or it is time to stop."""
        over = threading.Event()
        threads = [
            threading.Thread(
                target=self._serve, args=(source, held, over), name=f"kinlore-{_name(source)}", daemon=True
            )
            for source in self._container.receivers
        ]
        for thread in threads:
            thread.start()
        due = time.monotonic()
        while not (self._stop.wait(0.2) or held.lost or over.is_set()):
            if time.monotonic() >= due:
                due += _FORGET
                self._forget()
        over.set()
        for source in self._container.receivers:
            self._container.inbox.arrived(_name(source)).set()
        for thread in threads:
            thread.join()

    def _forget(self) -> None:
        before = time.time_ns() // 1_000 - KNOWN_DAYS * 86_400_000_000
        try:
            forget_deliveries(self._container.store, before)
        except StoreError as problem:
            log.warning("old deliveries stay known: %s", problem)

    def _serve(self, source: Source, held: Held, over: threading.Event) -> None:
        arrived = self._container.inbox.arrived(_name(source))
        pushed = Pushed(self._container.store, source, held.fence, over.is_set)
        failures = 0
        while not over.is_set():
            arrived.clear()
            try:
                if pushed.apply():
                    failures = 0
                    # What arrives meanwhile is applied together.
                    over.wait(_GATHER)
                    if (pushed.open_for or 0.0) > _LONGEST:
                        pushed.finish()
                elif pushed.open_for is None:
                    arrived.wait(_LOOK)
                elif not arrived.wait(_QUIET):
                    pushed.finish()
            except Fenced:
                over.set()
                return
            except Exception as problem:
                failures += 1
                delay = _delay(failures, problem)
                self._failed(pushed, _name(source), problem, delay)
                over.wait(delay)
        self._tell(pushed, None)

    def _failed(self, pushed: Pushed, name: str, problem: Exception, delay: float) -> None:
        if isinstance(problem, SourceError):
            log.warning("%s: %s; trying again in %.0f s", name, problem, delay)
            self._tell(pushed, problem)
        elif isinstance(problem, StoreError):
            log.warning("%s: %s; trying again in %.0f s", name, problem, delay)
        else:
            log.error("%s: what was pushed cannot be applied", name, exc_info=problem)

    def _tell(self, pushed: Pushed, problem: SourceError | None) -> None:
        try:
            pushed.finish(problem)
        except KinloreError as other:
            log.warning("%s", other)


def _name(source: Source) -> str:
    return str(source.config.name)


def _delay(failures: int, problem: Exception) -> float:
    asked = (problem.retry_after or 0.0) if isinstance(problem, Unreachable) else 0.0
    doubled: float = _WAIT * 2 ** min(failures - 1, 10)
    return max(asked, min(_LONGEST_WAIT, doubled))
