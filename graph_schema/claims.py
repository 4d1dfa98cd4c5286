"""What sources write: records made of claims.

A record is keyed by (source, key). Writing it again replaces what it claimed before; what it no longer
states is withdrawn. Identifiers are given as text (:func:`graph_schema.identifiers.identifier`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros

Properties = dict[str, Any]


class Names(msgspec.Struct, frozen=True, tag="names", array_like=True, gc=False):
    """These identifiers name one node of this kind."""

    kind: NodeKind
    ids: tuple[str, ...]


class States(msgspec.Struct, frozen=True, tag="states", array_like=True, gc=False):
    """The node named by ``id`` has these properties, as the source saw them ``at`` (microseconds).

    ``name``, ``url`` and ``createdAt`` (microseconds) fill the fields of the node; all others are its
    properties: JSON values under lowerCamelCase keys, or the tool's own names one level down
    (``params``, ``metrics``, ``tags``). A record speaks of a thing at one time: two of these on one id are
    put together, at the later of their times.
    """

    kind: NodeKind
    id: str
    properties: Properties
    at: Micros | None = None


class Links(msgspec.Struct, frozen=True, tag="links", array_like=True, gc=False):
    """An edge holds between two things, valid from ``since`` until ``until`` in the world (None: open)."""

    kind: EdgeKind
    src: str
    dst: str
    since: Micros | None = None
    until: Micros | None = None
    properties: Properties | None = None
    evidence: str | None = None


class Finds(msgspec.Struct, frozen=True, tag="finds", array_like=True, gc=False):
    """A look-up name of a node (``uri``, ``etag``, …): it resolves and never joins."""

    scheme: str
    value: str
    id: str


class Keyed(msgspec.Struct, frozen=True, tag="keyed", array_like=True, gc=False):
    """Something to be joined with other records: what ``rule`` reads under ``key``.

    ``role`` tells the rule what this is (``occupies``, ``uses``, …), ``ref`` and ``by`` name things,
    ``at`` and ``until`` (microseconds) place it in time, ``data`` is the rule's own.
    """

    rule: str
    key: str
    role: str
    ref: str | None = None
    by: str | None = None
    at: Micros | None = None
    until: Micros | None = None
    data: Properties | None = None


class Joins(msgspec.Struct, frozen=True, tag="joins", array_like=True, gc=False):
    """A person's word on identity: ``a`` and ``b`` are the same (``same``) or must not be (``apart``)."""

    verdict: str
    a: str
    b: str
    why: str | None = None


Claim = Names | States | Links | Finds | Keyed | Joins


def occupies(
    slot: str,
    thing: str,
    since: Micros,
    until: Micros | None = None,
    by: str | None = None,
    properties: Properties | None = None,
) -> Keyed:
    """``thing`` stood in ``slot`` from ``since`` until replaced (or ``until``); ``by`` put it there."""
    return Keyed("slot", slot, "occupies", thing, by, since, until, properties)


def uses(slot: str, by: str, at: Micros, edge: EdgeKind, properties: Properties | None = None) -> Keyed:
    """``by`` used, at that time, whatever stood in ``slot``; it gets an ``edge`` from the occupant."""
    return Keyed("slot", slot, "uses", by, None, at, None, {"edge": edge.value, **(properties or {})})


class Record(msgspec.Struct, frozen=True, gc=False):
    """What one source says in one of its records.

    ``version`` orders the states of a record: the source's own time or sequence, else the time of the
    pull's request. A record older than the one held is ignored; of two with one version, the one whose
    content hash is greater stands, so that the order of arrival does not matter.
    ``type`` groups records for retirement by absence (``run``, ``commit``, …).
    ``stamp``: digest of what the claims were made from; a writer that meets it again need not make them.
    ``silent``: brought from the past by a first ingestion; nobody is notified.
    """

    key: str
    type: str
    version: int
    claims: tuple[Claim, ...]
    silent: bool = False
    stamp: bytes = b""
