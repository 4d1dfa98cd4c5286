"""``kinlore ingest`` where KINLORE_URL names a server: it is asked to, and looked at until it is done."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from app.cli.console import say

_FIELDS = (
    "started duration run items new changed unchanged stale nodes edges edgesRetired deadLetters retired "
    "returned first complete stopped error warnings"
)
_SOURCES = "{ sources { name enabled disabledBecause pulls } }"
_ASK = """mutation($names: [String!], $full: Boolean!, $accept: Boolean!) {
  ingest(names: $names, full: $full, acceptRetirement: $accept) { run source { type } }
}"""
_LOOK = f"{{ sources {{ name running coverage history(first: 20) {{ {_FIELDS} }} }} }}"
#: Seconds between two looks, and the looks after which a run that is nowhere is given up.
_EVERY, _PATIENCE = 0.5, 20


def ingest_remotely(
    config: str | None,
    names: tuple[str, ...],
    full: bool,
    accept: bool,
    as_json: bool,
    stopped: Callable[[], bool],
) -> int:
    """Exit code of the command."""
    from app.cli.client import connected
    from app.cli.reports import conclude, show

    with connected(config) as client:
        reports: list[Any] = []
        if not names:
            for source in client.ask(_SOURCES, {})["sources"]:
                if not source["enabled"]:
                    say(f"{source['name']}: disabled: {source['disabledBecause']}")
                elif source["pulls"]:
                    names = (*names, source["name"])
            if not names:
                say("the server has no source that can be pulled")
        for name in names:
            report = _ingest(client, name, full, accept, stopped)
            if report is None:
                say("the server goes on; `kinlore sources` shows how it ended")
                break
            reports.append(report)
            if not as_json:
                show(report)
    return conclude(reports, as_json, refused=False)


def _ingest(client: Any, name: str, full: bool, accept: bool, stopped: Callable[[], bool]) -> Any:
    """The report; None where nobody waits for it any more."""
    from app.errors import RemoteError

    told = ""
    while True:
        try:
            (asked,) = client.ask(_ASK, {"names": [name], "full": full, "accept": accept})["ingest"]
            break
        except RemoteError as problem:
            if problem.code != "BUSY" or stopped():
                raise
            if str(problem) != told:
                told = str(problem)
                say(f"{told}; waiting (Ctrl-C ends it)")
    silent = 0
    while not stopped():
        (source,) = [each for each in client.ask(_LOOK, {})["sources"] if each["name"] == name]
        for line in source["history"]:
            if line["run"] == asked["run"]:
                return _report(name, asked["source"]["type"], line, source["coverage"])
        silent = 0 if source["running"] else silent + 1
        if silent > _PATIENCE:
            return _report(name, asked["source"]["type"], {"error": "it ended without a word"}, [])
        time.sleep(_EVERY)
    return None


def _report(name: str, type: str, line: dict[str, Any], coverage: list[str]) -> Any:
    from graph_schema.times import parse_time
    from ingestors.report import Report

    values = {re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), key): v for key, v in line.items()}
    if "started" in values:
        values["started"] = parse_time(values["started"])
    return Report(source=name, type=type, coverage=coverage, **values)
