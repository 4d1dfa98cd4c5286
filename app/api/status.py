"""How the configured sources stand: what the settings say, joined with what ingestions noted."""

from __future__ import annotations

from typing import Any

import msgspec

from app.container import Container
from ingestors.report import Status, statuses


class SourceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A source. Times are microseconds; ``counts`` are those of its last ingestion."""

    name: str
    type: str
    space: str
    enabled: bool
    disabled_because: str | None = None
    last_started: int | None = None
    last_finished: int | None = None
    last_success: int | None = None
    last_error: str | None = None
    last_error_at: int | None = None
    dead_letters: int = 0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    warnings: list[str] = msgspec.field(default_factory=list)
    coverage: list[str] = msgspec.field(default_factory=list)


def source_statuses(container: Container) -> list[SourceStatus]:
    """Configured sources in their order, then those that only the graph remembers. Raises StoreError."""
    noted = {status.name: status for status in statuses(container.store)}
    answer = []
    for source in container.sources:
        status = noted.pop(source.name, None)
        answer.append(_joined(source.name, source.type, source.space, source.disabled, status))
    for name, status in noted.items():
        because = "it is not configured any more"
        answer.append(_joined(name, status.type, status.space, because, status))
    return answer


def _joined(name: str, type: str, space: str, disabled: str | None, status: Status | None) -> SourceStatus:
    noted: dict[str, Any] = {}
    if status is not None:
        shared = set(SourceStatus.__struct_fields__) & set(Status.__struct_fields__)
        noted = {field: getattr(status, field) for field in shared - {"name", "type", "space"}}
    return SourceStatus(
        name=name, type=type, space=space, enabled=disabled is None, disabled_because=disabled, **noted
    )
