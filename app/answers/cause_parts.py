"""What a failure is of: an orchestrator's run is told by its parts, a failed check by what was checked."""

from __future__ import annotations

from collections.abc import Sequence

from app.answers.cause_graph import nodes_of
from app.answers.last_good import along, began
from app.answers.outcomes import failed_run
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Moment, Node, Spaces

#: A DAG run has task runs, these have runs of the tool that they call, and these have steps.
_DEPTH = 8


def failed_part(store: GraphStore, run: Node, known_at: Micros | None, spaces: Spaces) -> Node:
    """Of the parts of a failed job run the first that failed, and so on; the run itself where there are none.
    A tracked run may go on where one that it started fails, so that its parts tell of it only where nothing
    is known to flow into it."""
    for _ in range(_DEPTH):
        if not failed_run(run):
            break
        here = [run.handle]
        if run.kind is NodeKind.RUN:
            moment = Moment(known_at=known_at)
            if store.expand(here, Direction.UPSTREAM, FLOW_KINDS, moment, spaces).steps:
                break
        held = along(store, here, Direction.DOWNSTREAM, EdgeKind.HAS, known_at, spaces)
        parts = nodes_of(store, {step.dst for step, _ in held} - set(here), known_at, spaces).values()
        failed = [part for part in parts if failed_run(part)]
        if not failed:
            break
        run = min(failed, key=lambda node: (began(node) or 0, node.id))
    return run


def examined(
    store: GraphStore, nodes: Sequence[Node], known_at: Micros | None, spaces: Spaces
) -> tuple[list[Node], frozenset[str]]:
    """What failed where an incident is about these: what was checked, in place of each check; and the streams
    of the checks, by which what passed before is told from what failed too. Checks of nothing are left out.
    """
    checks = {node.handle: node for node in nodes if node.kind is NodeKind.CHECK}
    of = along(store, sorted(checks), Direction.UPSTREAM, EdgeKind.CHECKED_BY, known_at, spaces)
    found = nodes_of(store, {step.src for step, _ in of}, known_at, spaces)
    found |= {node.handle: node for node in nodes if node.handle not in checks}
    streams = (check.properties.get("stream") for check in checks.values())
    return [found[handle] for handle in sorted(found)], frozenset(s for s in streams if isinstance(s, str))


def instead(store: GraphStore, node: Node, known_at: Micros | None, spaces: Spaces) -> str:
    """In words, what about a thing causes may be asked for: its last incident, else the run that made it;
    empty where neither is known."""
    here = [node.handle]
    checked = along(store, here, Direction.DOWNSTREAM, EdgeKind.CHECKED_BY, known_at, spaces)
    things = [*here, *(step.dst for step, _ in checked)]
    blamed = along(store, things, Direction.DOWNSTREAM, EdgeKind.IMPLICATED_IN, known_at, spaces)
    made = along(store, here, Direction.UPSTREAM, EdgeKind.PRODUCED, known_at, spaces)
    for words, handles in (
        ("its last incident is", {step.dst for step, _ in blamed}),
        ("it was made by", {step.src for step, _ in made}),
    ):
        found = nodes_of(store, handles, known_at, spaces).values()
        if found:
            return f"{words} {max(found, key=lambda other: (began(other) or 0, other.id)).id}"
    return ""
