"""From the inbox to the graph: what was pushed to one source is enriched, made into claims and written.

Rows leave the inbox in the transaction that writes what they say. Whatever a row makes somebody stumble
over is put aside with its reason, and the rest goes on.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from graph_schema.claims import Record
from graph_schema.errors import Fenced, KinloreError, StoreError
from graph_schema.redaction import Redactor
from graph_schema.store import GraphStore, Transaction
from graph_schema.times import Micros
from graph_schema.values import Fence
from ingestors.history import begin_pushed, finish_pushed
from ingestors.inbox import INBOX, Row, rows
from ingestors.registry import described
from ingestors.report import Report
from ingestors.sanitise import clean_item
from ingestors.source import Item, Refused, Source, SourceError, Unreachable
from ingestors.writing import Last, Letter, Writer, refused

log = logging.getLogger(__name__)

#: Rows read at once.
_ROWS = 100
#: How often something may fail to be enriched, for a reason of its own, before it is put aside.
_ATTEMPTS = 8
#: Seconds that a transaction should hold the writer lock.
_LOCK = 0.02


class Pushed:
    """What was pushed to one source, from the first row of a burst to the last: one line of its history.

    Not for several threads at once. ``fence`` is the lease under which it is done, if there is one.
    """

    def __init__(
        self,
        store: GraphStore,
        source: Source,
        fence: Fence | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._store = store
        self._source = source
        self._fence = fence
        self._should_stop = should_stop
        self._ref = described(source)
        self._enriches = type(source).enrich is not Source.enrich
        self._failed: Counter[str] = Counter()
        self._redactor = Redactor(b"")
        self._writer: Writer | None = None
        self._report = Report(source=self._ref.name, type=self._ref.type)
        self._clock = 0.0
        self._last: Micros | None = None
        self._told: str | None = None

    @property
    def open_for(self) -> float | None:
        """Seconds since the burst began; None between bursts."""
        return None if self._writer is None else time.monotonic() - self._clock

    def apply(self) -> int:
        """Apply the rows that wait, a page of them; how many that were.

        Raises SourceError where some have to wait, for what has to be asked for cannot be had at the moment,
        and what the store raises. Rows stay until they are applied, and may be applied again.
        """
        waiting = rows(self._store, self._ref.name, _ROWS)
        if waiting:
            self._apply(waiting, self._begun())
        return len(waiting)

    def finish(self, problem: SourceError | None = None) -> Report | None:
        """End the burst, and remember how it went; its report, or None where there was nothing to remember.
        ``problem``: why the rest has to wait."""
        error = None if problem is None else self._redactor.text(str(problem))
        if self._writer is None or (error is not None and error == self._told and not self._report.items):
            self._writer = None
            return None
        report, self._told = self._report, error
        report.error = error
        report.duration = round(time.monotonic() - self._clock, 3)
        pulls = self._source.pulls
        self._store.transact(lambda tx: finish_pushed(tx, report, self._last, pulls), self._fence)
        self._writer = None
        return report

    def _begun(self) -> Writer:
        if self._writer is not None:
            return self._writer
        self._clock, self._last = time.monotonic(), None
        instance, pulls = self._source.config.instance, self._source.pulls
        start = self._store.transact(lambda tx: begin_pushed(tx, self._ref, instance, pulls), self._fence)
        self._report = Report(
            source=self._ref.name,
            type=self._ref.type,
            started=start.started,
            coverage=start.coverage,
        )
        self._redactor = Redactor(start.redaction_key)
        self._writer = Writer(self._store, self._ref, self._fence, _LOCK, self._report)
        self._writer.letters = start.letters
        return self._writer

    # --- applying --------------------------------------------------------------------------------------

    def _apply(self, waiting: Sequence[Row], writer: Writer) -> None:
        try:
            self._all(waiting, writer)
        except (StoreError, Fenced, Unreachable, Refused):
            raise
        except Exception as problem:
            if len(waiting) == 1:
                self._one_failed(waiting[0], problem, writer)
                return
            # Somebody stumbled over one of them: one at a time, that one is found and the others go on.
            held_up: SourceError | None = None
            for row in waiting:
                try:
                    self._apply([row], writer)
                except (Unreachable, Refused):
                    raise
                except SourceError as problem:
                    held_up = problem
            if held_up is not None:
                raise held_up from None

    def _one_failed(self, row: Row, problem: Exception, writer: Writer) -> None:
        if isinstance(problem, SourceError):
            self._failed[row.key] += 1
            if self._failed[row.key] < _ATTEMPTS:
                raise problem
        elif not isinstance(problem, KinloreError):
            log.exception("source %s: a delivery was put aside", self._ref.name)
        del self._failed[row.key]
        self._write(writer, [row], [], [refused(item, problem, self._redactor) for item in row.items])

    def _all(self, waiting: Sequence[Row], writer: Writer) -> None:
        items = [item for row in waiting for item in row.items]
        received = {id(item) for item in items}
        if self._enriches and items:
            items = list(self._source.enrich(items))
        records: list[Record] = []
        letters: list[Letter] = []
        for item in items:
            made = self._record(item, id(item) in received)
            if isinstance(made, Record):
                records.append(made)
            else:
                letters.append(made)
        self._write(writer, waiting, records, letters)

    def _write(
        self, writer: Writer, done: Sequence[Row], records: Sequence[Record], letters: Sequence[Letter]
    ) -> None:
        writer.keep(letters)
        goes_on = writer.write(
            records, deleted={}, between=lambda: not self._should_stop(), last=_leave(done)
        )
        if goes_on:
            self._report.items += sum(len(row.items) for row in done)
            self._report.deliveries += sum(row.last for row in done)
            self._last = max(self._last or 0, done[-1].at)

    def _record(self, item: Item, as_received: bool) -> Record | Letter:
        try:
            if not as_received:
                # What came in is clean already; what was asked for is not.
                item = clean_item(item)
                data = self._redactor.value(item.data)
                if data is not item.data:
                    item = msgspec.structs.replace(item, data=data)
            claims = tuple(self._source.to_claims(item))
        except Exception as problem:
            return refused(item, problem, self._redactor)
        return Record(item.key, item.type, item.version, claims)


def _leave(done: Sequence[Row]) -> Last:
    keys = [row.key for row in done]

    def last(tx: Transaction) -> None:
        for key in keys:
            tx.service_delete(INBOX, key)

    return last
