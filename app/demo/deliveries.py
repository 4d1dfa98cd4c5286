"""What was sent to the demo's project: releases as CDEvents, pipelines' runs as OpenLineage, alerts as
Alertmanager posted them.

They take the way that a request takes: into the inbox, and from there into the graph.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from app.container import Container
from app.errors import Failed
from graph_schema.times import Micros, parse_time
from ingestors.pushed import Pushed
from ingestors.report import Report
from ingestors.source import Delivery, Source

_HERE = Path(__file__).parent
_TYPE = "content-type"


class Recorded(msgspec.Struct, frozen=True):
    """A recording: its file, the list of bodies in it, and when a body was sent."""

    file: str
    bodies: str
    sent: Callable[[dict[str, Any]], Micros]


def _of_event(event: dict[str, Any]) -> Micros:
    return parse_time(event["context"]["timestamp"])


def _of_alerts(body: dict[str, Any]) -> Micros:
    """The latest of the times that it speaks of: none of them was yet to come."""
    said = [alert[key] for alert in body["alerts"] for key in ("startsAt", "endsAt")]
    return max(parse_time(time) for time in said)


def _of_run(event: dict[str, Any]) -> Micros:
    return parse_time(event["eventTime"])


#: What was pushed to sources of these types.
RECORDED = MappingProxyType(
    {
        "events": Recorded("deployments.json", "events", _of_event),
        "alertmanager": Recorded("alerts.json", "deliveries", _of_alerts),
        "openlineage": Recorded("openlineage.json", "events", _of_run),
    }
)


def deliver(container: Container, source: Source, recorded: Recorded) -> Report:
    """Deliver a recording to a source and apply it. Raises Failed where nothing came of it."""
    told = json.loads((_HERE / recorded.file).read_text(encoding="utf-8"))
    for body in told[recorded.bodies]:
        content = json.dumps(body).encode()
        delivery = Delivery({_TYPE: "application/json"}, content, recorded.sent(body))
        items, known = source.receive(delivery), source.delivery_id(delivery)
        container.inbox.put(source.config.name, items, delivery=known).result()
    pushed = Pushed(container.store, source)
    while pushed.apply():
        pass
    report = pushed.finish()
    if report is None:
        raise Failed(f"{recorded.file} told {source.config.name} nothing")
    return report
