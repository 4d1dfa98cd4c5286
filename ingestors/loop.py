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
from graph_schema.errors import Fenced, KinloreError, StoreError
from graph_schema.redaction import Redactor
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Fence
from ingestors.coverage import coverage
from ingestors.history import begin, finish
from ingestors.registry import described
from ingestors.report import CURSOR, Progress, Report
from ingestors.retirement import reconcile
from ingestors.sanitise import clean_item
from ingestors.source import Item, Pulled, Source, SourceError, Unreachable
from ingestors.stamp import stamp_of, stamp_salt
from ingestors.writing import Last, Letter, Writer, refused

log = logging.getLogger(__name__)

T = TypeVar("T")

_ASKED_AT_ONCE = 2_000
_encode = msgspec.json.Encoder(order="deterministic").encode


class Policy(msgspec.Struct, frozen=True):
    """How patient the loop is. Times in seconds.

    ``attempts`` in a row without progress end a pull; the wait doubles from ``wait`` to ``longest_wait``,
    or is what the source asked for, up to ``longest_request``. ``patience``: how long a source may take until
    its first page comes, all attempts and waits together; then none is begun any more.
    ``lock``: how long a transaction should hold the writer lock, or who is asked for that between two.
    A pull is halted when more than ``reject_share`` of its items and more than ``reject_count`` are refused.
    """

    attempts: int = 5
    wait: float = 1.0
    longest_wait: float = 60.0
    longest_request: float = 300.0
    patience: float = float("inf")
    lock: float | Callable[[], float] = 0.04
    reject_share: float = 0.05
    reject_count: int = 10
    sleep: Callable[[float], None] = time.sleep


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
    """Bring what is new at a source into the graph. ``full`` starts from the beginning;
    ``accept_retirement`` does too, for only a complete pull tells what is gone, and believes it.

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
        self.full = full or accept
        self.progress = progress
        self.should_stop = should_stop
        self.policy = policy
        run = None if fence is None else fence.token
        self.report = Report(source=self.ref.name, type=self.ref.type, run=run)
        self.cursor: Any = None
        self.now: Micros = 0
        self.redactor = Redactor(b"")
        self.salt = b""
        self.recognises = False
        self.writer = Writer(store, self.ref, fence, policy.lock, self.report)

    def run(self) -> Report:
        clock = time.monotonic()
        start = self.writer.transact(
            lambda tx: begin(tx, self.ref, self.source.config.instance, self.source.retirable)
        )
        self.now = self.report.started = start.started
        self.report.first = start.first
        self.cursor = self.source.restart(start.cursor) if self.full else start.cursor
        self.redactor = Redactor(start.redaction_key)
        self.salt = stamp_salt(self.source.config, start.redaction_key)
        # A full pull makes every claim anew: it is what one asks for when in doubt.
        self.recognises = not (self.full or start.first)
        self.writer.letters, self.writer.gone = start.letters, start.gone
        try:
            self._pull_all(clock)
        except (StoreError, Fenced):
            raise
        except (SourceError, KinloreError) as problem:
            self.report.error = self.redactor.text(str(problem))
        except Exception as problem:
            # A source that breaks must not take the others with it.
            log.exception("source %s", self.ref.name)
            # What libraries say may be a page; a report has a line.
            said = " ".join(f"{type(problem).__name__}: {problem}".split())[:1_000]
            self.report.error = self.redactor.text(f"{self.ref.name} failed unexpectedly: {said}")
        if self.report.changes or not start.coverage:
            self.report.coverage = coverage(self.store)
        else:
            self.report.coverage = start.coverage
        self.report.duration = round(time.monotonic() - clock, 3)
        self.writer.transact(lambda tx: finish(tx, self.report))
        return self.report

    # --- pulling ---------------------------------------------------------------------------------------

    def _pull_all(self, clock: float) -> None:
        began, failures, first = self.now, 0, self.cursor
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
                delay = self._delay(failures, problem)
                silent = not self.report.items and self.cursor == first
                if silent and time.monotonic() - clock + delay > self.policy.patience:
                    raise
                self._say(f"{problem}; trying again in {delay:.0f} s")
                self.policy.sleep(delay)
            finally:
                close = getattr(pages, "close", None)
                if close is not None:
                    close()
            if self.should_stop():
                self.report.stopped = True
                return
            # Later states of an item must be newer than those of the pull that broke.
            self.now = max(self.now + 1, began + int((time.monotonic() - clock) * 1_000_000))

    def _delay(self, failures: int, problem: Unreachable) -> float:
        """Seconds to wait before the next attempt."""
        delay: float = min(self.policy.longest_wait, self.policy.wait * 2 ** (failures - 1))
        # Jitter keeps several processes from coming back together; what the source asked for is a minimum.
        delay *= random.uniform(0.5, 1.0)  # noqa: S311 - not for secrets
        if problem.retry_after is not None:
            delay = problem.retry_after + random.uniform(0, 1)  # noqa: S311
        return delay

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
        deleted = {t: keys for t, keys in (page.gone or {}).items() if t in self.source.retirable}
        records: list[Record] = []
        letters: list[Letter] = []
        stamps = [stamp_of(item, self.salt) for item in page.items]
        known = self._known(page.items, stamps) if self.recognises else frozenset()
        for item, stamp in zip(page.items, stamps, strict=True):
            if item.key in known or self._is_settled(item, deleted):
                continue
            made = self._record(item, stamp)
            if isinstance(made, Record):
                records.append(made)
            else:
                letters.append(made)
        self.report.items += len(page.items)
        self.writer.keep(letters)
        self._halt_if_rotten()
        # Absence is a fact of this page like its records, so the cursor waits for both.
        absence = bool(deleted) or page.complete is not None
        last = self._move_to(page.cursor)
        if not self.writer.write(
            records, deleted=deleted, between=self._goes_on, last=None if absence else last
        ):
            self.report.stopped = True
            return
        self._halt_if_rotten()
        if absence:
            self.writer.delete(deleted, self.now)
            self._retire(page)
            self.writer.write([], deleted={}, between=self._goes_on, last=last)
        self._say(f"{self.report.items:,} items", page.total)

    def _move_to(self, cursor: Any) -> Last:
        return lambda tx: tx.service_put(CURSOR, self.ref.name, cursor)

    def _known(self, items: Sequence[Item], stamps: Sequence[bytes]) -> frozenset[str]:
        """Keys of items that are what they were: nothing has to be made of them again."""
        asked = [(item.key, item.version, stamp) for item, stamp in zip(items, stamps, strict=True) if stamp]
        known: set[str] = set()
        for start in range(0, len(asked), _ASKED_AT_ONCE):
            known |= self._settled(asked[start : start + _ASKED_AT_ONCE])
        self.report.unchanged += sum(item.key in known for item in items)
        return frozenset(known)

    def _settled(self, asked: Sequence[tuple[str, int, bytes]]) -> set[str]:
        return self.writer.transact(lambda tx: tx.settled(self.ref, asked))

    def _is_settled(self, item: Item, deleted: Mapping[str, frozenset[str]]) -> bool:
        """Deleted at the source, and held as gone: written again, it would seem to have come back."""
        if item.key not in deleted.get(item.type, ()):
            return False
        return item.key in self.writer.gone.get(item.type, ())

    def _goes_on(self) -> bool:
        self._say(f"{self.report.items:,} items")
        return not self.should_stop()

    def _retire(self, page: Pulled) -> None:
        if page.complete is None:
            return
        self.report.complete = True
        outcome = reconcile(
            self.writer.transact, self.source, self.ref, page.complete, at=self.now, accept=self.accept
        )
        self.report.retired += outcome.retired
        self.report.returned += outcome.returned
        for line in outcome.warnings:
            self.report.warn(line)

    def _record(self, item: Item, stamp: bytes) -> Record | Letter:
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
            return refused(item, problem, self.redactor)
        return Record(item.key, item.type, item.version, claims, self.report.first, stamp)

    def _halt_if_rotten(self) -> None:
        refused, items = self.report.dead_letters, self.report.items
        if refused > self.policy.reject_count and refused > self.policy.reject_share * items:
            raise SourceError(
                f"{refused:,} of {items:,} items of {self.ref.name} were refused, too many to go on; "
                f"the reasons are in the dead letters (kinlore sources {self.ref.name})"
            )

    def _say(self, words: str, total: int | None = None) -> None:
        if self.progress is not None:
            self.progress.update(self.ref.name, self.report.items, total, words)
