"""The clock that schedules and leases are measured by: it only ever goes forward, at the pace of time."""

from __future__ import annotations

import time

# Where there is one that counts a laptop's sleep too, what came due meanwhile is caught up with on waking.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def elapsed() -> float:
    """Seconds since some moment. Setting the wall clock does not move it; it does not stop in sleep, where
    the system has such a clock (Linux), and stands still then where it has none."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)
