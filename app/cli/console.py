"""Options that every command has, and how commands print."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
#: Characters that a screen is taken to have beside each other.
WIDE = 100


def options(command: F) -> F:
    """Adds ``--json`` (as ``as_json``) and ``--config``."""
    command = click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
    return click.option(
        "--config", callback=_config, help="The settings file, if it is not ./kinlore.toml.", metavar="FILE"
    )(command)


def _config(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The option may stand before the command too."""
    return value or context.find_root().params.get("config")


def print_json(value: Any) -> None:
    """JSON on stdout, indented for people where they look at it."""
    import msgspec

    text = msgspec.json.encode(value)
    if sys.stdout.isatty():
        text = msgspec.json.format(text, indent=2)
    click.echo(text.decode())


def say(text: str) -> None:
    """A line for people, on stderr."""
    click.echo(text, err=True)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns on stdout, the heading in bold on a terminal."""
    table = [list(head), *([_line(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    for number, row in enumerate(table):
        text = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        click.echo(click.style(text, bold=True) if number == 0 else text)


def _line(text: str) -> str:
    """Without control characters: names come from outside and may not steer the terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def clean(text: str) -> str:
    """A name on one line, safe to print."""
    return _line(text)


def fitting(head: str, text: str, indent: int) -> str:
    """A text after its head, on as many lines as it needs, none wider than :data:`WIDE`; all but the first
    begin with so many spaces. Names and paths are not broken at their hyphens."""
    import textwrap

    return textwrap.fill(
        text, WIDE, initial_indent=head, subsequent_indent=" " * indent, break_on_hyphens=False
    )


def moment(said: str | None) -> str:
    """A time as tables show it, in UTC and to the minute: ``2026-11-03 14:20``."""
    return (said or "")[:16].replace("T", " ")


def age(then: int | None, now: int) -> str:
    """How long ago, in one unit; times in microseconds."""
    if then is None:
        return ""
    seconds = (now - then) / 1_000_000
    if seconds < 0:
        return "in the future"
    for unit, length in (("y", 31_557_600), ("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds / length)} {unit} ago"
    return "just now"


#: How answers name what narrows them, and what the options of the commands are called.
_OPTIONS = {"maxHops": "--hops", "asOf": "--as-of", "edgeKinds": "--edge", "raise first": "raise --first"}


def in_options(reason: str) -> str:
    """Why an answer stopped early, its arguments under the names that they have on the command line."""
    for argument, option in _OPTIONS.items():
        reason = reason.replace(argument, option)
    return reason
