"""What a data set, model, job or the like stands for, as it feeds nothing by itself: its states."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Label, Moment, Spaces, Step

K = NodeKind
_GROUPS = frozenset({K.DATASET, K.MODEL, K.JOB, K.EXPERIMENT, K.REPOSITORY, K.PULL_REQUEST, K.ENVIRONMENT})
#: States of one thing that are looked at, the last ones.
MAX_STATES = 100


class States(msgspec.Struct, frozen=True):
    """``steps`` lead to the states, ``same`` from what was asked about to its twins, which have some, too.
    ``left_out``: of what there are more, in words."""

    steps: list[Step]
    same: list[Step]
    left_out: list[str]

    @property
    def handles(self) -> set[int]:
        """Versions, runs, commits, deployments."""
        return {step.dst for step in self.steps}


def have_states(labels: list[Label]) -> dict[int, str]:
    """Those of them that have states, with their names."""
    return {label.handle: label.name for label in labels if label.kind in _GROUPS}


def states_of(store: GraphStore, groups: Mapping[int, str], moment: Moment, spaces: Spaces) -> States:
    """The last states of these, which are given with their names. Two store calls, where there are any."""
    if not groups:
        return States([], [], [])
    found = store.expand(sorted(groups), Direction.DOWNSTREAM, (EdgeKind.HAS,), moment, spaces)
    edges = store.edges([step.belief for step in found.steps], known_at=moment.known_at)
    held: dict[int, list[tuple[int, int, Step]]] = {}
    for step, edge in zip(found.steps, edges, strict=True):
        held.setdefault(step.src, []).append((edge.valid_from or 0, step.dst, step))
    steps: list[Step] = []
    left = []
    for group, states in sorted(held.items()):
        states.sort(key=lambda each: each[:2])
        steps += [step for _, _, step in states[-MAX_STATES:]]
        if len(states) > MAX_STATES:
            name = groups.get(group, "the same thing elsewhere")
            left.append(f"of the {len(states):,} states of {name} the last {MAX_STATES} count")
    return States(steps, list(found.same), left)
