"""What PagerDuty says, as items: webhooks and the API in one shape. Pure functions.

An incident is several records, each with the time of its own last change: so that what comes late or twice,
from whichever side, changes nothing. ``incident`` is what it is, ``status`` how it stands, ``owners`` who was
assigned to it last, ``alert`` an alert in it, ``note`` a word on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from graph_schema.errors import BadInput
from graph_schema.times import Micros, parse_time
from ingestors import alerts
from ingestors.source import Item

#: Events after which an incident stands differently.
_TURNS = frozenset(
    {
        "incident.triggered",
        "incident.acknowledged",
        "incident.unacknowledged",
        "incident.resolved",
        "incident.reopened",
    }
)
#: What is kept of an alert's details where they are no alert's of Alertmanager: so many, so long.
_DETAILS, _LONGEST = 50, 2_000
_LONGEST_NOTE = 10_000


def event_items(event: Mapping[str, Any]) -> list[Item]:
    """The event of a webhook. None of other things than incidents. Raises BadInput."""
    kind, data = str(event.get("event_type") or ""), event.get("data")
    if not isinstance(data, Mapping):
        raise BadInput("an event needs data, an object")
    what = data.get("type")
    if not kind.startswith("incident.") or what not in (
        "incident",
        "incident_note",
        "incident_status_update",
    ):
        return []
    at = _time(event, "occurred_at")
    if what == "incident":
        return [_incident(data, at), _turn(data, kind, at)]
    held = data.get("incident")
    incident = _id(held if isinstance(held, Mapping) else {})
    said = data.get("content" if what == "incident_note" else "message")
    return [_note(incident, _id(data), said, at, _summary(event.get("agent")), what)]


def incident_items(incident: Mapping[str, Any]) -> list[Item]:
    """An incident of the API. Raises BadInput."""
    created = _time(incident, "created_at")
    updated = _time(incident, "updated_at") if incident.get("updated_at") else created
    turned = _time(incident, "last_status_change_at") if incident.get("last_status_change_at") else updated
    items = [_incident(incident, updated), _status(incident, turned, _time_or_none(incident, "resolved_at"))]
    assignees = list(_assignees(incident))
    if assignees:
        # Nobody is assigned to what is resolved; who was, stays.
        items.append(
            Item(f"{_id(incident)} owners", "owners", updated, {"id": _id(incident), "assignees": assignees})
        )
    return items


def alert_item(incident: str, alert: Mapping[str, Any], version: Micros) -> Item:
    """An alert of the API, as it was seen in an incident. Raises BadInput."""
    body = alert.get("body")
    body = body if isinstance(body, Mapping) else {}
    cef = body.get("cef_details")
    cef = cef if isinstance(cef, Mapping) else {}
    details = body.get("details") or cef.get("details")
    details = details if isinstance(details, Mapping) else {}
    listed = [
        labels for key in ("firing", "resolved") for labels in alerts.labels_in(str(details.get(key) or ""))
    ]
    data = {
        "id": _id(alert),
        "incident": incident,
        "key": alert.get("alert_key") or cef.get("dedup_key"),
        "summary": alert.get("summary"),
        "severity": alert.get("severity"),
        "url": cef.get("client_url"),
        "createdAt": _time(alert, "created_at"),
        "resolvedAt": _time_or_none(alert, "resolved_at"),
        # Worked out before a label could lose a secret: else they would match nothing.
        "marks": sorted({alerts.fingerprint(labels) for labels in listed}),
        "labels": listed,
        "details": {} if listed else dict(_plain(details)),
    }
    return Item(f"{_id(alert)} alert", "alert", version, data)


def note_item(incident: str, note: Mapping[str, Any]) -> Item:
    """A note of the API. Raises BadInput."""
    at, by = _time(note, "created_at"), _summary(note.get("user"))
    return _note(incident, _id(note), note.get("content"), at, by, "incident_note")


def _incident(incident: Mapping[str, Any], version: Micros) -> Item:
    service = incident.get("service")
    data = {
        "id": _id(incident),
        "title": incident.get("title") or incident.get("summary"),
        "number": incident.get("number") or incident.get("incident_number"),
        "url": incident.get("html_url"),
        "urgency": incident.get("urgency"),
        "priority": _summary(incident.get("priority")),
        "service": _summary(service),
        "serviceId": str(service.get("id") or "") if isinstance(service, Mapping) else "",
        "escalationPolicy": _summary(incident.get("escalation_policy")),
        "teams": [name for name in map(_summary, _list(incident.get("teams"))) if name],
        "assignees": [each["name"] for each in _assignees(incident)],
        "createdAt": _time(incident, "created_at"),
    }
    return Item(_id(incident), "incident", version, data)


def _turn(incident: Mapping[str, Any], kind: str, at: Micros) -> Item:
    """How an incident stands by an event. Most events tell of something else, and only in passing of how it
    stands: that it is resolved, but not since when. That counts where nothing better is known."""
    if kind == "incident.resolved":
        return _status(incident, at, at)
    if kind not in _TURNS and incident.get("status") == "resolved":
        return _status(incident, _time(incident, "created_at"), None)
    return _status(incident, at, None)


def _status(incident: Mapping[str, Any], version: Micros, resolved: Micros | None) -> Item:
    reason = incident.get("resolve_reason")
    into = reason.get("incident") if isinstance(reason, Mapping) else None
    data = {
        "id": _id(incident),
        "status": str(incident.get("status") or "").upper(),
        "key": incident.get("incident_key"),
        "createdAt": _time(incident, "created_at"),
        "resolvedAt": resolved,
        "mergedInto": _id(into) if isinstance(into, Mapping) else None,
    }
    return Item(f"{_id(incident)} status", "status", version, data)


def _note(incident: str, note: str, said: Any, at: Micros, by: str | None, what: str) -> Item:
    data = {"id": incident, "note": note, "text": str(said or "")[:_LONGEST_NOTE], "by": by, "what": what}
    return Item(f"{incident} {what} {note}", "note", at, data)


def _assignees(incident: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Names, and addresses where they are told: a webhook and the API spell it differently."""
    given = [a.get("assignee") for a in _list(incident.get("assignments"))] or _list(
        incident.get("assignees")
    )
    for person in given:
        name = _summary(person)
        if name is not None:
            email = person.get("email") if isinstance(person, Mapping) else None
            yield {"name": name} | ({"email": email} if isinstance(email, str) and email else {})


def _plain(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in list(details.items())[:_DETAILS]:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            yield str(key), str(value).strip()[:_LONGEST]


def _list(value: Any) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def _summary(thing: Any) -> str | None:
    """The name of what is referred to."""
    if not isinstance(thing, Mapping):
        return None
    name = thing.get("summary") or thing.get("name")
    return name if isinstance(name, str) and name else None


def _id(thing: Mapping[str, Any]) -> str:
    found = thing.get("id")
    if not isinstance(found, str) or not found:
        raise BadInput(f"a {thing.get('type') or 'thing'} of PagerDuty needs an id")
    return found


def _time(thing: Mapping[str, Any], key: str) -> Micros:
    found = thing.get(key)
    if not isinstance(found, str):
        raise BadInput(f"{key} is missing, a time")
    return parse_time(found)


def _time_or_none(thing: Mapping[str, Any], key: str) -> Micros | None:
    return _time(thing, key) if thing.get(key) else None
