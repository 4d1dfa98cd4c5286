"""``kinlore lineage``."""

from __future__ import annotations

import time
from typing import Any

import click

from app.cli.common import options, print_json, say
from app.cli.kinds import KIND, kind_names
from graph_schema.wording import counted

_QUERY = """query(
  $id: ID!, $direction: Direction!, $maxHops: Int, $kinds: [NodeKind!], $edgeKinds: [EdgeKind!],
  $asOf: DateTime, $knownAt: DateTime, $first: Int
) {
  lineage(
    id: $id, direction: $direction, maxHops: $maxHops, kinds: $kinds, edgeKinds: $edgeKinds,
    asOf: $asOf, knownAt: $knownAt, first: $first
  ) {
    root { id }
    nodes { node { id kind name url createdAt goneAt stub } hops hiddenUpstream hiddenDownstream }
    edges { from to kind source validFrom validTo evidence properties }
    totalNodes complete truncatedBecause
  }
}"""


@click.command()
@click.argument("id")
@click.option("--up", is_flag=True, help="Only what it came from.")
@click.option("--down", is_flag=True, help="Only what it feeds.")
@click.option("--hops", default=3, show_default=True, help="How far to walk.")
@click.option("--kind", "kinds", type=KIND, multiple=True, help="Show only this kind; may be repeated.")
@click.option("--edge", "edges", multiple=True, metavar="KIND", help="Follow only this kind of edge.")
@click.option("--as-of", help="As it was in the world then.", metavar="TIME")
@click.option("--known-at", help="As Kinlore knew it then.", metavar="TIME")
@click.option("--first", default=300, show_default=True, help="How many nodes, at most 2,000.")
@options
def command(
    id: str,
    up: bool,
    down: bool,
    hops: int,
    kinds: tuple[str, ...],
    edges: tuple[str, ...],
    as_of: str | None,
    known_at: str | None,
    first: int,
    config: str | None,
    as_json: bool,
) -> None:
    """Show what a thing came from and what it feeds.

    ID is any identifier: git.sha=3faf1c7, mlflow.model_version=churn/3, dvc.md5=1bc2….
    """
    from app.cli.client import connected

    asked = {
        "id": id,
        "direction": "BOTH" if up == down else "UPSTREAM" if up else "DOWNSTREAM",
        "maxHops": hops,
        "kinds": kind_names(kinds),
        "edgeKinds": [edge.upper() for edge in edges] or None,
        "asOf": as_of,
        "knownAt": known_at,
        "first": first,
    }
    with connected(config) as client:
        answer = client.ask(_QUERY, asked)["lineage"]
    if as_json:
        print_json(answer)
        return
    draw(answer)


def draw(answer: dict[str, Any]) -> None:
    """Print a lineage answer as a tree, and whether it is all there is."""
    from app.cli.tree import Tree
    from graph_schema.times import parse_time

    for each in answer["nodes"]:
        created = each["node"]["createdAt"]
        each["node"]["createdAt"] = None if created is None else parse_time(created)
    tree = Tree(answer["nodes"], answer["edges"], time.time_ns() // 1000)
    for line in tree.lines(answer["root"]["id"]):
        click.echo(line)
    if len(answer["nodes"]) == 1:
        say("no lineage is recorded for it")
    state = "complete" if answer["complete"] else answer["truncatedBecause"]
    say(f"\n{counted(len(answer['nodes']), 'node')}, {counted(len(answer['edges']), 'edge')}: {state}")
