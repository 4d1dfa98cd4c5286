"""The inbox: what was pushed is in the store before it is acknowledged, and applied to the graph after.

Whatever waits while a transaction commits goes into the next one together (group commit), so that hundreds
of deliveries a second cost a few transactions. Only what is cleaned and without secrets gets in.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from hashlib import blake2b
from typing import Any

import msgspec

from graph_schema.errors import KinloreError, StoreBusy, StoreUnavailable
from graph_schema.redaction import Redactor
from graph_schema.store import GraphStore, Transaction
from graph_schema.times import Micros
from ingestors.history import redaction_key
from ingestors.sanitise import Poison, clean_item
from ingestors.source import Item
from ingestors.writing import Letter, put_letters, refused

log = logging.getLogger(__name__)

#: Collections of service records: rows that wait, and ids of deliveries that are known.
INBOX = "inbox"
DELIVERIES = "delivery"

#: What a row holds at most, and a transaction: more is split, so that the writer lock is held briefly.
_ROW_ITEMS, _ROW_BYTES = 50, 64_000
_GROUP_PARTS, _GROUP_BYTES = 256, 512_000
#: Ids of deliveries that are remembered in this process.
_MOST_KNOWN = 200_000
#: What may wait to be stored; beyond it, deliveries are turned away to be sent again.
_MOST_WAITING, _MOST_BYTES = 1_000, 64_000_000
#: Seconds after which a transaction that does not end tells that the store is away.
_STUCK = 5.0

_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True):
    """What became of a delivery: how many of its items are kept, and how many were refused and put aside."""

    accepted: int
    refused: int


class Row(msgspec.Struct, frozen=True):
    """Items of one delivery that wait; ``last``: there are no more of it. ``at``: when it arrived."""

    key: str
    at: Micros
    items: list[Item]
    last: bool = True


class _Part(msgspec.Struct):
    """What goes into one row, or one item that goes to the dead letters. ``size`` in bytes."""

    size: int
    items: list[Any] = msgspec.field(default_factory=list)
    letter: Letter | None = None


class _Parcel:
    """A delivery on its way into the store."""

    def __init__(self, source: str, mark: str | None, parts: list[_Part], answer: Answer) -> None:
        self.source = source
        self.mark = mark
        self.parts = deque(parts)
        self.size = sum(part.size for part in parts)
        self.answer = answer
        self.begun = False
        self.outcome: Future[Answer] = Future()


class _Share(msgspec.Struct):
    """What one transaction takes of a parcel."""

    parcel: _Parcel
    parts: list[_Part]
    first: bool
    last: bool


class Inbox:
    """The inbox of a store. Its one thread starts with the first delivery; close it to end that, after what
    waits has been stored."""

    def __init__(self, store: GraphStore) -> None:
        self._store = store
        self._redactor: Redactor | None = None
        # Asking the store for each would cost a round trip under its lock. What another process has taken in
        # meanwhile is stored once more, and changes nothing when it is applied.
        self._known: dict[str, None] = {}
        self._name = secrets.token_hex(4)
        self._last: Micros = 0
        self._queue: deque[_Parcel] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._since: float | None = None
        # Seconds for which the store asked to be left alone after the last deposit.
        self._rest = 0.0
        self._thread: threading.Thread | None = None
        self._waiting_for: dict[str, threading.Event] = {}

    # --- taking in -------------------------------------------------------------------------------------

    def put(
        self,
        source: str,
        items: Sequence[Item],
        *,
        delivery: str | None = None,
        letters: Sequence[Letter] = (),
    ) -> Future[Answer]:
        """Take a delivery in; the future is done when it is in the store, or fails with what the store said.

        Items that cannot be kept become dead letters, as do ``letters``. A ``delivery`` that is known by its
        id is answered as before. Raises StoreBusy where too many wait, StoreUnavailable where the store is
        away; then nothing is kept.
        """
        self._refuse_too_much(0)
        redactor = self.redactor()
        kept: list[Item] = []
        aside = list(letters)
        for item in items:
            try:
                kept.append(_fit(item, redactor))
            except Exception as problem:
                aside.append(refused(item, problem, redactor))
        answer = Answer(len(kept), len(aside))
        mark = None if delivery is None else f"{source}/{_digest(delivery)}"
        parcel = _Parcel(source, mark, _parts(kept, aside), answer)
        if not parcel.parts:
            parcel.outcome.set_result(answer)
            return parcel.outcome
        self._refuse_too_much(parcel.size)
        with self._changed:
            if self._closing:
                raise StoreUnavailable("the service is being stopped")
            self._queue.append(parcel)
            self._bytes += parcel.size
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="kinlore-inbox", daemon=True)
                self._thread.start()
            self._changed.notify()
        return parcel.outcome

    @property
    def ready(self) -> bool:
        """Whether a delivery can be taken in without asking the store for anything."""
        return self._redactor is not None

    def redactor(self) -> Redactor:
        """What takes secrets out; its key is read once."""
        if self._redactor is None:
            key = self._store.transact(redaction_key)
            self._known = dict.fromkeys(_deliveries(self._store))
            self._redactor = Redactor(key)
        return self._redactor

    def arrived(self, source: str) -> threading.Event:
        """What is set whenever something for this source was stored by this process."""
        return self._waiting_for.setdefault(source, threading.Event())

    def close(self) -> None:
        """Store what waits, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout=30)

    def _refuse_too_much(self, more: int) -> None:
        since = self._since
        if since is not None and time.monotonic() - since > _STUCK:
            raise StoreUnavailable("the store does not take anything at the moment")
        if len(self._queue) >= _MOST_WAITING or self._bytes + more > _MOST_BYTES:
            raise StoreBusy(f"{len(self._queue):,} deliveries wait to be stored; send it again in a moment")

    # --- storing ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closing:
                    self._changed.wait()
                if not self._queue:
                    return
                group = self._take()
            if group:
                self._store_all(group)
                if self._queue:
                    time.sleep(self._rest)

    def _take(self) -> list[_Share]:
        group: list[_Share] = []
        parts = size = 0
        while self._queue and parts < _GROUP_PARTS and size < _GROUP_BYTES:
            parcel = self._queue[0]
            first = not parcel.begun
            if first and not parcel.outcome.set_running_or_notify_cancel():
                # Whoever sent it has given up, and will send it again.
                self._leave(parcel)
                continue
            parcel.begun = True
            taken: list[_Part] = []
            while parcel.parts and parts < _GROUP_PARTS and size < _GROUP_BYTES:
                part = parcel.parts.popleft()
                taken.append(part)
                parts, size = parts + 1, size + part.size
            group.append(_Share(parcel, taken, first, not parcel.parts))
            if not parcel.parts:
                self._leave(parcel)
        return group

    def _leave(self, parcel: _Parcel) -> None:
        self._queue.popleft()
        self._bytes -= parcel.size

    def _store_all(self, group: list[_Share]) -> None:
        self._since = time.monotonic()
        try:
            answers = self._write(group)
        except Exception as problem:
            if len(group) > 1 and not isinstance(problem, KinloreError):
                # Whatever it was that one of them made the store stumble over, the others are fine.
                for share in group:
                    self._store_all([share])
                return
            if not isinstance(problem, KinloreError):
                log.exception("a delivery could not be stored")
            for share in group:
                self._drop(share.parcel)
                share.parcel.outcome.set_exception(problem)
            return
        finally:
            self._since = None
        for share, answer in zip(group, answers, strict=True):
            if answer is not None:
                self._remember(share.parcel.mark)
                self._drop(share.parcel)
                share.parcel.outcome.set_result(answer)
        for source in {share.parcel.source for share in group}:
            self.arrived(source).set()

    def _write(self, group: Sequence[_Share]) -> list[Answer | None]:
        """Store these; the answers of parcels that are complete with it."""
        self._last = at = max(time.time_ns() // 1_000, self._last + 1)
        answers: list[Answer | None] = []
        rows: list[tuple[str, str, Any]] = []
        letters: list[tuple[str, Letter]] = []
        here: dict[str, Answer] = {}
        for share in group:
            parcel = share.parcel
            before = self._before(parcel.mark, here) if share.first and parcel.mark is not None else None
            if before is not None:
                answers.append(before)
                continue
            for part in share.parts:
                if part.letter is not None:
                    letters.append((parcel.source, part.letter))
                    continue
                last = share.last and part is share.parts[-1]
                # In the order of arrival, and unlike those of other processes.
                key = f"{parcel.source}/{at:020d}-{self._name}-{len(rows):05d}"
                rows.append((INBOX, key, {"at": at, "items": part.items, "last": last}))
            if share.last and parcel.mark is not None:
                here[parcel.mark] = parcel.answer
                rows.append((DELIVERIES, parcel.mark, {"at": at, **msgspec.to_builtins(parcel.answer)}))
            answers.append(parcel.answer if share.last else None)
        if letters:
            # Others write dead letters too.
            self._store.transact(lambda tx: _put(tx, rows, letters))
        elif rows:
            self._rest = self._store.deposit(rows)
        return answers

    def _before(self, mark: str, here: Mapping[str, Answer]) -> Answer | None:
        """How a delivery was answered, if it is known by this id."""
        if mark in here or mark not in self._known:
            return here.get(mark)
        held = dict(self._store.service(DELIVERIES, prefix=mark, limit=1)).get(mark)
        return None if held is None else Answer(held["accepted"], held["refused"])

    def _remember(self, mark: str | None) -> None:
        if mark is not None:
            self._known[mark] = None
            if len(self._known) > _MOST_KNOWN:
                del self._known[next(iter(self._known))]

    def _drop(self, parcel: _Parcel) -> None:
        """What is left of a parcel is not needed, or not wanted, any more."""
        with self._changed:
            if self._queue and self._queue[0] is parcel:
                self._leave(parcel)


def _put(
    tx: Transaction, rows: Sequence[tuple[str, str, Any]], letters: Sequence[tuple[str, Letter]]
) -> None:
    for row in rows:
        tx.service_put(*row)
    for source, letter in letters:
        put_letters(tx, source, [letter])


def _fit(item: Item, redactor: Redactor) -> Item:
    """The item as it can be kept, and read back. Raises Poison."""
    if type(item.version) is not int or type(item.key) is not str or type(item.type) is not str:
        raise Poison("its version is no whole number, or its key or type is no text")
    item = clean_item(item)
    data = redactor.value(item.data)
    return item if data is item.data else msgspec.structs.replace(item, data=data)


def _parts(items: Sequence[Item], letters: Sequence[Letter]) -> list[_Part]:
    parts = [_Part(len(_encode(letter)), letter=letter) for letter in letters]
    # A row even where nothing is kept: who applies it counts the dead letters.
    row = _Part(0) if letters and not items else None
    for item in items:
        size = len(_encode(item))
        if row is None or len(row.items) >= _ROW_ITEMS or (row.items and row.size + size > _ROW_BYTES):
            if row is not None:
                parts.append(row)
            row = _Part(0)
        row.items.append(msgspec.to_builtins(item))
        row.size += size
    if row is not None:
        parts.append(row)
    return parts


def _digest(delivery: str) -> str:
    return blake2b(delivery.encode(errors="surrogatepass"), digest_size=16).hexdigest()


# --- what waits ----------------------------------------------------------------------------------------


def rows(store: GraphStore, source: str, limit: int) -> list[Row]:
    """What waits for a source, in the order in which it arrived."""
    held = store.service(INBOX, prefix=f"{source}/", limit=limit)
    return [msgspec.convert({"key": key, **value}, Row) for key, value in held]


def waiting(store: GraphStore, source: str, most: int = 10_000) -> int:
    """How many rows wait for a source, counted up to ``most``."""
    return len(store.service(INBOX, prefix=f"{source}/", limit=most))


def _deliveries(store: GraphStore) -> Iterator[str]:
    after, left = "", _MOST_KNOWN
    while left > 0 and (page := store.service(DELIVERIES, after=after, limit=1_000)):
        after, left = page[-1][0], left - len(page)
        yield from (key for key, _ in page)


def forget_deliveries(store: GraphStore, before: Micros) -> int:
    """Forget the ids of deliveries that arrived before a time, in short transactions."""
    after, forgotten = "", 0
    while page := store.service(DELIVERIES, after=after, limit=500):
        after = page[-1][0]
        old = [key for key, value in page if value["at"] < before]

        def work(tx: Transaction, old: Sequence[str] = old) -> None:
            for key in old:
                tx.service_delete(DELIVERIES, key)

        if old:
            store.transact(work)
            forgotten += len(old)
    return forgotten
