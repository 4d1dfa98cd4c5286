"""When a source is pulled next: pure functions over what is recorded of its last run."""

from __future__ import annotations

from typing import Any

import msgspec

from graph_schema.store import Transaction
from graph_schema.times import Micros
from ingestors.every import Every

COLLECTION = "job"
#: How a run ends: well; with an error of its source; asked to stop; or its process was not heard of any more.
OUTCOMES = ("success", "failure", "stopped", "interrupted")
#: Of the time that passes, a source may be pulled for at most this share.
SHARE = 0.5
#: Seconds until the first retry after a failure, doubled by each that follows.
_RETRY = 60.0
#: The longest wait after failures, for a source that is pulled more often than that.
_LONGEST_RETRY = 300.0
_LONGEST_CRON_RETRY = 3_600.0
#: The part of an interval by which starts are spread, and its bound in seconds.
_JITTER, _MOST_JITTER = 0.1, 30.0


class Job(msgspec.Struct, kw_only=True):
    """What is recorded of a source's runs, by whichever process. Times are the store's, in microseconds;
    ``late``, ``took`` and ``delay`` in seconds.

    ``runs`` counts starts; ``late`` is how long after its due time the last one began, ``delay`` how long
    after that due time the next is due; ``slot`` the moment of the cron line that it was for; ``ended`` is
    None while it runs; ``failures`` in a row; ``by`` whose run it is, ``run`` the token of its lease;
    ``outcomes`` counts the runs that have ended, by :data:`OUTCOMES`.
    """

    runs: int = 0
    run: int = 0
    started: Micros = 0
    slot: Micros = 0
    late: float = 0.0
    ended: Micros | None = None
    took: float = 0.0
    failures: int = 0
    delay: float | None = None
    by: str = ""
    outcomes: dict[str, int] = msgspec.field(default_factory=dict)

    def count(self, outcome: str) -> None:
        """One more run that ended so."""
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    @property
    def unfinished(self) -> bool:
        """Whether it runs, or was left in the middle."""
        return self.runs > 0 and self.ended is None

    @classmethod
    def read(cls, value: Any) -> Job:
        """From its service record; one that never ran where there is none."""
        return cls() if value is None else msgspec.convert(value, cls)

    @classmethod
    def of(cls, tx: Transaction, name: str) -> Job:
        """The job of a source."""
        return cls.read(tx.service_get(COLLECTION, name))

    def put(self, tx: Transaction, name: str) -> None:
        """Record it."""
        tx.service_put(COLLECTION, name, msgspec.to_builtins(self))


def pause(every: Every, took: float, failures: int, share: float = SHARE) -> float | None:
    """Seconds from one due time to the next. None: when the cron line says.

    A source that takes long is pulled less often, so that it is not pulled for more than ``share`` of the
    time. After failures in a row it is tried again sooner than its interval where that is long, and less
    and less often."""
    if every.seconds is None:
        return None if not failures else min(_LONGEST_CRON_RETRY, _doubled(_RETRY, failures))
    wait = every.seconds
    if failures:
        first = min(every.seconds, _RETRY)
        wait = min(max(every.seconds, _LONGEST_RETRY), _doubled(first, failures))
    return max(wait, took / share)


def _doubled(first: float, failures: int) -> float:
    return first * 2.0 ** min(failures - 1, 20)


def due_in(every: Every, job: Job, now: Micros) -> float:
    """Seconds until it is due, by the store's time; 0 or less: it is. Of the record only spans shorter than
    the interval are believed, so that a clock that was set moves the next run by one interval at most."""
    delay = every.seconds if job.delay is None else job.delay
    if delay is None:
        return _until(every, job, now)
    if job.runs == 0:
        return 0.0
    passed = (now - job.started) / 1_000_000 + job.late
    wait = delay - min(max(passed, 0.0), delay)
    return wait if every.seconds is not None else min(wait, _until(every, job, now))


def _until(every: Every, job: Job, now: Micros) -> float:
    slot = next_slot(every, job, now)
    return float("inf") if slot is None else (slot - now) / 1_000_000


def next_slot(every: Every, job: Job, now: Micros) -> Micros | None:
    """The next moment of a cron line that was not run for. A job that never ran waits for its first."""
    if job.runs == 0:
        return every.after(now)
    # A clock set back must not bring a moment twice; one that lies in the future after that is no moment.
    last = max(job.started, job.slot)
    return every.after(min(last, now) if last - now > 86_400_000_000 else last)


def jitter(every: Every, chance: float) -> float:
    """Seconds to start later than due, so that not all start at once; ``chance`` is from 0 to 1."""
    span = _MOST_JITTER if every.seconds is None else min(_JITTER * every.seconds, _MOST_JITTER)
    return chance * span
