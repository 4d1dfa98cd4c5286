"""``kinlore impact``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from app.cli.console import clean, in_options, options, print_json, say
from app.cli.times import TIME
from graph_schema.wording import clipped, counted

_QUERY = """query($ids: [ID!]!, $maxHops: Int, $asOf: DateTime, $knownAt: DateTime, $first: Int) {
  impact(ids: $ids, maxHops: $maxHops, asOf: $asOf, knownAt: $knownAt, first: $first) {
    score summary total rest complete truncatedBecause
    counts { kind count } owners { role owner { id name kind } }
    targets {
      contribution because hops node { id kind name }
      path { from kind to source validFrom evidence }
    }
  }
}"""
_NAME = 50


@click.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@click.option("--hops", default=20, show_default=True, help="How far downstream to look.")
@click.option("--first", default=10, show_default=True, help="How many things to tell, at most 2,000.")
@click.option("--as-of", help="As it was in the world then.", type=TIME)
@click.option("--known-at", help="As Kinlore knew it then.", type=TIME)
@options
def command(
    ids: tuple[str, ...],
    hops: int,
    first: int,
    as_of: str | None,
    known_at: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Show what is at risk if things are changed or lost: in words, then one by one with the way to each."""
    from app.cli import ways
    from app.cli.client import connected
    from app.cli.ids import meant

    asked: dict[str, Any] = {"maxHops": hops, "first": first, "asOf": as_of, "knownAt": known_at}
    with connected(config) as client:
        asked["ids"] = [meant(client, text) for text in ids]
        found = client.ask(_QUERY, asked)["impact"]
        nodes = {} if as_json else ways.on_the_way(client, (each["path"] for each in found["targets"]))
    if as_json:
        print_json(found)
        return 0
    click.echo(click.style(found["summary"], bold=True))
    click.echo(f"Score {found['score']:.1f} of 100, which only sorts.")
    for target in found["targets"]:
        _show(target, nodes)
    if found["owners"]:
        click.echo()
        click.echo("Ask: " + ", ".join(_owner(each) for each in found["owners"]))
    told = len(found["targets"])
    if found["total"] > told:
        say(f"{counted(found['total'] - told, 'more thing')} make up {found['rest']:.1f} of the score")
    if found["truncatedBecause"]:
        say(in_options(found["truncatedBecause"]))
    return 0


def _show(target: dict[str, Any], nodes: Mapping[str, Mapping[str, Any]]) -> None:
    from app.cli import ways
    from app.cli.ids import spelled

    node = target["node"]
    click.echo()
    what = f"{spelled(node['kind'])} {clipped(clean(node['name']), _NAME)}"
    click.echo(f"{target['contribution']:5.1f}  {click.style(what, bold=True)}  {clean(target['because'])}")
    if target["path"]:
        for line in ways.lines(target["path"], ways.begins(target["path"], node["id"]), nodes):
            click.echo(f"       {line}")


def _owner(owned: dict[str, Any]) -> str:
    name = clean(owned["owner"]["name"])
    return f"{name} ({clean(owned['role'])})" if owned["role"] else name
