"""``kinlore ingest``."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from app.cli.console import options, print_json, say

#: Seconds until somebody who looks at a terminal hears that nothing answers.
_PATIENCE = 5.0


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--full", is_flag=True, help="Read the sources from the beginning, not from where they stand.")
@click.option(
    "--accept-retirement", is_flag=True, help="Believe a source from which very much vanished at once."
)
@options
def command(
    names: tuple[str, ...], full: bool, accept_retirement: bool, config: str | None, as_json: bool
) -> int:
    """Bring what is new at the sources into the graph: all of them, or those named.

    Ctrl-C ends it after the page at hand; the next time it goes on from there.
    """
    from app import settings
    from app.cli.outcome import FAILURE, OK
    from app.cli.progress import watching
    from app.container import Container
    from app.errors import ConfigError
    from ingestors.loop import Policy, ingest

    if settings.remote() is not None:
        raise ConfigError("ingest writes to [store] and not to a server: unset KINLORE_URL")
    with Container(settings.load(config)) as container, _stoppable() as stopped:
        chosen = [container.source(name) for name in names] or container.sources
        if not chosen:
            raise ConfigError("no sources are configured: `kinlore init` finds what is in this folder")
        reports: list[Any] = []
        disabled = [configured for configured in chosen if configured.source is None]
        for configured in disabled:
            say(f"{configured.name}: disabled: {configured.disabled}")
        store = container.migrated()
        for configured in chosen:
            if configured.source is None:
                continue
            with watching(quiet=as_json) as progress:
                report = ingest(
                    store,
                    configured.source,
                    full=full,
                    accept_retirement=accept_retirement,
                    progress=progress,
                    should_stop=stopped,
                    policy=Policy(patience=_PATIENCE, sleep=_waiting(configured.name)),
                )
            reports.append(report)
            if not as_json:
                show(report)
            if report.stopped:
                break
    failed = [report for report in reports if report.error is not None]
    if as_json:
        print_json([plain(report) for report in reports])
    elif len(failed) < len(reports):
        for line in reports[-1].coverage:
            click.echo(line)
    # What was asked for by name was not done; of all sources, those that can be read were.
    return FAILURE if failed or not reports or (names and disabled) else OK


def plain(report: Any) -> dict[str, Any]:
    """A report as JSON, its time written as everywhere."""
    import msgspec

    from graph_schema.times import format_time

    return {**msgspec.to_builtins(report), "started": format_time(report.started)}


def show(report: Any) -> None:
    """A report for people; coverage is of the whole graph and is said once, at the end."""
    lines = report.lines()
    for line in lines[: len(lines) - len(report.coverage)]:
        wrong = line.startswith(("error:", "warning:", "identity refused:"))
        click.echo(f"{report.source}: {line}" if wrong else line, err=wrong)
    if report.stopped:
        say(f"{report.source}: stopped; the next ingestion goes on from here")


def _waiting(name: str) -> Callable[[float], None]:
    """A sleep that says what it waits for."""

    def sleep(seconds: float) -> None:
        say(f"{name}: it does not answer; trying again in {max(1, round(seconds))} s")
        time.sleep(seconds)

    return sleep


@contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """The first Ctrl-C asks for an end after the page at hand, the second ends at once."""
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        say("stopping after the page at hand; Ctrl-C again stops at once")

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)
