"""``kinlore schema``."""

from __future__ import annotations

import click

from app.cli.console import options, print_json, print_table


@click.command()
@click.option("--kinds", is_flag=True, help="The kinds of nodes, with the identifiers that each can have.")
@click.option("--edges", is_flag=True, help="The kinds of edges.")
@options
def command(kinds: bool, edges: bool, config: str | None, as_json: bool) -> None:
    """Print the GraphQL schema, or the kinds of nodes and edges."""
    from graph_schema.edges import EDGES
    from graph_schema.kinds import KINDS

    nodes = [(spec.kind.value, " ".join(spec.schemes), spec.what) for spec in KINDS.values()]
    links = [(spec.kind.value, spec.family.value, spec.what) for spec in EDGES.values()]
    if as_json and (kinds or edges):
        print_json(
            {
                **(
                    {"kinds": [dict(zip(("kind", "schemes", "what"), n, strict=True)) for n in nodes]}
                    if kinds
                    else {}
                ),
                **(
                    {"edges": [dict(zip(("kind", "family", "what"), e, strict=True)) for e in links]}
                    if edges
                    else {}
                ),
            }
        )
        return
    if kinds:
        print_table(("kind", "identified by", "what it is"), nodes)
    if edges:
        print_table(("kind", "family", "what it says"), links)
    if kinds or edges:
        return
    from app.api.schema import sdl

    if as_json:
        print_json({"sdl": sdl()})
    else:
        click.echo(sdl(), nl=False)
