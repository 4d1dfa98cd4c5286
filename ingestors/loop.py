"""The one loop from a source to the graph: pull, redact, sanitise, claims, write, cursor.

A page and its cursor are committed together (in several transactions where the page is large, the cursor
in the last), so that a process that dies anywhere resumes without loss and without doubling.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from graph_schema.claims import Record
from graph_schema.errors import BadInput, Fenced, KinloreError, StoreError
from graph_schema.redaction import Redactor
from graph_schema.store import GraphStore, Transaction, Written
from graph_schema.times import Micros
from graph_schema.values import Fence
from ingestors import joins
from ingestors.coverage import coverage
from ingestors.history import begin, finish
from ingestors.registry import described
from ingestors.report import CURSOR, DEAD_LETTERS, GONE, Progress, Report
from ingestors.retirement import reconcile
from ingestors.sanitise import Poison, clean, clean_item, shortened, text
from ingestors.source import Item, Pulled, Source, SourceError, Unreachable

log = logging.getLogger(__name__)

T = TypeVar("T")
_encode = msgspec.json.Encoder(order="deterministic").encode


class Policy(msgspec.Struct, frozen=True):
    """How patient the loop is. Times in seconds.

    ``attempts`` in a row without progress end a pull; the wait doubles from ``wait`` to ``longest_wait``,
    or is what the source asked for, up to ``longest_request``.
    ``lock``: how long a transaction should hold the writer lock.
    A pull is halted when more than ``reject_share`` of its items and more than ``reject_count`` are refused.
    """

    attempts: int = 5
    wait: float = 1.0
    longest_wait: float = 60.0
    longest_request: float = 300.0
    lock: float = 0.04
    reject_share: float = 0.05
    reject_count: int = 10
    sleep: Callable[[float], None] = time.sleep


class _Letter(msgspec.Struct):
    """An item that was refused, and why."""

    type: str
    key: str
    version: int
    reason: str
    data: Any


def ingest(
    store: GraphStore,
    source: Source,
    *,
    full: bool = False,
    accept_retirement: bool = False,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    fence: Fence | None = None,
    policy: Policy | None = None,
) -> Report:
    """Bring what is new at a source into the graph. ``full`` starts from the beginning.

    What goes wrong at the source is in ``Report.error``; what was committed before stands. Raises what the
    store raises (StoreUnavailable, StoreBusy, Fenced): then nothing more can be written.
    """
    return _Ingestion(
        store, source, full, accept_retirement, progress, should_stop, fence, policy or Policy()
    ).run()


class _Ingestion:
    def __init__(
        self,
        store: GraphStore,
        source: Source,
        full: bool,
        accept: bool,
        progress: Progress | None,
        should_stop: Callable[[], bool],
        fence: Fence | None,
        policy: Policy,
    ) -> None:
        self.store = store
        self.source = source
        self.ref = described(source)
        self.accept = accept
        self.full = full
        self.progress = progress
        self.should_stop = should_stop
        self.fence = fence
        self.policy = policy
        self.report = Report(source=self.ref.name, type=self.ref.type)
        self.cursor: Any = None
        self.now: Micros = 0
        self.redactor = Redactor(b"")
        self.letters: set[str] = set()
        self.gone: dict[str, set[str]] = {}
        self.deleted: Mapping[str, frozenset[str]] = {}
        self.weight = 500

    def run(self) -> Report:
        clock = time.monotonic()
        start = self._transact(
            lambda tx: begin(tx, self.ref, self.source.config.instance, self.source.retirable)
        )
        self.now = self.report.started = start.started
        self.report.first = start.first
        self.cursor = self.source.restart(start.cursor) if self.full else start.cursor
        self.redactor = Redactor(start.redaction_key)
        self.letters, self.gone = start.letters, start.gone
        try:
            self._pull_all(clock)
        except (StoreError, Fenced):
            raise
        except (SourceError, KinloreError) as problem:
            self.report.error = self.redactor.text(str(problem))
        except Exception as problem:
            # A source that breaks must not take the others with it.
            log.exception("source %s", self.ref.name)
            self.report.error = self.redactor.text(
                f"{self.ref.name} failed unexpectedly: {type(problem).__name__}: {problem}"
            )
        if self.report.changes or not start.coverage:
            self.report.coverage = coverage(self.store)
        else:
            self.report.coverage = start.coverage
        self.report.duration = round(time.monotonic() - clock, 3)
        self._transact(lambda tx: finish(tx, self.report))
        return self.report

    def _transact(self, work: Callable[[Transaction], T]) -> T:
        return self.store.transact(work, self.fence)

    # --- pulling ---------------------------------------------------------------------------------------

    def _pull_all(self, clock: float) -> None:
        began, failures = self.now, 0
        while True:
            at_start = _encode(self.cursor)
            pages = self.source.pull(self.cursor, now=self.now)
            seen: set[bytes] = set()
            try:
                for page in pages:
                    if self.should_stop():
                        self.report.stopped = True
                        return
                    self._refuse_loops(page, seen)
                    self._page(page)
                    self.cursor = page.cursor
                    if self.report.stopped:
                        return
                return
            except Unreachable as problem:
                failures = 1 if _encode(self.cursor) != at_start else failures + 1
                asked = problem.retry_after or 0.0
                if failures >= self.policy.attempts or asked > self.policy.longest_request:
                    raise
                self._wait(failures, problem)
            finally:
                close = getattr(pages, "close", None)
                if close is not None:
                    close()
            if self.should_stop():
                self.report.stopped = True
                return
            # Later states of an item must be newer than those of the pull that broke.
            self.now = max(self.now + 1, began + int((time.monotonic() - clock) * 1_000_000))

    def _wait(self, failures: int, problem: Unreachable) -> None:
        delay = min(self.policy.longest_wait, self.policy.wait * 2 ** (failures - 1))
        # Jitter keeps several processes from coming back together; what the source asked for is a minimum.
        delay *= random.uniform(0.5, 1.0)  # noqa: S311 - not for secrets
        if problem.retry_after is not None:
            delay = problem.retry_after + random.uniform(0, 1)  # noqa: S311
        self._say(f"{problem}; trying again in {delay:.0f} s")
        self.policy.sleep(delay)

    def _refuse_loops(self, page: Pulled, seen: set[bytes]) -> None:
        """A page that came before, cursor and all, would come for ever."""
        mark = blake2b(_encode([page.cursor, page.complete is None]), digest_size=16)
        for item in page.items:
            mark.update(repr((item.type, item.key)).encode())
        digest = mark.digest()
        if digest in seen:
            raise SourceError(f"{self.ref.name} delivers the same page again and again; the pull was ended")
        seen.add(digest)

    # --- one page --------------------------------------------------------------------------------------

    def _page(self, page: Pulled) -> None:
        self.deleted = page.gone or {}
        records: list[Record] = []
        letters: list[_Letter] = []
        for item in page.items:
            made = self._record(item)
            if isinstance(made, Record):
                records.append(made)
            else:
                letters.append(made)
        self.report.items += len(page.items)
        self._count_letters(letters)
        if letters:
            self._transact(lambda tx: self._keep(tx, letters))
            self._halt_if_rotten()
        # Absence is a fact of this page like its records, so the cursor waits for both.
        absence = bool(page.gone) or page.complete is not None
        if not self._write(records, page.cursor, with_cursor=not absence):
            self.report.stopped = True
            return
        self._halt_if_rotten()
        if absence:
            self._absence(page)
            self._commit([], page.cursor, True, 0)
        self._say(f"{self.report.items:,} items", page.total)

    def _absence(self, page: Pulled) -> None:
        if page.gone:
            self._retire(page.gone)
        if page.complete is not None:
            self.report.complete = True
            outcome = reconcile(
                self._transact, self.source, self.ref, page.complete, at=self.now, accept=self.accept
            )
            self.report.retired += outcome.retired
            self.report.returned += outcome.returned
            for line in outcome.warnings:
                self.report.warn(line)

    def _record(self, item: Item) -> Record | _Letter:
        try:
            item = clean_item(item)
            data = self.redactor.value(item.data)
            if data is not item.data:
                item = msgspec.structs.replace(item, data=data)
            claims = tuple(self.source.to_claims(item))
        except (StoreError, Fenced):
            raise
        except Exception as problem:
            # Whatever an item makes to_claims stumble over: it is kept with its reason, the rest lands.
            return self._letter(item, problem)
        return Record(item.key, item.type, item.version, claims, self.report.first)

    def _letter(self, item: Item, problem: Exception) -> _Letter:
        reason = str(problem) if isinstance(problem, KinloreError) else f"{type(problem).__name__}: {problem}"
        key = text(str(item.key))
        if len(key) > 200 or not key:
            key = key[:100] + blake2b(key.encode(), digest_size=8).hexdigest()
        try:
            data = self.redactor.value(clean(item.data))
        except (Poison, RecursionError):
            data = self.redactor.text(str(shortened(item.data)))
        version = item.version if -(2**63) <= item.version < 2**63 else 0
        return _Letter(item.type, key, version, self.redactor.text(text(reason)[:1_000]), shortened(data))

    def _count_letters(self, letters: Sequence[_Letter]) -> None:
        self.report.dead_letters += len(letters)

    def _halt_if_rotten(self) -> None:
        refused, items = self.report.dead_letters, self.report.items
        if refused > self.policy.reject_count and refused > self.policy.reject_share * items:
            raise SourceError(
                f"{refused:,} of {items:,} items of {self.ref.name} were refused, too many to go on; "
                f"the reasons are in the dead letters (kinlore sources {self.ref.name})"
            )

    def _keep(self, tx: Transaction, letters: Sequence[_Letter]) -> None:
        for letter in letters:
            key = f"{self.ref.name}/{letter.type}/{letter.key}"
            self.letters.add(key)
            tx.service_put(DEAD_LETTERS, key, {**msgspec.to_builtins(letter), "at": tx.now})

    # --- writing ---------------------------------------------------------------------------------------

    def _write(self, records: Sequence[Record], cursor: Any, *, with_cursor: bool) -> bool:
        """Write a page in chunks that hold the lock shortly. False: asked to stop before the end."""
        start = 0
        while True:
            end, weight = start, 0
            while end < len(records) and weight < self.weight:
                weight += 1 + len(records[end].claims)
                end += 1
            last = end == len(records)
            self._commit(records[start:end], cursor, last and with_cursor, weight)
            if last:
                return True
            start = end
            if self.should_stop():
                return False
            self._say(f"{self.report.items:,} items")

    def _commit(self, records: Sequence[Record], cursor: Any, last: bool, weight: int) -> None:
        # What the source shows and calls deleted at once has not come back.
        back = [
            r.key
            for r in records
            if r.key in self.gone.get(r.type, ()) and r.key not in self.deleted.get(r.type, ())
        ]
        mended = [key for key in self._letter_keys(records) if key in self.letters] if self.letters else []
        took = [0.0]

        def work(tx: Transaction) -> tuple[Written, int]:
            took[0] = time.monotonic()
            written = joins.apply(tx, self.ref, records) if records else Written()
            returned = tx.retire(self.ref, back, None) if back else 0
            if back:
                for type_name, keys in self.gone.items():
                    tx.service_put(GONE, f"{self.ref.name}/{type_name}", sorted(keys - set(back)))
            for key in mended:
                tx.service_delete(DEAD_LETTERS, key)
            if last:
                tx.service_put(CURSOR, self.ref.name, cursor)
            return written, returned

        try:
            written, returned = self._transact(work)
        except BadInput as problem:
            self._apart(records, cursor, last, weight, problem)
            return
        self._adapt(weight, time.monotonic() - took[0])
        self.report.add(written)
        self.report.returned += returned
        for keys in self.gone.values():
            keys.difference_update(back)
        self.letters.difference_update(mended)

    def _retire(self, deleted: Mapping[str, frozenset[str]]) -> None:
        """Mark what the source itself calls deleted as gone: its own word needs no guard."""
        types = [t for t in self.source.retirable if t in deleted]
        fresh = {t: sorted(deleted[t] - self.gone.get(t, set())) for t in types}

        def work(tx: Transaction) -> int:
            retired = 0
            for type_name, keys in fresh.items():
                if keys:
                    retired += tx.retire(self.ref, keys, self.now)
                    gone = self.gone.get(type_name, set()).union(keys)
                    tx.service_put(GONE, f"{self.ref.name}/{type_name}", sorted(gone))
            return retired

        if any(fresh.values()):
            self.report.retired += self._transact(work)
            for type_name, keys in fresh.items():
                self.gone.setdefault(type_name, set()).update(keys)

    def _letter_keys(self, records: Sequence[Record]) -> list[str]:
        return [f"{self.ref.name}/{record.type}/{record.key}" for record in records]

    def _apart(
        self, records: Sequence[Record], cursor: Any, last: bool, weight: int, problem: BadInput
    ) -> None:
        """The store refused a chunk: halve it until the record that is to blame is alone."""
        if not records:
            raise problem
        if len(records) > 1:
            middle = len(records) // 2
            self._commit(records[:middle], cursor, False, weight // 2)
            self._commit(records[middle:], cursor, last, weight // 2)
            return
        record = records[0]
        letter = _Letter(
            record.type,
            record.key,
            record.version,
            str(problem),
            shortened(msgspec.to_builtins(record.claims)),
        )
        self._count_letters([letter])
        self._transact(lambda tx: self._keep(tx, [letter]))
        if last:
            self._commit([], cursor, True, 0)

    def _adapt(self, weight: int, seconds: float) -> None:
        if weight < self.weight // 2 or seconds <= 0:
            return
        wanted = int(weight * self.policy.lock / seconds)
        self.weight = max(50, min(wanted, 2 * self.weight, 50_000))

    def _say(self, words: str, total: int | None = None) -> None:
        if self.progress is not None:
            self.progress.update(self.ref.name, self.report.items, total, words)
