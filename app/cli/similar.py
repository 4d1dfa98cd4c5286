"""``kinlore similar``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from app.cli.console import age, clean, options, print_json, say
from app.cli.kinds import KIND, kind_names
from graph_schema.wording import clipped

QUERY = """query($id: ID, $text: String, $kinds: [NodeKind!], $first: Int) {
  similar(id: $id, text: $text, kinds: $kinds, first: $first) {
    matches { node { id kind name createdAt url properties } probability sameProject
      shared { kind text weight node { id name } }
      differs { path left right weight }
      remediations { remediation { id name } tried worked closed lowerBound because here verified } }
    noPrecedent semantic because
  }
}"""
_SHOWN = 3
#: Characters of a remediation with its record, so that a line is none wider than a screen.
_FIX = 86


@click.command()
@click.argument("id", required=False)
@click.option("--text", help="An error, a traceback or the end of a log; - reads it from standard input.")
@click.option("--kind", "kinds", multiple=True, type=KIND, help="Only these: Run, JobRun, Incident.")
@click.option("--first", default=5, show_default=True, help="How many, at most 50.")
@click.option(
    "--wait", default=0.0, metavar="SECONDS", help="Without a server: how long to wait for the model."
)
@options
def command(
    id: str | None,
    text: str | None,
    kinds: tuple[str, ...],
    first: int,
    wait: float,
    config: str | None,
    as_json: bool,
) -> int:
    """Find earlier failures like one, or like an error text, and what fixed them."""
    from app.cli.client import connected
    from app.cli.ids import meant
    from app.cli.outcome import NOT_FOUND, OK

    if (id is None) is (text is None):
        raise click.UsageError("give either the ID of a failure, or --text with an error")
    if text == "-":
        text = sys.stdin.read()
    with connected(config) as client:
        asked: dict[str, Any] = {"text": text, "kinds": kind_names(kinds), "first": first}
        if id is not None:
            asked["id"] = meant(client, id)
        client.wait_for_model(wait)
        found = client.ask(QUERY, asked)["similar"]
    if as_json:
        print_json(found)
        return NOT_FOUND if found["noPrecedent"] else OK
    for number, match in enumerate(found["matches"], 1):
        if number > 1:
            click.echo()
        for line in _match(number, match, of_text=id is None):
            click.echo(line)
    if found["noPrecedent"]:
        say("no precedent: nothing earlier is alike")
    if not found["semantic"]:
        say(f"by words and the graph alone: {found['because']}")
    return NOT_FOUND if found["noPrecedent"] else OK


def _match(number: int, match: Mapping[str, Any], *, of_text: bool) -> Iterator[str]:
    node = match["node"]
    said = [f"{match['probability']:.0%} alike", when(node)]
    # A text is of no project.
    if not match["sameProject"] and not of_text:
        said.append("another project")
    yield click.style(f"{number}. {clean(node['name'])}", bold=True) + f"  {', '.join(filter(None, said))}"
    yield f"   {clean(node['id'])}"
    error = _error(node["properties"])
    if error:
        yield f"   {clean(error)[:94]}"
    yield from _block("shares", [clean(each["text"]) for each in match["shared"]])
    yield from _block("differs", [difference(each) for each in match["differs"]])
    yield from _block("fixes", [fix(each) for each in match["remediations"]])
    if not match["remediations"]:
        yield "   related, no known fix"


def _error(said: Mapping[str, Any]) -> str:
    from app.learnings.failures import error_of, line_of

    return error_of(said) or line_of(str(said.get("summary") or ""))


def _block(name: str, lines: list[str]) -> Iterator[str]:
    for place, line in enumerate(lines[:_SHOWN]):
        yield f"   {name if place == 0 else '':<8} {clipped(line, _FIX + 2)}"


def when(node: Mapping[str, Any]) -> str:
    """How long ago a failure happened, where its node says."""
    from graph_schema.errors import BadInput
    from graph_schema.times import parse_time

    said = node["properties"]
    first = said.get("startedAt") if node["kind"] == "INCIDENT" else said.get("endedAt")
    for each in (first, said.get("startedAt"), node["createdAt"]):
        if isinstance(each, int):
            return age(each, time.time_ns() // 1_000)
        if isinstance(each, str):
            try:
                return age(parse_time(each), time.time_ns() // 1_000)
            except BadInput:
                continue
    return ""


def difference(each: Mapping[str, Any]) -> str:
    """``dtype: bf16 here, fp32 there``."""
    name = str(each["path"]).removeprefix("params.")
    return clean(f"{name}: {_value(each['left'])} here, {_value(each['right'])} there")


def _value(value: Any) -> str:
    text = "none" if value is None else str(value)
    head, equals, rest = text.partition("=")
    # Of a digest the beginning tells enough.
    return f"{head}={rest[:10]}…" if equals and len(rest) > 24 and rest.isalnum() else text[:40]


def fix(each: Mapping[str, Any]) -> str:
    """``Cast to float32: worked 2 of 3``, and how many of these only a forge speaks for."""
    name = clean(each["remediation"]["name"])
    if not each["tried"]:
        record = "inferred from later runs, not confirmed"
        return f"{clipped(name, _FIX - len(record))}: {record}"
    record = f"worked {each['worked']} of {each['tried']}"
    if each["closed"]:
        record += f" ({each['closed']} closed by the forge, not confirmed)"
    return f"{clipped(name, _FIX - len(record))}: {record}"
