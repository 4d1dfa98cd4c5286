"""Which commits lie between two: those that only one of them reaches, as ``git log A...B`` lists them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from graph_schema.edges import EdgeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Moment, Node, Spaces

#: Steps back in history, and commits, after which the search for a common ancestor stops and says so.
MAX_STEPS, MAX_COMMITS = 400, 4_000
#: Commits of a range that are listed; all are counted.
LISTED = 50
_LEFT, _RIGHT, _BOTH = 1, 2, 3
_UNDATED = -(2**62)


class CommitRange(msgspec.Struct, frozen=True, kw_only=True):
    """Commits between the code of two things, newest first: ``added`` are those that only ``right`` reaches,
    ``removed`` those that only ``left`` reaches. ``complete`` is False where no common ancestor was found
    within the limits: then the counts are what was seen."""

    left: Node
    right: Node
    repository: Node | None
    added: list[Node]
    removed: list[Node]
    added_count: int
    removed_count: int
    complete: bool


def between(
    store: GraphStore,
    left: Node,
    right: Node,
    *,
    repository: Node | None = None,
    known_at: Micros | None = None,
    spaces: Spaces = None,
) -> CommitRange:
    """The commits that only one of two commits reaches.

    Both histories are walked back at once, the newer end first, as git itself looks for a merge base: one
    store call for a step of the range, however long the history behind it is.
    """
    moment = Moment(known_at=known_at)
    flags = {left.handle: _LEFT, right.handle: 0}
    flags[right.handle] |= _RIGHT
    known: dict[int, Node] = {left.handle: left, right.handle: right}
    pending = set(flags)
    complete = False
    for _ in range(MAX_STEPS):
        if all(flags[handle] == _BOTH for handle in pending):
            complete = True
            break
        if len(flags) > MAX_COMMITS:
            break
        chosen = _newest(pending, flags, known)
        pending -= chosen
        steps = store.expand(sorted(chosen), Direction.UPSTREAM, (EdgeKind.PRECEDES,), moment, spaces).steps
        for step in steps:
            said = flags.get(step.dst, 0)
            if flags.get(step.src, 0) | said != flags.get(step.src, 0):
                flags[step.src] = flags.get(step.src, 0) | said
                pending.add(step.src)
        fresh = sorted(pending - known.keys())
        for handle, node in zip(fresh, store.get(fresh, known_at=known_at, spaces=spaces), strict=True):
            if node is not None:
                known[handle] = node
    only = {side: [known[h] for h, flag in flags.items() if flag == side and h in known] for side in (1, 2)}
    removed, added = (sorted(only[side], key=_age, reverse=True) for side in (_LEFT, _RIGHT))
    return CommitRange(
        left=left,
        right=right,
        repository=repository,
        added=added[:LISTED],
        removed=removed[:LISTED],
        added_count=len(added),
        removed_count=len(removed),
        complete=complete,
    )


def _newest(pending: Iterable[int], flags: dict[int, int], known: dict[int, Node]) -> set[int]:
    """What to look behind next: whatever is newer than the other side's newest, so that neither side runs
    ahead into history that both share."""

    def at(handle: int) -> int:
        node = known.get(handle)
        return _UNDATED if node is None or node.created_at is None else node.created_at

    newest = [max((at(h) for h in pending if flags[h] & side), default=_UNDATED) for side in (_LEFT, _RIGHT)]
    floor = min(newest)
    return {h for h in pending if at(h) > floor} or {h for h in pending if at(h) == floor}


def _age(node: Node) -> tuple[int, str]:
    return (_UNDATED if node.created_at is None else node.created_at, node.id)
