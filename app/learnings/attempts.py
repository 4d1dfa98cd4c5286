"""Attempts that nobody recorded: the same job failed, something changed, and it succeeded.

Runs of one job (of one experiment, with the same parameters) in the order of time. A streak of failures
that a success ends is an attempt at all of them, if the code, the data or the runtime of the success is not
that of the last failure. It is *suggested*: a job often goes green in spite of a change, not because of it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from app.learnings import failures
from app.learnings.remediations import along
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source, Transaction
from graph_schema.times import format_time
from graph_schema.values import Direction, Node
from ingestors import joins
from ingestors.repairs import named

INFERS = "kinlore.attempts"
_RUNS = (NodeKind.RUN, NodeKind.JOB_RUN)
_GROUPS = (NodeKind.JOB, NodeKind.EXPERIMENT)
_WORKED = ("FINISHED", "COMPLETE")
#: Runs of one job that are looked at: the last so many.
MOST_RUNS = 1_000
_WHAT = {EdgeKind.CODE_FOR: "code", EdgeKind.INPUT_TO: "data", EdgeKind.RUNTIME_OF: "runtime"}
_CHANGED = (NodeKind.COMMIT, NodeKind.DATASET_VERSION)


class Streak(msgspec.Struct, frozen=True):
    """Failures in a row of one job, oldest first, and the success that ended them."""

    failed: tuple[Node, ...]
    success: Node


def source_of(space: str) -> Source:
    """Who infers attempts from what a space says."""
    return Source(INFERS if space == "default" else f"{INFERS}@{space}", "inferred", space)


def streaks(runs: Sequence[Node]) -> Iterator[Streak]:
    """Streaks among the runs of one job, in whatever order they are given. Pure. What neither failed nor
    succeeded, or was stopped by hand, neither begins nor ends one."""
    failed: list[Node] = []
    for run in sorted(runs, key=lambda node: (failures.happened(node), node.id)):
        if failures.is_failure(run):
            failed.append(run)
        elif run.properties.get("status") in _WORKED:
            if failed:
                yield Streak(tuple(failed), run)
            failed = []


def infer(store: GraphStore, handles: Collection[int], space: str) -> int:
    """Bring inferred attempts up to date for the jobs of these runs, by what this space says. How many
    changed."""
    spaces = frozenset((space,))
    runs = [each.handle for each in store.labels(sorted(handles)) if each.kind in _RUNS]
    parents = along(store, runs, EdgeKind.HAS, Direction.UPSTREAM, spaces=spaces)
    found = sorted({each for up in parents.values() for each in up})
    groups = [each.handle for each in store.labels(found) if each.kind in _GROUPS]
    changed = 0
    for group in groups:
        changed += _of_job(store, group, space)
    return changed


def _of_job(store: GraphStore, group: int, space: str) -> int:
    spaces = frozenset((space,))
    children = along(store, [group], EdgeKind.HAS, Direction.DOWNSTREAM, spaces=spaces)[group]
    # Handles are given out in order: the last are the newest that were told of.
    nodes = [node for node in store.get(children[-MOST_RUNS:], spaces=spaces) if node is not None]
    alike: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        if node.kind in _RUNS and not node.stub:
            alike[_configuration(node)].append(node)
    ended = [streak for runs in alike.values() for streak in streaks(runs)]
    around = _around(store, [n for s in ended for n in (s.failed[-1], s.success)], spaces)
    records = {
        f"inferred/{streak.failed[-1].id}": _claims(
            streak, around[streak.failed[-1].handle], around[streak.success.handle]
        )
        for streak in ended
    }
    # What was said of a streak that is none any more is taken back.
    for before in _inferred(store, [node for runs in alike.values() for node in runs]):
        records.setdefault(f"inferred/{before}", ())
    if not records:
        return 0
    source = source_of(space)

    def work(tx: Transaction) -> int:
        made = [
            Record(key, "attempt", tx.now, claims)
            for key, claims in records.items()
            # Of what was never said, nothing is to be taken back.
            if claims or any(each.key == key for each in tx.held(source, "attempt", _before(key), 1))
        ]
        return joins.apply(tx, source, made).changes

    return store.transact(work)


def _inferred(store: GraphStore, runs: Sequence[Node]) -> set[str]:
    """Of these runs, the ids of those on which an attempt was inferred."""
    steps = store.expand([node.handle for node in runs], Direction.DOWNSTREAM, (EdgeKind.TRIED,)).steps
    edges = store.edges([step.belief for step in steps])
    return {edge.src for edge in edges if edge.source.partition("@")[0] == INFERS}


def _before(key: str) -> str:
    """A key that sorts just before another."""
    return key[:-1] + chr(ord(key[-1]) - 1) + "\U0010ffff"


def _configuration(node: Node) -> str:
    """What runs of one experiment have to share to be the same: their parameters; a job's need nothing."""
    if node.kind is NodeKind.JOB_RUN:
        return ""
    return json.dumps(node.properties.get("params") or {}, sort_keys=True, default=str)


def _around(
    store: GraphStore, runs: Sequence[Node], spaces: frozenset[str]
) -> Mapping[int, dict[str, list[Node]]]:
    """Code, data and runtime of runs."""
    handles = sorted({node.handle for node in runs})
    found: dict[int, dict[str, list[Node]]] = {handle: {} for handle in handles}
    for kind, what in _WHAT.items():
        ends = along(store, handles, kind, Direction.UPSTREAM, spaces=spaces)
        wanted = sorted({each for up in ends.values() for each in up})
        nodes = {node.handle: node for node in store.get(wanted, spaces=spaces) if node is not None}
        for handle in handles:
            found[handle][what] = sorted(
                (nodes[each] for each in ends[handle] if each in nodes), key=lambda node: node.id
            )
    return found


def _claims(
    streak: Streak, before: Mapping[str, list[Node]], after: Mapping[str, list[Node]]
) -> tuple[Claim, ...]:
    """The attempt that a streak tells of; none where nothing is known to have changed."""
    new: list[Node] = []
    said: list[str] = []
    for what in _WHAT.values():
        old = {node.id for node in before[what]}
        fresh = [node for node in after[what] if node.id not in old]
        # What is not known of one of the two has not been seen to change.
        if fresh and old:
            new += fresh
            said.append(f"{what} changed to {', '.join(node.name for node in fresh[:2])}")
    if not new:
        return ()
    last, at = streak.failed[-1], failures.happened(streak.success)
    change = "; ".join(said)
    remediation = named("inferred", *sorted(node.id for node in new))
    attempt = named("inferred", last.id, streak.success.id)
    title = change[0].upper() + change[1:]
    times = f"{len(streak.failed)}× " if len(streak.failed) > 1 else ""
    because = f"inferred: it failed {times}and succeeded with its {change}"
    stated = {
        "name": title,
        "outcome": "worked",
        "state": "suggested",
        "origin": "inferred",
        "inferredFrom": because,
        "at": format_time(at),
        "createdAt": at,
    }
    return (
        Names(NodeKind.REMEDIATION, (remediation,)),
        States(NodeKind.REMEDIATION, remediation, {"name": title, "origin": "inferred"}),
        Names(NodeKind.ATTEMPT, (attempt,)),
        States(NodeKind.ATTEMPT, attempt, stated, at),
        Links(EdgeKind.OF, attempt, remediation, at),
        *(Links(EdgeKind.TRIED, node.id, attempt, at, evidence=because) for node in streak.failed),
        *(Links(EdgeKind.CHANGED, attempt, node.id, at) for node in new if node.kind in _CHANGED),
    )
