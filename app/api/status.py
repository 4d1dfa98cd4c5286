"""How the configured sources stand: what the settings say, joined with what ingestions noted and with what
is planned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec

from app.container import Configured, Container
from app.jobs.leases import COLLECTION as LEASES
from app.jobs.leases import Grant
from app.jobs.runs import PREFIX, live_servers
from app.jobs.schedule import COLLECTION as JOBS
from app.jobs.schedule import Job, due_in
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from ingestors.every import parse_every
from ingestors.history import KEEP
from ingestors.report import HISTORY, Report, Status, statuses

#: Service records are read in one call; nobody configures so many sources.
_ALL = 10_000


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A source. Times are microseconds; ``counts`` are those of its last ingestion that did not fail.

    ``pulls``: whether there is something to pull; ``accepts``: whether it is pushed to. ``schedule`` is what
    the settings say; ``interval`` how many seconds there are between two runs now; ``next_run`` is None where
    nobody pulls it by itself: no schedule, or no server that lives. ``last_duration`` in seconds;
    ``outcomes`` counts its runs by how they ended.
    """

    name: str
    type: str
    space: str
    enabled: bool
    disabled_because: str | None = None
    pulls: bool = True
    accepts: bool = False
    schedule: str | None = None
    interval: float | None = None
    next_run: Micros | None = None
    running: bool = False
    running_since: Micros | None = None
    running_by: str | None = None
    last_duration: float | None = None
    outcomes: dict[str, int] = msgspec.field(default_factory=dict)
    last_started: Micros | None = None
    last_finished: Micros | None = None
    last_success: Micros | None = None
    last_error: str | None = None
    last_error_at: Micros | None = None
    last_delivery: Micros | None = None
    dead_letters: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    warnings: list[str] = msgspec.field(default_factory=list)
    coverage: list[str] = msgspec.field(default_factory=list)


def source_statuses(container: Container) -> list[SourceStatus]:
    """Configured sources in their order, then those that only the graph remembers. Raises StoreError."""
    store = container.store
    noted = {status.name: status for status in statuses(store)}
    jobs = {name: Job.read(value) for name, value in store.service(JOBS, limit=_ALL)}
    leases = {key: Grant.read(value) for key, value in store.service(LEASES, prefix=PREFIX, limit=_ALL)}
    now = time.time_ns() // 1000
    served = bool(live_servers(store, now))
    answer = []
    # What nobody has configured shows once something came of it.
    there = [source for source in container.implicit if source.name in noted]
    for source in (*container.sources, *there):
        job = jobs.get(source.name, Job())
        plans = {
            "last_duration": job.took if job.ended is not None else None,
            "outcomes": job.outcomes,
            "pulls": source.source is None or source.source.pulls,
            "accepts": source.source is not None and source.source.accepts,
            **_plan(source, job, now, served),
            **_run(job, leases.get(PREFIX + source.name), now),
        }
        status = noted.pop(source.name, None)
        answer.append(_joined(source.name, source.type, source.space, source.disabled, status, plans))
    for name, status in noted.items():
        because = "it is not configured any more"
        answer.append(_joined(name, status.type, status.space, because, status, {}))
    return answer


def _plan(source: Configured, job: Job, now: Micros, served: bool) -> dict[str, Any]:
    text = None if source.source is None or not source.source.pulls else source.source.config.every
    if text is None:
        return {}
    every = parse_every(text)
    interval = every.seconds if job.delay is None else job.delay
    if not served:
        return {"schedule": text, "interval": interval}
    due = max(0.0, due_in(every, job, now))
    next_run = None if due == float("inf") else now + round(due * 1_000_000)
    return {"schedule": text, "interval": interval, "next_run": next_run}


def _run(job: Job, grant: Grant | None, now: Micros) -> dict[str, Any]:
    if not job.unfinished or grant is None or not grant.lives(now):
        return {}
    return {"running": True, "running_since": job.started, "running_by": grant.holder}


def _joined(
    name: str, type: str, space: str, disabled: str | None, status: Status | None, plans: dict[str, Any]
) -> SourceStatus:
    noted: dict[str, Any] = {}
    if status is not None:
        shared = set(SourceStatus.__struct_fields__) & set(Status.__struct_fields__)
        noted = {field: getattr(status, field) for field in shared - {"name", "type", "space"}}
    return SourceStatus(
        name=name,
        type=type,
        space=space,
        enabled=disabled is None,
        disabled_because=disabled,
        **noted,
        **plans,
    )


def histories(store: GraphStore, names: Sequence[str], first: int) -> list[list[Report]]:
    """The last ingestions of each source, the newest first, in one call whatever the number of sources."""
    lines: dict[str, list[Any]] = {name: [] for name in names}
    for key, line in store.service(HISTORY, limit=_ALL * KEEP):
        found = lines.get(key.rpartition("/")[0])
        if found is not None:
            found.append(line)
    return [[msgspec.convert(line, Report) for line in reversed(lines[name][-first:])] for name in names]
