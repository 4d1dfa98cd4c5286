"""``kinlore search``."""

from __future__ import annotations

import click

from app.cli.console import options, print_json, print_table, say
from app.cli.kinds import KIND, kind_names

_QUERY = """query($text: String!, $kinds: [NodeKind!], $first: Int, $after: String) {
  search(text: $text, kinds: $kinds, first: $first, after: $after) {
    nodes { id kind name createdAt stub goneAt url } pageInfo { hasNextPage endCursor }
  }
}"""


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--kind", "kinds", type=KIND, multiple=True, help="Only this kind; may be repeated.")
@click.option("--first", default=20, show_default=True, help="How many, at most 100.")
@click.option("--after", help="Go on after this cursor.")
@options
def command(
    text: tuple[str, ...],
    kinds: tuple[str, ...],
    first: int,
    after: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Find nodes by the words of their names, identifiers and properties, best first."""
    from app.cli.client import connected
    from app.cli.ids import spelled
    from app.cli.outcome import NOT_FOUND, OK

    with connected(config) as client:
        asked = {"text": " ".join(text), "kinds": kind_names(kinds), "first": first, "after": after}
        page = client.ask(_QUERY, asked)["search"]
    if as_json:
        print_json(page)
    elif page["nodes"]:
        print_table(("kind", "name", "id"), [(spelled(n["kind"]), n["name"], n["id"]) for n in page["nodes"]])
        if page["pageInfo"]["hasNextPage"]:
            say(f"there is more: --after {page['pageInfo']['endCursor']}")
    if not page["nodes"]:
        say(f"nothing has the words {' '.join(text)!r}")
        return NOT_FOUND
    return OK
