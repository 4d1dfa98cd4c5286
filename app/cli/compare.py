"""``kinlore compare``."""

from __future__ import annotations

import json
from typing import Any

import click

from app.cli.console import clean, options, print_json, print_table, say
from app.cli.times import TIME
from graph_schema.wording import clipped, counted

_EDGE, _NAMED = "{ from to kind validFrom }", "{ id name }"
_QUERY = f"""query(
  $left: ID!, $right: ID!, $leftAsOf: DateTime, $rightAsOf: DateTime, $knownAt: DateTime
) {{
  compare(left: $left, right: $right, leftAsOf: $leftAsOf, rightAsOf: $rightAsOf, knownAt: $knownAt) {{
    left {{ id name kind }} right {{ id name kind }}
    differences {{ path left right weight text leftNodes {{ id }} rightNodes {{ id }} }}
    code {{ repository {{ name }} addedCount removedCount complete added {_NAMED} removed {_NAMED} }}
    added {_EDGE} removed {_EDGE} complete truncatedBecause
  }}
}}"""
_SIGNS = {"added": ("+", "green"), "removed": ("-", "red")}
_SHOWN = 50
_COMMITS = 10
_LONGEST, _VALUE = 60, 36
#: Below this weight a difference is a name, a time, an id or a place.
_NOISE = 0.1
#: Up to this weight what differs may be no difference.
_DOUBTFUL = 0.3
_PLACES = "names, times, ids and places"


@click.command()
@click.argument("left", metavar="A")
@click.argument("right", metavar="[B]", required=False)
@click.option("--left-as-of", help="The left side as it was in the world then.", type=TIME)
@click.option("--right-as-of", help="The right side as it was in the world then.", type=TIME)
@click.option("--known-at", help="Both as Kinlore knew them then.", type=TIME)
@click.option("--all", "everything", is_flag=True, help="Names, times, ids and places too.")
@click.option("--edges", "with_edges", is_flag=True, help="The edges that only one of them has, too.")
@options
def command(
    left: str,
    right: str | None,
    left_as_of: str | None,
    right_as_of: str | None,
    known_at: str | None,
    everything: bool,
    with_edges: bool,
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
        # Two things never have the same edges; what that means is told. One thing at two times is its edges.
        with_edges = with_edges or asked["left"] == asked["right"]
        ends = {edge[end] for side in _SIGNS for edge in found[side][:_SHOWN] for end in ("from", "to")}
        named = {} if as_json or not ends or not with_edges else _names(client, sorted(ends))
    if as_json:
        print_json(found)
        return 0
    _show(found, named, everything, with_edges)
    return 0


def _names(client: Any, ids: list[str]) -> dict[str, str]:
    """What people call these nodes: kind and name."""
    from app.cli import ways
    from app.cli.ids import spelled

    return {
        node["id"]: f"{spelled(node['kind'])} {clipped(clean(node['name']), _LONGEST)}"
        for node in ways.named(client, ids).values()
    }


def _show(found: dict[str, Any], named: dict[str, str], everything: bool, with_edges: bool) -> None:
    differences, added, removed = found["differences"], found["added"], found["removed"]
    shown = [each for each in differences if everything or each["weight"] >= _NOISE]
    if shown:
        print_table(
            ("what", clipped(found["left"]["name"], _VALUE), clipped(found["right"]["name"], _VALUE)),
            [(clean(each["path"]), _value(each["left"]), _value(each["right"])) for each in shown[:_SHOWN]],
        )
    for each in shown[:_SHOWN]:
        # What two values alone would hide: that nobody knows whether they differ, or what was run.
        if each["text"] and (each["weight"] <= _DOUBTFUL or each["path"] in ("code.dirty", "code.diff")):
            click.echo(f"{clean(each['path'])}: {clean(each['text'])}")
    for between in found["code"]:
        _show_commits(between)
    for side, (sign, colour) in _SIGNS.items() if with_edges else ():
        edges = found[side]
        for edge in edges[:_SHOWN]:
            since = f" since {edge['validFrom']}" if edge["validFrom"] else ""
            ends = [named.get(edge[end], clean(edge[end])) for end in ("from", "to")]
            click.echo(click.style(f"{sign} {ends[0]} ─{edge['kind']}→ {ends[1]}{since}", fg=colour))
        if len(edges) > _SHOWN:
            say(f"… and {len(edges) - _SHOWN:,} more edges with {sign}: --json shows all")
    if len(shown) > _SHOWN:
        say(f"… and {len(shown) - _SHOWN:,} more values that differ: --json shows all")
    if len(differences) > len(shown):
        say(f"left out: {counted(len(differences) - len(shown), 'name, time, id or place', _PLACES)} (--all)")
    if not (differences or added or removed):
        say("nothing differs")
    state = "complete" if found["complete"] else found["truncatedBecause"]
    say(
        f"{counted(len(differences), 'value')} differ{'s' if len(differences) == 1 else ''}, "
        f"{counted(len(added), 'edge')} added, {counted(len(removed), 'edge')} removed"
        f"{'' if with_edges or not (added or removed) else ' (--edges)'}: {state}"
    )


def _show_commits(between: dict[str, Any]) -> None:
    """The commits between, as `git log` would list them: `>` only on the right, `<` only on the left."""
    where = f" of {clean(between['repository']['name'])}" if between["repository"] else ""
    if not between["complete"]:
        click.echo(f"commits{where} between: no common history found within the limits")
        return
    total = between["addedCount"] + between["removedCount"]
    click.echo(f"{counted(total, 'commit')}{where} between:")
    for side, sign in (("added", ">"), ("removed", "<")):
        listed = between[side][:_COMMITS]
        for commit in listed:
            click.echo(f"  {sign} {clipped(clean(commit['name']), _LONGEST + _VALUE)}")
        if between[f"{side}Count"] > len(listed):
            click.echo(f"  {sign} … and {between[f'{side}Count'] - len(listed):,} more")


def _value(value: Any) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return clipped(clean(text), _VALUE)
