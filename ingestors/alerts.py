"""What alerts and incidents say of themselves: which things their labels name, and what groups them.

Alertmanager and those it notifies (PagerDuty) are told of one alert under different names. What connects
them: the *group*, whose key Alertmanager sends to its webhooks as it is and elsewhere as its SHA-256, and the
*fingerprint* of an alert, which is a hash of its labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from types import MappingProxyType
from typing import Any

import msgspec

from graph_schema.claims import Claim, Keyed, Links, uses
from graph_schema.edges import EDGES, EdgeKind
from graph_schema.errors import BadIdentifier
from graph_schema.identifiers import identifier, scheme_named
from graph_schema.kinds import NodeKind
from graph_schema.normalise import text
from graph_schema.schemes import SCHEMES
from graph_schema.times import Micros
from graph_schema.wording import a_or_an
from ingestors import tables
from ingestors.deployments import blamed
from ingestors.pods import places_of
from ingestors.released import alias_slot

#: The parts of a deployment that a label can name; every other key of the mapping is a scheme.
PARTS = ("deployment", "revision", "pod", "model", "version", "alias", "environment")

LABELS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "deployment": ("deployment", "service"),
        "revision": ("revision", "revision_name"),
        "pod": ("pod",),
        "model": ("model", "model_name"),
        "version": ("version", "model_version"),
        "alias": ("alias", "model_alias"),
        "environment": ("env", "environment", "namespace"),
        "bentoml.bento": ("bento",),
    }
)

_AS_THEY_ARE: MappingProxyType[str, str] = MappingProxyType({})
_GUILTY = frozenset(a for a, _ in EDGES[EdgeKind.IMPLICATED_IN].pairs)
_ABOUT = {NodeKind.TEAM: EdgeKind.OWNED_BY, NodeKind.PERSON: EdgeKind.OWNED_BY, NodeKind.TAG: EdgeKind.TAGGED}

# --- what labels name ----------------------------------------------------------------------------------


def label_schemes() -> list[str]:
    """The schemes that a label may hold a value of."""
    wanted = {*_GUILTY, NodeKind.DATASET, *_ABOUT}
    return [
        name
        for name, scheme in SCHEMES.items()
        if name not in PARTS and scheme.joins and wanted.intersection(scheme.kinds)
    ]


def checked_labels(given: Any) -> dict[str, tuple[str, ...]]:
    """The mapping ``[sources.labels]`` over the defaults: names of labels by what they name. Raises
    ValueError for a key that is neither a part of a deployment nor a scheme that can be meant."""
    if not isinstance(given, Mapping):
        raise ValueError('labels is a table, such as labels = {deployment = ["service"]}')
    mapping = dict(LABELS)
    for key, names in given.items():
        if key not in PARTS:
            _check_scheme(str(key))
        listed = (names,) if isinstance(names, str) else names
        if not isinstance(listed, list | tuple) or not all(isinstance(n, str) and n for n in listed):
            raise ValueError(f"{key} takes names of labels, such as {key!r} = [{str(key)!r}]")
        mapping[str(key)] = tuple(listed)
    return mapping


def _check_scheme(key: str) -> None:
    allowed = label_schemes()
    if key in allowed:
        return
    try:
        kinds = scheme_named(key).kinds
    except BadIdentifier as problem:
        raise ValueError(f"{problem}; or one of {', '.join(PARTS)}") from None
    what = f"names {a_or_an(kinds[0])}" if kinds else "names nothing by itself"
    raise ValueError(
        f"{key!r} {what}, which an alert is not implicated with; allowed are {', '.join(PARTS)}, "
        f"{', '.join(allowed)}"
    )


def implicated(
    incident: str,
    labels: Mapping[str, Any],
    mapping: Mapping[str, Sequence[str]],
    at: Micros,
    environments: Mapping[str, str] = _AS_THEY_ARE,
) -> list[Claim]:
    """The most specific thing that labels name, as claims on the incident: every identifier among them, else
    model and version, else the version that had the alias, or what stood at a place, at that time. A value
    that its scheme does not allow names nothing. ``environments``: what those are called that labels call
    otherwise."""
    exact = [claim for scheme in mapping if scheme not in PARTS for claim in _exact(incident, scheme, labels, mapping, at)]  # fmt: skip # noqa: E501
    if exact:
        return exact
    deployment, revision, pod, model, version, alias, environment = (
        _value(labels, mapping.get(part, ())) for part in PARTS
    )
    if model is not None and version is not None:
        number = version[1:] if version[:1] in "vV" and version[1:].isdecimal() else version
        named = _identifier("mlflow.model_version", f"{model}/{number}")
        if named is not None:
            return [Links(EdgeKind.IMPLICATED_IN, named, incident, at)]
    if model is not None and alias is not None:
        return [uses(alias_slot(model, alias), incident, at, EdgeKind.IMPLICATED_IN)]
    # What serves a model is mostly called like the model.
    name = deployment if deployment is not None else model
    of_pod = list(places_of(pod or ""))
    which = [each for each in (revision, version, *(hash for _, hash in of_pod)) if each]
    names = dict.fromkeys(filter(None, (name, *(owner for owner, _ in of_pod))))
    where = None if environment is None else environments.get(environment, environment)
    return [
        claim
        for each in names
        for claim in blamed(incident, name=each, environment=where, at=at, revisions=which)
    ]


def described(incident: str, labels: Mapping[str, Any], mapping: Mapping[str, Sequence[str]]) -> list[Claim]:
    """Owners and tags that labels name."""
    claims: list[Claim] = []
    for scheme, names in mapping.items():
        kind = None if scheme in PARTS else scheme_named(scheme).kinds[0]
        value = _value(labels, names)
        if kind in _ABOUT and value is not None and (named := _identifier(scheme, value)) is not None:
            claims.append(Links(_ABOUT[kind], incident, named))
    return claims


def _exact(
    incident: str,
    scheme: str,
    labels: Mapping[str, Any],
    mapping: Mapping[str, Sequence[str]],
    at: Micros,
) -> Iterator[Claim]:
    value = _value(labels, mapping[scheme])
    kinds = scheme_named(scheme).kinds
    if value is None or kinds[0] in _ABOUT:
        return
    named = _identifier(scheme, value)
    if named is None:
        return
    if NodeKind.DATASET in kinds:
        yield tables.read(value, incident, at, EdgeKind.IMPLICATED_IN)
    else:
        # Without a scope, for a label does not say on which server: it joins where one thing matches.
        yield Links(EdgeKind.IMPLICATED_IN, named, incident, at)


def _value(labels: Mapping[str, Any], names: Sequence[str]) -> str | None:
    """The first of these labels that says something."""
    for name in names:
        value = labels.get(name)
        if isinstance(value, str) and value.strip():
            try:
                return text(value)
            except BadIdentifier:
                continue
    return None


def _identifier(scheme: str, value: str) -> str | None:
    try:
        return identifier(scheme, value)
    except BadIdentifier:
        return None


# --- what connects alerts with the incidents that were made of them -----------------------------------

#: Alerts and incidents that are further apart than this are not looked at together, in microseconds.
REACH = 7 * 86_400 * 1_000_000


def dedup_key(group_key: str) -> str:
    """What Alertmanager calls a group of alerts towards PagerDuty and others: the SHA-256 of its key."""
    return sha256(group_key.encode()).hexdigest()


def fingerprint(labels: Mapping[str, str]) -> str:
    """The fingerprint of labels as Prometheus and Alertmanager work it out: FNV-1a over them, sorted."""
    value = 0xCBF29CE484222325
    for name in sorted(labels):
        for byte in (*name.encode(), 0xFF, *labels[name].encode(), 0xFF):
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


def labels_in(listing: str) -> list[dict[str, str]]:
    """The labels of each alert in Alertmanager's text for people (``firing`` of its details): behind a line
    ``Labels:``, lines `` - name = value``. A value with a line break comes out wrong, and so does its
    fingerprint, which then matches nothing."""
    found: list[dict[str, str]] = []
    inside = False
    for line in listing.split("\n"):
        if line == "Labels:":
            found.append({})
            inside = True
        elif inside and line.startswith(" - ") and " = " in line:
            name, _, value = line[3:].partition(" = ")
            found[-1][name] = value
        else:
            inside = False
    return [labels for labels in found if labels]


def by_group(key: str) -> str:
    """Where alerts and incidents of one group meet; ``key`` is its deduplication key."""
    return f"group {key}"


def by_fingerprint(value: str) -> str:
    """Where an alert meets the incidents that list it."""
    return f"alert {value}"


def is_fingerprint(key: str) -> bool:
    """Whether a key is that of one alert, not of a group."""
    return key.startswith(by_fingerprint(""))


def alert_under(
    key: str, alert: str, since: Micros, until: Micros | None, implies: Sequence[Claim] = ()
) -> list[Claim]:
    """An alert can be met under a key, while it fires. ``implies``: what it is implicated with, for incidents
    that it is a part of."""
    data = {"implies": msgspec.to_builtins(list(implies))} if implies else None
    return [
        Keyed("alert_in", key, "alert", alert, None, since, until, data),
        Keyed("alert_keys", alert, "under", alert, None, None, None, {"key": key}),
    ]


def incident_under(key: str, incident: str, since: Micros, until: Micros | None) -> list[Claim]:
    """An incident can be met under a key, while it is open."""
    return [
        Keyed("incident_in", key, "incident", incident, None, since, until),
        Keyed("incident", incident, "under", incident, None, since, until, {"key": key}),
    ]


def incident_lists(incident: str, since: Micros, implies: Sequence[Claim]) -> list[Claim]:
    """What the alerts that an incident lists are implicated with: it counts while none of them is known, for
    only they know when they began."""
    return _implying(incident, "lists", since, implies)


def incident_serves(incident: str, since: Micros, implies: Sequence[Claim]) -> list[Claim]:
    """What the service that an incident was opened for stands for: it counts where none of its alerts names
    anything."""
    return _implying(incident, "serves", since, implies)


def incident_names(incident: str, since: Micros) -> Keyed:
    """An alert of the incident names something itself."""
    return Keyed("incident", incident, "names", incident, None, since)


def _implying(incident: str, role: str, since: Micros, implies: Sequence[Claim]) -> list[Claim]:
    data = {"implies": msgspec.to_builtins(list(implies))}
    return [Keyed("incident", incident, role, incident, None, since, None, data)] if implies else []
