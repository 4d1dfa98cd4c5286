"""What a generated organisation is made of, and what is known about it that no tool tells."""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b
from typing import Any

import msgspec

from graph_schema.claims import Claim
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START: Micros = 1_760_000_000_000_000


class Sort(StrEnum):
    """Sorts of planted causes, by what is at fault."""

    DATA = "bad data"
    LOOKUP = "bad data read while serving"
    OUTPUT = "bad output of a job whose inputs were good"
    COMMIT = "bad commit in training code"
    PIPELINE = "bad commit in the shared pipeline"
    SERVING = "bad commit in serving code"
    PARAMETERS = "changed parameters of a run"
    CONFIGURATION = "changed configuration of a deployment"
    RUNTIME = "changed runtime of training"
    SERVING_RUNTIME = "changed runtime of serving"
    BASE = "new base model"
    ROLLOUT = "a rollout that the environment does not bear"


#: How often each sort is planted, against the others. Few of those that one service feels show at all.
WEIGHTS = {
    Sort.DATA: 46,
    Sort.LOOKUP: 5,
    Sort.OUTPUT: 9,
    Sort.COMMIT: 13,
    Sort.PIPELINE: 3,
    Sort.SERVING: 2,
    Sort.PARAMETERS: 9,
    Sort.CONFIGURATION: 6,
    Sort.RUNTIME: 5,
    Sort.SERVING_RUNTIME: 2,
    Sort.BASE: 5,
    Sort.ROLLOUT: 4,
}

#: What breaks the service at once, and not the quality of what it answers.
OPERATIONAL = frozenset({Sort.SERVING, Sort.CONFIGURATION, Sort.SERVING_RUNTIME, Sort.ROLLOUT})


class Fault(msgspec.Struct):
    """A planted cause. ``thing`` is the id of the node that is at fault, once it exists; ``visible``:
    whether offline metrics show it; ``hit``: the chance that a deployment that carries it suffers."""

    number: int
    sort: Sort
    visible: bool
    hit: float
    late: bool
    #: The only service whose code it is in; None where all suffer that get it.
    service: str | None = None
    files: list[str] = msgspec.field(default_factory=list)
    #: What an error may name: the column that is bad, the parameter that was changed.
    column: str | None = None
    setting: str | None = None
    thing: str | None = None
    at: Micros = 0
    known_at: Micros | None = None
    #: Ids of the deployments that carry it, of those where it showed, and of the incidents.
    carriers: list[str] = msgspec.field(default_factory=list)
    deployments: list[str] = msgspec.field(default_factory=list)
    incidents: list[str] = msgspec.field(default_factory=list)


class Thing(msgspec.Struct):
    """A node as its tool tells of it. ``carries`` are the numbers of the faults that it suffers from."""

    kind: NodeKind
    id: str
    at: Micros
    source: str
    properties: dict[str, Any]
    carries: frozenset[int] = frozenset()
    #: What flows into it: kind, id, since.
    inputs: list[tuple[EdgeKind, str, Micros]] = msgspec.field(default_factory=list)
    #: Whatever else its record claims.
    claims: list[Claim] = msgspec.field(default_factory=list)


class Planted(msgspec.Struct, frozen=True):
    """An incident and its cause. ``cause`` is None where nothing that changed is behind it. ``history``:
    it lies in the first part, of which people have confirmed some."""

    incident: str
    service: str
    at: Micros
    cause: str | None
    sort: Sort | None
    fault: int | None
    history: bool


class Organisation(msgspec.Struct):
    """All of it, in the order in which it happened."""

    seed: int
    things: list[Thing]
    faults: list[Fault]
    incidents: list[Planted]
    #: What people confirmed: incident and cause.
    confirmed: list[tuple[str, str]]
    #: Failed runs and job runs, the first of each service that a fault broke; none unless asked for.
    failed: list[Planted] = msgspec.field(default_factory=list)


def digest(*parts: object, size: int = 16) -> str:
    """Hex that stands for these parts."""
    return blake2b("/".join(map(str, parts)).encode(), digest_size=size).hexdigest()


def uuid_of(*parts: object) -> str:
    """A UUID that stands for these parts."""
    text = digest(*parts)
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def named(scheme: str, value: str, scope: str | None = None) -> str:
    """An identifier."""
    return identifier(scheme, value, scope)
