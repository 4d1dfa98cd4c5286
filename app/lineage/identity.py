"""Why two names are one thing, or why they are not: worked out from the claims on their identity."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from app.lineage.lookup import find_one
from graph_schema.edges import EdgeKind, check_ends
from graph_schema.errors import NotFound
from graph_schema.identifiers import head_of, is_normal
from graph_schema.store import GraphStore
from graph_schema.values import Bond, Node, Spaces
from graph_schema.wording import a_or_an


class Identity(StrEnum):
    """How two things stand to each other."""

    ONE_NODE = "ONE_NODE"
    SAME = "SAME"
    APART = "APART"
    REFUSED = "REFUSED"
    UNRELATED = "UNRELATED"


class Explained(msgspec.Struct, frozen=True):
    """The answer: how they stand, and why, a line for each claim that says so, in order."""

    left: Node
    right: Node
    identity: Identity
    because: list[str]


def explain(store: GraphStore, a: str, b: str, *, spaces: Spaces = None) -> Explained:
    """Why what ``a`` names is what ``b`` names, or is not. Raises NotFound, Ambiguous, BadIdentifier."""
    handles = [find_one(store, text, spaces=spaces) for text in (a, b)]
    found = store.get(handles, spaces=spaces)
    left, right = found
    if left is None or right is None:
        raise NotFound(f"no node is named {(a if left is None else b)[:200]!r}")
    names = [spelled(left, a), spelled(right, b)]
    identity, because = judge(left, right, names, store.bonds(handles, spaces=spaces))
    return Explained(left, right, identity, because)


def spelled(node: Node, text: str) -> str:
    """The identifier of the node that a text is; its leading one where the text is only part of one."""
    return text if "=" in text and is_normal(text) and text in node.identifiers else node.id


def judge(left: Node, right: Node, names: Sequence[str], bonds: Sequence[Bond]) -> tuple[Identity, list[str]]:
    """How two nodes stand to each other by the claims on them, and why."""
    a, b = names
    if left.handle == right.handle and a == b:
        return Identity.ONE_NODE, [f"both are {a}"]
    chain = _chain(a, right.identifiers if left.handle != right.handle else (b,), bonds)
    if left.handle == right.handle:
        return Identity.ONE_NODE, [_told(bond) for bond in chain] or [f"{a} and {b} name one node"]
    if chain:
        return Identity.SAME, [_told(bond) for bond in chain]
    sides = (_reach(left.identifiers, bonds), _reach(right.identifiers, bonds))
    between = [bond for bond in bonds if _crosses(bond, *sides)]
    if apart := [bond for bond in between if bond.verdict == "apart"]:
        return Identity.APART, [_told(bond) for bond in apart]
    why_not = _obstacles(left, right, sides)
    if refused := [bond for bond in between if not bond.stands]:
        return Identity.REFUSED, [f"{_told(bond)}, which is refused" for bond in refused] + why_not
    return Identity.UNRELATED, why_not or [
        "no source, no rule and nobody says that they are one; "
        f"if they are: kinlore identity same '{a}' '{b}'"
    ]


def _chain(start: str, ends: Iterable[str], bonds: Sequence[Bond]) -> list[Bond]:
    """The fewest claims that lead from an identifier to one of others; none where nothing does."""
    goal = set(ends)
    neighbours: dict[str, list[tuple[str, Bond]]] = {}
    for bond in bonds:
        if bond.stands and bond.verdict != "apart":
            neighbours.setdefault(bond.a, []).append((bond.b, bond))
            neighbours.setdefault(bond.b, []).append((bond.a, bond))
    came: dict[str, tuple[str, Bond]] = {}
    queue, seen = deque([start]), {start}
    while queue:
        at = queue.popleft()
        if at in goal:
            return _walked_back(at, start, came)
        for other, bond in neighbours.get(at, ()):
            if other not in seen:
                seen.add(other)
                came[other] = (at, bond)
                queue.append(other)
    return []


def _walked_back(at: str, start: str, came: Mapping[str, tuple[str, Bond]]) -> list[Bond]:
    chain: list[Bond] = []
    while at != start:
        at, bond = came[at]
        chain.append(bond)
    return chain[::-1]


def _reach(texts: Iterable[str], bonds: Sequence[Bond]) -> set[str]:
    """Everything that is one thing with what these identifiers name."""
    reached = set(texts)
    grown = True
    while grown:
        grown = False
        for bond in bonds:
            if bond.stands and bond.verdict != "apart" and (bond.a in reached) is not (bond.b in reached):
                reached |= {bond.a, bond.b}
                grown = True
    return reached


def _crosses(bond: Bond, left: set[str], right: set[str]) -> bool:
    return (bond.a in left and bond.b in right) or (bond.a in right and bond.b in left)


def _obstacles(left: Node, right: Node, sides: tuple[set[str], set[str]]) -> list[str]:
    """What forbids that these two are ever one."""
    if check_ends(EdgeKind.SAME_AS, left.kind, right.kind) is not None:
        return [f"one is {a_or_an(left.kind)} and the other {a_or_an(right.kind)}"]
    values: dict[str, str] = {}
    for text in sides[0]:
        head, _, value = text.partition("=")
        if head_of(head).scheme.exclusive:
            values[head] = value
    clashes = []
    for text in sorted(sides[1]):
        head, _, value = text.partition("=")
        if values.get(head, value) != value:
            clashes.append(f"one has {head}={values[head]}, the other {text}: a thing has only one of these")
    return clashes


def _told(bond: Bond) -> str:
    by, where = bond.said_in
    if bond.verdict == "join":
        return f"{bond.a} and {bond.b} name one thing: {by} says so in {where}"
    if bond.verdict == "derived":
        return f"{bond.a} is the same as {bond.b}: {bond.evidence or f'the rule {by} found it'}"
    verb = "is not" if bond.verdict == "apart" else "is the same as"
    said = bond.evidence or f"{by} says so in {where}"
    return f"{bond.a} {verb} {bond.b}: {said}"
