"""Which runs failed in the very way that one did, and how it went with those before them: pure over nodes.

A run that failed otherwise says nothing: it may not have come to where the other broke.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.answers.cause_history import Chains, Groups
from app.answers.outcomes import GOOD, failed_run
from app.learnings.failures import sort_of_error
from graph_schema.times import Micros
from graph_schema.values import Node


class Crashes:
    """The runs of some groups, told by whether they failed as those did that the question is about, by
    ``at``. Of other states than failed runs there is nothing to tell."""

    def __init__(self, failing: Sequence[Node], groups: Groups, at: Micros) -> None:
        crashed = [node for node in failing if failed_run(node)]
        self._failing = {node.handle for node in crashed}
        self._sorts = {sort_of_error(node.properties) for node in crashed}
        self._groups = groups
        self._homes = {parent for handle in self._failing for parent in groups.parents.get(handle, ())}
        self._chains = Chains(groups, at, self.bad)

    @property
    def asked(self) -> bool:
        """Whether the question is about a run that failed."""
        return bool(self._failing)

    def bad(self, run: Node) -> bool | None:
        """Whether a run failed as one of those did; None where it failed otherwise, or does not say."""
        if run.properties.get("status") in GOOD:
            return False
        if failed_run(run) and sort_of_error(run.properties) in self._sorts:
            return True
        return None

    def before(self, run: Node) -> bool | None:
        """Whether the run before it in its group failed the same way; None where there is none that says."""
        return self._chains.before(run)

    def kin(self, run: Node) -> bool:
        """Whether a run belongs to what those belong to that failed."""
        return not self._homes.isdisjoint(self._groups.parents.get(run.handle, ()))

    def asks_about(self, handle: int) -> bool:
        """Whether it is one of those that the question is about."""
        return handle in self._failing
