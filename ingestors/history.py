"""The first and the last transaction of an ingestion: what it starts from, and what is remembered of it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import msgspec

from graph_schema import store as contract
from graph_schema.redaction import Redactor
from graph_schema.store import GraphStore, Transaction
from graph_schema.times import Micros
from ingestors.report import CURSOR, DEAD_LETTERS, GONE, HISTORY, STATUS, Report, Status

#: Ingestions remembered per source.
KEEP = 100
_KEYS = "secret"
_REDACTION = "redaction"


class Start(msgspec.Struct):
    """What an ingestion starts from. ``started`` is later than any start before it, whatever clocks say."""

    started: Micros
    first: bool
    cursor: Any
    redaction_key: bytes
    letters: set[str]
    gone: dict[str, set[str]]
    coverage: list[str]


def redaction_key(tx: Transaction) -> bytes:
    """The key of this store's redaction marks, made when first asked for."""
    held = tx.service_get(_KEYS, _REDACTION)
    if isinstance(held, str):
        return bytes.fromhex(held)
    made = secrets.token_bytes(32)
    tx.service_put(_KEYS, _REDACTION, made.hex())
    return made


def redactor(store: GraphStore) -> Redactor:
    """The redactor of a store, for whatever is written into it beside the loop."""
    return Redactor(store.transact(redaction_key))


def begin(tx: Transaction, ref: contract.Source, instance: str | None, retirable: Sequence[str]) -> Start:
    """Note that an ingestion starts, and read where the last one ended."""
    held = tx.service_get(STATUS, ref.name)
    status = Status(name=ref.name, type=ref.type) if held is None else Status.read(held)
    # Records without a time of their own are ordered by when they were asked for.
    started = tx.now if status.last_started is None else max(tx.now, status.last_started + 1)
    status.type, status.space, status.instance = ref.type, ref.space, instance
    status.last_started = started
    tx.service_put(STATUS, ref.name, msgspec.to_builtins(status))
    return Start(
        started=started,
        first=status.last_success is None,
        cursor=tx.service_get(CURSOR, ref.name),
        redaction_key=redaction_key(tx),
        letters=_letters(tx, ref.name),
        gone={t: set(tx.service_get(GONE, f"{ref.name}/{t}") or ()) for t in retirable},
        coverage=status.coverage,
    )


def _letters(tx: Transaction, name: str) -> set[str]:
    found: set[str] = set()
    after = ""
    while True:
        page = tx.service_list(DEAD_LETTERS, prefix=f"{name}/", after=after, limit=1_000)
        found.update(key for key, _ in page)
        if len(page) < 1_000:
            return found
        after = page[-1][0]


_COUNTS = (
    "items", "new", "changed", "unchanged", "stale", "nodes", "edges", "edges_retired", "dead_letters",
    "retired", "returned",
)  # fmt: skip


def finish(tx: Transaction, report: Report) -> None:
    """Remember how it went: the source's status, and a line of its history."""
    held = tx.service_get(STATUS, report.source)
    status = Status(name=report.source, type=report.type) if held is None else Status.read(held)
    status.last_finished = max(tx.now, report.started)
    if report.error is None or status.last_success is None:
        # After a failure, what the last good one brought says more than what the failed one did not.
        status.counts = {name: getattr(report, name) for name in _COUNTS}
    status.coverage, status.warnings = report.coverage, report.warnings
    status.dead_letters = len(_letters(tx, report.source))
    if report.error is not None:
        status.last_error, status.last_error_at = report.error, status.last_finished
    elif not report.stopped:
        status.last_success, status.last_error, status.last_error_at = status.last_finished, None, None
    tx.service_put(STATUS, report.source, msgspec.to_builtins(status))
    _remember(tx, report)


def begin_pushed(tx: Transaction, ref: contract.Source, instance: str | None, pulls: bool) -> Start:
    """Note that what was pushed to a source is being applied. A source that is pulled as well keeps to its
    last pull: a delivery is no substitute for one."""
    if not pulls:
        return begin(tx, ref, instance, ())
    return Start(
        started=tx.now,
        first=False,
        cursor=None,
        redaction_key=redaction_key(tx),
        letters=_letters(tx, ref.name),
        gone={},
        coverage=[],
    )


def finish_pushed(tx: Transaction, report: Report, last_delivery: Micros | None, pulls: bool) -> None:
    """Remember how that went, as :func:`finish` does."""
    if not pulls:
        finish(tx, report)
    held = tx.service_get(STATUS, report.source)
    status = Status(name=report.source, type=report.type) if held is None else Status.read(held)
    if last_delivery is not None:
        status.last_delivery = max(last_delivery, status.last_delivery or 0)
    if pulls:
        status.dead_letters = len(_letters(tx, report.source))
        if report.error is not None:
            status.last_error, status.last_error_at = report.error, tx.now
        _remember(tx, report)
    tx.service_put(STATUS, report.source, msgspec.to_builtins(status))


def _remember(tx: Transaction, report: Report) -> None:
    _put(tx, report)
    past = [key for key, _ in tx.service_list(HISTORY, prefix=f"{report.source}/", limit=KEEP * 2)]
    for key in past[:-KEEP]:
        tx.service_delete(HISTORY, key)


def interrupted(tx: Transaction, source: str, type: str, started: Micros, run: int, by: str) -> None:
    """Remember a run that nobody brought to an end: whoever carried it out is gone."""
    lines = tx.service_list(HISTORY, prefix=f"{source}/", limit=KEEP * 2)
    if any(line.get("run") == run for _, line in lines):
        # All was done but to give the lease back.
        return
    error = f"interrupted: {by or 'its process'} ended, or was not heard of any more"
    _put(tx, Report(source=source, type=type, started=started, run=run, error=error))


def _put(tx: Transaction, report: Report) -> None:
    line = msgspec.to_builtins(report)
    # The status has the last ones; a hundred copies help nobody.
    del line["coverage"]
    tx.service_put(HISTORY, f"{report.source}/{report.started:020d}", line)


def history(store: GraphStore, source: str, first: int = 20) -> list[Report]:
    """The last ingestions of a source, the newest first; at most :data:`KEEP` are remembered."""
    lines = store.service(HISTORY, prefix=f"{source}/", limit=KEEP * 2)
    return [msgspec.convert(line, Report) for _, line in reversed(lines[-first:])]
