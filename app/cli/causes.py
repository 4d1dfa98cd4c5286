"""``kinlore causes``: from the alert to the commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from app.cli.console import WIDE, clean, fitting, moment, options, print_json, say
from app.cli.times import TIME
from graph_schema.wording import clipped, counted

_QUERY = """query($id: ID!, $first: Int!, $knownAt: DateTime) {
  rootCauses(id: $id, first: $first, knownAt: $knownAt) {
    subject { id kind name } lastGood { id kind name } lastGoodBecause total missing
    candidates {
      score at because confirmed node { id kind name } evidence { kind text weight }
      path { from to kind source validFrom evidence }
    }
  }
}"""
_LATEST = """query($knownAt: DateTime) {
  incidents: find(kind: INCIDENT, first: 1, orderBy: {by: CREATED_AT, descending: true}, knownAt: $knownAt) {
    nodes { id name createdAt }
  }
  runs: find(
    kind: RUN, where: [{key: "status", op: EQ, value: "FAILED"}], first: 1,
    orderBy: {by: CREATED_AT, descending: true}, knownAt: $knownAt
  ) { nodes { id name createdAt } }
  jobs: find(
    kind: JOB_RUN, where: [{key: "status", op: EQ, value: "FAILED"}], first: 1,
    orderBy: {by: CREATED_AT, descending: true}, knownAt: $knownAt
  ) { nodes { id name createdAt } }
}"""
_NODES = """query($ids: [ID!]!) {
  nodes(ids: $ids) { id kind name createdAt sources properties } sources { name type }
}"""
_LINES = 6
#: What a short way shows first, after its two ends: one of each kind.
_KEPT = ("DEPLOYMENT", "MODEL_VERSION", "RUN", "DATASET_VERSION", "JOB_RUN", "RUNTIME", "ARTIFACT", "COMMIT")


@click.command()
@click.argument("id", metavar="ID|latest")
@click.option("--first", default=3, show_default=True, help="How many causes to tell, at most 50.")
@click.option("--all", "whole", is_flag=True, help="Show every step of the way and all evidence.")
@click.option("--known-at", help="As Kinlore knew it then.", type=TIME)
@click.option("--confirm", help="Say that this caused it.", metavar="CAUSE")
@click.option("--reject", help="Say that this did not cause it.", metavar="CAUSE")
@click.option("--why", help="The reason, kept beside it.", metavar="TEXT")
@click.option("--by", help="Who says so; by default the user of this machine.", metavar="NAME")
@options
def command(
    id: str,
    first: int,
    whole: bool,
    known_at: str | None,
    confirm: str | None,
    reject: str | None,
    why: str | None,
    by: str | None,
    config: str | None,
    as_json: bool,
) -> int:
    """Show what caused an incident or a failed run, from the alert to the commit.

    `latest` is the incident that was the last to begin; where none is known, the run that failed last.
    --confirm and --reject record what people know.
    """
    from app.cli.client import connected
    from app.cli.ids import meant

    if confirm and reject:
        raise click.UsageError("give --confirm or --reject, not both: each takes one cause")
    with connected(config) as client:
        subject = _latest(client, known_at) if id == "latest" else meant(client, id)
        if confirm or reject:
            return _say(
                client, subject, meant(client, confirm or reject or ""), bool(reject), why, by, as_json
            )
        asked = {"id": subject, "first": first, "knownAt": known_at}
        found = client.ask(_QUERY, asked)["rootCauses"]
        if as_json:
            print_json(found)
            return 0
        named = _named(client, found)
    _show(found, named, whole)
    return 0


def _latest(client: Any, known_at: str | None) -> str:
    """The incident that was the last to begin; where there is none, the run or job run that failed last."""
    from graph_schema.errors import NotFound

    found = client.ask(_LATEST, {"knownAt": known_at})
    if incidents := found["incidents"]["nodes"]:
        return str(incidents[0]["id"])
    failed = [*found["runs"]["nodes"], *found["jobs"]["nodes"]]
    if not failed:
        raise NotFound(
            "no incident is known and no run failed; kinlore incident open records what no tool reported"
        )
    last = max(failed, key=lambda node: node["createdAt"] or "")
    say(f"no incident is known; the last that failed is {clean(last['name'])}")
    return str(last["id"])


_CONFIRM = """mutation($id: ID!, $cause: ID!, $rejected: Boolean!, $why: String, $by: String) {
  confirmCause(id: $id, cause: $cause, rejected: $rejected, why: $why, by: $by) { id verdict a b at changed }
}"""


def _say(
    client: Any, subject: str, cause: str, rejected: bool, why: str | None, by: str | None, as_json: bool
) -> int:
    from app import settings

    by = by or settings.environment().get("USER")
    asked = {"id": subject, "cause": cause, "rejected": rejected, "why": why, "by": by}
    said = client.ask(_CONFIRM, asked)["confirmCause"]
    if as_json:
        print_json(said)
        return 0
    word = "did not cause" if rejected else "caused"
    click.echo(f"{clean(said['b'])} {word} {clean(said['a'])}")
    say(f"kinlore identity withdraw {said['id']} takes it back")
    return 0


def _named(client: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of every node on the ways: and the tools by the names of the sources."""
    ids = {found["subject"]["id"]}
    for cause in found["candidates"]:
        ids.add(cause["node"]["id"])
        ids.update(edge[end] for edge in cause["path"] for end in ("from", "to"))
    told = client.ask(_NODES, {"ids": sorted(ids)[:200]})
    return {
        "nodes": {node["id"]: node for node in told["nodes"] if node},
        "tools": {source["name"]: source["type"] for source in told["sources"]},
    }


