"""What events about services and incidents mean. Pure; all of it raises BadInput for what cannot be meant."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from graph_schema.claims import Claim, Links, Names, Properties, States, uses
from graph_schema.edges import EDGES, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import head_of, identifier, parse
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros, format_time, parse_time
from graph_schema.wording import a_or_an
from ingestors.deployments import blamed, cleared, deployed, ended
from ingestors.released import Thing, alias, model, package, released_from, traffic_share
from ingestors.repairs import incident_known

Data = Mapping[str, Any]

#: What customData says to Kinlore; everything else in it is kept as it is.
OURS = frozenset(
    {
        "revision",
        "share",
        "mode",
        "model",
        "bentoml.bento",
        "commit",
        "identifiers",
        "startedAt",
        "severity",
        "url",
    }
)
_LONGEST = 2_000
_KEPT = 50

#: How a thing of a kind takes part in a deployment, beside what is released.
_PARTS = MappingProxyType(
    {
        NodeKind.COMMIT: EdgeKind.CODE_FOR,
        NodeKind.RUNTIME: EdgeKind.RUNTIME_OF,
        NodeKind.DATASET_VERSION: EdgeKind.INPUT_TO,
    }
)
_RELEASED = frozenset(a for a, b in EDGES[EdgeKind.DEPLOYED_AS].pairs)
_IMPLICATED = frozenset(a for a, b in EDGES[EdgeKind.IMPLICATED_IN].pairs)


def service_claims(data: Data, scope: str) -> list[Claim]:
    """A service was deployed, upgraded, rolled back, published (given traffic) or removed."""
    content, custom, at = data["content"], data["customData"], data["at"]
    environment, name = _environment(content), _text(data["subject"].get("id"), "subject.id")
    stated = custom.get("revision")
    if data["predicate"] == "published" and stated is None:
        # Of whatever was deployed before, it says nothing new, and which that was it does not say.
        return []
    if data["predicate"] == "removed" and stated is None:
        return cleared(environment=environment, name=name, at=at)
    revision = data["event"] if stated is None else _text(stated, "customData.revision")
    me = identifier("deployment", f"{environment}/{name}@{revision}", scope)
    if data["predicate"] == "removed":
        return ended(me, environment=environment, name=name, at=at)

    things, slots = _named(content, custom)
    properties: Properties = {"customData": _kept(custom), "url": _address(custom.get("url"))}
    if data["predicate"] == "rolledback":
        properties["rollback"] = True
    if data["predicate"] != "published":
        # Also of a release of which nothing else is known.
        properties |= {"createdAt": at, "startedAt": format_time(at)}
    claims = deployed(
        me,
        environment=environment,
        name=name,
        scope=scope,
        at=at,
        of=[thing for thing in things if thing[0] in _RELEASED],
        share=traffic_share(custom.get("share"), "customData.share"),
        mode=None if custom.get("mode") is None else _text(custom["mode"], "customData.mode"),
        properties={k: v for k, v in properties.items() if v},
    )
    claims += [claim for slot in slots for claim in released_from(me, slot, at)]
    for kind, other in things:
        if kind is NodeKind.DEPLOYMENT:
            claims.append(_same(kind, me, other))
        elif kind in _PARTS:
            claims.append(Links(_PARTS[kind], other, me, at))
        elif kind not in _RELEASED:
            raise BadInput(_misplaced(kind, other, {*_PARTS, *_RELEASED, NodeKind.DEPLOYMENT}))
    return claims


def incident_claims(data: Data, scope: str) -> list[Claim]:
    """An incident was detected, reported or resolved."""
    content, custom, at = data["content"], data["customData"], data["at"]
    me = incident_id(scope, data["subject"]["source"], _text(data["subject"].get("id"), "subject.id"))
    claims: list[Claim] = [Names(NodeKind.INCIDENT, (me,))]
    things, slots = _named(content, custom)
    joined = [other for kind, other in things if kind is NodeKind.INCIDENT]
    claims.extend(_same(NodeKind.INCIDENT, me, other) for other in joined)
    description = str(content.get("description") or "")[:_LONGEST]
    if data["predicate"] == "resolved":
        # What it names is what runs now, and no longer to blame.
        stated: Properties = {"status": "RESOLVED", "endedAt": format_time(at), "resolution": description}
        claims.append(incident_known(me, at, at))
        return [*claims, States(NodeKind.INCIDENT, me, {k: v for k, v in stated.items() if v}, at)]

    said = custom.get("startedAt")
    start = at if said is None else parse_time(_text(said, "customData.startedAt"))
    is_first = data["predicate"] == "detected"
    claims.append(_opened(me, data, description, start, at if is_first else None))
    claims.append(incident_known(me, start))
    claims.extend(uses(slot, me, start, EdgeKind.IMPLICATED_IN) for slot in slots)
    # Bound to be noticed later than it began: what stood there when somebody wrote a ticket may be the cure.
    service = content.get("service")
    if isinstance(service, Mapping) and (is_first or said is not None):
        name = _text(service.get("id"), "subject.content.service.id")
        which = _texts(custom.get("revision"), "customData.revision")
        claims.extend(blamed(me, name=name, environment=_environment(content), at=start, revisions=which))
    for kind, other in things:
        if kind in _IMPLICATED:
            claims.append(Links(EdgeKind.IMPLICATED_IN, other, me, start))
        elif kind not in (NodeKind.INCIDENT, NodeKind.COMMIT):
            raise BadInput(_misplaced(kind, other, {*_IMPLICATED, NodeKind.INCIDENT}))
    return claims


def incident_id(scope: str, source: str, subject: str) -> str:
    """The identifier of an incident: all that is said of a subject of a source is said of one incident."""
    named = json.dumps([scope, source, subject], ensure_ascii=False, separators=(",", ":"))
    return identifier("kinlore", str(uuid.uuid5(uuid.NAMESPACE_URL, f"kinlore:incident:{named}")))


def _opened(me: str, data: Data, description: str, start: Micros, at: Micros | None) -> States:
    """What is known of an incident when it is told of first. A report, which has no time here, gives
    way to the word of whoever detected it."""
    content, custom = data["content"], data["customData"]
    properties: Properties = {
        "name": description.partition("\n")[0][:200] or data["subject"]["id"],
        "description": description,
        "status": "OPEN",
        "startedAt": format_time(start),
        "createdAt": start,
        "severity": custom.get("severity") if isinstance(custom.get("severity"), str) else None,
        "environment": _environment(content),
        "url": _address(content.get("ticketURI")) or _address(custom.get("url")),
        "customData": _kept(custom),
    }
    service = content.get("service")
    if isinstance(service, Mapping):
        properties["service"] = service.get("id")
    return States(NodeKind.INCIDENT, me, {k: v for k, v in properties.items() if v}, at)


def _named(content: Data, custom: Data) -> tuple[list[Thing], list[str]]:
    """The things that an event names, each once, and the slots of an image's tag and of aliases of models
    that it names instead."""
    things: list[Thing] = []
    slots: list[str | None] = []
    if isinstance(content.get("artifactId"), str):
        thing, slot = package(content["artifactId"])
        things += [] if thing is None else [thing]
        slots.append(slot)
    for text in _texts(custom.get("model"), "customData.model"):
        version, slot = model(text), alias(text)
        if version is None and slot is None:
            allowed = "name/version or models:/name@alias"
            raise BadInput(f"customData.model: {text[:80]!r} is no model version; write {allowed}")
        things += [] if version is None else [version]
        slots.append(slot)
    for text in _texts(custom.get("bentoml.bento"), "customData.bentoml.bento"):
        things.append((NodeKind.ARTIFACT, identifier("bentoml.bento", text)))
    if custom.get("commit") is not None:
        commit = _text(custom["commit"], "customData.commit")
        things.append((NodeKind.COMMIT, identifier("git.sha", commit)))
    things += _identified(custom.get("identifiers"))
    return list(dict.fromkeys(things)), [slot for slot in dict.fromkeys(slots) if slot is not None]


def _identified(said: Any) -> list[Thing]:
    if said is None:
        return []
    if not isinstance(said, Mapping):
        raise BadInput('customData.identifiers is an object, {"oci.digest": "sha256:…"}')
    things: list[Thing] = []
    for scheme, values in said.items():
        for value in _texts(values, f"customData.identifiers.{scheme}"):
            text = str(parse(f"{scheme}={value}"))
            head = head_of(text.partition("=")[0])
            if not head.scheme.joins:
                raise BadInput(f"{scheme} only finds things, and identifies none")
            if head.kind is None:
                kinds = ", ".join(f"{scheme}@{kind.scope_name}" for kind in head.scheme.kinds)
                raise BadInput(f"{scheme} identifies several kinds; say which: {kinds}")
            things.append((head.kind, text))
    return things


def _same(kind: NodeKind, me: str, other: str) -> Names:
    if head_of(other.partition("=")[0]).is_open:
        raise BadInput(
            f"{other}: say whose it is, scheme@instance, or nobody can tell what it is the same as"
        )
    return Names(kind, (me, other))


def _misplaced(kind: NodeKind, text: str, allowed: set[NodeKind]) -> str:
    return f"{text} is {a_or_an(kind)}, which has no place here; allowed are {', '.join(sorted(allowed))}"


def _environment(content: Data) -> str:
    said = content.get("environment")
    return _text(said.get("id") if isinstance(said, Mapping) else said, "subject.content.environment.id")


def _text(value: Any, where: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise BadInput(f"{where} is missing, or is no text")
    return value.strip()


def _texts(value: Any, where: str) -> list[str]:
    if value is None:
        return []
    return [_text(one, where) for one in (value if isinstance(value, list) else [value])]


def _address(value: Any) -> str | None:
    return value if isinstance(value, str) and value.startswith(("http://", "https://")) else None


def _kept(custom: Data) -> dict[str, Any]:
    """What customData says beside what we read, where it is simple."""
    simple = {k: v for k, v in custom.items() if k not in OURS and isinstance(v, str | int | float | bool)}
    return {k: v[:_LONGEST] if isinstance(v, str) else v for k, v in list(simple.items())[:_KEPT]}
