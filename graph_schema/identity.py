"""Which identifiers name one node: a pure function of the claims that join them.

All current join claims of a cluster are tried in ascending (rank, value, source, record); one that would
give a node, or everything that is ``SAME_AS`` it, two values of an exclusive scheme is refused. A person's
``apart`` is never crossed. The outcome depends on the claims only, not on the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from graph_schema.identifiers import head_of
from graph_schema.kinds import NodeKind


class Verdict(IntEnum):
    """What a claim says of two identifiers, in the order in which the claims are tried."""

    JOIN = 0
    """Exact: both are identifiers of one node."""
    SAID = 1
    """A person's ``same``: two nodes are one thing."""
    SAME = 2
    """A source states ``SAME_AS``."""
    DERIVED = 3
    """A rule found ``SAME_AS``."""
    APART = 4
    """A person's ``apart``: must not be one thing. Not tried but obeyed."""


class Candidate(NamedTuple):
    """One claim on the identity of ``a`` and ``b``. ``tie`` is (source, record), or (rule, anchor)."""

    verdict: Verdict
    a: str
    b: str
    tie: tuple[str, str]


class Resolution(NamedTuple):
    """Nodes as sets of identifiers, and for each candidate, in order, whether it stands."""

    groups: list[set[str]]
    accepted: list[bool]


class _Class:
    """Identifiers known to be one thing, with the one value that each exclusive scheme may have."""

    __slots__ = ("exclusive", "members")

    def __init__(self, text: str) -> None:
        head, _, value = text.partition("=")
        self.members = [text]
        self.exclusive = {head: value} if head_of(head).scheme.exclusive else {}

    def clashes(self, other: _Class) -> bool:
        small, large = sorted((self.exclusive, other.exclusive), key=len)
        return any(large.get(head, value) != value for head, value in small.items())


def _place(text: str, kinds: Mapping[str, NodeKind]) -> tuple[int, str, str]:
    head, _, value = text.partition("=")
    read = head_of(head)
    return (read.ranks.get(kinds[text], 99), value, read.scope or "")


def order_key(candidate: Candidate, kinds: Mapping[str, NodeKind]) -> tuple[object, ...]:
    """The order in which candidates are tried."""
    first, second = sorted((_place(candidate.a, kinds), _place(candidate.b, kinds)))
    return (candidate.verdict, first, second, candidate.tie)


def resolve(
    members: Iterable[str], kinds: Mapping[str, NodeKind], candidates: Sequence[Candidate]
) -> Resolution:
    """Partition the identifiers of a cluster into nodes. ``kinds`` gives the kind of every member."""
    classes: dict[str, _Class] = {}
    nodes: dict[str, set[str]] = {}
    for text in members:
        classes[text] = _Class(text)
        nodes[text] = {text}
    apart = [(c.a, c.b) for c in candidates if c.verdict is Verdict.APART]
    accepted = [False] * len(candidates)
    order = sorted(range(len(candidates)), key=lambda i: order_key(candidates[i], kinds))
    for index in order:
        candidate = candidates[index]
        if candidate.verdict is Verdict.APART:
            accepted[index] = True
            continue
        if not _unite_classes(classes, candidate.a, candidate.b, apart):
            continue
        accepted[index] = True
        if candidate.verdict is Verdict.JOIN:
            small, large = sorted((nodes[candidate.a], nodes[candidate.b]), key=len)
            if small is not large:
                large |= small
                for text in small:
                    nodes[text] = large
    groups = {id(group): group for group in nodes.values()}
    return Resolution(list(groups.values()), accepted)


def _unite_classes(classes: dict[str, _Class], a: str, b: str, apart: Sequence[tuple[str, str]]) -> bool:
    """Make two classes one, unless an exclusive scheme or an ``apart`` forbids it."""
    left, right = classes[a], classes[b]
    if left is right:
        return True
    if left.clashes(right):
        return False
    for x, y in apart:
        ends = (classes[x], classes[y])
        if ends in ((left, right), (right, left)):
            return False
    small, large = sorted((left, right), key=lambda c: len(c.members))
    large.members.extend(small.members)
    large.exclusive.update(small.exclusive)
    for text in small.members:
        classes[text] = large
    return True
