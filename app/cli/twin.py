"""What ``kinlore run`` says of a failure: one earlier one that is alike, or that there is none.

Whoever ran a command waits for its end and not for this: it has a time of its own, and whatever goes wrong in
it is a line at most.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from app.cli.console import clean

if TYPE_CHECKING:
    from app.cli.client import Client
    from app.learnings.remediations import Suggestion
    from app.learnings.similar import Match
    from graph_schema.values import Node

#: Seconds after which an answer comes too late, from a server or from a store that is opened for it.
_PATIENCE = 5.0
#: Seconds until a server has taken a capture in; after that it is asked by the error's text.
_TAKEN_IN = 1.0
_AGAIN = 0.1
#: Earlier failures that are looked at for one with a fix.
_LOOKED_AT = 20
_MAX_TEXT = 20_000
NO_PRECEDENT = "no precedent"


def twin(config: str | None, run: str, told: Mapping[str, Any], wait: float = 0.0) -> list[str]:
    """Lines on the earlier failure that is most like this one. ``told``: the capture; ``wait``: seconds for
    the model where there is no server, after which the first answer stands. Never raises."""
    found: list[dict[str, Any]] = []
    problems: list[str] = []

    def work() -> None:
        from app import settings
        from app.cli.client import connected

        try:
            if settings.remote() is None:
                found.append(_here(config, run, wait))
            else:
                with connected(config) as client:
                    found.append(_asked(client, run, told))
        except Exception as failed:
            problems.append(" ".join(str(failed).split())[:200] or type(failed).__name__)

    # A thread that nobody waits for longer than that: a store or a server may hang.
    asking = threading.Thread(target=work, daemon=True)
    asking.start()
    asking.join(_PATIENCE + wait)
    if found:
        return lines(found[0])
    return [f"similar failures: {problems[0]}" if problems else "similar failures: no answer in time"]


def _here(config: str | None, run: str, wait: float) -> dict[str, Any]:
    """The answer from the store itself, in the form of GraphQL's, but without its machinery: loading that
    takes longer than the answer."""
    from app import settings
    from app.container import Container
    from app.learnings.remediations import suggestions
    from app.learnings.similar import similar
    from app.lineage.lookup import find_one

    with Container(settings.load(config)) as container:
        store = container.store
        encoder = container.model.wait(wait) if wait > 0 else None
        handle = find_one(store, f"kinlore.run={run}")
        answer = similar(store, handle=handle, first=_LOOKED_AT, encoder=encoder)
        handles = [match.handle for match in answer.matches]
        fixes = suggestions(store, handles)
        told = [
            _told(match, node, fixes[match.handle])
            for match, node in zip(answer.matches, store.get(handles), strict=True)
            if node is not None
        ]
    return {"matches": told, "noPrecedent": not told}


def _told(match: Match, node: Node, fixes: Sequence[Suggestion]) -> dict[str, Any]:
    return {
        "node": {
            "id": node.id,
            "kind": node.kind.name,
            "name": node.name,
            "properties": node.properties,
            "createdAt": node.created_at,
        },
        "probability": match.probability,
        "sameProject": match.same_project,
        "shared": [{"text": each.text} for each in match.shared],
        "differs": [{"path": d.path, "left": d.left, "right": d.right} for d in match.differs],
        "remediations": [
            {
                "remediation": {"name": each.remediation.name},
                "tried": each.tried,
                "worked": each.worked,
                "closed": each.closed,
                "because": each.because,
            }
            for each in fixes
        ],
    }


def _asked(client: Client, run: str, told: Mapping[str, Any]) -> dict[str, Any]:
    from app.cli.similar import QUERY
    from graph_schema.errors import KinloreError

    until = time.monotonic() + _TAKEN_IN
    while True:
        try:
            asked = {"id": f"kinlore.run={run}", "first": _LOOKED_AT}
            answer: dict[str, Any] = client.ask(QUERY, asked)["similar"]
            return answer
        except KinloreError as problem:
            # A server answers at once and applies what it was sent a moment later.
            if problem.code != "NOT_FOUND" or time.monotonic() > until:
                break
        time.sleep(_AGAIN)
    error = told.get("error") or {}
    text = str(error.get("text") or told.get("log") or "").strip()
    if not text:
        return {"matches": [], "noPrecedent": True}
    by_text: dict[str, Any] = client.ask(QUERY, {"text": text[-_MAX_TEXT:], "first": _LOOKED_AT})["similar"]
    # A text is of no project, so that nobody can say that another one is meant.
    for match in by_text["matches"]:
        match["sameProject"] = True
    return by_text


def lines(found: Mapping[str, Any]) -> list[str]:
    """The answer in words: when and where, what both share, what differs, what fixed it."""
    from app.cli.similar import difference, fix, when

    if found["noPrecedent"]:
        return [NO_PRECEDENT]
    match = chosen(found["matches"])
    node = match["node"]
    where = "" if match["sameProject"] else " in another project"
    first = f"seen {when(node) or 'before'}{where}: {clean(node['name'])}, {clean(node['id'])}"
    told = [f"{first} ({match['probability']:.0%} alike)"]
    shared = [clean(each["text"]) for each in match["shared"]][:2]
    if shared:
        told.append(f"  {'; '.join(shared)}"[:160])
    told.append(f"  {_differs(match['differs'], difference)}")
    fixes = [each for each in match["remediations"] if each["tried"]] or match["remediations"]
    told.append(f"  fix: {fix(fixes[0])}" if fixes else "  related, no known fix")
    nearest = found["matches"][0]
    if match is not nearest:
        other = nearest["node"]
        alike = f"{nearest['probability']:.0%} alike"
        told.append(f"  seen {when(other) or 'before'} too: {clean(other['name'])} ({alike}), no known fix")
    return told


def chosen(matches: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The one to show: the first of those that something fixed, if it is half as probably alike as the first
    of all, else that. Whoever tries again and again would otherwise see their own last attempt only."""
    least = matches[0]["probability"] / 2
    fixed = (each for each in matches if any(fix["worked"] for fix in each["remediations"]))
    return next((each for each in fixed if each["probability"] >= least), matches[0])


def _differs(found: list[Mapping[str, Any]], difference: Any) -> str:
    parameters = [each for each in found if each["path"].startswith("params.")]
    if parameters:
        names = ", ".join(f"`{clean(each['path'].removeprefix('params.'))}`" for each in parameters[:3])
        return f"config differs in {names} ({difference(parameters[0]).partition(': ')[2]})"
    if found:
        return f"differs in {difference(found[0])}"
    return "nothing that is recorded differs"
