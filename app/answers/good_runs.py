"""The last run of its kind that was good: it ended well, and did no worse than those before it."""

from __future__ import annotations

from collections.abc import Sequence

from app.answers.cause_graph import nodes_of
from app.answers.cause_history import Groups, RunHistory
from app.answers.last_good import EARLIER, SIBLINGS, LastGood, State, along, began, troubles_of
from app.answers.outcomes import GOOD
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros, format_time
from graph_schema.values import Direction, Node, Spaces

E = EdgeKind


def of_runs(
    store: GraphStore,
    failing: Sequence[Node],
    at: Micros,
    known_at: Micros | None = None,
    spaces: Spaces = None,
) -> LastGood:
    """Earlier runs of the same experiment or job, earlier versions of the same model or data set; good is
    the last that ended well and, by its metrics, did not do worse than those before it."""
    handles = [node.handle for node in failing]
    above = along(store, handles, Direction.UPSTREAM, E.HAS, known_at, spaces)
    groups = sorted({step.src for step, _ in above})
    below = along(store, groups, Direction.DOWNSTREAM, E.HAS, known_at, spaces)
    members = {step.dst for step, _ in below}
    siblings = nodes_of(store, sorted(members - set(handles))[-SIBLINGS:], known_at, spaces)
    kinds = {node.kind for node in failing}
    alike = [n for n in siblings.values() if n.kind in kinds]
    dated = [(when, n) for n in alike if (when := began(n)) is not None and when < at]
    # Of runs that bear the same name, these are what the failing one is an instance of.
    named = {_stem(node.name) for node in failing}
    dated.sort(key=lambda pair: (_stem(pair[1].name) not in named, -pair[0], pair[1].id))
    troubles = troubles_of(store, [n.handle for _, n in dated[: 4 * EARLIER]], set(), at, known_at, spaces)
    earlier = [State(n, when, None, troubles.get(n.handle, ())) for when, n in dated[: 4 * EARLIER]]
    states = [State(n, began(n) or at, None) for n in failing]
    held = Groups({}, {}, siblings)
    for step, _ in below:
        held.parents.setdefault(step.dst, []).append(step.src)
        held.members.setdefault(step.src, []).append(step.dst)
    history = RunHistory(held, at)
    worse = 0
    for state in earlier:
        status = state.node.properties.get("status")
        if state.troubles or not (status in GOOD or (status is None and not _ends(state.node))):
            continue
        if history.worse(state.node):
            worse += 1
            continue
        ended = f"ended as {status}" if status else "has no incident"
        because = f"{state.node.name} of {format_time(state.since)} {ended}"
        if worse:
            because += "; what ran since did worse by its metrics"
        return LastGood(failing=states, earlier=earlier[:EARLIER], good=state, because=because)
    because = "none of its kind is known before it" if not earlier else "none before it ended well"
    if worse:
        because = "all before it that ended well did worse by their metrics"
    return LastGood(failing=states, earlier=earlier[:EARLIER], good=None, because=because)


def _ends(node: Node) -> bool:
    return node.kind in (NodeKind.RUN, NodeKind.JOB_RUN)


def _stem(name: str) -> str:
    """A name without what tells one instance from the next: digits and separators."""
    return "".join(c for c in name if c.isalpha()).lower()
