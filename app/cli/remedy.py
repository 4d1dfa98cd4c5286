"""``kinlore remedy``: what fixes failures, what was tried, and how it went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from app.cli.console import clean, options, print_json, print_table, say
from app.cli.times import TIME
from graph_schema.wording import clipped

F = TypeVar("F", bound=Callable[..., Any])

_RECORDED = "said changed remediation { id name } attempt { id name properties }"
_RECORD = f"""mutation($title: String!, $how: String, $preconditions: [String!], $by: String) {{
  recordRemediation(title: $title, how: $how, preconditions: $preconditions, by: $by) {{ {_RECORDED} }}
}}"""
_ATTEMPT = f"""mutation(
  $id: ID!, $remediation: String!, $outcome: String!, $changed: [ID!], $at: DateTime, $by: String,
  $note: String, $verifiedBy: String, $recurred: Boolean
) {{
  recordAttempt(id: $id, remediation: $remediation, outcome: $outcome, changed: $changed, at: $at, by: $by,
                note: $note, verifiedBy: $verifiedBy, recurred: $recurred) {{ {_RECORDED} }}
}}"""
_CONFIRM = f"""mutation($id: ID!, $outcome: String, $recurred: Boolean, $by: String) {{
  confirmAttempt(id: $id, outcome: $outcome, recurred: $recurred, by: $by) {{ {_RECORDED} }}
}}"""
_REJECT = f"mutation($id: ID!, $by: String) {{ rejectAttempt(id: $id, by: $by) {{ {_RECORDED} }} }}"
_FEEDBACK = """mutation($id: ID, $text: String, $thing: ID!, $relevant: Boolean, $applied: Boolean,
                        $worked: Boolean, $by: String) {
  giveFeedback(id: $id, text: $text, thing: $thing, relevant: $relevant, applied: $applied, worked: $worked,
               by: $by) { question thing relevant applied worked rank }
}"""
_LIST = """query($id: ID, $text: String, $first: Int!) { remediations(id: $id, text: $text, first: $first) {
  noPrecedent semantic related { id name kind }
  suggestions { remediation { id name properties } tried worked closed failed unknown suggested lowerBound
                here verified because preconditions similarity score on { id name }
                attempts { id properties } }
} }"""
_ALL = """query($after: String) { find(kind: REMEDIATION, first: 200, after: $after) {
  nodes { id name properties } pageInfo { hasNextPage endCursor }
} }"""
_LONGEST = 60


@click.group()
def command() -> None:
    """Record what was tried on a failure and how it went; ask what to try.

    What is recorded is kept as a claim like any source's; `kinlore identity withdraw` takes it back.
    """


def _by(command: F) -> F:
    return click.option("--by", help="Who says so; by default the user of this machine.", metavar="NAME")(
        command
    )


def _who(by: str | None) -> str | None:
    from app import settings

    return by or settings.environment().get("USER")


_outcome = click.Choice(["worked", "failed", "unknown"])


@command.command(short_help="Record a way to fix something.")
@click.argument("title")
@click.option("--how", help="What to do, in words.", metavar="TEXT")
@click.option("--if", "conditions", multiple=True, help="What has to hold for it to help.", metavar="TEXT")
@_by
@options
def record(
    title: str,
    how: str | None,
    conditions: tuple[str, ...],
    by: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Record a way to fix something, under its TITLE. The same title again restates it."""
    from app.cli.client import connected

    asked = {"title": title, "how": how, "preconditions": list(conditions), "by": _who(by)}
    with connected(config) as client:
        made = client.ask(_RECORD, asked)["recordRemediation"]
    return _recorded(made, as_json)


