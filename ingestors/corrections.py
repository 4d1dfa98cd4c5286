"""What people say, as claims like any source's: ingestion never undoes it, and they can take it back.

Corrections are records of the source ``kinlore``. Their claims outrank what rules derive; beside each the
store keeps, as a service record, who said it when, so that it can be listed and withdrawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from graph_schema.claims import Claim, Joins, Links, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.identifiers import kind_of
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source, Transaction, Written
from graph_schema.times import Micros
from ingestors import joins
from ingestors.history import redactor

PEOPLE = Source("kinlore", "kinlore")
CORRECTIONS = "correction"
_PAGE = 1_000
_LONGEST = 2_000
_OWNERS = (NodeKind.PERSON, NodeKind.TEAM)


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said of ``a`` and ``b`` (identifiers). ``verdict`` is same, apart, owner or tag; cause or
    no cause; incident or a state of one; remediation, attempt or judged. ``at`` in microseconds. ``id`` names
    it for withdrawal; ``changed``: whether it changed the graph."""

    id: str
    verdict: str
    a: str
    b: str
    by: str | None = None
    why: str | None = None
    role: str | None = None
    at: Micros = 0
    changed: bool = False


def same(store: GraphStore, a: str, b: str, *, why: str | None = None, by: str | None = None) -> Correction:
    """``a`` and ``b``, identifiers of nodes, are one thing. Raises BadInput where that cannot be."""
    return _on_identity(store, "same", a, b, why, by)


def apart(store: GraphStore, a: str, b: str, *, why: str | None = None, by: str | None = None) -> Correction:
    """``a`` and ``b`` are not one thing, whatever sources and rules say."""
    return _on_identity(store, "apart", a, b, why, by)


def set_owner(
    store: GraphStore, thing: str, owner: str, *, role: str | None = None, by: str | None = None
) -> Correction:
    """``thing`` is owned by a person or team: ``email=…``, ``github.login=…``, ``team=…``."""
    kind = kind_of(owner)
    if kind not in _OWNERS:
        raise BadInput(f"{owner} names no person or team; allowed are email=…, github.login=… and team=…")
    properties = {"role": role} if role else None
    evidence = _said(None, by)
    claims = (Names(kind, (owner,)), Links(EdgeKind.OWNED_BY, thing, owner, None, None, properties, evidence))
    said = Correction(id=_key("owner", thing, owner), verdict="owner", a=thing, b=owner, by=by, role=role)
    return _keep(store, said, claims)


def tag(
    store: GraphStore, thing: str, label: str, *, why: str | None = None, by: str | None = None
) -> Correction:
    """``thing`` carries a label (``tag=…``)."""
    if kind_of(label) is not NodeKind.TAG:
        raise BadInput(f"{label} is no label; write tag=out-of-memory")
    properties = {"by": by} if by else None
    claims = (
        Names(NodeKind.TAG, (label,)),
        Links(EdgeKind.TAGGED, thing, label, None, None, properties, _said(why, None)),
    )
    said = Correction(id=_key("tag", thing, label), verdict="tag", a=thing, b=label, by=by, why=why)
    return _keep(store, said, claims)


def withdraw(store: GraphStore, id: str) -> Correction:
    """Take a correction back: the graph is as the sources say again. Raises NotFound."""

    def work(tx: Transaction) -> Correction:
        held = tx.service_get(CORRECTIONS, id)
        if held is None:
            raise NotFound(f"there is no correction {id[:200]!r}; see kinlore identity list")
        written = joins.apply(tx, PEOPLE, [Record(id, held["verdict"], tx.now, ())])
        tx.service_delete(CORRECTIONS, id)
        return msgspec.structs.replace(msgspec.convert(held, Correction), changed=bool(written.changes))

    return store.transact(work)


def correction_of(a: str, b: str) -> str:
    """The id of what was said on the identity of two identifiers."""
    return _key("identity", *sorted((a, b)))


def listed(store: GraphStore) -> list[Correction]:
    """Everything that people have said and not withdrawn, oldest first."""
    held: list[Correction] = []
    page = store.service(CORRECTIONS, limit=_PAGE)
    while page:
        held += [msgspec.convert(value, Correction) for _, value in page]
        page = store.service(CORRECTIONS, after=page[-1][0], limit=_PAGE) if len(page) == _PAGE else []
    return sorted(held, key=lambda correction: (correction.at, correction.id))


def _on_identity(
    store: GraphStore, verdict: str, a: str, b: str, why: str | None, by: str | None
) -> Correction:
    if a == b:
        raise BadInput(f"{a} is given twice; two different identifiers are needed")
    why = None if why is None else redactor(store).text(why)
    said = Correction(id=correction_of(a, b), verdict=verdict, a=a, b=b, by=by, why=why)
    return _keep(store, said, (Joins(verdict, a, b, _said(why, by)),))


def _said(why: str | None, by: str | None) -> str | None:
    for text in (why, by):
        if text is not None and len(text) > _LONGEST:
            raise BadInput(f"a reason may have {_LONGEST:,} characters; this has {len(text):,}")
    who = f"said by {by}" if by else "said by a person"
    return f"{who}: {why}" if why else who


def _keep(store: GraphStore, said: Correction, claims: Sequence[Claim]) -> Correction:
    def work(tx: Transaction) -> Correction:
        made = msgspec.structs.replace(said, at=tx.now)
        written: Written = joins.apply(tx, PEOPLE, [Record(said.id, said.verdict, tx.now, tuple(claims))])
        for line in written.refused:
            if line.startswith(f"{PEOPLE.name} says in {said.id}"):
                # Kept, it would come true by itself one day; who says it now hears that it cannot be.
                raise BadInput(line)
        made = msgspec.structs.replace(made, changed=bool(written.changes))
        plain: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(made, changed=False))
        tx.service_put(CORRECTIONS, said.id, plain)
        return made

    return store.transact(work)


def _key(sort: str, a: str, b: str) -> str:
    # Identifiers may be long, and a key is kept in an index.
    return f"{sort}/{blake2b(f'{a} {b}'.encode(), digest_size=12).hexdigest()}"
