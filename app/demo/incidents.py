"""What the people of the demo's project wrote down: three incidents, and what they tried on failures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.lineage.lookup import find_one
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import NotFound
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import parse_time
from graph_schema.values import Node
from ingestors import joins
from ingestors.corrections import PEOPLE
from ingestors.judgements import judge_cause
from ingestors.remedies import Attempt, record_attempt, record_remediation
from ingestors.repairs import incident_known

FILE = Path(__file__).with_name("incidents.json")


def record(store: GraphStore) -> None:
    """Write them down as people do. A second time changes nothing. Raises NotFound where the graph does not
    hold what they speak of."""
    told = json.loads(FILE.read_text(encoding="utf-8"))
    records = [_incident(each) for each in told["incidents"]]
    store.transact(lambda tx: joins.apply(tx, PEOPLE, records))
    subjects: dict[str, list[str]] = {}
    attempts: dict[str, Mapping[str, Any]] = {}
    failures = [(f"kinlore={each['id']}", each) for each in told["incidents"]]
    failures += [(each["run"], each) for each in told["failures"]]
    for subject, failure in failures:
        for attempt in failure["attempts"]:
            # One change may have been an attempt at several failures.
            subjects.setdefault(attempt["id"], []).append(subject)
            attempts[attempt["id"]] = attempt
    for id, attempt in attempts.items():
        _attempt(store, attempt, subjects[id])
    for each in told["incidents"]:
        incident, cause = _node(store, f"kinlore={each['id']}"), _node(store, each["confirmedCause"])
        judge_cause(store, incident, cause, why=each["cause"], by=each["attempts"][-1]["by"])


def _incident(told: Mapping[str, Any]) -> Record:
    me = f"kinlore={told['id']}"
    began, ended = parse_time(told["openedAt"]), parse_time(told["resolvedAt"])
    stated = {
        "name": told["title"],
        "severity": told["severity"],
        "status": "RESOLVED",
        "startedAt": told["openedAt"],
        "endedAt": told["resolvedAt"],
        "createdAt": began,
        "cause": told["cause"],
    }
    claims: list[Claim] = [
        Names(NodeKind.INCIDENT, (me,)),
        States(NodeKind.INCIDENT, me, stated, ended),
        *(Links(EdgeKind.HAS, me, alert, began) for alert in told["signals"]),
        *(Links(EdgeKind.IMPLICATED_IN, thing, me, began) for thing in told["implicated"]),
        incident_known(me, began, ended),
    ]
    return Record(f"incident/{told['id']}", "incident", ended, tuple(claims))


def _attempt(store: GraphStore, told: Mapping[str, Any], subjects: list[str]) -> None:
    way = told["remediation"]
    remediation = f"kinlore={way['id']}"
    record_remediation(store, way["title"], id=remediation)
    attempt = Attempt(
        id=f"kinlore={told['id']}",
        subjects=[_node(store, each) for each in subjects],
        remediation=remediation,
        outcome=told["outcome"],
        changed=[_node(store, each) for each in told["changed"]],
        at=parse_time(told["at"]),
        by=told["by"],
        verified_by=told["by"] if told["outcome"] != "unknown" else None,
    )
    record_attempt(store, attempt, way["title"])


def _node(store: GraphStore, text: str) -> Node:
    node = store.get([find_one(store, text)])[0]
    if node is None:
        raise NotFound(f"the demo holds no {text}")
    return node
