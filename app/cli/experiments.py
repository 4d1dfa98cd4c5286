"""``kinlore experiments``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from app.cli.console import clean, print_json
from graph_schema.wording import clipped

_FIELDS = "{ node { id name } similarity outcome same shared differs { path left right weight } }"
_QUERY = f"""query($id: ID, $config: JSON, $first: Int!) {{
  experiments(id: $id, config: $config, first: $first) {{
    summary alreadyTried alike {_FIELDS} successful {_FIELDS} failedAlike {_FIELDS}
  }}
}}"""
_SHOWN, _LONGEST, _WIDE = 4, 40, 96
_MARKS = {"worked": ("✓", "green"), "failed": ("✗", "red"), "unknown": ("·", None)}


@click.command()
@click.argument("id", required=False)
@click.option(
    "--config",
    "planned",
    type=click.Path(path_type=Path),
    help="A planned configuration instead: YAML, JSON or TOML.",
    metavar="FILE",
)
@click.option("--first", type=click.IntRange(1, 50), default=5, help="How many.", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def command(context: click.Context, id: str | None, planned: Path | None, first: int, as_json: bool) -> int:
    """Show runs with a configuration like that of the run ID, or like a planned one: what was tried.

    The settings file, where it is not ./kinlore.toml, stands before the command: kinlore --config FILE …
    """
    from app.cli.client import connected
    from app.cli.ids import meant
    from app.learnings.planned import read

    if (id is None) is (planned is None):
        raise click.UsageError("give either the ID of a run, or --config FILE")
    config = None if planned is None else read(planned)
    with connected(context.find_root().params.get("config")) as client:
        asked = {"id": None if id is None else meant(client, id), "config": config, "first": first}
        found = client.ask(_QUERY, asked)["experiments"]
    if as_json:
        print_json(found)
        return 0
    click.echo(clean(found["summary"]))
    told: set[str] = set()
    for heading, key in (
        ("failed in the same way", "failedAlike"),
        ("nearest that worked", "successful"),
        ("others that are most alike", "alike"),
    ):
        listed = [each for each in found[key] if each["node"]["id"] not in told]
        if listed:
            click.echo(f"{heading}:")
        for each in listed:
            told.add(each["node"]["id"])
            _show(each)
    return 0


def _show(each: dict[str, Any]) -> None:
    mark, colour = _MARKS[each["outcome"]]
    name = clipped(clean(each["node"]["name"]), _LONGEST)
    said = f"{name}  {each['similarity']:.0%} alike: {_told(each)}"
    click.echo(f"  {click.style(mark, fg=colour)} {clipped(said, _WIDE)}")


def _told(each: dict[str, Any]) -> str:
    """What differs, in a line: the setting, what was asked about, and what this run had."""
    if each["shared"]:
        values = {d["path"]: d for d in each["differs"]}
        shared = [
            f"{_named(path)} too" if path in values else f"the same {_named(path)}" for path in each["shared"]
        ]
        return ", ".join(map(clean, shared[:_SHOWN]))
    if each["same"]:
        return "the same settings"
    told = [
        f"{clean(_named(d['path']))} {_value(d['left'])} → {_value(d['right'])}"
        for d in each["differs"][:_SHOWN]
    ]
    more = len(each["differs"]) - _SHOWN
    return ", ".join(told) + (f" and {more} more" if more > 0 else "")


def _named(path: str) -> str:
    """``data:raw.csv`` as ``data raw.csv``."""
    return path.replace("data:", "data ", 1) if path.startswith("data:") else path


def _value(value: Any) -> str:
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value)
    if "=" in text and "." in text.partition("=")[0]:
        # An id: its beginning tells it from others.
        text = text.partition("=")[2][:8]
    return clipped(clean(text), 24)
