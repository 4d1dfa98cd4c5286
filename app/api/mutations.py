"""The fields of Mutation: read the arguments, call, hand over. Each answers with what it changed."""

from __future__ import annotations

import strawberry

from app.api.fields import Ask, Context
from app.lineage.identity import Explained, explain, spelled
from app.lineage.lookup import find_one
from graph_schema.errors import NotFound
from graph_schema.identifiers import identifier, parse
from ingestors import corrections
from ingestors.corrections import Correction

Info = strawberry.Info[Context, None]


def _ask(info: Info) -> Ask:
    return info.context.of(info.path)


def _named(ask: Ask, text: str) -> str:
    """The identifier of the node that a text means. Raises NotFound, Ambiguous, BadIdentifier."""
    node = ask.nodes([find_one(ask.store, text, spaces=ask.spaces)])[0]
    if node is None:
        raise NotFound(f"no node is named {text[:200]!r}")
    return spelled(node, text)


def _written(text: str) -> str:
    """An identifier in its normal form, whether or not there is such a node yet."""
    read = parse(text)
    return identifier(read.scheme, read.value, read.scope)


def same(
    info: Info,
    a: strawberry.ID,
    b: strawberry.ID,
    why: str | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> Correction:
    """``Mutation.same``."""
    ask = _ask(info)
    return corrections.same(ask.store, _named(ask, a), _named(ask, b), why=why or None, by=by or None)


def apart(
    info: Info,
    a: strawberry.ID,
    b: strawberry.ID,
    why: str | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> Correction:
    """``Mutation.apart``."""
    ask = _ask(info)
    return corrections.apart(ask.store, _named(ask, a), _named(ask, b), why=why or None, by=by or None)


def withdraw(info: Info, id: strawberry.ID) -> Correction:
    """``Mutation.withdraw``."""
    ask = _ask(info)
    return corrections.withdraw(ask.store, id)


def set_owner(
    info: Info,
    id: strawberry.ID,
    owner: strawberry.ID,
    role: str | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> Correction:
    """``Mutation.setOwner``."""
    ask = _ask(info)
    return corrections.set_owner(
        ask.store, _named(ask, id), _written(owner), role=role or None, by=by or None
    )


def tag(
    info: Info,
    id: strawberry.ID,
    tag: str,
    why: str | None = strawberry.UNSET,
    by: str | None = strawberry.UNSET,
) -> Correction:
    """``Mutation.tag``."""
    ask = _ask(info)
    label = _written(tag if tag.startswith("tag=") else f"tag={tag}")
    return corrections.tag(ask.store, _named(ask, id), label, why=why or None, by=by or None)


def said(info: Info) -> list[Correction]:
    """``Query.corrections``."""
    ask = _ask(info)
    return corrections.listed(ask.store)


def identity(info: Info, a: strawberry.ID, b: strawberry.ID) -> Explained:
    """``Query.identity``."""
    ask = _ask(info)
    return explain(ask.store, a, b, spaces=ask.spaces)
