"""CDEvents, shaped as the specification's conformance examples are: 0.5.1 (``context.specversion``) and 0.4.1
(``context.version``, ``subject.type``). The field names were read off github.com/CDEvents/spec, 2026-11."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import Any

from ingestors.source import Delivery
from tests.sources.pushing import delivery
from tests.tool_venvs import tool

DIGEST = "0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"
#: The digest is percent-encoded, and the tag beside it misleads.
PURL = f"pkg:oci/churn@sha256%3A{DIGEST}?repository_url=ghcr.io%2Facme%2Fchurn&tag=latest"
IMAGE = f"oci.digest=sha256:{DIGEST}"
LINKS = [
    {
        "linkType": "RELATION",
        "linkKind": "TRIGGER",
        "target": {"contextId": "5328c37f-bb7e-4bb7-84ea-9f5f85e4a7ce"},
    }
]

VERSIONS = {
    ("0.5.1", "service"): "0.3.0",
    ("0.5.1", "incident"): "0.3.0",
    ("0.4.1", "service"): "0.2.0",
    ("0.4.1", "incident"): "0.2.0",
}


def cdevent(
    kind: str,
    at: str,
    *,
    subject: str = "churn",
    content: dict[str, Any] | None = None,
    custom: dict[str, Any] | None = None,
    id: str | None = None,
    source: str = "/ci/acme",
    spec: str = "0.5.1",
) -> dict[str, Any]:
    """A CDEvent without an envelope. ``kind`` is subject and predicate: ``service.deployed``."""
    what, _, _ = kind.partition(".")
    context: dict[str, Any] = {
        "id": id or f"{kind}-{subject}-{at}",
        "chainId": "4c8cb7dd-3448-41de-8768-eec704e2829b",
        "source": source,
        "type": f"dev.cdevents.{kind}.{VERSIONS[spec, what]}",
        "timestamp": at,
    }
    context |= {"specversion": spec, "links": LINKS} if spec == "0.5.1" else {"version": spec}
    held: dict[str, Any] = {
        "id": subject,
        "source": source,
        "content": {"environment": {"id": "prod", "source": "/iaas/geo1"}, **(content or {})},
    }
    if spec == "0.4.1":
        held["type"] = what
    event: dict[str, Any] = {"context": context, "subject": held}
    if custom is not None:
        event |= {"customData": custom, "customDataContentType": "application/json"}
    return event


def service(predicate: str, at: str, revision: str | None = None, **custom: Any) -> dict[str, Any]:
    """A release event of the service churn in prod."""
    content = {} if predicate in ("removed", "published") else {"artifactId": PURL}
    said = {**custom, **({} if revision is None else {"revision": revision})}
    return cdevent(f"service.{predicate}", at, content=content, custom=said)


def incident(predicate: str, at: str, *, named: str = "incident-123", **more: Any) -> dict[str, Any]:
    """An incident event about the service churn in prod."""
    description = "Response time restored" if predicate == "resolved" else "Response time above 100 ms"
    content = {"description": description, "service": {"id": "churn", "source": "/clusterA/namespaceB"}}
    if predicate == "reported":
        content["ticketURI"] = "https://issues.example.com/345"
    content |= more.pop("content", {})
    return cdevent(
        f"incident.{predicate}", at, subject=named, content=content, source="/monitoring/prod1", **more
    )


def structured(event: dict[str, Any]) -> dict[str, Any]:
    """In an envelope as CloudEvents' structured mode has it."""
    context = event["context"]
    return {
        "specversion": "1.0",
        "id": context["id"],
        "source": context["source"],
        "type": context["type"],
        "time": context["timestamp"],
        "subject": event["subject"]["id"],
        "datacontenttype": "application/cdevents+json",
        "data": event,
    }


SENDER = """
import base64, json, sys
from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from datetime import datetime
for line in sys.stdin:
    event = json.loads(line)
    data = event.pop("data")
    event["time"] = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    for write in (http.to_structured, http.to_binary):
        message = write(CloudEvent(event, data), JSONFormat())
        print(json.dumps([message.headers, base64.b64encode(message.body).decode()]))
"""


def sdk_sent(*events: dict[str, Any]) -> list[Delivery]:
    """What the CloudEvents SDK of PyPI sends for these: structured, then binary."""
    lines = "\n".join(json.dumps(structured(event)) for event in events)
    done = subprocess.run(
        [str(tool("cloudevents") / "python"), "-c", SENDER],
        input=lines, capture_output=True, text=True, check=True,
    )  # fmt: skip
    sent = [json.loads(line) for line in done.stdout.splitlines()]
    return [
        delivery(base64.b64decode(body), {k.lower(): v for k, v in headers.items()}) for headers, body in sent
    ]
