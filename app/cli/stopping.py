"""Ending cleanly: Ctrl-C and SIGTERM are how one stops what serves, and no failures."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stoppable() -> Iterator[None]:
    """Within, SIGINT and SIGTERM unwind the stack, so that all is closed, and then count as success."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def running(part: Any) -> Iterator[None]:
    """Within, a part of a server works: it is started and stopped. None is no part."""
    if part is None:
        yield
        return
    part.start()
    try:
        yield
    finally:
        part.stop()
