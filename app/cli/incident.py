"""``kinlore incident``: what no tool reported, and how far it is."""

from __future__ import annotations

from typing import Any

import click

from app.cli.console import clean, options, print_json, say
from app.cli.times import TIME

_STATES = ("acknowledged", "mitigated", "resolved", "closed")
_SEVERITIES = ("critical", "high", "warning", "low", "info")
_OPEN = """mutation(
  $title: String!, $implicates: [ID!], $service: String, $environment: String, $severity: String,
  $description: String, $startedAt: DateTime, $by: String
) {
  openIncident(
    title: $title, implicates: $implicates, service: $service, environment: $environment,
    severity: $severity, description: $description, startedAt: $startedAt, by: $by
  ) { said at changed incident { id name properties } }
}"""
_ADVANCE = """mutation($id: ID!, $state: String!, $note: String, $by: String) {
  advanceIncident(id: $id, state: $state, note: $note, by: $by) {
    said at changed incident { id name properties }
  }
}"""


@click.group()
def command() -> None:
    """Record an incident that no tool reported, and how far an incident is.

    What is said here is kept as a claim like any source's; `kinlore identity withdraw` takes it back.
    """


def _user() -> str | None:
    from app import settings

    return settings.environment().get("USER")


@command.command("open")
@click.argument("title")
@click.option("--implicates", multiple=True, help="What it is about; may be given again.", metavar="ID")
@click.option("--service", help="The service that fails: what stands there is implicated.", metavar="NAME")
@click.option("--environment", help="Where that service runs.", metavar="NAME")
@click.option("--severity", type=click.Choice(_SEVERITIES), help="How bad it is.")
@click.option("--description", help="More about it.", metavar="TEXT")
@click.option("--started-at", help="When it began, if not now.", type=TIME)
@click.option("--by", help="Who says so; by default the user of this machine.", metavar="NAME")
@options
def open_(
    title: str,
    implicates: tuple[str, ...],
    service: str | None,
    environment: str | None,
    severity: str | None,
    description: str | None,
    started_at: str | None,
    by: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Record an incident; prints its id."""
    from app.cli.client import connected
    from app.cli.ids import meant

    asked: dict[str, Any] = {
        "title": title, "service": service, "environment": environment, "severity": severity,
        "description": description, "startedAt": started_at, "by": by or _user(),
    }  # fmt: skip
    with connected(config) as client:
        asked["implicates"] = [meant(client, each) for each in implicates]
        made = client.ask(_OPEN, asked)["openIncident"]
    if as_json:
        print_json(made)
        return 0
    click.echo(clean(made["incident"]["id"]))
    if not implicates and not service:
        say(
            "it names nothing, so that no cause can be found: --implicates or --service says what it is about"
        )
    say(f"kinlore causes {made['incident']['id']} asks for its causes")
    return 0


@command.command()
@click.argument("id")
@click.argument("state", type=click.Choice(_STATES))
@click.option("--note", help="What was done or seen, kept beside it.", metavar="TEXT")
@click.option("--by", help="Who says so; by default the user of this machine.", metavar="NAME")
@options
def advance(id: str, state: str, note: str | None, by: str | None, config: str | None, as_json: bool) -> int:
    """Say that an incident is acknowledged, mitigated, resolved or closed."""
    from app.cli.client import connected
    from app.cli.ids import meant

    with connected(config) as client:
        asked = {"id": meant(client, id), "state": state, "note": note, "by": by or _user()}
        made = client.ask(_ADVANCE, asked)["advanceIncident"]
    if as_json:
        print_json(made)
        return 0
    incident = made["incident"]
    click.echo(f"{clean(incident['name'])} is {str(incident['properties'].get('status', '')).lower()}")
    say(f"kinlore identity withdraw {made['said']} takes it back")
    return 0
