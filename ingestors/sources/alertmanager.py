"""Alertmanager: alerts as its webhook (version 4) tells of them.

An alert fires and is resolved: one incident, in whatever order and however often that is told. Its webhook
is the only way in: the API holds the present only, and spells the start of some alerts with fewer digits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec
from pydantic import Field, field_validator

from graph_schema.claims import Claim, Finds, Names, States
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, format_time, parse_time
from ingestors import alerts
from ingestors.repairs import incident_known
from ingestors.source import Delivery, Item, PushedConfig, Source

#: What the annotations are called that say what is wrong, best first.
_SUMMARIES = ("summary", "message", "title")
_DESCRIPTIONS = ("description",)
_RUNBOOKS = ("runbook_url", "runbook")
#: Beyond this many, characters of an annotation help nobody.
_LONGEST = 10_000


class AlertmanagerConfig(PushedConfig):
    """Keys of an Alertmanager that posts to Kinlore."""

    labels: dict[str, tuple[str, ...]] = Field(
        default_factory=lambda: dict(alerts.LABELS), description="what each alert label names"
    )

    environments: dict[str, str] = Field(default={}, description="what an environment is called elsewhere")

    @field_validator("labels", mode="before")
    @classmethod
    def _labels(cls, given: Any) -> dict[str, tuple[str, ...]]:
        return alerts.checked_labels(given)


class _Episode(NamedTuple):
    """One firing of an alert: from when to when (None: it still fires)."""

    key: str
    since: Micros
    until: Micros | None
    is_over: bool


class AlertmanagerSource(Source):
    """``include`` and ``exclude`` are globs over names of alerts; ``since`` leaves out what began before."""

    type: ClassVar[str] = "alertmanager"
    config_model = AlertmanagerConfig
    pulls = False
    accepts = True

    def __init__(self, config: AlertmanagerConfig) -> None:
        super().__init__(config)
        self.config: AlertmanagerConfig = config

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        body = _body(delivery.body)
        group_key = body.get("groupKey")
        items: list[Item] = []
        for number, alert in enumerate(body["alerts"]):
            try:
                episode = _episode(alert)
            except BadInput as problem:
                # Refused with its reason in to_claims: it becomes a dead letter, and the others land.
                data = {"alert": alert, "refused": str(problem)}
                items.append(Item(f"{delivery.at} {number}", "alert", delivery.at, data))
                continue
            if self._wanted(alert, episode.since):
                # States of one firing in their order: that it is over is the last word.
                version = episode.since
                if episode.is_over:
                    version = max(episode.until or 0, episode.since + 1)
                items.extend(_items(episode, alert, group_key, version))
        return items

    def to_claims(self, item: Item) -> Sequence[Claim]:
        data = item.data
        if "refused" in data:
            raise BadInput(data["refused"])
        if item.type == "group":
            me, key = identifier("alertmanager.alert", data["alert"]), str(data["dedup_key"])
            return [
                *alerts.alert_under(alerts.by_group(key), me, data["since"], data["until"]),
                Finds("dedup_key", key, me),
                Finds("dedup_key", str(data["groupKey"]), me),
            ]
        alert = data["alert"]
        episode = _episode(alert)
        # Worked out from labels that may have lost a secret since, the fingerprint would be another.
        key = str(data["key"])
        me = identifier("alertmanager.alert", key)
        labels = alert["labels"]
        implied = alerts.implicated(me, labels, self.config.labels, episode.since, self.config.environments)
        met = alerts.by_fingerprint(key.partition("@")[0])
        return [
            Names(NodeKind.INCIDENT, (me,)),
            States(NodeKind.INCIDENT, me, _properties(alert, episode), episode.until or episode.since),
            *implied,
            *alerts.described(me, labels, self.config.labels),
            *alerts.alert_under(met, me, episode.since, episode.until, implied),
            incident_known(me, episode.since, episode.until),
        ]

    def _wanted(self, alert: Mapping[str, Any], since: Micros) -> bool:
        if self.config.since is not None and since < parse_time(self.config.since):
            return False
        return self.config.wants(_name(alert))


def _body(content: bytes) -> Mapping[str, Any]:
    """The webhook's message. Raises BadInput for anything else."""
    try:
        body = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise BadInput(f"the body is not JSON: {problem}") from None
    if not isinstance(body, dict) or not isinstance(body.get("alerts"), list):
        raise BadInput('the body is not a message of Alertmanager\'s webhook: it has no list "alerts"')
    if body.get("version") != "4":
        said = str(body.get("version"))[:20]
        raise BadInput(f"version {said!r} of Alertmanager's webhook is not known here; 4 is")
    return body


def _items(episode: _Episode, alert: Mapping[str, Any], group_key: Any, version: Micros) -> Iterator[Item]:
    yield Item(episode.key, "alert", version, {"key": episode.key, "alert": alert})
    if isinstance(group_key, str) and group_key:
        # A route with `continue` tells of one alert in several groups: each is a record of its own.
        dedup = alerts.dedup_key(group_key)
        data = {
            "alert": episode.key,
            "since": episode.since,
            "until": episode.until,
            "groupKey": group_key,
            "dedup_key": dedup,
        }
        yield Item(f"{episode.key} in {dedup}", "group", version, data)


def _episode(alert: Any) -> _Episode:
    """Which firing of which alert this is. Raises BadInput where it cannot be told."""
    if not isinstance(alert, Mapping) or not isinstance(alert.get("labels"), Mapping):
        raise BadInput("an alert needs labels, an object")
    labels = alert["labels"]
    if not all(isinstance(value, str) for value in labels.values()):
        raise BadInput("the labels of an alert are texts")
    started = alert.get("startsAt")
    if not isinstance(started, str):
        raise BadInput("an alert needs startsAt, a time")
    since = parse_time(started)
    mark = alert.get("fingerprint")
    if not isinstance(mark, str) or not mark:
        mark = alerts.fingerprint(labels)
    is_over = alert.get("status") == "resolved"
    ended = alert.get("endsAt")
    # While it fires, the end is the year 1, or when it is taken for resolved unless it is heard of again.
    until = (
        parse_time(ended) if is_over and isinstance(ended, str) and not ended.startswith("0001-") else None
    )
    if is_over and until is None:
        until = since
    return _Episode(f"{mark}@{started.strip()}", since, until, is_over)


def _name(alert: Mapping[str, Any]) -> str:
    return str(alert["labels"].get("alertname") or "alert")


def _properties(alert: Mapping[str, Any], episode: _Episode) -> dict[str, Any]:
    labels = alert["labels"]
    annotations = alert.get("annotations")
    annotations = annotations if isinstance(annotations, Mapping) else {}
    said = {str(name): str(value)[:_LONGEST] for name, value in annotations.items()}
    url = alert.get("generatorURL")
    stated = {
        "name": _name(alert),
        "status": "RESOLVED" if episode.is_over else "FIRING",
        "severity": labels.get("severity"),
        "startedAt": format_time(episode.since),
        "endedAt": None if episode.until is None else format_time(episode.until),
        "createdAt": episode.since,
        "summary": _first(said, _SUMMARIES),
        "description": _first(said, _DESCRIPTIONS),
        "runbookUrl": _first(said, _RUNBOOKS),
        "url": url if isinstance(url, str) and url.startswith(("http://", "https://")) else None,
        "labels": dict(labels),
        "annotations": said,
    }
    return {key: value for key, value in stated.items() if value is not None and value != {}}


def _first(said: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((said[name] for name in names if said.get(name)), None)
