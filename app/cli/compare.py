"""``kinlore compare``."""

from __future__ import annotations

import json
from typing import Any

import click

from app.cli.console import clean, options, print_json, print_table, say
from graph_schema.wording import clipped, counted

_EDGE = "{ from to kind validFrom }"
_QUERY = f"""query(
  $left: ID!, $right: ID!, $leftAsOf: DateTime, $rightAsOf: DateTime, $knownAt: DateTime
) {{
  compare(left: $left, right: $right, leftAsOf: $leftAsOf, rightAsOf: $rightAsOf, knownAt: $knownAt) {{
    left {{ id name kind }} right {{ id name kind }}
    differences {{ path left right weight }} added {_EDGE} removed {_EDGE} complete truncatedBecause
  }}
}}"""
_NAMES = "query($ids: [ID!]!) { nodes(ids: $ids) { id kind name } }"
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red")}
_SHOWN = 50
_LONGEST = 60


@click.command()
@click.argument("left", metavar="A")
@click.argument("right", metavar="[B]", required=False)
@click.option("--left-as-of", help="The left side as it was in the world then.", metavar="TIME")
@click.option("--right-as-of", help="The right side as it was in the world then.", metavar="TIME")
@click.option("--known-at", help="Both as Kinlore knew them then.", metavar="TIME")
@options
def command(
    left: str,
    right: str | None,
    left_as_of: str | None,
    right_as_of: str | None,
    known_at: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Show what differs between A and B; or, with A alone and two times, what changed in between."""
    from app.cli.client import connected
    from app.cli.ids import meant

    if right is None and left_as_of is None and right_as_of is None:
        raise click.UsageError("give a second thing, or --left-as-of and --right-as-of")
    asked: dict[str, Any] = {"leftAsOf": left_as_of, "rightAsOf": right_as_of, "knownAt": known_at}
    with connected(config) as client:
        asked["left"] = meant(client, left)
        asked["right"] = asked["left"] if right is None else meant(client, right)
        found = client.ask(_QUERY, asked)["compare"]
        ends = {edge[end] for side in _SIGNS for edge in found[side][:_SHOWN] for end in ("from", "to")}
        named = {} if as_json or not ends else _names(client, sorted(ends))
    if as_json:
        print_json(found)
        return 0
    _show(found, named)
    return 0


def _names(client: Any, ids: list[str]) -> dict[str, str]:
    """What people call these nodes: kind and name."""
    from app.cli.ids import spelled

    nodes = client.ask(_NAMES, {"ids": ids})["nodes"]
    return {
        node["id"]: f"{spelled(node['kind'])} {clipped(clean(node['name']), _LONGEST)}"
        for node in nodes
        if node
    }


def _show(found: dict[str, Any], named: dict[str, str]) -> None:
    differences, added, removed = found["differences"], found["added"], found["removed"]
    if differences:
        print_table(
            ("what", clipped(found["left"]["name"], _LONGEST), clipped(found["right"]["name"], _LONGEST)),
            [(each["path"], _value(each["left"]), _value(each["right"])) for each in differences[:_SHOWN]],
        )
    for side, (sign, colour) in _SIGNS.items():
        edges = found[side]
        for edge in edges[:_SHOWN]:
            since = f" since {edge['validFrom']}" if edge["validFrom"] else ""
            ends = [named.get(edge[end], clean(edge[end])) for end in ("from", "to")]
            click.echo(click.style(f"{sign} {ends[0]} ─{edge['kind']}→ {ends[1]}{since}", fg=colour))
        if len(edges) > _SHOWN:
            say(f"… and {len(edges) - _SHOWN:,} more edges with {sign}: --json shows all")
    if len(differences) > _SHOWN:
        say(f"… and {len(differences) - _SHOWN:,} more values that differ: --json shows all")
    if not (differences or added or removed):
        say("nothing differs")
    state = "complete" if found["complete"] else found["truncatedBecause"]
    say(
        f"{counted(len(differences), 'value')} differ{'s' if len(differences) == 1 else ''}, "
        f"{counted(len(added), 'edge')} added, {counted(len(removed), 'edge')} removed: {state}"
    )


def _value(value: Any) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return clipped(clean(text), _LONGEST)
