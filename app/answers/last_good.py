"""The last state that was good: what stood there, or ran, before and shows no sign of the failure."""

from __future__ import annotations

from bisect import bisect
from collections.abc import Collection, Iterable, Sequence

import msgspec

from app.answers.cause_graph import nodes_of
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.store import GraphStore
from graph_schema.times import Micros, format_time, parse_time
from graph_schema.values import Direction, Edge, Moment, Node, Spaces, Step

E = EdgeKind
#: States before the failing one that are looked at, and things of one group that are compared with.
EARLIER, _SIBLINGS = 8, 2_000
#: What stood for less than this has not shown that it is good: 30 minutes.
_SHORTEST = 30 * 60 * 1_000_000


Trouble = tuple[Micros, int]
"""When an incident began, and its handle."""


class Stay(msgspec.Struct, frozen=True):
    """A deployment's time in its place, with a share of the traffic; ``until`` None: it still stands."""

    since: Micros
    until: Micros | None
    share: float


class State(msgspec.Struct, frozen=True):
    """Something that may have failed. ``troubles``: when incidents on it began, the subject's own aside."""

    node: Node
    since: Micros
    until: Micros | None
    troubles: tuple[Trouble, ...] = ()


class LastGood(msgspec.Struct, frozen=True, kw_only=True):
    """``failing`` are the states that the failure is about, the newest first; ``earlier`` those before them,
    the newest first; ``good`` is the one of them that is taken for good, and ``because`` says why. ``streak``
    are runs that failed the same way since then, the newest first: what none of them can do without was there
    before the first of them."""

    failing: list[State]
    earlier: list[State]
    good: State | None
    because: str
    streak: Sequence[State] = ()


def time_of(node: Node) -> Micros | None:
    """When a thing came to be: its creation, else when it says that it started."""
    if node.created_at is not None:
        return node.created_at
    for key in ("startedAt", "checkedAt", "committedAt"):
        said = node.properties.get(key)
        if isinstance(said, str):
            try:
                return parse_time(said)
            except BadInput:
                continue
    return None


def began(node: Node) -> Micros | None:
    """When an incident, a run or a job run began."""
    said = node.properties.get("startedAt")
    if isinstance(said, str):
        try:
            return parse_time(said)
        except BadInput:
            pass
    return time_of(node)


def along(
    store: GraphStore,
    handles: Sequence[int],
    direction: Direction,
    kind: EdgeKind,
    known_at: Micros | None,
    spaces: Spaces,
) -> list[tuple[Step, Edge]]:
    """The edges of a kind at these nodes and what is the same thing as they."""
    if not handles:
        return []
    steps = store.expand(sorted(handles), direction, (kind,), Moment(known_at=known_at), spaces).steps
    edges = store.edges([step.belief for step in steps], known_at=known_at) if steps else []
    return list(zip(steps, edges, strict=True))


def near(members: Iterable[tuple[int, Micros | None]], at: Micros, handle: int) -> list[int]:
    """Of the handles in a group, each with when it came there, those that came last before a time. Where
    nobody says when, those recorded next to ``handle``: before it, and after, for the newest may have been
    told first. Of either at most 2,000, on each side."""
    dated, others = [], []
    for member, since in members:
        if since is None:
            others.append(member)
        elif since <= at:
            dated.append((since, member))
    others.sort()
    place = bisect(others, handle)
    beside = others[max(place - _SIBLINGS, 0) : place + _SIBLINGS]
    return [*beside, *(member for _, member in sorted(dated)[-_SIBLINGS:])]


