"""``kinlore correlations``."""

from __future__ import annotations

from typing import Any

import click

from app.cli.console import clean, in_options, options, print_json, say
from app.cli.find import condition
from app.cli.kinds import KIND
from app.cli.times import TIME
from graph_schema.wording import clipped, counted

_QUERY = """query(
  $kind: NodeKind!, $where: [PropertyFilter!], $first: Int, $level: Float, $knownAt: DateTime
) {
  correlations(kind: $kind, where: $where, first: $first, level: $level, knownAt: $knownAt) {
    findings {
      kind name value node { id } what text failed total othersFailed othersTotal lift p q also
      confounded { kind name value what text failed total p q also node { id } }
      examples { id name } counterexamples { id name }
    }
    total subjects failed leftOut tested level complete truncatedBecause
  }
}"""
_LONGEST = 96


@click.command()
@click.option("--kind", type=KIND, default="Run", show_default=True, help="Run, JobRun, Check or Deployment.")
@click.option(
    "--where",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Only those that fulfil it, as in find; may be repeated.",
)
@click.option("--first", default=10, show_default=True, help="How many findings, at most 200.")
@click.option("--level", default=0.05, show_default=True, help="Share of false findings to accept, at most.")
@click.option("--known-at", help="As Kinlore knew it then.", type=TIME)
@options
def command(
    kind: str,
    conditions: tuple[str, ...],
    first: int,
    level: float,
    known_at: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Show what goes with failure: parameters, data, runtimes, jobs, commits. Never a cause."""
    from app.cli.client import connected

    asked: dict[str, Any] = {
        "kind": kind,
        "where": [condition(text) for text in conditions] or None,
        "first": first,
        "level": level,
        "knownAt": known_at,
    }
    with connected(config) as client:
        found = client.ask(_QUERY, asked)["correlations"]
    if as_json:
        print_json(found)
        return 0
    _show(found)
    return 0


def _show(found: dict[str, Any]) -> None:
    for place, each in enumerate(found["findings"], 1):
        click.echo(f"{place}. {_line(each['text'])}")
        for said, names in (
            ("the very same ones", [clean(text) for text in each["also"]]),
            ("not told apart", [_beside(other) for other in each["confounded"]]),
            ("failed", [clean(node["name"]) for node in each["examples"]]),
            ("did not fail", [clean(node["name"]) for node in each["counterexamples"]]),
        ):
            if names:
                total = {"failed": each["failed"], "did not fail": each["total"] - each["failed"]}
                more = total.get(said, len(names)) - len(names)
                beyond = f" and {more:,} more" if more > 0 else ""
                click.echo(f"   {said}: {_line(', '.join(names))}{beyond}")
    looked = (
        f"{found['failed']:,} of {found['subjects']:,} failed"
        f"{_left_out(found['leftOut'])}; {counted(found['tested'], 'test')}, at most "
        f"{found['level']:.0%} of the findings false"
    )
    if not found["subjects"]:
        left = f": {found['leftOut']:,} have none yet" if found["leftOut"] else ""
        say(f"nothing has an outcome that could go with anything{left}")
        return
    if not found["findings"]:
        say("nothing goes with failure more than chance explains")
    else:
        say("goes with failure: that is not why")
    say(looked)
    if found["total"] > len(found["findings"]):
        say(f"{len(found['findings'])} of {counted(found['total'], 'finding')} shown: raise --first")
    if not found["complete"]:
        say(in_options(found["truncatedBecause"]))


def _beside(each: dict[str, Any]) -> str:
    """``data raw.csv@2 (9 of 10)``."""
    return f"{clean(each['what'])} ({each['failed']:,} of {each['total']:,})"


def _left_out(number: int) -> str:
    return f", {number:,} without an outcome left out" if number else ""


def _line(text: str) -> str:
    return clipped(clean(text), _LONGEST * 2)
