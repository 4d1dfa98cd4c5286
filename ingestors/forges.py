"""What GitHub and GitLab say in the same way: incidents out of issues, lives of deployments, people. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from graph_schema.claims import Claim, Links, Names, Properties, States
from graph_schema.edges import EDGES, EdgeKind
from graph_schema.errors import BadIdentifier
from graph_schema.identifiers import identifier, kind_of, parse
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, format_time
from ingestors.deployments import MODES, blamed, deployed, ended
from ingestors.repairs import incident_known

_SEVERITY = re.compile(
    r"(?:severity|sev|priority)\s*(?:::?|/|-|=|\s)?\s*(?P<level>\S.*)|(?P<bare>p[0-5])", re.IGNORECASE
)
_PLACE = re.compile(
    r"(?P<key>deployment|service|environment|env|revision)\s*(?:::?|/|=)\s*(?P<value>\S.{0,199})",
    re.IGNORECASE,
)
#: Other words for a part of a place.
_ALSO = {"service": "deployment", "env": "environment"}
_NAME_KEYS = ("deployment", "service", "name", "app")
#: Keys of a deployment's payload that say more than an identifier scheme does.
_SHARE, _MODE = "share", "mode"
#: Mail addresses that stand for a service and not for somebody.
_NOBODY = frozenset({"noreply@github.com", "noreply@gitlab.com"})
_IMPLICATED = frozenset(src for src, dst in EDGES[EdgeKind.IMPLICATED_IN].pairs)
_DEPLOYED = frozenset(src for src, dst in EDGES[EdgeKind.DEPLOYED_AS].pairs)

#: Status of a deployment by the state that a forge reports.
STATUS = {
    "success": "DEPLOYED",
    "inactive": "ENDED",
    "failure": "FAILED",
    "error": "FAILED",
    "failed": "FAILED",
    "canceled": "ABORTED",
    "in_progress": "RUNNING",
    "running": "RUNNING",
    "queued": "QUEUED",
    "pending": "QUEUED",
    "created": "QUEUED",
    "blocked": "WAITING",
}
_FINAL = ("ENDED", "FAILED", "ABORTED")


def filled(properties: Mapping[str, Any]) -> Properties:
    """Properties that have a value."""
    return {key: value for key, value in properties.items() if value is not None}


def same_person(email: str | None, scheme: str, login: str | None) -> list[Claim]:
    """That a mail address and a login are one person's, where a forge itself says both of an author."""
    if not email or not login or email.lower() in _NOBODY:
        return []
    try:
        return [Names(NodeKind.PERSON, (identifier("email", email), identifier(scheme, login)))]
    except BadIdentifier:
        # Git takes anything for an address.
        return []


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """An issue that is an incident. ``labels`` and whole lines of ``text`` may name what is involved; where
    they do not, it is what stands under the name of the repository, ``home``."""

    id: str
    home: str
    name: str
    status: str
    began: Micros
    ended: Micros | None
    labels: tuple[str, ...]
    text: str
    properties: Properties
    severity: str | None = None


def incident(of: Incident) -> list[Claim]:
    """The incident, and what its labels and lines blame.

    ``deployment:churn`` and ``environment:prod`` name a place, ``mlflow.model_version=churn/3`` or any other
    identifier a thing; ``severity:high``, ``sev1`` and ``P1`` say how bad it is.
    """
    properties = {
        "name": of.name,
        "status": of.status,
        "severity": of.severity or _severity(of.labels),
        "startedAt": format_time(of.began),
        "endedAt": None if of.ended is None else format_time(of.ended),
        "createdAt": of.began,
        "labels": sorted(of.labels) or None,
        "text": of.text or None,
        **of.properties,
    }
    made: list[Claim] = [
        Names(NodeKind.INCIDENT, (of.id,)),
        States(NodeKind.INCIDENT, of.id, filled(properties)),
        incident_known(of.id, of.began, of.ended),
    ]
    things: list[Claim] = []
    named: dict[str, str] = {}
    for said in (*of.labels, *(line.strip(" \t-*`") for line in of.text.splitlines()[:500])):
        match, thing = _PLACE.fullmatch(said), _thing(said, _IMPLICATED)
        # With a revision behind it, deployment=prod/churn@7 is an identifier.
        if match and (thing is None or "@" not in match["value"]):
            key = match["key"].lower()
            named.setdefault(_ALSO.get(key, key), match["value"].strip())
        elif thing is not None:
            things.append(Links(EdgeKind.IMPLICATED_IN, thing[1], of.id, of.began))
    if "deployment" in named or not things:
        name = named.get("deployment", of.home)
        revisions = [named["revision"]] if "revision" in named else []
        things += blamed(
            of.id, name=name, environment=named.get("environment"), at=of.began, revisions=revisions
        )
    return [*made, *things]


def _severity(labels: tuple[str, ...]) -> str | None:
    for label in sorted(labels):
        if match := _SEVERITY.fullmatch(label.strip()):
            return str(match["level"] or match["bare"]).strip().lower()
    return None


def _thing(text: str, allowed: frozenset[NodeKind]) -> tuple[NodeKind, str] | None:
    """The thing that an identifier names, if it is one and of an allowed kind."""
    if "=" not in text or " " in text:
        return None
    try:
        name = str(parse(text))
        kind = kind_of(name)
    except BadIdentifier:
        return None
    return (kind, name) if kind in allowed and kind is not None else None


def deployed_name(payload: Mapping[str, Any], task: str, path: str) -> str:
    """Under which name a deployment stands in its environment: what its payload calls it, else its task where
    that is not the usual one, else the repository's name."""
    for key in _NAME_KEYS:
        value = payload.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
    return task if task and not task.startswith("deploy") else path.rpartition("/")[2]


def released(payload: Mapping[str, Any]) -> list[tuple[NodeKind, str]]:
    """What a payload says was released: ``{"mlflow.model_version": "churn/3", "oci.digest": "sha256:…"}``."""
    found: list[tuple[NodeKind, str]] = []
    for scheme, value in sorted(payload.items()):
        for each in value if isinstance(value, list) else [value]:
            thing = _thing(f"{scheme}={each}", _DEPLOYED) if isinstance(each, str) else None
            if thing is not None:
                found.append(thing)
    return found


def deployment_state(
    deployment: str,
    *,
    environment: str,
    name: str,
    scope: str,
    at: Micros,
    state: str,
    payload: Mapping[str, Any],
    properties: Properties,
) -> list[Claim]:
    """What a status says: from a success on it serves, from anything final on it does not."""
    status = STATUS.get(state, "QUEUED")
    said = filled({**properties, "status": status})
    if status == "DEPLOYED":
        mode = payload.get(_MODE)
        return deployed(
            deployment,
            environment=environment,
            name=name,
            scope=scope,
            at=at,
            of=released(payload),
            share=_share(payload.get(_SHARE)),
            mode=mode if mode in MODES else None,
            properties=said,
        )
    made: list[Claim] = [Names(NodeKind.DEPLOYMENT, (deployment,))]
    if status in _FINAL:
        said["endedAt"] = format_time(at)
        # What is said of the deployment is said here: that it failed is more than that it ended.
        ends = ended(deployment, environment=environment, name=name, at=at)
        made += [claim for claim in ends if not isinstance(claim, Names | States)]
    return [*made, States(NodeKind.DEPLOYMENT, deployment, said, at)]


def _share(said: Any) -> float | None:
    """A share of the traffic, where a payload says one that there can be."""
    if isinstance(said, bool) or not isinstance(said, int | float):
        return None
    return float(said) if 0 <= said <= 1 else None
