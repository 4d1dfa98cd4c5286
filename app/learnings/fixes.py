"""What ended earlier failures, as the ranking takes it: a later failure that names it may be the same again.

Of each attempt that stands, the title and the steps of its remediation count, what is said of the changes
that it consisted in, and the files that these touched: their commits, or those of their pull requests. What
failed or came back, was rejected, or was only inferred, does not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from app.learnings.remediations import along
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Node

#: Lines of one failure's fixes that are compared, and how much of each.
_MOST, _LONGEST = 40, 300
#: Where a remediation, a change or a commit says what it is.
_TOLD = ("title", "how", "text", "message")


class Fix(msgspec.Struct, frozen=True):
    """A line about a fix, and the handle of the node that says it."""

    text: str
    node: int


class Fixes(msgspec.Struct, frozen=True):
    """All that is said of one failure's fixes. ``rests_on``: handles of what it was read from."""

    said: tuple[Fix, ...] = ()
    rests_on: tuple[int, ...] = ()


def fixes(store: GraphStore, handles: Sequence[int]) -> dict[int, Fixes]:
    """What is known to have ended each of these failures; those without an attempt are left out. One store
    call where there is none, else five."""
    tried = along(store, handles, EdgeKind.TRIED, Direction.DOWNSTREAM)
    attempts = sorted({attempt for found in tried.values() for attempt in found})
    if not attempts:
        return {}
    uses = along(store, attempts, EdgeKind.OF, Direction.DOWNSTREAM)
    changes = along(store, attempts, EdgeKind.CHANGED, Direction.DOWNSTREAM)
    made = along(store, [c for found in changes.values() for c in found], EdgeKind.HAS, Direction.DOWNSTREAM)
    ends = {
        attempt: (*uses[attempt], *changes[attempt], *(each for c in changes[attempt] for each in made[c]))
        for attempt in attempts
    }
    wanted = sorted({*attempts, *(end for found in ends.values() for end in found)})
    read = {node.handle: node for node in store.get(wanted) if node is not None}
    return {handle: _of(found, ends, read) for handle, found in tried.items() if found}


def _of(attempts: Sequence[int], ends: Mapping[int, Sequence[int]], read: Mapping[int, Node]) -> Fixes:
    said: dict[str, int] = {}
    rests_on = {*attempts, *(end for attempt in attempts for end in ends[attempt])}
    for attempt in attempts:
        if attempt in read and _stands(read[attempt].properties):
            for end in ends[attempt]:
                if end in read:
                    for line in _lines(read[end]):
                        said.setdefault(line, end)
    return Fixes(tuple(Fix(text, node) for text, node in list(said.items())[:_MOST]), tuple(sorted(rests_on)))


def _stands(attempt: Mapping[str, Any]) -> bool:
    if attempt.get("state") in ("suggested", "rejected") or attempt.get("recurred"):
        return False
    return attempt.get("outcome") != "failed"


def _lines(node: Node) -> Iterator[str]:
    told = [str(node.properties[key]) for key in _TOLD if node.properties.get(key)]
    named = [] if "title" in node.properties else [node.name]
    files = node.properties.get("files") if node.kind is NodeKind.COMMIT else None
    for text in (*named, *told, *(files if isinstance(files, list) else ())):
        for line in str(text).splitlines():
            if line.strip():
                yield line.strip()[:_LONGEST]
