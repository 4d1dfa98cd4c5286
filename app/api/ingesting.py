"""Ingestions over the API: their history below a source, and the mutation that asks for one."""

from __future__ import annotations

from typing import Any, NamedTuple

import strawberry

from app.api.fields import Ask, Context
from app.api.status import SourceStatus, histories
from app.errors import Failed
from graph_schema.errors import BadInput
from ingestors.history import KEEP
from ingestors.report import Report

Info = strawberry.Info[Context, None]


class Asked(NamedTuple):
    """An ingestion that was asked for and has begun; its report will have this number."""

    source: SourceStatus
    run: int


def ingest(
    info: Info,
    names: list[str] | None = strawberry.UNSET,
    full: bool = False,
    accept_retirement: bool = False,
) -> list[Asked]:
    """``Mutation.ingest``."""
    ask = info.context.of(info.path)
    if ask.jobs is None:
        raise Failed("this server pulls nothing: it is a demo, or was started with --no-jobs")
    known: dict[str, SourceStatus] = {source.name: source for source in ask.sources()}
    wanted = names or [name for name, source in known.items() if source.enabled and source.pulls]
    for name in wanted:
        source = known.get(name)
        if source is None:
            raise BadInput(f"no source is named {name[:200]!r}; known are: {', '.join(known) or 'none'}")
        if not source.enabled:
            raise BadInput(f"{name}: disabled: {source.disabled_because}")
        if not source.pulls:
            raise BadInput(f"{name} has nothing to pull: it is pushed")
    runs = {
        name: ask.jobs.ask(name, full=full, accept_retirement=accept_retirement)
        for name in dict.fromkeys(wanted)
    }
    after = {source.name: source for source in ask.sources()}
    return [Asked(after[name], run) for name, run in runs.items()]


def history(ask: Ask, parents: list[Any], first: int | None = 10) -> list[list[Report]]:
    """``SourceStatus.history``."""
    most = 10 if first is None else first
    if not 1 <= most <= KEEP:
        raise BadInput(f"first is {most}; allowed are 1 to {KEEP}")
    return histories(ask.store, [source.name for source in parents], most)
