"""What a data set, model, job or the like stands for where impact is asked of it: its states."""

from __future__ import annotations

from collections.abc import Mapping

from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Moment, Spaces

K = NodeKind
#: What has states, and feeds nothing by itself.
GROUPS = frozenset({K.DATASET, K.MODEL, K.JOB, K.EXPERIMENT, K.REPOSITORY, K.PULL_REQUEST, K.ENVIRONMENT})
#: States of one thing that are asked about, the last ones.
MAX_MEMBERS = 100


def states_of(
    store: GraphStore, groups: Mapping[int, str], moment: Moment, spaces: Spaces
) -> tuple[list[int], list[str]]:
    """The handles of the last states of these, which are given with their names: versions, runs, commits,
    deployments; and what was left out, in words. Two store calls."""
    # Twins have states of their own, which are found from here, too.
    steps = store.expand(sorted(groups), Direction.DOWNSTREAM, (EdgeKind.HAS,), moment, spaces).steps
    edges = store.edges([step.belief for step in steps], known_at=moment.known_at) if steps else []
    held: dict[int, dict[int, int]] = {}
    for step, edge in zip(steps, edges, strict=True):
        since = held.setdefault(step.src, {})
        since[step.dst] = max(edge.valid_from or 0, since.get(step.dst, 0))
    found: set[int] = set()
    left = []
    for group, since in sorted(held.items()):
        last = sorted(since, key=lambda handle, since=since: (since[handle], handle))[-MAX_MEMBERS:]  # type: ignore[misc]
        found.update(last)
        if len(since) > len(last):
            name = groups.get(group, "the same thing elsewhere")
            left.append(f"of the {len(since):,} states of {name} the last {MAX_MEMBERS} count")
    return sorted(found), left
