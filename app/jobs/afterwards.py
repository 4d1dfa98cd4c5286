"""Works out, while the service serves, what follows from what was ingested: tags, and inferred attempts."""

from __future__ import annotations

import logging
import threading

from app.jobs.leases import DURATION, Held, Leases
from app.learnings.afterwards import bring_up
from app.learnings.feedback import judgements
from app.learnings.learning import relearn
from graph_schema.errors import StoreError
from graph_schema.store import GraphStore

log = logging.getLogger(__name__)

#: One serving process at a time.
LEASE = "afterwards"
#: Seconds between looks at what has changed.
_LOOK = 5.0


class Afterwards:
    """``Afterwards(store).start()``, ``.stop()``. Start it once the store is migrated; stop it before the
    store is closed. Of several processes on one store one works, under a lease."""

    def __init__(self, store: GraphStore, *, lease: float = DURATION, look: float = _LOOK) -> None:
        self._store = store
        self._lease = lease
        self._look = look
        self._stop = threading.Event()
        self._judged = 0
        self._thread = threading.Thread(target=self._run, name="kinlore-afterwards", daemon=True)

    def start(self) -> None:
        """Begin to look at what changes."""
        self._thread.start()

    def stop(self, within: float = 8.0) -> None:
        """End after the batch at hand; the next one begins where this one was."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(within)

    def _work(self, held: Held) -> None:
        bring_up(self._store, should_stop=lambda: self._stop.is_set() or held.lost)
        judged = len(judgements(self._store))
        if judged != self._judged:
            relearn(self._store)
            self._judged = judged

    def _run(self) -> None:
        leases = Leases(self._store, duration=self._lease)
        try:
            held: Held | None = None
            while not self._stop.is_set():
                try:
                    if held is None or held.lost:
                        held = leases.acquire(LEASE)
                    if held is not None:
                        self._work(held)
                except StoreError as problem:
                    log.warning("what follows from ingestion is not worked out now: %s", problem)
                except Exception:
                    log.exception("what follows from ingestion is not worked out")
                self._stop.wait(self._look)
            if held is not None:
                leases.release(held)
        except StoreError as problem:
            log.warning("%s", problem)
        finally:
            leases.close()
