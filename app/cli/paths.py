"""``kinlore paths``."""

from __future__ import annotations

from typing import Any

import click

from app.cli.console import in_options, options, print_json, say
from app.cli.times import TIME
from graph_schema.wording import counted

_QUERY = """query($from: ID!, $to: ID!, $maxHops: Int, $first: Int, $asOf: DateTime, $knownAt: DateTime) {
  node(id: $from) { id }
  paths(from: $from, to: $to, maxHops: $maxHops, first: $first, asOf: $asOf, knownAt: $knownAt) {
    paths { from to kind source evidence } total totalIsExact complete truncatedBecause
  }
}"""


@click.command()
@click.argument("start", metavar="FROM")
@click.argument("end", metavar="TO")
@click.option("--hops", default=20, show_default=True, help="How long a path may be.")
@click.option("--first", default=3, show_default=True, help="How many, at most 100.")
@click.option("--as-of", help="As it was in the world then.", type=TIME)
@click.option("--known-at", help="As Kinlore knew it then.", type=TIME)
@options
def command(
    start: str,
    end: str,
    hops: int,
    first: int,
    as_of: str | None,
    known_at: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Show the shortest ways from one thing to another, down- or upstream."""
    from app.cli import ways
    from app.cli.client import connected
    from app.cli.ids import meant
    from app.cli.outcome import NOT_FOUND, OK

    asked: dict[str, Any] = {"maxHops": hops, "first": first, "asOf": as_of, "knownAt": known_at}
    with connected(config) as client:
        asked["from"], asked["to"] = meant(client, start), meant(client, end)
        told = client.ask(_QUERY, asked)
        found = told["paths"]
        nodes = {} if as_json else ways.on_the_way(client, found["paths"])
    if as_json:
        print_json(found)
        return OK if found["paths"] else NOT_FOUND
    for number, path in enumerate(found["paths"], 1):
        hops = sum(edge["kind"] not in ("SAME_AS", "HAS") for edge in path)
        click.echo(f"{number}. {counted(hops, 'hop')}")
        for line in ways.lines(path, ways.starts(path, told["node"]["id"]), nodes):
            click.echo(f"   {line}")
    if found["truncatedBecause"]:
        say(in_options(found["truncatedBecause"]))
    if not found["paths"]:
        say("no path leads from the one to the other, in either direction")
        return NOT_FOUND
    return OK
