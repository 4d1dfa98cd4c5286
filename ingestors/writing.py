"""The writing half of the loop: records in short transactions, the cursor in the last of a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from graph_schema import store as contract
from graph_schema.claims import Record
from graph_schema.errors import BadInput, KinloreError
from graph_schema.redaction import Redactor
from graph_schema.store import GraphStore, Transaction, Written
from graph_schema.times import Micros
from graph_schema.values import Fence
from ingestors import joins
from ingestors.report import DEAD_LETTERS, GONE, Report
from ingestors.sanitise import Poison, clean, shortened, text
from ingestors.source import Item

T = TypeVar("T")

#: What commits together with the last of several transactions: a cursor, the rows that are done with.
Last = Callable[[Transaction], None]

#: Weights of a slice (see :class:`Writer`). The least is that of a record or two, for stores that take long
#: for those. The first is small: nobody knows yet how fast the store is, and others wait for the lock.
_LEAST_WEIGHT = 5
_FIRST_WEIGHT = 20
_MOST_WEIGHT = 50_000
#: How much less a slice is expected to take than the worst one, per slice since then.
_FORGOTTEN = 0.8


class Letter(msgspec.Struct):
    """An item that was refused, and why."""

    type: str
    key: str
    version: int
    reason: str
    data: Any


def refused(item: Item, problem: Exception, redactor: Redactor) -> Letter:
    """An item that something stumbled over, as it is put aside: without secrets, and not too long."""
    reason = str(problem) if isinstance(problem, KinloreError) else f"{type(problem).__name__}: {problem}"
    key = text(str(item.key))
    if len(key) > 200 or not key:
        key = key[:100] + blake2b(key.encode(), digest_size=8).hexdigest()
    try:
        data = redactor.value(clean(item.data))
    except (Poison, RecursionError):
        data = redactor.text(str(shortened(item.data)))
    fits = type(item.version) is int and -(2**63) <= item.version < 2**63
    version = item.version if fits else 0
    return Letter(text(str(item.type)), key, version, redactor.text(text(reason)[:1_000]), shortened(data))


def letter_key(source: str, what: Record | Letter) -> str:
    """What the dead letter of a record is kept under."""
    return f"{source}/{what.type}/{what.key}"


def put_letters(tx: Transaction, source: str, letters: Sequence[Letter]) -> None:
    """Put refused items of a source aside."""
    for letter in letters:
        tx.service_put(
            DEAD_LETTERS, letter_key(source, letter), {**msgspec.to_builtins(letter), "at": tx.now}
        )


class Writer:
    """Writes what one source delivers and counts it in the report. ``lock`` is how long, in seconds, a
    transaction should hold the writer lock.

    Records differ: one that is held as it is costs a tenth of a new one, and nobody knows which come next.
    So a transaction writes slices and looks at the clock between them. The weight of a slice (records and
    their claims) is what should take half the time, if it is as slow as the slow ones of late.

    ``letters`` are the keys of the dead letters held, ``gone`` the keys of the records held as gone.
    """

    def __init__(
        self,
        store: GraphStore,
        ref: contract.Source,
        fence: Fence | None,
        lock: float | Callable[[], float],
        report: Report,
    ) -> None:
        self._store = store
        self._ref = ref
        self._fence = fence
        self._lock = lock
        self._report = report
        self._weight = _FIRST_WEIGHT
        self._cost = 0.0
        self.letters: set[str] = set()
        self.gone: dict[str, set[str]] = {}

    def transact(self, work: Callable[[Transaction], T]) -> T:
        """``GraphStore.transact`` under this ingestion's lease."""
        return self._store.transact(work, self._fence)

    def keep(self, letters: Sequence[Letter]) -> None:
        """Put refused items aside, with their reasons."""
        if letters:
            self.transact(lambda tx: put_letters(tx, self._ref.name, letters))
            self.letters.update(letter_key(self._ref.name, letter) for letter in letters)
            self._report.dead_letters += len(letters)

    def write(
        self,
        records: Sequence[Record],
        *,
        deleted: Mapping[str, frozenset[str]],
        between: Callable[[], bool],
        last: Last | None = None,
    ) -> bool:
        """Write records, a transaction at a time; ``last`` takes part in the last one. ``between`` is asked
        after each; when it says False the rest is left and so is ``last``, and the answer is False."""
        start = 0
        while True:
            start += self._commit(records[start:], deleted, last)
            if start == len(records):
                return True
            if not between():
                return False

    def _commit(
        self, records: Sequence[Record], deleted: Mapping[str, frozenset[str]], last: Last | None
    ) -> int:
        """One transaction of as many of these records as it has time for; how many that were. ``last`` takes
        part where these are all."""
        tried, seconds = 0, self._lock() if callable(self._lock) else self._lock

        def work(tx: Transaction) -> tuple[Written, list[str], list[str]]:
            nonlocal tried
            tried = 0
            written = Written()
            began = time.monotonic()
            while tried < len(records):
                at, (end, weight) = time.monotonic(), self._slice(records, tried)
                some, tried = records[tried:end], end
                written.add(joins.apply(tx, self._ref, some))
                self._learn(weight, time.monotonic() - at, seconds)
                if time.monotonic() - began + self._weight * self._cost > seconds:
                    break
            back = self._back(records[:tried], deleted)
            if back:
                # Writing brings a record back by itself where it is newer than what is held.
                tx.retire(self._ref, back, None)
                for type_name, keys in self.gone.items():
                    tx.service_put(GONE, f"{self._ref.name}/{type_name}", sorted(keys - set(back)))
            mended = self._mended(records[:tried])
            for key in mended:
                tx.service_delete(DEAD_LETTERS, key)
            if last is not None and tried == len(records):
                last(tx)
            return written, back, mended

        try:
            written, back, mended = self.transact(work)
        except BadInput as problem:
            self._apart(records[:tried], deleted, last if tried == len(records) else None, problem)
            return tried
        self._report.add(written)
        self._report.returned += len(back)
        for keys in self.gone.values():
            keys.difference_update(back)
        self.letters.difference_update(mended)
        return tried

    def _back(self, records: Sequence[Record], deleted: Mapping[str, frozenset[str]]) -> list[str]:
        """Keys that are held as gone; what the source shows and calls deleted at once has not come back."""
        return [
            r.key
            for r in records
            if r.key in self.gone.get(r.type, ()) and r.key not in deleted.get(r.type, ())
        ]

    def _mended(self, records: Sequence[Record]) -> list[str]:
        """Keys of the dead letters that these records replace."""
        if not self.letters:
            return []
        return [key for r in records if (key := letter_key(self._ref.name, r)) in self.letters]

    def _apart(
        self,
        records: Sequence[Record],
        deleted: Mapping[str, frozenset[str]],
        last: Last | None,
        problem: BadInput,
    ) -> None:
        """The store refused these: halve them until the record that is to blame is alone."""
        if not records:
            raise problem
        if len(records) > 1:
            middle = len(records) // 2
            for some, then in ((records[:middle], None), (records[middle:], last)):
                self.write(some, deleted=deleted, between=lambda: True, last=then)
            return
        record = records[0]
        claims = shortened(msgspec.to_builtins(record.claims))
        self.keep([Letter(record.type, record.key, record.version, str(problem), claims)])
        if last is not None:
            self._commit([], deleted, last)

    def delete(self, deleted: Mapping[str, frozenset[str]], at: Micros) -> None:
        """Mark what the source itself calls deleted as gone: its own word needs no guard."""
        fresh = {t: sorted(keys - self.gone.get(t, set())) for t, keys in deleted.items()}

        def work(tx: Transaction) -> int:
            retired = 0
            for type_name, keys in fresh.items():
                if keys:
                    retired += tx.retire(self._ref, keys, at)
                    gone = self.gone.get(type_name, set()).union(keys)
                    tx.service_put(GONE, f"{self._ref.name}/{type_name}", sorted(gone))
            return retired

        if any(fresh.values()):
            self._report.retired += self.transact(work)
            for type_name, keys in fresh.items():
                self.gone.setdefault(type_name, set()).update(keys)

    def _slice(self, records: Sequence[Record], start: int) -> tuple[int, int]:
        """Where the slice that starts here ends, and its weight."""
        end, weight = start, 0
        while end < len(records) and weight < self._weight:
            weight += 1 + len(records[end].claims)
            end += 1
        return end, weight

    def _learn(self, weight: int, took: float, seconds: float) -> None:
        # A slice that the page's end cut short tells little.
        if weight < self._weight // 2 or took <= 0:
            return
        self._cost = max(took / weight, _FORGOTTEN * self._cost)
        wanted = int(seconds / 2 / self._cost)
        self._weight = max(_LEAST_WEIGHT, min(wanted, 2 * self._weight, _MOST_WEIGHT))
