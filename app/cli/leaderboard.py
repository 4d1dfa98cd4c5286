"""``kinlore leaderboard``."""

from __future__ import annotations

from typing import Any

import click

from app.cli.console import clean, options, print_json, print_table, say
from app.cli.times import TIME
from graph_schema.wording import clipped, counted

_NODE = "{ id name kind }"
_QUERY = f"""query(
  $ids: [ID!]!, $metric: String, $higherIsBetter: Boolean, $first: Int, $knownAt: DateTime
) {{
  leaderboard(
    ids: $ids, metric: $metric, higherIsBetter: $higherIsBetter, first: $first, knownAt: $knownAt
  ) {{
    metric higherIsBetter metrics data {_NODE} total complete truncatedBecause
    rows {{
      rank node {_NODE} nodes {_NODE} value low high n seeds runs {_NODE} overlapsFirst because data {_NODE}
    }}
  }}
}}"""
_LONGEST = 40


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@click.option("--metric", help="Rank by this one.", metavar="NAME")
@click.option("--higher/--lower", default=None, help="Which way is better, where its name does not say.")
@click.option("--first", default=100, show_default=True, help="How many rows, at most 1,000.")
@click.option("--known-at", help="As Kinlore knew it then.", type=TIME)
@options
def command(
    ids: tuple[str, ...],
    metric: str | None,
    higher: bool | None,
    first: int,
    known_at: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Rank runs, model versions, or all of a model or an experiment, by a metric on identical data."""
    from app.cli.client import connected
    from app.cli.ids import meant

    asked: dict[str, Any] = {"metric": metric, "higherIsBetter": higher, "first": first, "knownAt": known_at}
    with connected(config) as client:
        asked["ids"] = [meant(client, text) for text in ids]
        found = client.ask(_QUERY, asked)["leaderboard"]
    if as_json:
        print_json(found)
        return 0
    _show(found)
    return 0


def _show(found: dict[str, Any]) -> None:
    ranked = [row for row in found["rows"] if row["rank"] is not None]
    others = [row for row in found["rows"] if row["rank"] is None]
    if ranked:
        print_table(
            ("#", "what", found["metric"] or "", "95 % interval", "seeds"),
            [
                (str(row["rank"]), _names(row), _number(row["value"]), _interval(row), _seeds(row))
                for row in ranked
            ],
        )
    if others:
        if ranked:
            click.echo()
        head = ("", "not comparable", found["metric"] or "", "because")
        print_table(head, [("–", _names(row), _number(row["value"]), _why(row)) for row in others])
    if ranked:
        on = ", ".join(clean(node["name"]) for node in found["data"]) or "nothing known"
        say(f"measured on {on}; {'higher' if found['higherIsBetter'] else 'lower'} is better")
    if any(row["overlapsFirst"] for row in ranked):
        say("~ its interval meets that of the first: seeds may be all that differs")
    more = [name for name in found["metrics"] if name != found["metric"]]
    if more:
        say(f"other metrics (--metric): {clean(', '.join(more[:12]))}{' …' if len(more) > 12 else ''}")
    if found["total"] > len(found["rows"]):
        say(f"{len(found['rows']):,} of {counted(found['total'], 'row')} shown: raise --first")
    if not found["complete"]:
        say(found["truncatedBecause"])
    if not found["rows"]:
        say("there is nothing to rank")


def _names(row: dict[str, Any]) -> str:
    names = ", ".join(clean(node["name"]) for node in row["nodes"][:3])
    more = f" and {len(row['nodes']) - 3} more" if len(row["nodes"]) > 3 else ""
    return clipped(f"{names}{more}", _LONGEST)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.5g}"


def _interval(row: dict[str, Any]) -> str:
    if row["low"] is None:
        return "–"
    return f"{_number(row['low'])} … {_number(row['high'])}{' ~' if row['overlapsFirst'] else ''}"


def _seeds(row: dict[str, Any]) -> str:
    return f"n = {row['n']}" if row["seeds"] else "–"


def _why(row: dict[str, Any]) -> str:
    on = ", ".join(clean(node["name"]) for node in row["data"])
    return clean(row["because"] or "") + (f": {clipped(on, _LONGEST)}" if on else "")
