"""``kinlore identity``: why two names are one thing, and people's word on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from app.cli.console import clean, moment, options, print_json, print_table, say
from graph_schema.wording import clipped

F = TypeVar("F", bound=Callable[..., Any])

_FIELDS = "id verdict a b by why role at changed"
_EXPLAIN = """query($a: ID!, $b: ID!) {
  identity(a: $a, b: $b) { identity because left { id kind name } right { id kind name } }
}"""
_SAY = """mutation($a: ID!, $b: ID!, $why: String, $by: String) {{
  {verb}(a: $a, b: $b, why: $why, by: $by) {{ {fields} }}
}}"""
_LISTED = f"{{ corrections {{ {_FIELDS} }} }}"
_NAMES = """query($a: ID!, $b: ID!) {
  a: node(id: $a) { identifiers { id } } b: node(id: $b) { identifiers { id } }
}"""
_WITHDRAW = f"mutation($id: ID!) {{ withdraw(id: $id) {{ {_FIELDS} }} }}"

#: Characters of a reason in the table.
_WHY = 60
_HEADINGS = {
    "ONE_NODE": "one node",
    "SAME": "the same thing",
    "APART": "held apart",
    "REFUSED": "not one thing: a claim that they are is refused",
    "UNRELATED": "not one thing",
}


@click.group()
def command() -> None:
    """See why two names are one thing, and correct what Kinlore believes.

    What is said here is kept as a claim like any source's. Ingestion never undoes it; `withdraw` does.
    """


def _saying(command: F) -> F:
    command = click.option("--why", help="The reason, kept beside it.", metavar="TEXT")(command)
    return click.option("--by", help="Who says so; by default the user of this machine.", metavar="NAME")(
        command
    )


@command.command()
@click.argument("a")
@click.argument("b")
@options
def explain(a: str, b: str, config: str | None, as_json: bool) -> int:
    """Say why A and B are one thing, or why they are not."""
    from app.cli.client import connected
    from app.cli.ids import meant, spelled

    with connected(config) as client:
        found = client.ask(_EXPLAIN, {"a": meant(client, a), "b": meant(client, b)})["identity"]
    if as_json:
        print_json(found)
        return 0
    for side in ("left", "right"):
        node = found[side]
        say(f"{spelled(node['kind'])} {clean(node['name'])} ({clean(node['id'])})")
    click.echo(_HEADINGS[found["identity"]])
    for line in found["because"]:
        click.echo(f"  {clean(line)}")
    return 0


@command.command()
@click.argument("a")
@click.argument("b")
@_saying
@options
def same(a: str, b: str, why: str | None, by: str | None, config: str | None, as_json: bool) -> int:
    """Say that A and B are one thing."""
    return _say("same", a, b, why, by, config, as_json)


@command.command()
@click.argument("a")
@click.argument("b")
@_saying
@options
def apart(a: str, b: str, why: str | None, by: str | None, config: str | None, as_json: bool) -> int:
    """Say that A and B are not one thing."""
    return _say("apart", a, b, why, by, config, as_json)


def _say(
    verb: str, a: str, b: str, why: str | None, by: str | None, config: str | None, as_json: bool
) -> int:
    from app import settings
    from app.cli.client import connected
    from app.cli.ids import meant

    by = by or settings.environment().get("USER")
    with connected(config) as client:
        asked = {"a": meant(client, a), "b": meant(client, b), "why": why, "by": by}
        said = client.ask(_SAY.format(verb=verb, fields=_FIELDS), asked)[verb]
    if as_json:
        print_json(said)
        return 0
    between = "are the same" if verb == "same" else "are held apart"
    click.echo(f"{clean(said['a'])} and {clean(said['b'])} {between}")
    say(f"taken back by: kinlore identity withdraw {said['id']}")
    return 0


@command.command()
@click.argument("id")
@click.argument("b", required=False)
@options
def withdraw(id: str, b: str | None, config: str | None, as_json: bool) -> int:
    """Take back what was said: by its ID (see `list`), or by the two things it was said of."""
    from app.cli.client import connected
    from app.cli.ids import meant
    from app.cli.outcome import NOT_FOUND

    with connected(config) as client:
        chosen: str | None = id
        if b is not None:
            names = client.ask(_NAMES, {"a": meant(client, id), "b": meant(client, b)})
            sides = [{each["id"] for each in names[side]["identifiers"]} for side in ("a", "b")]
            chosen = _said_of(client.ask(_LISTED, {})["corrections"], *sides)
        if chosen is None:
            say("nobody has said anything of these two; see kinlore identity list")
            return NOT_FOUND
        said = client.ask(_WITHDRAW, {"id": chosen})["withdraw"]
    if as_json:
        print_json(said)
        return 0
    click.echo(f"withdrawn: {said['verdict']} {clean(said['a'])} {clean(said['b'])}")
    return 0


def _said_of(corrections: list[dict[str, Any]], left: set[str], right: set[str]) -> str | None:
    """The id of the last correction on the identity of two things."""
    for each in reversed(corrections):
        a, b = each["a"], each["b"]
        if each["verdict"] in ("same", "apart") and (
            (a in left and b in right) or (a in right and b in left)
        ):
            return str(each["id"])
    return None


@command.command("list")
@options
def listing(config: str | None, as_json: bool) -> int:
    """List what people have said, oldest first, with the id to withdraw it by."""
    from app.cli import ways
    from app.cli.client import connected

    with connected(config) as client:
        said = client.ask(_LISTED, {})["corrections"]
        nodes = {} if as_json else ways.named(client, (each[side] for each in said for side in ("a", "b")))
    if as_json:
        print_json(said)
        return 0
    if not said:
        say("nobody has said anything")
        return 0
    print_table(
        ("when", "by", "said", "of", "and", "why", "id"),
        [
            (
                moment(each["at"]),
                each["by"] or "",
                each["verdict"],
                ways.called(each["a"], nodes),
                "" if each["a"] == each["b"] else ways.called(each["b"], nodes),
                clipped(each["why"] or "", _WHY),
                each["id"],
            )
            for each in said
        ],
    )
    return 0
