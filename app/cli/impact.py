"""``kinlore impact``."""

from __future__ import annotations

from typing import Any

import click

from app.cli.console import clean, in_options, options, print_json, say
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
_NAMES = "query($ids: [ID!]!) { nodes(ids: $ids) { id kind name } }"
_AT_ONCE = 200
_NAME = 50


@click.command()
@click.argument("ids", metavar="ID…", nargs=-1, required=True)
@click.option("--hops", default=20, show_default=True, help="How far downstream to look.")
@click.option("--first", default=10, show_default=True, help="How many things to tell, at most 2,000.")
@click.option("--as-of", help="As it was in the world then.", metavar="TIME")
@click.option("--known-at", help="As Kinlore knew it then.", metavar="TIME")
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
    from app.cli.client import connected
    from app.cli.ids import meant

    asked: dict[str, Any] = {"maxHops": hops, "first": first, "asOf": as_of, "knownAt": known_at}
    with connected(config) as client:
        asked["ids"] = [meant(client, text) for text in ids]
        found = client.ask(_QUERY, asked)["impact"]
        named = {} if as_json else _names(client, found["targets"])
    if as_json:
        print_json(found)
        return 0
    click.echo(click.style(found["summary"], bold=True))
    click.echo(f"Score {found['score']:.1f} of 100, which only sorts.")
    for target in found["targets"]:
        _show(target, named)
    if found["owners"]:
        click.echo()
        click.echo("Ask: " + ", ".join(_owner(each) for each in found["owners"]))
    told = len(found["targets"])
    if found["total"] > told:
        say(f"{counted(found['total'] - told, 'more thing')} make up {found['rest']:.1f} of the score")
    if found["truncatedBecause"]:
        say(in_options(found["truncatedBecause"]))
    return 0


def _names(client: Any, targets: list[dict[str, Any]]) -> dict[str, str]:
    """What the nodes on the paths are called."""
    ids = sorted({edge[end] for target in targets for edge in target["path"] for end in ("from", "to")})
    named: dict[str, str] = {}
    for start in range(0, len(ids), _AT_ONCE):
        nodes = client.ask(_NAMES, {"ids": ids[start : start + _AT_ONCE]})["nodes"]
        named.update({node["id"]: node["name"] for node in nodes if node})
    return named


def _show(target: dict[str, Any], named: dict[str, str]) -> None:
    from app.cli.ids import spelled

    node = target["node"]
    click.echo()
    what = f"{spelled(node['kind'])} {clipped(clean(node['name']), _NAME)}"
    click.echo(f"{target['contribution']:5.1f}  {click.style(what, bold=True)}  {clean(target['because'])}")
    for edge, at in _way(target):
        if edge is None:
            click.echo(f"       from {_name(named, at)}")
        else:
            doubt = f"  ({clipped(clean(edge['evidence']), _NAME)})" if edge["evidence"] else ""
            click.echo(f"       ─{edge['kind']}→ {_name(named, at)}{doubt}")


def _way(target: dict[str, Any]) -> list[tuple[dict[str, Any] | None, str]]:
    """Where the path begins, and then each edge with the node it leads to; SAME_AS in either direction."""
    way: list[tuple[dict[str, Any] | None, str]] = []
    at = target["node"]["id"]
    for edge in reversed(target["path"]):
        way.append((edge, at))
        at = edge["from"] if edge["to"] == at else edge["to"]
    if way:
        way.append((None, at))
    return way[::-1]


def _name(named: dict[str, str], id: str) -> str:
    return clipped(clean(named.get(id) or id), _NAME)


def _owner(owned: dict[str, Any]) -> str:
    name = clean(owned["owner"]["name"])
    return f"{name} ({clean(owned['role'])})" if owned["role"] else name
