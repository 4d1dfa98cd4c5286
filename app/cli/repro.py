"""``kinlore repro``."""

from __future__ import annotations

import sys

import click

from app.cli.console import clean, options, print_json, say
from app.cli.times import TIME
from graph_schema.wording import counted

_QUERY = """query($id: ID!, $knownAt: DateTime) {
  repro(id: $id, knownAt: $knownAt) {
    node { id name kind } exact steps { what text commands } missing { what text } params seeds script
  }
}"""


@click.command()
@click.argument("id", metavar="ID")
@click.option("--known-at", help="As Kinlore knew it then.", type=TIME)
@options
def command(id: str, known_at: str | None, config: str | None, as_json: bool) -> int:
    """Print the recipe to repeat a run, and what is missing for it."""
    from app.cli.client import connected
    from app.cli.ids import meant

    with connected(config) as client:
        found = client.ask(_QUERY, {"id": meant(client, id), "knownAt": known_at})["repro"]
    if as_json:
        print_json(found)
        return 0
    # To a file it goes as it is; on a terminal, what came from outside may not steer it.
    lines = found["script"].split("\n")
    click.echo("\n".join(map(clean, lines) if sys.stdout.isatty() else lines), nl=False)
    if found["exact"]:
        say("nothing is missing")
        return 0
    say(f"{counted(len(found['missing']), 'thing is', 'things are')} missing for an exact repetition:")
    for gap in found["missing"]:
        say(f"  {gap['what']}: {clean(gap['text'])}")
    return 0
