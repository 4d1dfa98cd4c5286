"""CloudEvents 1.0 over HTTP: structured, binary and batched; and CDEvents that come without an envelope."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

import msgspec

from graph_schema.errors import BadInput
from ingestors.source import Delivery


class Event(msgspec.Struct, frozen=True):
    """One event: its attributes, and the JSON object that it carries."""

    id: str
    source: str
    type: str
    time: str | None
    data: Mapping[str, Any]


def events(delivery: Delivery) -> list[Event]:
    """The events of a request. Raises BadInput for what is neither a CloudEvent nor a CDEvent."""
    kind = delivery.headers.get("content-type", "").partition(";")[0].strip().lower()
    held = _decoded(delivery.body, "the body")
    if isinstance(held, list):
        return [_structured(one, f"event {number}") for number, one in enumerate(held, 1)]
    if kind == "application/cloudevents-batch+json":
        raise BadInput("a batch of CloudEvents is a JSON array")
    if kind != "application/cloudevents+json" and "ce-specversion" in delivery.headers:
        return [_binary(delivery.headers, held)]
    return [_structured(held, "the event")]


def _binary(headers: Mapping[str, str], data: Any) -> Event:
    said = {name[3:]: unquote(value) for name, value in headers.items() if name.startswith("ce-")}
    return _event(said, data, "the event")


def _structured(held: Any, which: str) -> Event:
    if not isinstance(held, dict):
        raise BadInput(f"{which} is not a JSON object")
    context = held.get("context")
    if isinstance(context, dict) and "specversion" not in held:
        # A CDEvent as it is. Its own version says nothing of an envelope.
        bare = {**context, "specversion": "1.0", "time": context.get("timestamp")}
        return _event(bare, held, which)
    data = held.get("data")
    if data is None and isinstance(held.get("data_base64"), str):
        try:
            data = _decoded(base64.b64decode(held["data_base64"], validate=True), f"data_base64 of {which}")
        except ValueError:
            raise BadInput(f"data_base64 of {which} is not base64") from None
    elif isinstance(data, str):
        data = _decoded(data.encode(), f"data of {which}")
    return _event(held, data, which)


def _event(said: Mapping[str, Any], data: Any, which: str) -> Event:
    for name in ("specversion", "id", "source", "type"):
        if not isinstance(said.get(name), str) or not said[name]:
            raise BadInput(
                f"{which} has no {name}; CloudEvents 1.0 (structured, binary with ce-* headers, or batched) "
                "and CDEvents are taken"
            )
    if not said["specversion"].startswith("1."):
        raise BadInput(f"{which} is of CloudEvents {said['specversion'][:20]}; 1.0 is what is read")
    time = said.get("time")
    return Event(
        said["id"],
        said["source"],
        said["type"],
        time if isinstance(time, str) else None,
        data if isinstance(data, dict) else {},
    )


def _decoded(content: bytes, what: str) -> Any:
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadInput(f"{what} is not JSON") from None
