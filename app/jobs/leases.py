"""Leases: one process at a time may do a thing, although any of them may die, hang or come back late.

A lease is a service record in the store. What makes it safe is its token, which grows with every grant: a
write under an older one is refused (``app/store/fence.py``). What makes it live is that others may take over
a lease whose record has stood still for its whole duration *by their own steady clock*; wall clocks, which
somebody may set by an hour, decide nothing here.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from app.jobs.clocks import elapsed
from graph_schema.errors import StoreError
from graph_schema.store import GraphStore, Transaction
from graph_schema.times import Micros
from graph_schema.values import Fence

log = logging.getLogger(__name__)

COLLECTION = "lease"
#: Seconds after which a holder that is not heard of has lost its lease.
DURATION = 15.0


class Grant(msgspec.Struct, kw_only=True):
    """The record of a lease. ``until`` is by the store's time, in microseconds, and 0 once it is given back;
    ``lasts`` its duration in microseconds; ``holder`` is for people, ``place`` names its process."""

    token: int
    until: Micros
    lasts: int = 0
    holder: str = ""
    place: str = ""

    @classmethod
    def read(cls, value: Any) -> Grant | None:
        """From its service record."""
        return None if value is None else msgspec.convert(value, cls)

    def lives(self, now: Micros) -> bool:
        """Whether it holds, by the store's time, and its process has not certainly ended."""
        return self.until > now and not is_dead(self.place)


class Held:
    """A lease that this process holds; see :meth:`Leases.acquire`."""

    def __init__(
        self, key: str, token: int, renewed: float, lasts: float, clock: Callable[[], float]
    ) -> None:
        self.key = key
        self.token = token
        self.fence = Fence(lease=key, token=token)
        self._renewed = renewed
        self._lasts = lasts
        self._clock = clock
        self._taken = False

    @property
    def lost(self) -> bool:
        """Whether somebody else has it, or may have taken it since it was last renewed."""
        return self._taken or self._clock() - self._renewed >= self._lasts

    def renewed(self, at: float) -> None:
        """It was renewed by a transaction that began at this moment."""
        self._renewed = max(self._renewed, at)

    def taken(self) -> None:
        """Somebody else has it."""
        self._taken = True


