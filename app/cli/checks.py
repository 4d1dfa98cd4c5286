"""``kinlore checks``."""

from __future__ import annotations

from typing import Any

import click

from app.cli.console import clean, fitting, in_options, moment, options, print_json, print_table, say
from app.cli.kinds import KIND
from app.cli.times import TIME
from graph_schema.wording import clipped, counted

_CHECK = "check { id name properties goneAt }"
_QUERY = f"""query(
  $id: ID, $status: String, $kind: String, $segment: String, $stream: String, $downstream: NodeKind,
  $first: Int, $maxHops: Int, $asOf: DateTime, $knownAt: DateTime
) {{
  checks(
    id: $id, status: $status, kind: $kind, segment: $segment, stream: $stream, downstream: $downstream,
    first: $first, maxHops: $maxHops, asOf: $asOf, knownAt: $knownAt
  ) {{
    results {{ {_CHECK} subjects {{ id kind name }} }}
    affected {{
      node {{ id kind name }} {_CHECK} data {{ id name }} hops timing checkedAt readAt because
      path {{ from to kind source validFrom }}
    }}
    complete truncatedBecause
  }}
}}"""
_COLOURS = {"FAILED": "red", "PASSED": "green"}
_NAME = 36
_FAILURES = 3
_WHEN = ("BEFORE", "AFTER", "UNKNOWN")


@click.command()
@click.option("--failed", is_flag=True, help="Only those that failed.")
@click.option("--status", type=click.Choice(["passed", "failed", "unknown"]), help="Only with this status.")
@click.option("--kind", help="Only this kind: schema, data_quality, data_drift, model_quality, bias, …")
@click.option("--segment", help="Only of this segment: region=eu.")
@click.option("--stream", help="Only of this suite, report or bound.")
@click.option("--of", "subject", metavar="ID", help="Only of this data version, model version, run, …")
@click.option("--downstream", type=KIND, metavar="KIND", help="Which of this kind were made of the data.")
@click.option("--hops", default=20, show_default=True, help="How far downstream to look.")
@click.option("--first", default=50, show_default=True, help="How many checks, at most 500.")
@click.option("--as-of", help="As it was in the world then.", type=TIME)
@click.option("--known-at", help="As Kinlore knew it then.", type=TIME)
@options
def command(
    failed: bool,
    status: str | None,
    kind: str | None,
    segment: str | None,
    stream: str | None,
    subject: str | None,
    downstream: str | None,
    hops: int,
    first: int,
    as_of: str | None,
    known_at: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """List what was checked and how it went; with --downstream, what was made of data that failed."""
    from app.cli.client import connected
    from app.cli.ids import meant

    if failed and status not in (None, "failed"):
        raise click.UsageError("--failed and --status say different things")
    asked: dict[str, Any] = {
        "status": "FAILED" if failed else status and status.upper(),
        "kind": kind,
        "segment": segment,
        "stream": stream,
        "downstream": downstream,
        "first": first,
        "maxHops": hops,
        "asOf": as_of,
        "knownAt": known_at,
    }
    with connected(config) as client:
        asked["id"] = None if subject is None else meant(client, subject)
        found = client.ask(_QUERY, asked)["checks"]
    if as_json:
        print_json(found)
        return 0
    if downstream is not None:
        _show_affected(found, downstream)
    else:
        _show(found)
    if not found["results"] and found["complete"]:
        if kind is not None:
            _known(kind)
        return 0
    state = "complete" if found["complete"] else in_options(found["truncatedBecause"])
    say(f"\n{counted(len(found['results']), 'check')}: {state}")
    return 0


def _known(kind: str) -> None:
    """Of a kind that is none of the usual ones: which they are."""
    from ingestors.checks import KINDS

    if kind not in KINDS:
        say(f"kinds of checks are {', '.join(KINDS)}, or what their author wrote")


def _show(found: dict[str, Any]) -> None:
    from app.cli.ids import spelled

    if not found["results"]:
        say("nothing was checked that fits")
        return
    for each in found["results"]:
        check = each["check"]
        told = check["properties"]
        status = str(told.get("status", "UNKNOWN"))
        mark = click.style(status.ljust(7), fg=_COLOURS.get(status))
        segment = f" [{clean(str(told['segment']))}]" if told.get("segment") else ""
        when = moment(str(told.get("checkedAt", "")))
        name = clipped(clean(check["name"]), 2 * _NAME)
        click.echo(f"{mark} {when}  {name}{segment}  {clean(str(told.get('kind', '')))}")
        subjects = [
            f"{spelled(s['kind'])} {clipped(clean(s['name']), _NAME)}" for s in each["subjects"][:_FAILURES]
        ]
        click.echo(f"        of {', '.join(subjects) or 'nothing that it names'}")
        if why := _why(told):
            click.echo(f"        {why}")
        click.echo(f"        {clean(check['id'])}")


def _why(told: dict[str, Any]) -> str:
    """What failed; of a bound, why."""
    if told.get("because"):
        return clipped(clean(str(told["because"])), 90)
    failures = [clean(str(each)) for each in told.get("failures") or ()]
    more = f", … and {len(failures) - _FAILURES} more" if len(failures) > _FAILURES else ""
    return ", ".join(failures[:_FAILURES]) + more


def _show_affected(found: dict[str, Any], kind: str) -> None:
    """By thing: what it was made of, and when that failed."""
    from app.cli.ids import spelled

    if not found["affected"]:
        say(f"no {spelled(kind)} was made of data with such a check")
        return
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in found["affected"]:
        groups.setdefault(row["node"]["id"], []).append(row)
    for id, rows in groups.items():
        click.echo(
            click.style(f"{spelled(kind)} {clean(rows[0]['node']['name'])}", bold=True) + f"  {clean(id)}"
        )
        for timing in _WHEN:
            some = [row for row in rows if row["timing"] == timing]
            for row in some[:_FAILURES]:
                _row(row)
            if len(some) > _FAILURES:
                click.echo(f"   … and {counted(len(some) - _FAILURES, 'check')} more, {timing.lower()}")
    click.echo()
    print_table(
        ("", "checks", "of"),
        [
            (
                timing.lower(),
                f"{len(rows):,}",
                counted(len({row["node"]["id"] for row in rows}), spelled(kind)),
            )
            for timing in _WHEN
            if (rows := [row for row in found["affected"] if row["timing"] == timing])
        ],
    )


def _row(row: dict[str, Any]) -> None:
    what = _why(row["check"]["properties"])
    of = f"data {clipped(clean(row['data']['name']), _NAME)}, {counted(row['hops'], 'hop')} away"
    for head, text in (
        (f"   {row['timing'].lower():7} ", clean(row["because"])),
        (" " * 11, of + (f": {what}" if what else "")),
    ):
        click.echo(fitting(head, text, 11))
