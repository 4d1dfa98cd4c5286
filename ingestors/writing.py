"""The writing half of the loop: records in short transactions, the cursor in the last of a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from graph_schema import store as contract
from graph_schema.claims import Record
from graph_schema.errors import BadInput
from graph_schema.store import GraphStore, Transaction, Written
from graph_schema.times import Micros
from graph_schema.values import Fence
from ingestors import joins
from ingestors.report import CURSOR, DEAD_LETTERS, GONE, Report
from ingestors.sanitise import shortened

T = TypeVar("T")

_LEAST_WEIGHT = 50
_FIRST_WEIGHT = 500
_MOST_WEIGHT = 50_000


class Letter(msgspec.Struct):
    """An item that was refused, and why."""

    type: str
    key: str
    version: int
    reason: str
    data: Any


class Writer:
    """Writes what one source delivers and counts it in the report. ``lock`` is how long, in seconds, a
    transaction should hold the writer lock; a chunk's weight (records and their claims) adapts to it.

    ``letters`` are the keys of the dead letters held, ``gone`` the keys of the records held as gone.
    """

    def __init__(
        self, store: GraphStore, ref: contract.Source, fence: Fence | None, lock: float, report: Report
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
        keys = [self._letter_key(letter) for letter in letters]

        def work(tx: Transaction) -> None:
            for key, letter in zip(keys, letters, strict=True):
                tx.service_put(DEAD_LETTERS, key, {**msgspec.to_builtins(letter), "at": tx.now})

        if letters:
            self.transact(work)
            self.letters.update(keys)
            self._report.dead_letters += len(letters)

    def write(
        self,
        records: Sequence[Record],
        *,
        deleted: Mapping[str, frozenset[str]],
        between: Callable[[], bool],
        cursor: Any = None,
        with_cursor: bool,
    ) -> bool:
        """Write records in chunks; ``cursor`` goes into the last transaction. ``between`` is asked after each
        chunk; when it says False the rest is left and so is the cursor, and the answer is False."""
        start = 0
        while True:
            end, weight = start, 0
            while end < len(records) and weight < self._weight:
                weight += 1 + len(records[end].claims)
                end += 1
            last = end == len(records)
            self._commit(records[start:end], deleted, cursor, last and with_cursor, weight)
            if last:
                return True
            start = end
            if not between():
                return False

    def _commit(
        self,
        records: Sequence[Record],
        deleted: Mapping[str, frozenset[str]],
        cursor: Any,
        with_cursor: bool,
        weight: int,
    ) -> None:
        # What the source shows and calls deleted at once has not come back.
        back = [
            r.key
            for r in records
            if r.key in self.gone.get(r.type, ()) and r.key not in deleted.get(r.type, ())
        ]
        mended = (
            [key for r in records if (key := self._letter_key(r)) in self.letters] if self.letters else []
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
            if with_cursor:
                tx.service_put(CURSOR, self._ref.name, cursor)
            return written

        try:
            written = self.transact(work)
        except BadInput as problem:
            self._apart(records, deleted, cursor, with_cursor, weight, problem)
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
        cursor: Any,
        with_cursor: bool,
        weight: int,
        problem: BadInput,
    ) -> None:
        """The store refused a chunk: halve it until the record that is to blame is alone."""
        if not records:
            raise problem
        if len(records) > 1:
            middle = len(records) // 2
            self._commit(records[:middle], deleted, cursor, False, weight // 2)
            self._commit(records[middle:], deleted, cursor, with_cursor, weight // 2)
            return
        record = records[0]
        claims = shortened(msgspec.to_builtins(record.claims))
        self.keep([Letter(record.type, record.key, record.version, str(problem), claims)])
        if with_cursor:
            self._commit([], deleted, cursor, True, 0)

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

    def _letter_key(self, record: Record | Letter) -> str:
        return f"{self._ref.name}/{record.type}/{record.key}"

    def _adapt(self, weight: int, seconds: float) -> None:
        # A chunk that the page's end cut short tells little.
        if weight < self._weight // 2 or seconds <= 0:
            return
        wanted = int(weight * self._lock / seconds)
        self._weight = max(_LEAST_WEIGHT, min(wanted, 2 * self._weight, _MOST_WEIGHT))
