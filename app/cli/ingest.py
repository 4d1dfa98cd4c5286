"""``kinlore ingest``."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from app.cli.console import options, print_json, say
from app.cli.reports import conclude, show

#: Seconds until somebody who looks at a terminal hears that nothing answers.
_PATIENCE = 5.0
#: Seconds between looks whether somebody else's ingestion has ended.
_LOOK = 0.25


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

    Ctrl-C ends it after the page at hand; the next time it goes on from there. With KINLORE_URL set, that
    server does it.
    """
    from app import settings
    from app.cli import captures, ingest_pushed
    from app.errors import ConfigError

    if names == (captures.SOURCE,):
        return _captures(config, as_json)
    if settings.remote() is not None:
        from app.cli.ingest_remote import ingest_remotely

        with _stoppable() as stopped:
            return ingest_remotely(config, names, full, accept_retirement, as_json, stopped)
    from app.container import Container
    from app.learnings.afterwards import bring_up

    with Container(settings.load(config)) as container, _stoppable() as stopped:
        chosen = [container.source(name) for name in names] or container.sources
        if not chosen:
            raise ConfigError("no sources are configured: `kinlore init` finds what is in this folder")
        reports: list[Any] = []
        disabled = [configured for configured in chosen if configured.source is None]
        for configured in disabled:
            say(f"{configured.name}: disabled: {configured.disabled}")
        with _runs(container) as runs:
            captures.apply(container, captures.waiting())
            for configured in chosen:
                source, report = configured.source, None
                if source is None:
                    continue
                if source.accepts:
                    report = ingest_pushed.take(container, source, stopped)
                if source.pulls:
                    report = _pull(runs, source, full, accept_retirement, as_json, stopped)
                if report is None:
                    break
                reports.append(report)
                if not as_json:
                    show(report)
                if report.stopped:
                    break
        if not stopped():
            # A server does this by itself, a little later.
            bring_up(container.store, should_stop=stopped)
    return conclude(reports, as_json, refused=bool(names and disabled))


def _captures(config: str | None, as_json: bool) -> int:
    """Deliver what `kinlore run` kept: to the server of KINLORE_URL, else into [store]."""
    import msgspec

    from app.cli import captures
    from app.cli.outcome import OK, UNREACHABLE

    sent = captures.send(config)
    if as_json:
        print_json(msgspec.to_builtins(sent))
    else:
        click.echo(f"capture: {sent.delivered:,} delivered to {sent.to}, {sent.refused:,} refused")
        if sent.waiting:
            say(captures.waits(sent))
    return UNREACHABLE if sent.waiting else OK


@contextmanager
def _runs(container: Any) -> Iterator[Any]:
    """What begins and ends ingestions, beside servers that do so too. Makes the graph if there is none."""
    from app.jobs.leases import Leases
    from app.jobs.runs import Runs
    from app.settings import seconds

    how = container.settings.jobs
    leases = Leases(container.migrated(), duration=seconds(how.lease))
    try:
        yield Runs(container.store, leases, how.share)
    finally:
        leases.close()


def _pull(
    runs: Any, source: Any, full: bool, accept: bool, as_json: bool, stopped: Callable[[], bool]
) -> Any:
    """The report of one ingestion; None where it was stopped while somebody else was at it."""
    from app.cli.progress import watching
    from app.jobs.runs import polite_lock
    from ingestors.loop import Policy
    from ingestors.report import Report

    name = source.config.name
    begun, told = runs.begin(source), ""
    while begun is None:
        grant = runs.holder(name)
        if grant is not None and grant.holder != told:
            told = grant.holder
            say(f"{name} is being ingested by {told}; waiting (Ctrl-C ends it)")
        if stopped():
            return None
        time.sleep(_LOOK)
        begun = runs.begin(source)
    with watching(quiet=as_json) as progress:
        report = runs.carry_out(
            begun,
            full=full,
            accept_retirement=accept,
            progress=progress,
            should_stop=stopped,
            policy=Policy(patience=_PATIENCE, sleep=_waiting(name), lock=polite_lock(runs.store)),
        )
    if report is None:
        error = "somebody else took over, for this process was not heard of; it wrote nothing after that"
        report = Report(source=name, type=source.type, started=time.time_ns() // 1000, error=error)
    return report


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