def _show(found: Mapping[str, Any], named: Mapping[str, Any], whole: bool) -> None:
    causes = found["candidates"]
    if not causes:
        click.echo(f"No cause of {clean(found['subject']['name'])} is known.")
    else:
        best = causes[0]
        steps = _steps(best["path"], found["subject"]["id"])
        shown = steps if whole else _short(steps, best["node"]["id"], named)
        times = _times(steps, best["path"], named)
        for id in shown:
            _line(id, named, times, mark=id == best["node"]["id"])
        if len(shown) < len(steps):
            more = len(steps) - len(shown)
            say(f"{counted(more, 'step')} between left out: --all shows all")
        click.echo()
        for number, cause in enumerate(causes, 1):
            _tell(number, cause, named, whole)
    if found["lastGood"]:
        click.echo(fitting("Last good: ", clean(found["lastGoodBecause"]), 11))
    for each in found["missing"]:
        click.echo(fitting("Missing: ", clean(each), 9))
    if found["total"] > len(causes):
        more = found["total"] - len(causes)
        say(f"{counted(more, 'less probable one')} not shown: --first shows more")


def _steps(path: Sequence[Mapping[str, Any]], subject: str) -> list[str]:
    """The nodes of a way, from the failure to the first cause; ``SAME_AS`` may be walked either way."""
    here, steps = subject, [subject]
    for edge in reversed(path):
        here = edge["from"] if edge["to"] == here else edge["to"]
        steps.append(here)
    return steps


def _short(steps: Sequence[str], cause: str, named: Mapping[str, Any]) -> list[str]:
    """At most six steps: both ends, the cause, one of each kind in between, and as many more as there is room
    for."""
    kept = {steps[0], steps[-1], cause}
    kinds = {named["nodes"][id]["kind"] for id in kept if id in named["nodes"]}
    for kind in _KEPT:
        if kind in kinds:
            continue
        # Of several of a kind, that with a name of its own, else the nearest to the failure.
        of = [id for id in steps if named["nodes"].get(id, {}).get("kind") == kind]
        if of and len(kept) < _LINES:
            kept.add(min(of, key=lambda id: (_nameless(named["nodes"][id]), of.index(id))))
    known = [id for id in steps if id in named["nodes"] and id not in kept]
    known.sort(key=lambda id: _nameless(named["nodes"][id]))
    kept.update(known[: _LINES - len(kept)])
    return [id for id in steps if id in kept]


def _nameless(node: Mapping[str, Any]) -> bool:
    """Whether a thing is called by its id alone, as a logged model is."""
    return node["kind"] == "MODEL_VERSION" and str(node["name"]) in str(node["id"])


def _times(
    steps: Sequence[str], path: Sequence[Mapping[str, Any]], named: Mapping[str, Any]
) -> dict[str, str]:
    """When each thing on the way was there, at the latest: as its tool says, or since it is where it is on
    the way. DVC tells of data with the commit that locks it; what was read before that was there before."""
    since = {edge["from"]: edge["validFrom"] for edge in path if edge["validFrom"]}
    times: dict[str, str] = {}
    latest = ""
    for id in steps:
        own = named["nodes"].get(id, {}).get("createdAt") or since.get(id) or ""
        # Only what is known bounds what lies before it.
        latest = min(filter(None, (own, since.get(id), latest)), default="")
        times[id] = latest if own else ""
    return times


def _line(id: str, named: Mapping[str, Any], times: Mapping[str, str], *, mark: bool) -> None:
    from app.cli.ids import spelled

    node = named["nodes"].get(id)
    if node is None:
        click.echo(f"                  {'':<13} {clean(id)}")
        return
    when = moment(times.get(id))
    tool = next((named["tools"].get(name, name) for name in node["sources"]), "–")
    name = clipped(clean(node["name"]), 44)
    text = f"{when:<16}  {tool:<13} {spelled(node['kind']):<15} {name}"
    if mark:
        text = click.style(f"{text}  ← cause", bold=True)
    click.echo(text)


def _tell(number: int, cause: Mapping[str, Any], named: Mapping[str, Any], whole: bool) -> None:
    from app.cli.ids import spelled

    node = cause["node"]
    # Where people know, what the signals alone would say is beside the point.
    sure = {True: "confirmed", False: "rejected", None: f"{cause['score']:.0%}"}[cause["confirmed"]]
    head = f"{number}. {sure}  {spelled(node['kind'])} {clean(node['name'])}"
    click.echo(clipped(head, WIDE))
    click.echo(fitting("   ", clean(cause["because"]), 3))
    if whole:
        for each in cause["evidence"]:
            click.echo(fitting(f"   {each['weight']:+.3f} {each['kind']}: ", clean(each["text"]), 11))
