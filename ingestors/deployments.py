"""What is said of deployments: released, given a share of the traffic, ended; and blamed.

A *place* is a name in an environment (``churn`` in ``prod``); deployments follow each other in it. Every
event may be a record of its own and may come in any order: what stood where and when is worked out from all
of them by :mod:`ingestors.joins.places`.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from graph_schema.claims import Claim, Keyed, Names, Properties, States
from graph_schema.edges import EDGES, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.identifiers import head_of, identifier, parse
from graph_schema.kinds import NodeKind
from graph_schema.normalise import text
from graph_schema.times import Micros, checked, format_time

SHADOW = "shadow"
MODES = ("canary", SHADOW, "blue-green", "a/b")

#: Bits of a place in the listing of environments: which environment it is, and which of its events.
_ACROSS, _WITHIN = 36, 26

_RELEASED = frozenset(a for a, _ in EDGES[EdgeKind.DEPLOYED_AS].pairs)


def place(environment: str, name: str) -> str:
    """The key of a place: what stands under that name in that environment, whoever tells of it."""
    encoded = text(environment).replace("%", "%25").replace("/", "%2F").replace("*", "%2A")
    return f"{encoded}/{text(name)}"


def anywhere(name: str) -> str:
    """The key of a name whose environment nobody said."""
    return f"*/{text(name)}"


def deployed(
    deployment: str,
    *,
    environment: str,
    name: str,
    scope: str,
    at: Micros,
    of: Sequence[tuple[NodeKind, str]] = (),
    share: float | None = None,
    mode: str | None = None,
    pods: str | None = None,
    properties: Properties | None = None,
) -> list[Claim]:
    """A deployment stands in a place from ``at`` on, with a share of its traffic (0 to 1; None: all of it).

    ``deployment`` is its identifier, ``scope`` that of the environment's name. ``of``: kind and identifier of
    what was released, also without a scope; a traffic shift need not repeat it. All of the traffic takes the
    place from the others, except in the mode ``shadow``, where a deployment only gets a copy of it (then
    ``share`` is the part that is copied). ``pods`` is what the names of its pods have behind that of the
    deployment. ``properties`` are those of the node, beside the ones set here.
    Raises BadInput for a share, mode or kind that there is not.
    """
    here, moment = place(environment, name), checked(at)
    takes = mode != SHADOW and (share is None or share >= 1)
    said = {"share": None if takes else _share(share), "mode": _mode(mode)} | ({"pods": pods} if pods else {})
    where, known = identifier("environment", environment, scope), {"environment": environment}
    claims: list[Claim] = [
        Names(NodeKind.DEPLOYMENT, (deployment,)),
        _states(deployment, environment, name, moment, bool(of), properties),
        Keyed("place", here, "takes" if takes else "shifts", deployment, where, moment, data=said),
        Keyed("release", deployment, "event", deployment, None, moment, data={"place": here}),
        Keyed(
            "stands",
            anywhere(name),
            "stands",
            where,
            None,
            _spot(environment, f"{deployment} {moment}"),
            data=known,
        ),
        Keyed("owned_place", here, "stands", deployment, None, moment),
    ]
    for kind, released in of:
        claims.extend(_of(deployment, kind, released, moment))
    return claims


def ended(deployment: str, *, environment: str, name: str, at: Micros) -> list[Claim]:
    """A deployment stands in a place no more: removed, or its traffic gone for good."""
    moment = checked(at)
    stated = {"status": "ENDED", "endedAt": format_time(moment)}
    return [
        Names(NodeKind.DEPLOYMENT, (deployment,)),
        States(NodeKind.DEPLOYMENT, deployment, stated, moment),
        Keyed("place", place(environment, name), "ends", deployment, None, moment),
    ]


def cleared(*, environment: str, name: str, at: Micros) -> list[Claim]:
    """Whatever stood in a place stands there no more, told by somebody who does not say what it was."""
    return [Keyed("place", place(environment, name), "ends", None, None, checked(at))]


def blamed(
    incident: str, *, name: str, environment: str | None, at: Micros, revisions: Sequence[str] = ()
) -> list[Claim]:
    """An incident that began ``at`` names a place; it is joined to what stood there then. Without an
    environment it is joined only where that name stood in exactly one then. With ``revisions``
    it is joined to these alone, if one stood there: each is the last part of an identifier, or what the names
    of pods have behind that of the deployment."""
    key = anywhere(name) if environment is None else place(environment, name)
    data = {"revisions": sorted(map(text, revisions))} if revisions else None
    return [Keyed("blame", key, "blames", incident, None, checked(at), data=data)]


def owned(owner: str, *, environment: str, name: str, role: str, because: str) -> Keyed:
    """Whatever stands in a place is owned by a person or a team: every deployment there, past and to come.
    ``because`` becomes the edges' evidence."""
    said = {"role": role, "because": because}
    return Keyed("owned_place", place(environment, name), "owner", owner, data=said)


def _states(
    deployment: str,
    environment: str,
    name: str,
    at: Micros,
    released: bool,
    properties: Properties | None,
) -> States:
    named = parse(deployment)
    stated: Properties = {"environment": environment, "service": name, "status": "DEPLOYED"}
    stated["name"] = named.value if named.scheme == "deployment" else f"{environment}/{name}"
    if named.scheme == "deployment" and "@" in named.value:
        stated["revision"] = named.value.rpartition("@")[2]
    if released:
        # A later traffic shift is not when it began.
        stated |= {"createdAt": at, "startedAt": format_time(at)}
    stated |= properties or {}
    return States(NodeKind.DEPLOYMENT, deployment, stated, at)


def _of(deployment: str, kind: NodeKind, released: str, at: Micros) -> list[Claim]:
    if kind not in _RELEASED:
        allowed = ", ".join(sorted(_RELEASED))
        raise BadInput(f"{deployment}: what is deployed is one of {allowed}, not {kind} ({released})")
    released = str(parse(released))
    data = {"kind": kind.value, "text": released}
    if not head_of(released.partition("=")[0]).is_open:
        return [Keyed("release", deployment, "of", released, None, at, data=data)]
    edge = {"kind": EdgeKind.DEPLOYED_AS.value, "src": released, "dst": deployment}
    waits = {"rule": "release", "under": deployment, "thing": kind.value, **edge}
    return [
        Keyed("release", deployment, "of", None, None, at, data=data),
        Keyed("open", released, "also", deployment, data=waits),
    ]


def _share(share: float | None) -> float | None:
    if share is not None and not 0 <= share <= 1:
        raise BadInput(f"a share of the traffic lies between 0 and 1, not at {share!r}")
    return share


def _mode(mode: str | None) -> str | None:
    if mode is not None and mode not in MODES:
        raise BadInput(f"a deployment's mode is one of {', '.join(MODES)}, or none; not {mode[:80]!r}")
    return mode


def next_environment(spot: Micros) -> Micros:
    """Where the environments after the one that stands at this place of the listing begin."""
    return ((spot >> _WITHIN) + 1) << _WITHIN


def _spot(environment: str, event: str) -> Micros:
    """Where an event stands in the listing of the environments that have a name. It is ordered by time, so
    each environment is given a stretch of time of its own: one leap passes over all its events."""
    return (_hash(text(environment), _ACROSS) << _WITHIN) + _hash(event, _WITHIN)


def _hash(said: str, bits: int) -> int:
    return int.from_bytes(blake2b(said.encode(), digest_size=8).digest(), "big") >> (64 - bits)
