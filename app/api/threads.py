"""The one place where threads are crossed: the core is synchronous, the edge is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import anyio
import anyio.to_thread

from graph_schema.errors import StoreBusy

T = TypeVar("T")

#: Requests worked on at once, and those that may wait for their turn.
WORKERS = 8
WAITING = 64


class Threads:
    """Runs work in threads, so many at once; more than may wait are turned away with BUSY."""

    def __init__(self, workers: int = WORKERS, waiting: int = WAITING) -> None:
        self._workers = workers
        self._most = workers + waiting
        self._inside = 0
        self._limiter: anyio.CapacityLimiter | None = None

    async def run(self, work: Callable[[], T]) -> T:
        """The result of ``work``, done in a thread. Raises StoreBusy where too many wait already."""
        if self._inside >= self._most:
            raise StoreBusy(f"{self._inside} requests are being worked on; try again in a moment")
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(self._workers)
        self._inside += 1
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._limiter)
        finally:
            self._inside -= 1


async def outcome(future: Future[T], seconds: float) -> T:
    """What another thread's future brings. Raises TimeoutError after so many seconds; it is cancelled then,
    unless somebody has begun with it."""
    return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
