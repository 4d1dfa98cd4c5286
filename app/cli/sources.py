"""``kinlore sources``."""

from __future__ import annotations

import time
from typing import Any

import click

from app.cli.console import age, options, print_json, print_table, say

_QUERY = """{
  sources {
    name type space enabled disabledBecause lastStarted lastFinished lastSuccess lastError lastErrorAt
    deadLetters counts warnings coverage
  }
}"""
_LETTERS = 50


@click.command()
@click.argument("name", required=False)
@options
def command(name: str | None, config: str | None, as_json: bool) -> int:
    """Show how the sources stand; with a NAME also what of it was refused, and why."""
    from app.cli.client import connected
    from app.cli.outcome import NOT_FOUND, OK
    from app.errors import NoGraphYet

    new = False
    try:
        with connected(config) as client:
            found = client.ask(_QUERY, {})["sources"]
    except NoGraphYet:
        new, found = True, _configured(config)
    if name is not None:
        found = [source for source in found if source["name"] == name]
        if not found:
            say(f"no source is named {name!r}")
            return NOT_FOUND
    letters = _letters(config, name) if name is not None and not new else []
    if as_json:
        print_json({**found[0], "refused": letters} if name is not None else found)
        return OK
    if not found:
        say("no sources are configured: `kinlore init` finds what is in this folder")
        return OK
    now = time.time_ns() // 1000
    print_table(
        ("source", "type", "state", "last success", "items", "refused"),
        [
            (
                source["name"],
                source["type"],
                _state(source),
                _ago(source["lastSuccess"], now),
                f"{source['counts'].get('items', 0):,}",
                f"{source['deadLetters']:,}",
            )
            for source in found
        ],
    )
    for source in found:
        for line in (source["disabledBecause"], source["lastError"], *source["warnings"]):
            if line:
                say(f"{source['name']}: {line}")
    if new:
        say("no graph yet: kinlore ingest")
    for letter in letters:
        click.echo(f"{letter['type']} {letter['key']}: {letter['reason']}")
    return OK


def _configured(config: str | None) -> list[dict[str, Any]]:
    """What the settings say, in the form of the answer, where no graph can say more."""
    from app import settings
    from app.container import Container

    nothing = ("lastStarted", "lastFinished", "lastSuccess", "lastError", "lastErrorAt")
    with Container(settings.load(config)) as container:
        return [
            {
                "name": source.name,
                "type": source.type,
                "space": source.space,
                "enabled": source.disabled is None,
                "disabledBecause": source.disabled,
                **dict.fromkeys(nothing),
                "deadLetters": 0,
                "counts": {},
                "warnings": [],
                "coverage": [],
            }
            for source in container.sources
        ]


def _state(source: dict[str, Any]) -> str:
    if not source["enabled"]:
        return "disabled"
    if source["lastError"]:
        return "failed"
    return "ok" if source["lastSuccess"] else "not ingested yet"


def _ago(then: str | None, now: int) -> str:
    from graph_schema.times import parse_time

    return "" if then is None else age(parse_time(then), now)


def _letters(config: str | None, name: str) -> list[dict[str, Any]]:
    """What was refused, from the store; a server does not tell it."""
    from app import settings
    from app.container import Container
    from ingestors.report import DEAD_LETTERS

    if settings.remote() is not None:
        return []
    with Container(settings.load(config)) as container:
        held = container.store.service(DEAD_LETTERS, prefix=f"{name}/", limit=_LETTERS)
    return [value for _, value in held]
