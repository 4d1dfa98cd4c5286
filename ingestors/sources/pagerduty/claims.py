"""What items of PagerDuty claim. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from graph_schema.claims import Claim, Finds, Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadIdentifier, BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, format_time
from ingestors import alerts
from ingestors.deployments import blamed
from ingestors.repairs import incident_known
from ingestors.source import Item

Place = tuple[str | None, str]
"""An environment, if one is said, and a name in it."""

_STATUSES = frozenset({"TRIGGERED", "ACKNOWLEDGED", "RESOLVED"})


def claims(
    item: Item,
    mapping: Mapping[str, Sequence[str]],
    environments: Mapping[str, str],
    places: Mapping[str, Sequence[Place]],
) -> Sequence[Claim]:
    """What an item says. ``mapping``: which labels of its alerts name what; ``environments``: what those are
    called that labels call otherwise; ``places``: what each service, by id or name, stands for. Raises
    BadInput."""
    data = item.data
    if "refused" in data:
        raise BadInput(data["refused"])
    if item.type == "alert":
        return list(_alert(data, mapping, environments))
    me = identifier("pagerduty.incident", data["id"])
    if item.type == "incident":
        return [*_incident(me, data), *_service(me, data, places)]
    if item.type == "status":
        return list(_status(me, data))
    if item.type == "owners":
        return list(_owners(me, data))
    where = "notes" if data["what"] == "incident_note" else "statusUpdates"
    said = {key: value for key, value in (("text", data["text"]), ("by", data["by"])) if value}
    said["at"] = format_time(item.version)
    return [States(NodeKind.INCIDENT, me, {where: {data["note"]: said}}, item.version)]


def _incident(me: str, data: Mapping[str, Any]) -> Iterator[Claim]:
    created: Micros = data["createdAt"]
    url = data["url"]
    stated = {
        "name": data["title"] or data["id"],
        "number": data["number"],
        "url": url if isinstance(url, str) and url.startswith("https://") else None,
        "createdAt": created,
        "startedAt": format_time(created),
        "urgency": data["urgency"],
        "priority": data["priority"],
        "severity": data["priority"] or data["urgency"],
        "service": data["service"],
        "escalationPolicy": data["escalationPolicy"],
        "assignees": data["assignees"],
        "teams": data["teams"],
    }
    yield Names(NodeKind.INCIDENT, (me,))
    yield States(NodeKind.INCIDENT, me, {k: v for k, v in stated.items() if v not in (None, [])}, created)
    for team in data["teams"]:
        yield from _owned(me, "team", team, "responsible")


def _service(me: str, data: Mapping[str, Any], places: Mapping[str, Sequence[Place]]) -> list[Claim]:
    """What the service stands for. Where nobody says, what is called as it is, if that is in one place."""
    service, at = data["service"], data["createdAt"]
    known = next((places[key] for key in (data["serviceId"], service) if key in places), None)
    blames: list[Claim] = []
    for environment, name in ((None, service or ""),) if known is None else known:
        # Not every service is called what a deployment can be called.
        with suppress(BadIdentifier):
            blames += blamed(me, name=name, environment=environment, at=at)
    return alerts.incident_serves(me, at, blames)


def _owners(me: str, data: Mapping[str, Any]) -> Iterator[Claim]:
    for person in data["assignees"]:
        if "email" in person:
            yield from _owned(me, "email", person["email"], "assignee", person["name"])


def _owned(me: str, scheme: str, value: str, role: str, name: str | None = None) -> Iterator[Claim]:
    try:
        owner = identifier(scheme, value)
    except BadIdentifier:
        return
    if name is not None:
        yield States(NodeKind.PERSON, owner, {"name": name})
    yield Links(EdgeKind.OWNED_BY, me, owner, properties={"role": role})


def _status(me: str, data: Mapping[str, Any]) -> Iterator[Claim]:
    if data["status"] not in _STATUSES:
        raise BadInput(
            f"the status {data['status']!r:.40} of an incident is not known; {sorted(_STATUSES)} are"
        )
    ended = None if data["resolvedAt"] is None else format_time(data["resolvedAt"])
    stated = {"status": data["status"], "endedAt": ended}
    at = data["resolvedAt"] or data["createdAt"]
    yield States(NodeKind.INCIDENT, me, {k: v for k, v in stated.items() if v is not None}, at)
    yield incident_known(me, data["createdAt"], data["resolvedAt"])
    if data["key"]:
        yield from _keyed(me, str(data["key"]), data)
    if data["mergedInto"]:
        whole = identifier("pagerduty.incident", data["mergedInto"])
        yield Links(EdgeKind.HAS, whole, me, data["resolvedAt"], evidence="merged into it in PagerDuty")


def _alert(
    data: Mapping[str, Any], mapping: Mapping[str, Sequence[str]], environments: Mapping[str, str]
) -> Iterator[Claim]:
    me = identifier("pagerduty.incident", data["incident"])
    yield Names(NodeKind.INCIDENT, (me,))
    told = {"summary": data["summary"], "severity": data["severity"], "url": data["url"]}
    told |= {"labels": data["labels"], "details": data["details"]}
    stated = {data["id"]: {key: value for key, value in told.items() if value}}
    yield States(NodeKind.INCIDENT, me, {"alerts": stated}, data["createdAt"])
    if data["key"]:
        yield from _keyed(me, str(data["key"]), data)
    for mark in data["marks"]:
        yield from alerts.incident_under(
            alerts.by_fingerprint(mark), me, data["createdAt"], data["resolvedAt"]
        )
    at = data["createdAt"]
    named = alerts.implicated(me, data["details"], mapping, at, environments)
    yield from named
    if named:
        yield alerts.incident_names(me, at)
    listed = [
        claim
        for labels in data["labels"]
        for claim in alerts.implicated(me, labels, mapping, at, environments)
    ]
    yield from alerts.incident_lists(me, at, listed)


def _keyed(me: str, key: str, data: Mapping[str, Any]) -> Iterator[Claim]:
    """The incident can be met under the deduplication key of what was sent to PagerDuty."""
    yield from alerts.incident_under(alerts.by_group(key), me, data["createdAt"], data["resolvedAt"])
    yield Finds("dedup_key", key, me)
