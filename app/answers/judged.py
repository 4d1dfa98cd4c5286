"""What people said of the causes of failures: read back, and counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Filter, FilterOp, Node, Order, Ordering, Spaces

#: The property of a failure that holds what people said of its causes, by the cause's id.
PROPERTY = "causes"
CONFIRMED, REJECTED = "confirmed", "rejected"
#: Incidents with a judged cause that are read, the latest first.
MAX_JUDGED = 500
#: How many confirmations it takes for what was confirmed to count as much as what is usual.
_INERTIA = 12.0


class Judgements(msgspec.Struct):
    """Confirmed causes of earlier failures: by role alone, by (name of the failure, role), and by the line
    (data set, model) that they belong to."""

    roles: Counter[str]
    named: Counter[tuple[str, str]]
    names: Counter[str]
    lines: Counter[str]
    #: Files that confirmed commits touched, by how many of them did.
    files: Counter[str]
    #: The confirmed causes of each failure, and their roles, by its handle; and these failures.
    causes: dict[int, set[str]]
    played: dict[int, list[str]]
    failures: list[Node]

    def familiar(self, commit: Node) -> bool:
        """Whether a confirmed cause touched a file of this commit."""
        held = commit.properties.get("files")
        return isinstance(held, list) and any(str(path) in self.files for path in held)

    def lift(self, name: str, role: str) -> float:
        """How much more often causes in this role were confirmed for failures of this name than for all, as
        a factor drawn towards 1 while little is known."""
        total, here = sum(self.roles.values()), self.names[name]
        if not total or not here:
            return 1.0
        usual = (self.roles[role] + 0.5) / (total + 0.5 * (len(self.roles) + 1))
        return (self.named[name, role] + _INERTIA * usual) / (here + _INERTIA) / usual


def of(subject: Node) -> dict[str, str]:
    """What people said of this failure's causes: confirmed or rejected, by the cause's id."""
    held = subject.properties.get(PROPERTY)
    if not isinstance(held, Mapping):
        return {}
    return {str(cause): str(said["verdict"]) for cause, said in held.items() if _is_verdict(said)}


def _is_verdict(said: Any) -> bool:
    return isinstance(said, Mapping) and said.get("verdict") in (CONFIRMED, REJECTED)


def earlier(
    store: GraphStore, subject: Node, before: Micros, known_at: Micros | None, spaces: Spaces
) -> Judgements:
    """What was confirmed for incidents that began before this one. One store call."""
    page = store.find(
        NodeKind.INCIDENT,
        [Filter(PROPERTY, FilterOp.EXISTS, True)],
        Ordering(Order.CREATED_AT, descending=True),
        MAX_JUDGED,
        known_at=known_at,
        spaces=spaces,
    )
    others = [n for n in page.items if n.handle != subject.handle and (n.created_at or 0) < before]
    return counted(others)


def counted(failures: Sequence[Node]) -> Judgements:
    """The confirmed causes of these, counted."""
    found = Judgements(Counter(), Counter(), Counter(), Counter(), Counter(), {}, {}, list(failures))
    for node in failures:
        held = node.properties.get(PROPERTY)
        for cause, said in held.items() if isinstance(held, Mapping) else ():
            if _is_verdict(said) and said["verdict"] == CONFIRMED:
                found.causes.setdefault(node.handle, set()).add(str(cause))
                role = str(said.get("role") or said.get("kind") or "")
                found.played.setdefault(node.handle, []).append(role)
                found.roles[role] += 1
                found.named[node.name, role] += 1
                found.names[node.name] += 1
                for line in said.get("lines") or ():
                    found.lines[str(line)] += 1
                found.files.update({str(path) for path in said.get("files") or ()})
    return found
