"""A PagerDuty account to test with: takes Events v2 as the real Alertmanager sends them, and answers its REST
API from what came. No such thing can be had to run here: its answers have the shape of PagerDuty's published
reference (REST API v2 and V3 webhooks, as of November 2026) and of a recorded incident made by Alertmanager.
"""

from __future__ import annotations

import hmac
import itertools
import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

from graph_schema.times import parse_time
from tests.alerting import Recorder, Sent

TOKEN = "an-api-key"
SECRET = b"a-signing-secret"
ADA = {
    "id": "PADA001",
    "type": "user",
    "summary": "Ada Lovelace",
    "name": "Ada Lovelace",
    "email": "ada@example.com",
}
SERVICE = {"id": "PF9KMXH", "type": "service_reference", "summary": "Churn API"}


def now() -> str:
    """The time as PagerDuty tells it: whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def incident(number: int, created: str, **changes: Any) -> dict[str, Any]:
    """An incident as GET /incidents shows it."""
    return {
        "id": f"Q0INCIDENT{number:04d}",
        "type": "incident",
        "summary": f"[#{number}] Scores drift",
        "self": f"https://api.pagerduty.com/incidents/Q0INCIDENT{number:04d}",
        "html_url": f"https://acme.pagerduty.com/incidents/Q0INCIDENT{number:04d}",
        "incident_number": number,
        "title": "Scores drift",
        "created_at": created,
        "updated_at": created,
        "status": "triggered",
        "incident_key": None,
        "service": SERVICE,
        "assignments": [{"at": created, "assignee": ADA}],
        "last_status_change_at": created,
        "resolved_at": None,
        "alert_counts": {"all": 0, "triggered": 0, "resolved": 0},
        "escalation_policy": {"id": "PUS0KTE", "type": "escalation_policy_reference", "summary": "Default"},
        "teams": [{"id": "PFCVPS0", "type": "team_reference", "summary": "growth-ml"}],
        "priority": {"id": "PSO75BM", "type": "priority", "summary": "P1", "name": "P1"},
        "resolve_reason": None,
        "urgency": "high",
        **changes,
    }


def alert(
    number: int, of: str, created: str, key: str | None, details: dict[str, Any], **changes: Any
) -> Any:
    """An alert as GET /incidents/{id}/alerts shows it."""
    return {
        "id": f"Q1ALERT{number:04d}",
        "type": "alert",
        "summary": "Scores drift",
        "created_at": created,
        "status": "triggered",
        "resolved_at": None,
        "alert_key": key,
        "suppressed": False,
        "service": SERVICE,
        "severity": "error",
        "incident": {"id": of, "type": "incident_reference"},
        "body": {
            "type": "alert_body",
            "contexts": [],
            "details": details,
            "cef_details": {"client": "Alertmanager", "dedup_key": key, "details": details},
        },
        **changes,
    }


class Account(Recorder):
    """``incidents`` by id, ``alerts`` and ``notes`` by that of their incident; ``asked``: what was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.incidents: dict[str, dict[str, Any]] = {}
        self.alerts: dict[str, list[dict[str, Any]]] = {}
        self.notes: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []
        self._numbers = itertools.count(1)

    def answer(self, sent: Sent) -> tuple[int, bytes]:
        if sent.body:
            self.sent.append(sent)
            self.event(sent.json)
            return 202, b'{"status":"success"}'
        if sent.headers.get("authorization") != f"Token token={TOKEN}":
            return 401, b'{"error":{"message":"Unauthorized","code":2006}}'
        self.asked.append(sent.path)
        found = self._found(sent.path)
        return (
            (404, b'{"error":{"message":"Not Found"}}')
            if found is None
            else (200, json.dumps(found).encode())
        )

    def event(self, event: dict[str, Any]) -> None:
        """Events v2: a trigger opens an alert and its incident unless one is open under that key; a resolve
        ends them."""
        key = event["dedup_key"]
        opened = [
            a for held in self.alerts.values() for a in held if a["alert_key"] == key and not a["resolved_at"]
        ]
        if event["event_action"] == "resolve":
            for each in opened:
                each |= {"status": "resolved", "resolved_at": now()}
                self.resolve(each["incident"]["id"])
        elif not opened:
            number, at = next(self._numbers), now()
            made = incident(number, at, title=event["payload"]["summary"])
            self.add(made, alert(number, made["id"], at, key, event["payload"]["custom_details"]))

    def add(self, made: dict[str, Any], *alerts: dict[str, Any]) -> None:
        """An incident with its alerts."""
        made["alert_counts"]["all"] = len(alerts)
        self.incidents[made["id"]] = made
        self.alerts[made["id"]] = list(alerts)

    def resolve(self, name: str, at: str | None = None) -> None:
        """End an incident."""
        at = at or now()
        self.incidents[name] |= {
            "status": "resolved",
            "resolved_at": at,
            "updated_at": at,
            "last_status_change_at": at,
            "assignments": [],
        }

    def _found(self, path: str) -> Any:
        parts, asked = urlsplit(path), parse_qs(urlsplit(path).query)
        match parts.path.strip("/").split("/"):
            case ["incidents"]:
                return self._page(asked, "incidents", self._chosen(asked))
            case ["incidents", name] if name in self.incidents:
                return {"incident": self.incidents[name]}
            case ["incidents", name, "alerts"] if name in self.incidents:
                return self._page(asked, "alerts", self.alerts.get(name, []))
            case ["incidents", name, "notes"] if name in self.incidents:
                return {"notes": self.notes.get(name, [])}
        return None

    def _chosen(self, asked: dict[str, list[str]]) -> list[dict[str, Any]]:
        found = sorted(self.incidents.values(), key=lambda i: (i["created_at"], i["id"]))
        if "statuses[]" in asked:
            found = [i for i in found if i["status"] in asked["statuses[]"]]
        if asked.get("date_range") != ["all"]:
            since, until = parse_time(asked["since"][0]), parse_time(asked["until"][0])
            assert until - since <= 183 * 86_400 * 1_000_000, "half a year at most"
            found = [i for i in found if since <= parse_time(i["created_at"]) < until]
        return found

    @staticmethod
    def _page(asked: dict[str, list[str]], name: str, found: list[Any]) -> dict[str, Any]:
        offset, limit = int(asked["offset"][0]), int(asked["limit"][0])
        assert limit <= 100
        assert offset + limit <= 10_000
        page = found[offset : offset + limit]
        return {
            name: page,
            "limit": limit,
            "offset": offset,
            "more": offset + limit < len(found),
            "total": None,
        }


