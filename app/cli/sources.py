"""``kinlore sources``."""

from __future__ import annotations

import time
from typing import Any

import click

from app.cli.console import age, options, print_json, print_table, say
from graph_schema.wording import counted

_QUERY = """query($first: Int!) {
  sources {
    name type space enabled disabledBecause pulls accepts
    schedule interval nextRun running runningSince runningBy
    lastStarted lastFinished lastSuccess lastError lastErrorAt lastDelivery
    deadLetters counts warnings coverage
    history(first: $first) {
      started duration items new changed unchanged deadLetters edges retired stopped error
    }
  }
}"""
_RUNS = 10
_LETTERS = 50


@click.command()
@click.argument("name", required=False)
@options
def command(name: str | None, config: str | None, as_json: bool) -> int:
    """Show how the sources stand; with a NAME also its last runs, and what was refused, and why."""
    from app.cli.client import connected
    from app.cli.outcome import OK
    from app.errors import NoGraphYet
    from graph_schema.errors import NotFound

    new = False
    try:
        with connected(config) as client:
            found = client.ask(_QUERY, {"first": _RUNS if name is not None else 1})["sources"]
    except NoGraphYet:
        new, found = True, _configured(config)
    if name is not None:
        known = ", ".join(source["name"] for source in found) or "none; `kinlore init` finds some"
        found = [source for source in found if source["name"] == name]
        if not found:
            raise NotFound(f"no source is named {name!r}; known are: {known}")
    letters = _letters(config, name) if name is not None and not new else []
    if as_json:
        print_json({**found[0], "refused": letters} if name is not None else found)
        return OK
    if not found:
        say("no sources are configured: `kinlore init` finds what is in this folder")
        return OK
    now = time.time_ns() // 1000
    print_table(
        ("source", "type", "state", "every", "next", "last success", "items", "refused"),
        [
            (
                source["name"],
                source["type"],
                _state(source),
                _every(source),
                _next(source, now),
                _ago(source["lastSuccess"], now),
                f"{source['counts'].get('items', 0):,}",
                f"{source['deadLetters']:,}",
            )
            for source in found
        ],
    )
    for source in found:
        for line in (
            source["disabledBecause"],
            source["lastError"],
            *source["warnings"],
            *_notes(source, now),
        ):
            if line:
                say(f"{source['name']}: {line}")
    if new:
        say("no graph yet: kinlore ingest")
    if name is not None and found[0]["history"]:
        click.echo()
        print_table(("started", "took", "items", "new", "changed", "refused", "outcome"), _runs(found[0]))
    for letter in letters:
        click.echo(f"{letter['type']} {letter['key']}: {letter['reason']}")
    if name is not None and len(letters) < found[0]["deadLetters"]:
        where = "" if letters else ": a server does not list them; ask at its store, without KINLORE_URL"
        say(f"{len(letters):,} of {counted(found[0]['deadLetters'], 'refused item')} shown{where}")
    return OK


def _configured(config: str | None) -> list[dict[str, Any]]:
    """What the settings say, in the form of the answer, where no graph can say more."""
    from app import settings
    from app.container import Container

    nothing = (
        "interval", "nextRun", "runningSince", "runningBy",
        "lastStarted", "lastFinished", "lastSuccess", "lastError", "lastErrorAt", "lastDelivery",
    )  # fmt: skip
    with Container(settings.load(config)) as container:
        return [
            {
                "name": source.name,
                "type": source.type,
                "space": source.space,
                "enabled": source.disabled is None,
                "disabledBecause": source.disabled,
                "pulls": source.source is None or source.source.pulls,
                "accepts": source.source is not None and source.source.accepts,
                "schedule": source.source.config.every if source.source and source.source.pulls else None,
                "running": False,
                "history": [],
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
    if source["running"]:
        return "running"
    if source["lastError"]:
        return "failed"
    return "ok" if source["lastSuccess"] else "not ingested yet"


def _every(source: dict[str, Any]) -> str:
    if not source["pulls"]:
        return "pushed"
    return source["schedule"] or ""


def _next(source: dict[str, Any], now: int) -> str:
    from graph_schema.times import parse_time

    if source["nextRun"] is None or source["running"]:
        return ""
    return f"in {_span(max(0.0, (parse_time(source['nextRun']) - now) / 1_000_000))}"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _notes(source: dict[str, Any], now: int) -> list[str]:
    """What is out of the ordinary about its schedule."""
    from graph_schema.times import parse_time
    from ingestors.every import parse_every

    if source["running"]:
        span = _span((now - parse_time(source["runningSince"])) / 1_000_000)
        return [f"is being ingested by {source['runningBy']}, for {span} now"]
    if source["schedule"] is None or not source["enabled"]:
        return []
    if source["nextRun"] is None:
        return ["nothing pulls it by itself now: no `kinlore serve` runs on this store"]
    seconds = parse_every(source["schedule"]).seconds
    if seconds is not None and source["interval"] > seconds and source["history"]:
        last = source["history"][0]
        why = "it failed" if last["error"] else f"pulling it takes {last['duration']:.1f} s"
        return [f"is pulled every {_span(source['interval'])} and not every {_span(seconds)}: {why}"]
    return []


def _runs(source: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            run["started"][:19] + "Z",
            f"{run['duration']:.1f} s",
            f"{run['items']:,}",
            f"{run['new']:,}",
            f"{run['changed']:,}",
            f"{run['deadLetters']:,}",
            run["error"] or ("stopped" if run["stopped"] else "ok"),
        )
        for run in source["history"]
    ]


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
