"""Fences: a write made under a lease is refused once the lease has passed to somebody else."""

from __future__ import annotations

from typing import Any

from graph_schema.errors import Fenced
from graph_schema.times import Micros
from graph_schema.values import Fence


def check_fence(fence: Fence, lease: Any | None, now: Micros) -> None:
    """Raise Fenced unless ``lease`` (``{"token", "until"}``, in microseconds) is this fence's and valid."""
    if not isinstance(lease, dict) or lease.get("token") != fence.token:
        raise Fenced(f"the lease {fence.lease} has passed to somebody else; nothing was written")
    if lease.get("until", 0) <= now:
        raise Fenced(f"the lease {fence.lease} has run out; nothing was written")