@command.command(short_help="Record that something was tried on a failure.")
@click.argument("id")
@click.argument("remediation")
@click.option("--outcome", type=_outcome, default="unknown", help="How it ended.", show_default=True)
@click.option(
    "--changed", multiple=True, help="What it consisted in: a commit, a deployment, …", metavar="ID"
)
@click.option("--at", help="When; by default now.", type=TIME)
@click.option("--note", help="Anything worth knowing.", metavar="TEXT")
@click.option("--verified-by", help="Who saw how it ended.", metavar="NAME")
@click.option("--recurred", is_flag=True, help="It worked, and the failure came back.")
@_by
@options
def attempt(
    id: str,
    remediation: str,
    outcome: str,
    changed: tuple[str, ...],
    at: str | None,
    note: str | None,
    verified_by: str | None,
    recurred: bool,
    by: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Record that a REMEDIATION (its id, or a title) was tried on the incident or run ID."""
    from app.cli.client import connected
    from app.cli.ids import meant

    with connected(config) as client:
        asked = {
            "id": meant(client, id),
            "remediation": remediation,
            "outcome": outcome,
            "changed": [meant(client, each) for each in changed],
            "at": at,
            "by": _who(by),
            "note": note,
            "verifiedBy": verified_by,
            "recurred": recurred or None,
        }
        made = client.ask(_ATTEMPT, asked)["recordAttempt"]
    return _recorded(made, as_json)


@command.command(short_help="Say whether an inferred attempt was one.")
@click.argument("attempt")
@click.option("--outcome", type=_outcome, help="How it ended, where that was not known.")
@click.option("--recurred", is_flag=True, help="It worked, and the failure came back.")
@click.option("--reject", is_flag=True, help="It was no attempt at all.")
@_by
@options
def confirm(
    attempt: str,
    outcome: str | None,
    recurred: bool,
    reject: bool,
    by: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Confirm an ATTEMPT that was inferred or read from a change; or, with --reject, refuse it."""
    from app.cli.client import connected
    from app.cli.ids import meant

    if reject and (outcome or recurred):
        raise click.UsageError("what was no attempt has no outcome: --reject stands alone")
    with connected(config) as client:
        asked: dict[str, Any] = {"id": meant(client, attempt), "by": _who(by)}
        if reject:
            made = client.ask(_REJECT, asked)["rejectAttempt"]
        else:
            asked |= {"outcome": outcome, "recurred": recurred or None}
            made = client.ask(_CONFIRM, asked)["confirmAttempt"]
    return _recorded(made, as_json)


@command.command(short_help="Say how something that was shown suited.")
@click.argument("id")
@click.argument("thing")
@click.option("--relevant/--irrelevant", default=None, help="Whether it was really alike.")
@click.option("--applied/--not-applied", default=None, help="Whether it was done.")
@click.option("--worked/--did-not-work", default=None, help="Whether it helped.")
@_by
@options
def feedback(
    id: str,
    thing: str,
    relevant: bool | None,
    applied: bool | None,
    worked: bool | None,
    by: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Say of a THING (a failure or a remediation) that was shown for ID how it suited."""
    from app.cli.client import connected
    from app.cli.ids import meant

    if relevant is None and applied is None and worked is None:
        raise click.UsageError("say at least one of --relevant, --applied, --worked, or their opposites")
    with connected(config) as client:
        asked: dict[str, Any] = {"id": meant(client, id), "thing": meant(client, thing), "by": _who(by)}
        asked |= {"relevant": relevant, "applied": applied, "worked": worked}
        said = client.ask(_FEEDBACK, asked)["giveFeedback"]
    if as_json:
        print_json(said)
        return 0
    rank = "" if said["rank"] is None else f", which was shown at rank {said['rank']}"
    click.echo(f"noted of {clean(said['thing'])}{rank}")
    return 0


@command.command("list", short_help="Show what to try, with its record.")
@click.argument("id", required=False)
@click.option("--text", help="A description of the failure instead of its ID.", metavar="TEXT")
@click.option("--first", type=click.IntRange(1, 50), default=5, help="How many.", show_default=True)
@options
def listing(id: str | None, text: str | None, first: int, config: str | None, as_json: bool) -> int:
    """Show what to try on the failure ID, with its record; without ID, all remediations."""
    from app.cli.client import connected
    from app.cli.ids import meant

    if id and text:
        raise click.UsageError("give either an ID or --text")
    with connected(config) as client:
        if id or text:
            asked = {"id": meant(client, id) if id else None, "text": text, "first": first}
            found = client.ask(_LIST, asked)["remediations"]
        else:
            found = _all(client)
    if as_json:
        print_json(found)
        return 0
    if id or text:
        show(found)
        return 0
    if not found:
        say("no remediation is recorded; see kinlore remedy attempt --help")
        return 0
    print_table(("remediation", "id"), [(clipped(each["name"], _LONGEST), each["id"]) for each in found])
    return 0


def _all(client: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        page = client.ask(_ALL, {"after": after})["find"]
        found += page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def show(found: dict[str, Any]) -> None:
    """Suggestions as lines: the record first, what speaks against it with it."""
    for each in found["suggestions"]:
        mark, colour = ("✓", "green") if each["verified"] else ("·", None)
        click.echo(click.style(f"{mark} {clean(each['remediation']['name'])}", fg=colour, bold=True))
        bound = f" (by its record it helps in at least {each['lowerBound']:.0%})" if each["worked"] else ""
        click.echo(f"  {clean(each['because'])}{bound}")
        if each["on"] is not None and each["similarity"] < 1:
            click.echo(f"  on {clean(each['on']['name'])} ({each['similarity']:.0%} alike)")
        for condition in each["preconditions"]:
            click.echo(f"  if {clean(condition)}")
        if each["here"] in ("suggested", "closed"):
            for attempted in each["attempts"]:
                if attempted["properties"].get("state") != "confirmed":
                    click.echo(f"  confirm it with: kinlore remedy confirm {clean(attempted['id'])}")
    if found["related"]:
        say("related, no known fix:")
        for node in found["related"]:
            say(f"  {clean(node['name'])}  {clean(node['id'])}")
    if found["noPrecedent"]:
        say("no precedent")


def _recorded(made: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(made)
        return 0
    tried = made["attempt"]
    if tried is None:
        click.echo(f"{clean(made['remediation']['name'])}  {clean(made['remediation']['id'])}")
    else:
        outcome = tried["properties"].get("outcome", "unknown")
        if outcome == "worked" and tried["properties"].get("recurred"):
            outcome = "worked, and the failure came back"
        state = tried["properties"].get("state")
        how = "rejected" if state == "rejected" else outcome
        click.echo(f"{clean(made['remediation']['name'])}: {how}  {clean(tried['id'])}")
    say(f"taken back by: kinlore identity withdraw {made['said']}")
    return 0
