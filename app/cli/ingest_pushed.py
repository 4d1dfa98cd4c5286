"""``kinlore ingest`` for sources that are pushed to: nothing is pulled, and what waits is applied."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from app.cli.console import say


def take(container: Any, source: Any, stopped: Callable[[], bool]) -> Any:
    """The report of applying what waits for a source, empty where nothing does. A source that is not pulled
    gets a line that says so, and where to send to."""
    from app.api.server import url
    from app.jobs.consumer import Consumer
    from graph_schema.errors import Fenced
    from ingestors.report import Report
    from ingestors.source import SourceError

    name = source.config.name
    if not source.pulls:
        server = container.settings.server
        address = server.public_url or url(server.host, server.port)
        say(f"{name} is pushed: its requests go to {address}/hooks/{name} (kinlore serve takes them)")
    error, report = None, None
    try:
        report = Consumer(container).drain(source, should_stop=stopped)
    except Fenced as problem:
        say(f"{name}: {problem}")
    except SourceError as problem:
        error = f"what was pushed has to wait: {problem}"
    if report is not None:
        return report
    return Report(source=name, type=source.type, started=time.time_ns() // 1000, error=error)
