"""What an ingestion tells: while it runs (progress) and when it ends (report, status, history)."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from graph_schema.store import GraphStore, Written
from graph_schema.times import Micros
from graph_schema.wording import counted

#: Collections of service records that the loop writes.
CURSOR = "cursor"
STATUS = "source"
HISTORY = "ingestion"
DEAD_LETTERS = "dead_letter"
MISSING = "missing"
GONE = "gone"


class Progress(Protocol):
    """Somebody who watches: a progress bar, a log, a subscription."""

    def update(self, source: str, done: int, total: int | None, text: str) -> None:
        """``done`` items of ``total`` (None: unknown) are written; ``text`` says it in words."""


class Report(msgspec.Struct, kw_only=True):
    """The outcome of one ingestion. Counts of records by outcome and of graph elements by change.

    ``items``: what the source delivered, in so many ``deliveries`` where it was pushed.
    ``dead_letters``: items refused, each kept with its reason.
    ``error``: why it ended before its time, in one line. ``stopped``: somebody asked it to stop.
    ``duration`` is in seconds, ``started`` in microseconds; ``run`` is the token of the lease it ran under.
    """

    source: str
    type: str
    started: Micros = 0
    run: int | None = None
    deliveries: int = 0
    items: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    stale: int = 0
    nodes: int = 0
    edges: int = 0
    edges_retired: int = 0
    dead_letters: int = 0
    retired: int = 0
    returned: int = 0
    duration: float = 0.0
    first: bool = False
    complete: bool = False
    stopped: bool = False
    error: str | None = None
    refused: list[str] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)
    coverage: list[str] = msgspec.field(default_factory=list)

    @property
    def changes(self) -> int:
        """Whatever differs from before, in records or edges."""
        return self.new + self.changed + self.edges + self.edges_retired + self.retired + self.returned

    def add(self, written: Written) -> None:
        """Count what a write did."""
        self.new += written.new
        self.changed += written.changed
        self.unchanged += written.unchanged
        self.stale += written.stale
        self.nodes += written.nodes
        self.edges += written.edges
        self.edges_retired += written.edges_retired
        # The same clash may show in every chunk that touches it.
        self.refused.extend(line for line in written.refused if line not in self.refused)

    def warn(self, line: str) -> None:
        """Say something once."""
        if line not in self.warnings:
            self.warnings.append(line)

    def lines(self) -> list[str]:
        """The report for people. An ingestion that failed before anything came has its error to tell only."""
        said: list[str] = []
        if self.error is None or self.items:
            said.append(self._counts())
        if self.retired or self.returned:
            gone = counted(self.retired, "record is", "records are")
            said.append(f"{gone} gone at the source, {self.returned:,} came back")
        if self.dead_letters:
            one = self.dead_letters == 1
            were = "was refused and kept as a dead letter" if one else "were refused and kept as dead letters"
            said.append(f"{counted(self.dead_letters, 'item')} {were} (kinlore sources {self.source})")
        said += [f"identity refused: {line}" for line in self.refused]
        said += [f"warning: {line}" for line in self.warnings]
        if self.error:
            said.append(f"error: {self.error}")
        return said + self.coverage

    def _counts(self) -> str:
        outcomes = [f"{self.new:,} new", f"{self.changed:,} changed", f"{self.unchanged:,} unchanged"]
        if self.stale:
            outcomes.append(f"{self.stale:,} older than what is held")
        if self.dead_letters:
            outcomes.append(f"{self.dead_letters:,} refused")
        told = self.new + self.changed + self.unchanged + self.stale + self.dead_letters
        if told < self.items and self.error is None and not self.stopped:
            # Several states of one record came at once, and only the last of them was written.
            outcomes.append(f"{self.items - told:,} overtaken by a later state")
        return (
            f"{self.source}: {counted(self.items, 'item')} in {self.duration:.1f} s: {', '.join(outcomes)}; "
            f"{counted(self.nodes, 'node')} and {counted(self.edges, 'edge')} added, "
            f"{counted(self.edges_retired, 'edge')} withdrawn"
        )


class Status(msgspec.Struct, kw_only=True):
    """How a source stands. Times are microseconds; ``counts`` are those of the last ingestion that did
    not fail; while there was none, of the last. ``last_delivery``: when the last thing that was pushed
    arrived."""

    name: str
    type: str
    space: str = "default"
    instance: str | None = None
    last_started: Micros | None = None
    last_finished: Micros | None = None
    last_success: Micros | None = None
    last_error: str | None = None
    last_error_at: Micros | None = None
    last_delivery: Micros | None = None
    dead_letters: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    coverage: list[str] = msgspec.field(default_factory=list)
    warnings: list[str] = msgspec.field(default_factory=list)

    @classmethod
    def read(cls, value: Any) -> Status:
        """From its service record."""
        return msgspec.convert(value, cls)


def statuses(store: GraphStore) -> list[Status]:
    """Every source that has ever been ingested, by name."""
    return [Status.read(value) for _, value in store.service(STATUS)]