def webhook(kind: str, at: str, data: dict[str, Any]) -> dict[str, Any]:
    """The body of a V3 webhook."""
    return {
        "event": {
            "id": sha256(f"{kind} {at}".encode()).hexdigest()[:26].upper(),
            "event_type": kind,
            "resource_type": "incident",
            "occurred_at": at,
            "agent": {"id": ADA["id"], "type": "user_reference", "summary": ADA["summary"]},
            "client": None,
            "data": data,
        }
    }


def told(number: int, created: str, status: str = "triggered", **changes: Any) -> dict[str, Any]:
    """An incident as a webhook tells of it."""
    told = incident(number, created, status=status)
    hidden = (
        "assignments",
        "updated_at",
        "last_status_change_at",
        "resolved_at",
        "alert_counts",
        "incident_number",
    )
    kept = {key: value for key, value in told.items() if key not in hidden}
    ada = {"id": ADA["id"], "type": "user_reference", "summary": ADA["summary"]}
    return {**kept, "number": number, "assignees": [ada], **changes}


def signed(body: bytes, secret: bytes = SECRET) -> dict[str, str]:
    """The headers of a V3 webhook; two signatures, as while secrets are exchanged."""
    good = hmac.digest(secret, body, "sha256").hex()
    return {"x-pagerduty-signature": f"v1={'0' * 64},v1={good}", "x-webhook-id": "b4e5a1c0"}
