"""``kinlore lineage ID --column NAME``: the answer for people."""

from __future__ import annotations

from typing import Any

import click

from app.cli.console import clean, in_options, say
from graph_schema.wording import clipped, counted

QUERY = """query(
  $id: ID!, $column: String!, $direction: Direction!, $maxHops: Int, $asOf: DateTime, $knownAt: DateTime
) {
  columnLineage(
    id: $id, column: $column, direction: $direction, maxHops: $maxHops, asOf: $asOf, knownAt: $knownAt
  ) {
    root { id name } column
    nodes { node { id name } column hops }
    edges { from fromColumn to toColumn transformations masked description source validFrom evidence }
    readers { node { id kind name } reads }
    unknown { from to }
    complete truncatedBecause
  }
}"""
_NAME = 40
_LISTED = 20


def draw(answer: dict[str, Any]) -> None:
    """Print where a column came from, what it went into, and who reads it."""
    name = {each["node"]["id"]: clipped(clean(each["node"]["name"]), _NAME) for each in answer["nodes"]}
    hops = {(each["node"]["id"], each["column"]): each["hops"] for each in answer["nodes"]}
    root = (answer["root"]["id"], answer["column"])

    def called(id: str, column: str | None) -> str:
        return f"{name[id]}.{clean(column)}" if column is not None else f"{name[id]} (all of it)"

    click.echo(click.style(called(*root), bold=True))
    for title, sign in (("came from", -1), ("went into", 1)):
        steps = [edge for edge in answer["edges"] if _far(edge, hops, sign)]
        if not steps:
            continue
        click.echo(title)
        for edge in sorted(steps, key=lambda edge: (_depth(edge, hops), edge["from"], edge["to"])):
            depth = _depth(edge, hops)
            src = called(edge["from"], edge["fromColumn"])
            dst = called(edge["to"], edge["toColumn"])
            click.echo(f"  {sign * depth:+d}  {src} → {dst}{_how(edge)}")
    if answer["readers"]:
        click.echo("read by, whichever columns they take")
        for each in answer["readers"][:_LISTED]:
            click.echo(f"      {clipped(clean(each['node']['name']), _NAME)}  {clean(each['node']['id'])}")
        if len(answer["readers"]) > _LISTED:
            click.echo(f"      … and {len(answer['readers']) - _LISTED:,} more: --json shows all")
    if len(answer["nodes"]) == 1 and not answer["unknown"]:
        say("no derivation names this column")
    state = "complete" if answer["complete"] else in_options(answer["truncatedBecause"])
    say(f"\n{counted(len(answer['nodes']), 'column')}, {counted(len(answer['edges']), 'step')}: {state}")


def _far(edge: dict[str, Any], hops: dict[tuple[str, str | None], int], sign: int) -> bool:
    ends = (hops.get((edge["from"], edge["fromColumn"]), 0), hops.get((edge["to"], edge["toColumn"]), 0))
    return min(ends) < 0 if sign < 0 else max(ends) > 0


def _depth(edge: dict[str, Any], hops: dict[tuple[str, str | None], int]) -> int:
    return max(
        abs(hops.get((edge["from"], edge["fromColumn"]), 0)), abs(hops.get((edge["to"], edge["toColumn"]), 0))
    )


def _how(edge: dict[str, Any]) -> str:
    said = [clean(each) for each in edge["transformations"]]
    if edge["masked"]:
        said.append("masked")
    if edge["description"]:
        said.append(clipped(clean(edge["description"]), _NAME))
    return f"  [{', '.join(said)}]" if said else ""
