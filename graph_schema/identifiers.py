"""Identifiers as text: ``scheme=value``, or ``scheme@scope=value``. This text is what the stores hold."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

import msgspec

from graph_schema import normalise
from graph_schema.errors import BadIdentifier
from graph_schema.kinds import KINDS, NodeKind, kind_of_scope
from graph_schema.schemes import SCHEMES, Scheme
from graph_schema.wording import a_or_an


class Identifier(msgspec.Struct, frozen=True, order=False):
    """One identifier taken apart. ``scope`` is None for global schemes and for references without one."""

    scheme: str
    value: str
    scope: str | None = None

    def __str__(self) -> str:
        return f"{_head(self.scheme, self.scope)}={self.value}"


def _head(scheme: str, scope: str | None) -> str:
    return scheme if scope is None else f"{scheme}@{_encode(scope)}"


def _encode(scope: str) -> str:
    return scope.replace("%", "%25").replace("=", "%3D")


def _decode(scope: str) -> str:
    return scope.replace("%3D", "=").replace("%3d", "=").replace("%25", "%")


def _scope(scheme: str, scope: str) -> str:
    """A scope in its normal form: what holds for values holds for it."""
    try:
        return normalise.text(scope)
    except BadIdentifier as error:
        raise BadIdentifier(f"the scope of {scheme}: {error}") from None


def scheme_named(name: str) -> Scheme:
    """The declared scheme, or BadIdentifier guessing at what was meant."""
    scheme = SCHEMES.get(name)
    if scheme is None:
        near = _near(name[:80])
        examples = "known are git.sha, mlflow.run_id, … (kinlore schema --kinds lists them all)"
        hint = f"did you mean {' or '.join(near)}?" if near else examples
        raise BadIdentifier(f"unknown scheme {name[:80]!r}; {hint}")
    return scheme


def _near(name: str) -> list[str]:
    """Schemes that are spelled like this, or whose part behind the dot is."""
    by_spelling: dict[str, list[str]] = {}
    for scheme in SCHEMES:
        for spelling in {scheme, scheme.rpartition(".")[2]}:
            by_spelling.setdefault(spelling, []).append(scheme)
    wanted = name.lower().replace("-", "_")
    return [
        scheme
        for spelling in get_close_matches(wanted, by_spelling, n=1, cutoff=0.75)
        for scheme in by_spelling[spelling]
    ]


def identifier(scheme: str, value: str, scope: str | None = None, kind: NodeKind | None = None) -> str:
    """The normal text of an identifier.

    ``scope`` is for schemes scoped to an installation, ``kind`` for content schemes. A scoped scheme
    without a scope gives an open reference, which joins only where exactly one node matches.
    """
    declared = scheme_named(scheme)
    value = declared.normalise(value)
    if declared.content:
        if kind is None and scope is not None:
            kind = kind_of_scope(scope)
        if kind is not None:
            if kind not in declared.kinds:
                allowed = ", ".join(k.scope_name for k in declared.kinds)
                raise BadIdentifier(f"{scheme} identifies {allowed}, not {kind.scope_name}")
            return f"{scheme}@{kind.scope_name}={value}"
        return f"{scheme}={value}"
    if scope is not None:
        if not declared.scoped:
            raise BadIdentifier(f"{scheme} is global; it takes no scope such as {scope[:80]!r}")
        return f"{scheme}@{_encode(_scope(scheme, scope))}={value}"
    return f"{scheme}={value}"


def parse(text: str) -> Identifier:
    """Take ``scheme=value`` or ``scheme@scope=value`` apart, with the value brought to its normal form."""
    head, equals, value = text.partition("=")
    if not equals:
        raise BadIdentifier(f"{text[:80]!r} is not spelled scheme=value (for example git.sha=3faf…)")
    name, at, scope = head.strip().partition("@")
    declared = scheme_named(name)
    if at and not (declared.scoped or declared.content):
        raise BadIdentifier(f"{name} is global; it takes no scope such as {scope[:80]!r}")
    if at and declared.content and kind_of_scope(_decode(scope)) not in declared.kinds:
        allowed = ", ".join(k.scope_name for k in declared.kinds)
        raise BadIdentifier(f"the scope of {name} is a kind: {allowed}; not {scope[:80]!r}")
    return Identifier(name, declared.normalise(value), _scope(name, _decode(scope)) if at else None)


def is_normal(text: str) -> bool:
    """Whether an identifier is spelled as :func:`identifier` spells it. Raises BadIdentifier."""
    head, _, value = text.partition("=")
    read = head_of(head)
    if read.scheme.normalise(value) != value:
        return False
    return read.scope is None or _head(read.scheme.name, _scope(read.scheme.name, read.scope)) == head


class Head(msgspec.Struct, frozen=True):
    """What the part before ``=`` says: the scheme, and the kind where it is the only one possible."""

    scheme: Scheme
    scope: str | None
    kind: NodeKind | None
    ranks: dict[NodeKind, int]
    is_open: bool
    """A scoped scheme spelled without a scope: a reference that is not resolved yet."""


@lru_cache(maxsize=4096)
def head_of(head: str) -> Head:
    """Read the part of an identifier before ``=``. Cached: stores ask for every identifier they write."""
    name, at, raw = head.partition("@")
    declared = scheme_named(name)
    scope = _decode(raw) if at else None
    kinds: tuple[NodeKind, ...] = declared.kinds
    if declared.content and scope is not None:
        named = kind_of_scope(scope)
        kinds = (named,) if named in kinds and named is not None else ()
    ranks = {kind: KINDS[kind].schemes.index(name) for kind in kinds}
    is_open = scope is None and (declared.scoped or declared.content)
    return Head(declared, scope, kinds[0] if len(kinds) == 1 else None, ranks, is_open)


def kind_of(text: str) -> NodeKind | None:
    """The kind of node an identifier names, where its scheme names only one."""
    return head_of(text.partition("=")[0]).kind


def rank_key(text: str, kind: NodeKind) -> tuple[int, str, str]:
    """Sort key of an identifier within a node: (rank of its scheme, value, scope). The least leads."""
    head, _, value = text.partition("=")
    read = head_of(head)
    rank = read.ranks.get(kind)
    if rank is None:
        raise BadIdentifier(f"{read.scheme.name} does not identify {a_or_an(kind)}")
    return (rank, value, read.scope or "")


def leading(texts: list[str] | tuple[str, ...] | set[str], kind: NodeKind) -> str:
    """The identifier that becomes the node's id."""
    return min(texts, key=lambda t: rank_key(t, kind))


def commit_prefix(text: str) -> str | None:
    """The start of a commit id, of at least four hex digits: bare or behind ``git.sha=``."""
    value = text.strip().lower().removeprefix("git.sha=")
    if 4 <= len(value) < 64 and all(c in "0123456789abcdef" for c in value):
        return value
    return None
