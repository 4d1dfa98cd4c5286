"""The source events: anybody who can POST may tell of releases and incidents."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from graph_schema.claims import Claim
from graph_schema.errors import BadInput
from graph_schema.times import parse_time
from ingestors.source import Delivery, Item, PushedConfig, Source
from ingestors.sources.events.claims import incident_claims, service_claims
from ingestors.sources.events.cloudevents import Event, events

_TYPE = re.compile(r"dev\.cdevents\.([a-z]+)\.([a-z]+)(?:\.\S+)?")
_TAKEN = {
    "service": frozenset({"deployed", "upgraded", "rolledback", "published", "removed"}),
    "incident": frozenset({"detected", "reported", "resolved"}),
}


class EventsSource(Source):
    """CDEvents about services and incidents, in CloudEvents of every HTTP mode; the rest is passed over."""

    type: ClassVar[str] = "events"
    config_model = PushedConfig
    pulls = False
    accepts = True

    def __init__(self, config: PushedConfig) -> None:
        super().__init__(config)
        self.config: PushedConfig = config

    def delivery_id(self, delivery: Delivery) -> str | None:
        try:
            found = events(delivery)
        except BadInput:
            return None
        return _key(found[0]) if len(found) == 1 else None

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        items: list[Item] = []
        for event in events(delivery):
            try:
                item = _item(event)
                if item is not None:
                    # Whoever sends it is told what is wrong, while he can still mend it.
                    self.to_claims(item)
                    items.append(item)
            except BadInput as problem:
                raise BadInput(f"event {event.id[:80]} ({event.type[:80]}): {problem}") from None
        return items

    def to_claims(self, item: Item) -> Sequence[Claim]:
        if item.type == "service":
            return service_claims(item.data, self.config.scope)
        return incident_claims(item.data, self.config.scope)


def _item(event: Event) -> Item | None:
    """The event as an item; None for what is of no interest. Raises BadInput."""
    match = _TYPE.fullmatch(event.type)
    if match is None or match[2] not in _TAKEN.get(match[1], ()):
        return None
    context, subject = event.data.get("context"), event.data.get("subject")
    if not isinstance(subject, dict):
        raise BadInput("data.subject is missing: data is a CDEvent, with context and subject")
    said = context.get("timestamp") if isinstance(context, dict) else None
    time = said if isinstance(said, str) else event.time
    if time is None:
        raise BadInput("it has no time: context.timestamp, or time of the CloudEvent")
    at = parse_time(time)
    content, custom = subject.get("content"), event.data.get("customData")
    data: dict[str, Any] = {
        "event": event.id,
        "source": event.source,
        "predicate": match[2],
        "at": at,
        "subject": {"id": subject.get("id"), "source": subject.get("source") or event.source},
        "content": content if isinstance(content, dict) else {},
        "customData": custom if isinstance(custom, dict) else {},
    }
    return Item(_key(event), match[1], at, data)


def _key(event: Event) -> str:
    """What an event is called by: source and id, as CloudEvents say; with its type, for the sake of
    senders that give one id to all that they tell of one thing."""
    return f"{event.source} {event.id} {event.type}"
