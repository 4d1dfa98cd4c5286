"""What is at risk through the nodes that a change touches, and what earlier changes of the same led to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.gate.asking import Ask, Found
from app.gate.report import Owner, PastFailure, Risk

#: Things that one question of impact may name; earlier states and runs that are looked through.
MAX_STARTS, MAX_EARLIER = 200, 200
#: Earlier states whose incidents are looked for, and incidents whose causes are asked for, the last ones.
MAX_STATES, MAX_INCIDENTS = 40, 10
_ROOTS = 20
#: How many of an incident's likely causes count.
_CAUSES = 3

_TARGETS = """query($ids: [ID!]!) {
  impact(ids: $ids, first: 1000) {
    targets { node { id kind ... on ModelVersion { aliases { current } } } path { from } }
  }
}"""
_IMPACT = """query($ids: [ID!]!) {
  impact(ids: $ids) {
    score summary total complete truncatedBecause
    targets { contribution because node { id kind name } path { from } }
    owners { role owner { id name } }
  }
}"""


class Impact(msgspec.Struct, frozen=True):
    """The answer of ``impact``, each target with the change that it is reached from."""

    score: float
    summary: str
    risks: tuple[Risk, ...]
    total: int
    owners: tuple[Owner, ...]
    notes: tuple[str, ...]


def impact(ask: Ask, found: Sequence[Found]) -> Impact:
    """What is at risk through all changes together.

    Starts are the states that the changes replace, and of earlier ones those that led to what is in use
    now: all that ever was would make an old data set look riskier than a young one.
    """
    notes: list[str] = []
    of = _starts(ask, found, notes)
    if not of:
        return Impact(0.0, "", (), 0, (), ())
    answer = ask(_IMPACT, {"ids": list(of)})["impact"]
    if not answer["complete"]:
        notes.append(f"impact is not complete: {answer['truncatedBecause']}")
    risks = [
        Risk(
            id=target["node"]["id"],
            kind=target["node"]["kind"],
            name=target["node"]["name"],
            contribution=target["contribution"],
            because=target["because"],
            change=_begins(target, of),
        )
        for target in answer["targets"]
        if target["node"]["id"] not in of
    ]
    owners = {
        each["owner"]["id"]: Owner(each["owner"]["id"], each["owner"]["name"], each["role"])
        for each in answer["owners"]
    }
    # What is in use is what people look for; the answer's order otherwise.
    risks.sort(key=lambda risk: (not risk.used, risk.kind != "DEPLOYMENT"))
    total = answer["total"] - (len(answer["targets"]) - len(risks))
    return Impact(
        answer["score"], answer["summary"], tuple(risks), total, tuple(owners.values()), tuple(notes)
    )


def in_use(risks: Sequence[Risk]) -> bool:
    """Whether something is at risk that somebody may use: a deployment, a model, what was packaged."""
    return any(risk.used for risk in risks)


def _starts(ask: Ask, found: Sequence[Found], notes: list[str]) -> dict[str, str]:
    """Node → path of the change."""
    leading = [each for each in found if not each.change.follows] or list(found)
    of = _in_turns([(each.change.path, each.own) for each in leading], MAX_STARTS, "states", notes)
    earlier = _in_turns([(each.change.path, each.earlier) for each in leading], MAX_EARLIER,
                        "earlier states and runs", notes)  # fmt: skip
    earlier = {id: path for id, path in earlier.items() if id not in of}
    if not earlier:
        return of
    for target in ask(_TARGETS, {"ids": list(earlier)})["impact"]["targets"]:
        node = target["node"]
        used = node["kind"] == "DEPLOYMENT" or any(alias["current"] for alias in node.get("aliases", ()))
        start = next((edge["from"] for edge in target["path"] if edge["from"] in earlier), None)
        if used and start is not None:
            of.setdefault(start, earlier[start])
    return of


def _in_turns(
    listed: Sequence[tuple[str, Sequence[str]]], most: int, what: str, notes: list[str]
) -> dict[str, str]:
    """Id → path, one of each in turn, so that no change with very many crowds out the others."""
    of: dict[str, str] = {}
    for place in range(max((len(ids) for _, ids in listed), default=0)):
        for path, ids in listed:
            if place < len(ids) and len(of) < most:
                of.setdefault(ids[place], path)
    total = len({id for _, ids in listed for id in ids})
    if total > len(of):
        notes.append(f"impact was asked of {len(of)} of {total:,} {what}, the last ones of each change")
    return of


def _begins(target: Mapping[str, Any], of: Mapping[str, str]) -> str | None:
    return next((of[edge["from"]] for edge in target["path"] if edge["from"] in of), None)


# --- what such changes did before --------------------------------------------------------------------------


def past_failures(ask: Ask, found: Sequence[Found]) -> list[PastFailure]:
    """Incidents among whose likely causes is an earlier state of what changes, or an earlier commit that
    changed it; the last first. An incident of which nobody can tell a cause is none of these."""
    # A run of a script that failed tells nothing of a change of the script; a commit that changed it does.
    causes = {id: each.change.path for each in found if each.change.kind == "data" for id in each.ids}
    causes.update({f"git.sha={sha}": each.change.path for each in found for sha in each.change.commits})
    incidents = _incidents(ask, found)
    if not incidents:
        return []
    answer = _asked(
        ask,
        [id for id, _ in incidents],
        f"rootCauses(id: $ID, first: {_CAUSES}) "
        "{ subject { id name createdAt } candidates { confirmed because node { id name } } }",
    )
    failures = []
    for each in answer:
        # One that people said was the cause counts before what is merely likely; what they rejected does not.
        likely = sorted(each["candidates"], key=lambda candidate: candidate["confirmed"] is not True)
        for candidate in likely:
            id = candidate["node"]["id"]
            if id in causes and candidate["confirmed"] is not False:
                subject = each["subject"]
                failures.append(
                    PastFailure(
                        subject["id"], subject["name"], subject["createdAt"], causes[id], id,
                        candidate["node"]["name"], candidate["because"], candidate["confirmed"] is True,
                    )
                )  # fmt: skip
                break
    return _wholes(ask, failures)


def _wholes(ask: Ask, failures: Sequence[PastFailure]) -> list[PastFailure]:
    """Without the alerts of an incident that is told itself: they would tell the same failure again."""
    told = {each.id for each in failures}
    if len(told) < 2:
        return list(failures)
    answer = _asked(
        ask,
        [each.id for each in failures],
        "lineage(id: $ID, direction: UPSTREAM, maxHops: 5, edgeKinds: [HAS], kinds: [INCIDENT], first: 50) "
        "{ nodes { node { id } } }",
    )
    return [
        failure
        for failure, above in zip(failures, answer, strict=True)
        if not any(each["node"]["id"] in told - {failure.id} for each in above["nodes"])
    ]


def _incidents(ask: Ask, found: Sequence[Found]) -> list[tuple[str, str]]:
    """(id, time) of the last incidents downstream of the states that things had."""
    states = list(dict.fromkeys(id for each in found for id in each.ids))[:MAX_STATES]
    answer = _asked(
        ask,
        states,
        "lineage(id: $ID, direction: DOWNSTREAM, maxHops: 20, kinds: [INCIDENT], first: 100) "
        "{ nodes { node { id createdAt } } }",
    )
    times = {each["node"]["id"]: each["node"]["createdAt"] or "" for walk in answer for each in walk["nodes"]}
    # The root of a walk is there whatever its kind.
    last = sorted(
        (pair for pair in times.items() if pair[0] not in states), key=lambda pair: (pair[1], pair[0])
    )
    return last[::-1][:MAX_INCIDENTS]


def _asked(ask: Ask, ids: Sequence[str], field: str) -> list[Any]:
    """The same field for many ids, as many a query as are allowed."""
    found: list[Any] = []
    for start in range(0, len(ids), _ROOTS):
        chunk = ids[start : start + _ROOTS]
        variables: Mapping[str, Any] = {f"i{number}": id for number, id in enumerate(chunk)}
        fields = " ".join(f"f{number}: {field.replace('$ID', f'$i{number}')}" for number in range(len(chunk)))
        declared = ", ".join(f"${name}: ID!" for name in variables)
        answer = ask(f"query({declared}) {{ {fields} }}", variables)
        found += [answer[f"f{number}"] for number in range(len(chunk))]
    return found