def of_deployments(
    store: GraphStore,
    subject: int,
    implicated: Sequence[int],
    at: Micros,
    known_at: Micros | None = None,
    spaces: Spaces = None,
    same: Collection[int] = (),
) -> LastGood:
    """What stood in the places of these deployments before; good is what had no incident there, and is none
    of ``same``: deployments of the very thing that the incident is about."""
    known = set(implicated)
    frontier = sorted(known)
    for _ in range(EARLIER):
        before = along(store, frontier, Direction.UPSTREAM, E.PRECEDES, known_at, spaces)
        frontier = sorted({step.src for step, _ in before} - known)
        known.update(frontier)
        if not frontier or len(known) > 4 * EARLIER + len(implicated):
            break
    states = _states(store, sorted(known), subject, at, known_at, spaces)
    failing = [s for s in states if s.node.handle in implicated]
    earlier = [s for s in states if s.node.handle not in implicated]
    # Where two stood side by side, the older one was there, alone and well, before the newer came.
    if len(failing) > 1:
        newest = failing[0]
        earlier = [*(_until(s, newest.since) for s in failing[1:] if s.since < newest.since), *earlier]
    well = [state for state in earlier if not state.troubles and state.node.handle not in same]
    # What stood long enough to show that it is good; where nothing did, the last that showed nothing else.
    for shortest in (_SHORTEST, 1):
        for state in well:
            ended = min(at, state.until or at)
            if ended - state.since >= shortest:
                because = _stood(state, ended)
                return LastGood(failing=failing, earlier=earlier, good=state, because=because)
    because = "no earlier deployment is known" if not earlier else "every earlier deployment had an incident"
    return LastGood(failing=failing, earlier=earlier, good=None, because=because)


def _until(state: State, until: Micros) -> State:
    return msgspec.structs.replace(state, until=until)


def _stood(state: State, ended: Micros) -> str:
    when = f"from {format_time(state.since)} to {format_time(ended)}"
    return f"{state.node.name} stood there {when} without an incident"


def _states(
    store: GraphStore,
    handles: Sequence[int],
    subject: int,
    at: Micros,
    known_at: Micros | None,
    spaces: Spaces,
) -> list[State]:
    """What is known of the stay of each deployment by then, the newest first."""
    nodes = nodes_of(store, handles, known_at, spaces)
    stays = stays_of(store, handles, at, known_at, spaces)
    troubles = troubles_of(store, handles, {subject}, at, known_at, spaces)
    states = []
    for handle, node in nodes.items():
        stay = stays.get(handle)
        since = time_of(node) if stay is None else stay.since
        if since is not None and since <= at:
            until = None if stay is None else stay.until
            states.append(State(node, since, until, troubles.get(handle, ())))
    return sorted(states, key=lambda s: (-s.since, s.node.id))


def stays_of(
    store: GraphStore, handles: Sequence[int], at: Micros, known_at: Micros | None, spaces: Spaces
) -> dict[int, Stay]:
    """From when to when deployments stood, as far as that is so by ``at``."""
    found: dict[int, Stay] = {}
    for step, edge in along(store, handles, Direction.UPSTREAM, E.DEPLOYED_AS, known_at, spaces):
        since = edge.valid_from
        if since is None or since > at:
            continue
        share = edge.properties.get("share")
        stay = Stay(since, edge.valid_to, share if isinstance(share, int | float) else 1.0)
        held = found.get(step.dst)
        if held is not None:
            ends = None if None in (held.until, stay.until) else max(held.until or 0, stay.until or 0)
            stay = Stay(min(held.since, stay.since), ends, max(held.share, stay.share))
        found[step.dst] = stay
    return found


def troubles_of(
    store: GraphStore,
    handles: Sequence[int],
    besides: set[int],
    at: Micros,
    known_at: Micros | None,
    spaces: Spaces,
) -> dict[int, tuple[Trouble, ...]]:
    """When incidents began, by ``at``, that these are implicated in; those named in ``besides`` aside."""
    found: dict[int, list[tuple[Micros, int]]] = {}
    for step, edge in along(store, handles, Direction.DOWNSTREAM, E.IMPLICATED_IN, known_at, spaces):
        if step.dst not in besides and edge.valid_from is not None and edge.valid_from <= at:
            found.setdefault(step.src, []).append((edge.valid_from, step.dst))
    return {handle: tuple(sorted(times)) for handle, times in found.items()}
