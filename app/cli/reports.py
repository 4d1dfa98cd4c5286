"""Reports of ingestions, as they are told in a terminal and as JSON."""

from __future__ import annotations

from typing import Any

import click

from app.cli.console import print_json, say


def conclude(reports: list[Any], as_json: bool, refused: bool) -> int:
    """Say what is to be said at the end; the exit code. ``refused``: something that was asked for by name
    cannot be done here. Of all sources, it is enough that those which can be read were."""
    from app.cli.outcome import FAILURE, OK

    failed = [report for report in reports if report.error is not None]
    if as_json:
        print_json([plain(report) for report in reports])
    elif len(failed) < len(reports):
        # What was pushed tells nothing of it.
        for line in next((each.coverage for each in reversed(reports) if each.coverage), []):
            click.echo(line)
    return FAILURE if failed or not reports or refused else OK


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