class Leases:
    """The leases of one process. ``duration`` in seconds; one thread renews all that are held, at a third
    of it. Close it to give back what is held. ``place`` names this process to others on its machine."""

    def __init__(
        self,
        store: GraphStore,
        *,
        duration: float = DURATION,
        holder: str | None = None,
        place: str | None = None,
        clock: Callable[[], float] = elapsed,
        beats: bool = True,
    ) -> None:
        self.duration = duration
        self.holder = holder or f"{socket.gethostname()}, process {os.getpid()}"
        self._place = here() if place is None else place
        self._store = store
        self.clock = clock
        self._beats = beats
        self._lock = threading.Lock()
        self._held: dict[str, Held] = {}
        self._dropped: dict[str, int] = {}
        self._seen: dict[str, tuple[tuple[int, Micros], float]] = {}
        # Until the store has told its time, this machine's.
        self._ahead = time.time_ns() // 1000 - round(clock() * 1_000_000)
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    # --- asking ------------------------------------------------------------------------------------------

    def acquire(self, key: str, also: Callable[[Transaction, int], bool] | None = None) -> Held | None:
        """The lease, or None while somebody holds it, be it this process. ``also`` runs in the transaction
        that grants it, with its token; where it says False nothing is granted. Raises StoreError."""
        now = self.clock()

        def work(tx: Transaction) -> int | None:
            held = Grant.read(tx.service_get(COLLECTION, key))
            token = 1 if held is None else held.token + 1
            if not self._is_free(key, held, now) or (also is not None and not also(tx, token)):
                return None
            self._told(tx)
            tx.service_put(COLLECTION, key, self._grant(token, tx.now))
            return token

        token = self._store.transact(work)
        if token is None:
            return None
        mine = Held(key, token, now, self.duration, self.clock)
        with self._lock:
            self._held[key] = mine
            if self._beats and self._thread is None:
                self._thread = threading.Thread(target=self._beat, name="kinlore-leases", daemon=True)
                self._thread.start()
        return mine

    def look(self, key: str) -> tuple[Grant | None, bool]:
        """The lease as it stands, and whether it could be had; without waiting for any writer."""
        found = dict(self._store.service(COLLECTION, prefix=key, limit=1)).get(key)
        grant = Grant.read(found)
        return grant, self._is_free(key, grant, self.clock())

    def _told(self, tx: Transaction) -> None:
        self._ahead = tx.now - round(self.clock() * 1_000_000)

    @property
    def now(self) -> Micros:
        """The store's time, as the last transaction told it and the steady clock has gone on since."""
        return round(self.clock() * 1_000_000) + self._ahead

    def _is_free(self, key: str, held: Grant | None, now: float) -> bool:
        if held is None or held.until == 0 or is_dead(held.place) or self._dropped.get(key) == held.token:
            return True
        mark = (held.token, held.until)
        with self._lock:
            before = self._seen.get(key)
            if before is None or before[0] != mark:
                self._seen[key] = (mark, now)
                return False
            return now - before[1] >= max(held.lasts / 1_000_000, 0.001)

    def _grant(self, token: int, now: Micros) -> dict[str, Any]:
        lasts = round(self.duration * 1_000_000)
        grant = Grant(token=token, until=now + lasts, lasts=lasts, holder=self.holder, place=self._place)
        made: dict[str, Any] = msgspec.to_builtins(grant)
        return made

    # --- holding -----------------------------------------------------------------------------------------

    def renew(self) -> None:
        """Renew everything that is held. What has passed to somebody else is marked so; a store that cannot
        be reached is asked again at the next beat."""
        with self._lock:
            holding = list(self._held.values())
        if not holding:
            return
        began = self.clock()

        def work(tx: Transaction) -> set[str]:
            kept = set()
            self._told(tx)
            for mine in holding:
                grant = Grant.read(tx.service_get(COLLECTION, mine.key))
                if grant is not None and grant.token == mine.token and grant.until:
                    tx.service_put(COLLECTION, mine.key, self._grant(mine.token, tx.now))
                    kept.add(mine.key)
            return kept

        kept = self._store.transact(work)
        for mine in holding:
            if mine.key in kept:
                mine.renewed(began)
            else:
                with self._lock:
                    # It may have been given back, and even granted again, in the meantime.
                    gone = self._held.get(mine.key) is mine
                    if gone:
                        del self._held[mine.key]
                if gone:
                    mine.taken()
                    log.info("the lease %s has passed to somebody else", mine.key)

    def release(
        self, mine: Held, also: Callable[[Transaction], None] | None = None, *, forget: bool = False
    ) -> bool:
        """Give it back; ``also`` runs in the same transaction if it is still ours, which is what is answered.
        ``forget``: the record goes too; only for keys that nobody will ask for again. Raises StoreError."""
        with self._lock:
            if self._held.get(mine.key) is mine:
                del self._held[mine.key]

        def work(tx: Transaction) -> bool:
            grant = Grant.read(tx.service_get(COLLECTION, mine.key))
            if grant is None or grant.token != mine.token:
                return False
            if also is not None:
                also(tx)
            if forget:
                tx.service_delete(COLLECTION, mine.key)
            else:
                # The token stays: the next one has to be greater.
                tx.service_put(COLLECTION, mine.key, msgspec.to_builtins(Grant(token=mine.token, until=0)))
            return True

        try:
            return self._store.transact(work)
        except StoreError:
            # Nobody renews it any more; others wait until it has run out, and we need not.
            self._dropped[mine.key] = mine.token
            raise

    def _beat(self) -> None:
        while not self._closed.wait(self.duration / 3):
            try:
                self.renew()
            except StoreError as problem:
                log.warning("leases could not be renewed: %s", problem)
            except Exception:
                if not self._closed.is_set():
                    log.exception("leases could not be renewed")

    def close(self) -> None:
        """Stop renewing, and give back what is still held."""
        self._closed.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        with self._lock:
            left = list(self._held.values())
        for mine in left:
            try:
                self.release(mine)
            except StoreError as problem:
                log.warning("the lease %s could not be given back: %s", mine.key, problem)


# --- processes of this machine -----------------------------------------------------------------------------


def here() -> str:
    """This process, as others on the same machine and in the same container can tell it; "" where they
    cannot."""
    space = _process_space()
    return f"{space}/{os.getpid()}" if space else ""


def is_dead(place: str) -> bool:
    """Whether a process has certainly ended: then nobody need wait for its lease to run out."""
    space, _, number = place.rpartition("/")
    if not space or space != _process_space() or not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _process_space() -> str:
    """What process numbers are unique in: a boot of a machine, and there a container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""
