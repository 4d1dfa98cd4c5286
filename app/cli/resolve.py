"""``kinlore resolve``."""

from __future__ import annotations

import click

from app.cli.console import options, print_json, print_table, say

_QUERY = """query($scheme: String!, $value: String!) {
  resolve(scheme: $scheme, value: $value) {
    id kind name stub url createdAt identifiers { id } owners { owner { id kind name } role }
  }
}"""


@click.command()
@click.argument("scheme")
@click.argument("value", required=False)
@options
def command(scheme: str, value: str | None, config: str | None, as_json: bool) -> int:
    """Find every node with an identifier: `resolve git.sha 3faf1c7`, or `resolve git.sha=3faf1c7`."""
    from app.cli.client import connected
    from app.cli.ids import spelled
    from app.cli.outcome import NOT_FOUND, OK
    from app.cli.tree import owners

    if value is None:
        scheme, equals, value = scheme.partition("=")
        if not equals:
            raise click.UsageError("write SCHEME VALUE, or SCHEME=VALUE")
    with connected(config) as client:
        nodes = client.ask(_QUERY, {"scheme": scheme, "value": value})["resolve"]
    if as_json:
        print_json(nodes)
    elif nodes:
        rows = [
            (spelled(n["kind"]), n["name"], " ".join(each["id"] for each in n["identifiers"]), owners(n))
            for n in nodes
        ]
        owned = any(row[-1] for row in rows)
        headings = ("kind", "name", "identifiers", "owners")
        # Most things have none, and nobody misses the column.
        print_table(headings if owned else headings[:-1], rows if owned else [row[:-1] for row in rows])
    if not nodes:
        say(f"no node is named {f'{scheme}={value}'!r}")
        return NOT_FOUND
    return OK
