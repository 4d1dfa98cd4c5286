"""What may have caused a failure: everything that changed upstream of it before it began."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from app.answers.cause_commits import Code, code_of
from app.answers.cause_graph import Link, Region, best_paths, masks, nodes_of, read
from app.answers.last_good import LastGood, time_of
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Node, Spaces

E, K = EdgeKind, NodeKind
#: What can be at fault. Checks and incidents only tell of it.
_KINDS = frozenset(
    {K.COMMIT, K.DATASET_VERSION, K.MODEL_VERSION, K.RUNTIME, K.RUN, K.JOB_RUN, K.ARTIFACT, K.DEPLOYMENT}
)
_MADE = {
    K.MODEL_VERSION: (E.PRODUCED, E.REGISTERED_AS),
    K.ARTIFACT: (E.PACKAGED_IN, E.PRODUCED, E.CODE_FOR),
}
#: Candidates that are looked at in detail, the latest to take effect first.
MAX_CANDIDATES = 150
#: Bits of the states: the failing ones, the last good, the first that failed the same way, each earlier one.
FAILING, GOOD, _SINCE, _EARLIER = 1, 2, 4, 8


class Pool(msgspec.Struct):
    """``candidates`` are nodes that lead to the subject along ``paths``, all before it. ``held`` has for each
    node the states that it led to; ``code`` has the commits between what was used before and what is now.
    ``undated`` are candidates without any time."""

    region: Region
    paths: dict[int, tuple[float, Link | None]]
    held: dict[int, int]
    nodes: dict[int, Node]
    candidates: list[int]
    code: Code
    undated: list[Node]
    left_out: int = 0

    def changed(self, handle: int) -> bool:
        """Whether the last good state did without it."""
        return not self.held.get(handle, 0) & GOOD

    def since(self, handle: int) -> bool:
        """Whether the first that failed the same way had it."""
        return bool(self.held.get(handle, 0) & _SINCE)


def pool(
    store: GraphStore,
    subject: Node,
    states: LastGood,
    at: Micros,
    known_at: Micros | None,
    spaces: Spaces,
) -> Pool:
    """Read upstream of the subject and of the states before it, and choose what could be at fault."""
    roots: dict[int, int] = {subject.handle: FAILING}
    for state in states.failing:
        roots[state.node.handle] = roots.get(state.node.handle, 0) | FAILING
    for number, state in enumerate(states.earlier):
        # A deployment that failed beside its elder: the elder is failing and, before, was good.
        roots[state.node.handle] = roots.get(state.node.handle, 0) | (_EARLIER << number)
    if states.good is not None:
        good = states.good.node.handle
        roots[good] = roots.get(good, 0) | GOOD
    for state in states.streak[-1:]:
        first = state.node.handle
        roots[first] = roots.get(first, 0) | _SINCE
    region = read(store, roots, Direction.UPSTREAM, FLOW_KINDS, until=at, known_at=known_at, spaces=spaces)
    held = masks(region, roots)
    paths = best_paths(region, subject.handle)
    nodes = nodes_of(store, region.handles, known_at, spaces)
    code = code_of(store, region, paths, held, nodes, known_at, spaces)
    if code.homes:
        # The order of commits is part of it now.
        paths = best_paths(region, subject.handle)
    found = Pool(region, paths, held, nodes, [], code, [])
    failing = {subject.handle, *(state.node.handle for state in states.failing)}
    _choose(found, failing, at, states.good is not None)
    return found


def effective(found: Pool, handle: int) -> Micros | None:
    """When a thing came to be; when it was first used on the way where nobody says, or where that was before:
    data is often committed after the run that read it."""
    own = time_of(found.nodes[handle])
    uses = [link.since for link in found.region.out.get(handle, ()) if link.since is not None]
    return min(uses if own is None else [own, *uses], default=None)


def _choose(found: Pool, failing: Collection[int], at: Micros, compares: bool) -> None:
    dated: list[tuple[Micros, int]] = []
    for handle in found.paths:
        node = found.nodes.get(handle)
        if node is None or node.kind not in _KINDS or not _could(found, node, failing):
            continue
        when = effective(found, handle)
        if when is None:
            found.undated.append(node)
        elif when <= at:
            dated.append((when, handle))
    # What changed since the last good state first, then the latest.
    dated.sort(key=lambda pair: (compares and not found.changed(pair[1]), -pair[0], pair[1]))
    found.candidates = [handle for _, handle in dated[:MAX_CANDIDATES]]
    found.left_out = len(dated) - len(found.candidates)


def _could(found: Pool, node: Node, failing: Collection[int]) -> bool:
    """Whether a thing is a change by itself, and not only what came of one, or what it is all about."""
    links = found.region.into.get(node.handle, ())
    if node.kind in _MADE:
        return not any(link.edge.kind in _MADE[node.kind] for link in links)
    if node.kind is K.COMMIT:
        # A commit that only brought in data is the first step of that data's path.
        out = found.region.out.get(node.handle, ())
        return any(link.edge.kind is not E.INTRODUCED for link in out)
    if node.kind is K.JOB_RUN:
        return node.handle not in failing and node.properties.get("status") == "FAILED"
    if node.kind is K.DEPLOYMENT:
        return bool(found.held.get(node.handle, 0) & FAILING)
    return True


def is_derived(found: Pool, handle: int) -> bool:
    """Whether data was made from other data, or by a run."""
    made = (E.PRODUCED, E.DERIVED_INTO)
    return any(link.edge.kind in made for link in found.region.into.get(handle, ()))


def brought_by(found: Pool, handle: int, at: Micros) -> Link | None:
    """The edge from the first commit that introduced a data version."""
    links = [
        link
        for link in found.region.into.get(handle, ())
        if link.edge.kind is E.INTRODUCED
        and link.src in found.nodes
        and (when := time_of(found.nodes[link.src])) is not None
        and when <= at
    ]
    return min(links, key=lambda link: (link.since or 0, link.edge.src), default=None)


def way_from_commit(found: Pool, handle: int, at: Micros) -> list[Link]:
    """The fewest edges that lead to a thing from a commit, through what it was made from."""
    came: dict[int, Link | None] = {handle: None}
    pending = [handle]
    for node in pending:
        links = sorted(found.region.into.get(node, ()), key=lambda link: (link.edge.kind, link.edge.src))
        for link in links:
            other = found.nodes.get(link.src)
            when = None if other is None else time_of(other)
            if link.src in came or other is None or (when is not None and when > at):
                continue
            came[link.src] = link
            if other.kind is K.COMMIT and when is not None:
                return _back(came, link.src)
            pending.append(link.src)
    return []


def _back(came: Mapping[int, Link | None], start: int) -> list[Link]:
    links = []
    link = came[start]
    while link is not None:
        links.append(link)
        link = came[link.dst]
    return links


def role_of(node: Node, path: Sequence[Link], nodes: Mapping[int, Node]) -> str:
    """In which role a thing led to the failure: its kind, and what it went into first. A commit before
    another went where that one went."""
    for link in path:
        if link.edge.kind is not E.PRECEDES:
            into = nodes.get(link.dst)
            where = into.kind.value if into is not None else "?"
            return f"{node.kind.value} {link.edge.kind.value} {where}"
    return node.kind.value


def gaps(found: Pool, subject: Node) -> list[str]:
    """What the way to the subject lacks, in words: runs without code or data, models without their run,
    commits that are only named."""
    lacking: dict[str, list[str]] = {}
    for handle in sorted(found.paths):
        node = found.nodes.get(handle)
        if node is None or handle == subject.handle:
            continue
        kinds = {link.edge.kind for link in found.region.into.get(handle, ())}
        if node.kind is K.RUN and E.CODE_FOR not in kinds:
            lacking.setdefault("no commit is known for", []).append(node.name)
        if node.kind is K.COMMIT and node.stub:
            lacking.setdefault("no repository was read that tells of commit", []).append(node.name)
        if node.kind is K.RUN and E.INPUT_TO not in kinds:
            lacking.setdefault("no data version is known for", []).append(node.name)
        if node.kind in (K.MODEL_VERSION, K.ARTIFACT) and not kinds:
            lacking.setdefault("nothing is known of what made", []).append(node.name)
        if node.kind is K.DEPLOYMENT and E.DEPLOYED_AS not in kinds:
            lacking.setdefault("nothing is known of what was deployed as", []).append(node.name)
    return [f"{what} {_listed(names)}" for what, names in lacking.items()]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
