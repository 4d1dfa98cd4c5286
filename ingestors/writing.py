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

#: What is first is small: nobody knows yet how fast the store is, and others wait for the lock.
_LEAST_WEIGHT = 50
_FIRST_WEIGHT = 100
_MOST_WEIGHT = 50_000


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
    transaction should hold the writer lock; a chunk's weight (records and their claims) adapts to it.

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
        """Write records in chunks; ``last`` takes part in the last transaction. ``between`` is asked after
        each chunk; when it says False the rest is left and so is ``last``, and the answer is False."""
        start = 0
        while True:
            end, weight = start, 0
            while end < len(records) and weight < self._weight:
                weight += 1 + len(records[end].claims)
                end += 1
            done = end == len(records)
            self._commit(records[start:end], deleted, last if done else None, weight)
            if done:
                return True
            start = end
            if not between():
                return False

    def _commit(
        self,
        records: Sequence[Record],
        deleted: Mapping[str, frozenset[str]],
        last: Last | None,
        weight: int,
    ) -> None:
        # What the source shows and calls deleted at once has not come back.
        back = [
            r.key
            for r in records
            if r.key in self.gone.get(r.type, ()) and r.key not in deleted.get(r.type, ())
        ]
        mended = (
            [key for r in records if (key := letter_key(self._ref.name, r)) in self.letters]
            if self.letters
            else []
        )
        took = [0.0]

        def work(tx: Transaction) -> Written:
            took[0] = time.monotonic()
            written = joins.apply(tx, self._ref, records) if records else Written()
            if back:
                # Writing brings a record back by itself where it is newer than what is held.
                tx.retire(self._ref, back, None)
                for type_name, keys in self.gone.items():
                    tx.service_put(GONE, f"{self._ref.name}/{type_name}", sorted(keys - set(back)))
            for key in mended:
                tx.service_delete(DEAD_LETTERS, key)
            if last is not None:
                last(tx)
            return written

        try:
            written = self.transact(work)
        except BadInput as problem:
            self._apart(records, deleted, last, weight, problem)
            return
        self._adapt(weight, time.monotonic() - took[0])
        self._report.add(written)
        self._report.returned += len(back)
        for keys in self.gone.values():
            keys.difference_update(back)
        self.letters.difference_update(mended)

    def _apart(
        self,
        records: Sequence[Record],
        deleted: Mapping[str, frozenset[str]],
        last: Last | None,
        weight: int,
        problem: BadInput,
    ) -> None:
        """The store refused a chunk: halve it until the record that is to blame is alone."""
        if not records:
            raise problem
        if len(records) > 1:
            middle = len(records) // 2
            self._commit(records[:middle], deleted, None, weight // 2)
            self._commit(records[middle:], deleted, last, weight // 2)
            return
        record = records[0]
        claims = shortened(msgspec.to_builtins(record.claims))
        self.keep([Letter(record.type, record.key, record.version, str(problem), claims)])
        if last is not None:
            self._commit([], deleted, last, 0)

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

    def _adapt(self, weight: int, seconds: float) -> None:
        # A chunk that the page's end cut short tells little.
        if weight < self._weight // 2 or seconds <= 0:
            return
        lock = self._lock() if callable(self._lock) else self._lock
        wanted = int(weight * lock / seconds)
        self._weight = max(_LEAST_WEIGHT, min(wanted, 2 * self._weight, _MOST_WEIGHT))
