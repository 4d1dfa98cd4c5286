"""``kinlore lineage``."""

from __future__ import annotations

import shlex
import time
from itertools import islice
from typing import Any

import click

from app.cli.console import age, clean, in_options, options, print_json, say
from app.cli.kinds import EDGE, KIND, kind_names
from app.cli.times import TIME
from graph_schema.wording import counted

_QUERY = """query(
  $id: ID!, $direction: Direction!, $maxHops: Int, $kinds: [NodeKind!], $edgeKinds: [EdgeKind!],
  $asOf: DateTime, $knownAt: DateTime, $first: Int
) {
  lineage(
    id: $id, direction: $direction, maxHops: $maxHops, kinds: $kinds, edgeKinds: $edgeKinds,
    asOf: $asOf, knownAt: $knownAt, first: $first
  ) {
    root { id owners { owner { id kind name } role } }
    nodes {
      node { id kind name url createdAt goneAt stub ... on Check { properties } }
      hops hiddenUpstream hiddenDownstream
    }
    edges { from to kind source validFrom validTo evidence properties }
    totalNodes complete truncatedBecause
  }
}"""

# What a model, an experiment or a repository has is no lineage of it, but where lineage begins.
_PARTS = """query($id: ID!, $asOf: DateTime, $knownAt: DateTime) {
  lineage(
    id: $id, direction: DOWNSTREAM, maxHops: 1, edgeKinds: [HAS], asOf: $asOf, knownAt: $knownAt, first: 2000
  ) {
    nodes { node { id kind name createdAt goneAt } hops }
    totalNodes
  }
}"""
_PARTS_ASK = ("id", "asOf", "knownAt")
_LISTED = 10
_HOPS = 3


@click.command()
@click.argument("id")
@click.option("--up", is_flag=True, help="Only what it came from.")
@click.option("--down", is_flag=True, help="Only what it feeds.")
@click.option("--column", help="Follow this column of a data version or data set, not the whole.")
@click.option("--hops", type=int, help="How far to walk.  [default: 3; 20 with --column]")
@click.option("--kind", "kinds", type=KIND, multiple=True, help="Show only this kind; may be repeated.")
@click.option(
    "--edge", "edges", type=EDGE, multiple=True, metavar="KIND", help="Follow only this kind of edge."
)
@click.option("--as-of", help="As it was in the world then.", type=TIME)
@click.option("--known-at", help="As Kinlore knew it then.", type=TIME)
@click.option("--first", default=300, show_default=True, help="How many nodes, at most 2,000.")
@options
def command(
    id: str,
    up: bool,
    down: bool,
    column: str | None,
    hops: int | None,
    kinds: tuple[str, ...],
    edges: tuple[str, ...],
    as_of: str | None,
    known_at: str | None,
    first: int,
    config: str | None,
    as_json: bool,
) -> None:
    """Show what a thing came from and what it feeds.

    ID is any identifier: git.sha=3faf1c7, mlflow.model_version=churn/3, dvc.md5=1bc2…; or what is one under
    some scheme, such as churn/3.
    """
    from app.cli.client import connected
    from app.cli.ids import meant

    asked: dict[str, Any] = {
        "direction": "BOTH" if up == down else "UPSTREAM" if up else "DOWNSTREAM",
        "maxHops": _HOPS if hops is None else hops,
        "kinds": kind_names(kinds),
        "edgeKinds": kind_names(edges),
        "asOf": as_of,
        "knownAt": known_at,
        "first": first,
    }
    if column is not None:
        if kinds or edges:
            raise click.UsageError("--kind and --edge are for whole things; leave them out with --column")
        _column(id, column, {**asked, "maxHops": hops}, config, as_json)
        return
    with connected(config) as client:
        asked["id"] = meant(client, id)
        answer = client.ask(_QUERY, asked)["lineage"]
        # Where kinds were chosen or the walk was short, one node says nothing of the rest.
        if len(answer["nodes"]) == 1 and answer["complete"] and not (kinds or edges):
            answer["has"] = _parts(client.ask(_PARTS, {key: asked[key] for key in _PARTS_ASK})["lineage"])
    if as_json:
        print_json(answer)
        return
    draw(answer)


def _column(id: str, column: str, asked: dict[str, Any], config: str | None, as_json: bool) -> None:
    """The lineage of one column."""
    from app.cli import columns
    from app.cli.client import connected
    from app.cli.ids import meant

    with connected(config) as client:
        told = {key: asked[key] for key in ("direction", "maxHops", "asOf", "knownAt")}
        told |= {"id": meant(client, id), "column": column}
        answer = client.ask(columns.QUERY, told)["columnLineage"]
    if as_json:
        print_json(answer)
    else:
        columns.draw(answer)


def draw(answer: dict[str, Any]) -> None:
    """Print a lineage answer as a tree, and whether it is all there is."""
    from app.cli.tree import Tree, owners
    from graph_schema.times import parse_time

    for each in answer["nodes"]:
        created = each["node"]["createdAt"]
        each["node"]["createdAt"] = None if created is None else parse_time(created)
    tree = Tree(answer["nodes"], answer["edges"], time.time_ns() // 1000)
    lines = tree.lines(answer["root"]["id"])
    for line in islice(lines, 2):
        click.echo(line)
    if said := owners(answer["root"]):
        click.echo(f"  owned by {said}")
    for line in lines:
        click.echo(line)
    if answer.get("has", {}).get("total"):
        _list(answer["has"])
        return
    if len(answer["nodes"]) == 1:
        say("no lineage is recorded for it")
    state = "complete" if answer["complete"] else in_options(answer["truncatedBecause"])
    say(f"\n{counted(len(answer['nodes']), 'node')}, {counted(len(answer['edges']), 'edge')}: {state}")


def _parts(answer: dict[str, Any]) -> dict[str, Any]:
    """What it has: how many, and the newest of them."""
    from graph_schema.times import parse_time

    nodes = [each["node"] for each in answer["nodes"] if each["hops"]]
    nodes.sort(key=lambda node: (parse_time(node["createdAt"] or "1970-01-01"), node["id"]), reverse=True)
    whole = len(answer["nodes"]) - len(nodes)
    return {"total": answer["totalNodes"] - whole, "seen": len(nodes), "nodes": nodes[:_LISTED]}


def _list(has: dict[str, Any]) -> None:
    """The newest parts, and the command that goes on."""
    from app.cli.ids import spelled
    from graph_schema.times import parse_time

    nodes, now = has["nodes"], time.time_ns() // 1000
    among = f" of the first {has['seen']:,}" if has["seen"] < has["total"] else ""
    shown = f", the newest {len(nodes)}{among}" if len(nodes) < has["total"] else ""
    click.echo(f"\nit has {has['total']:,}{shown}; each has lineage of its own:")
    for node in nodes:
        created = node["createdAt"]
        old = "" if created is None else age(parse_time(created), now)
        gone = "gone at its source" if node["goneAt"] else ""
        said = ", ".join(mark for mark in (old, gone) if mark)
        click.echo(f"   {spelled(node['kind'])} {clean(node['name'])}  {said}".rstrip())
        click.echo(f"      {clean(node['id'])}")
    say(f"\nGo on with: kinlore lineage {shlex.quote(clean(nodes[0]['id']))}")
