"""What is usual: how runs, checks and sizes of one group went before, so that what is unusual stands out."""

from __future__ import annotations

import bisect
import math
import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from app.answers.cause_graph import nodes_of
from app.answers.last_good import along, near, time_of
from app.answers.metrics import higher_is_better
from app.answers.outcomes import BAD, GOOD
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Node, Spaces

E = EdgeKind
#: Earlier values that one is compared with, at most and at least.
_COMPARED, _LEAST = 20, 3
#: Sizes that are out of line by more than this many median deviations.
_DEVIATIONS = 3.0
#: Worse by more than this many median deviations, and by more than this share of the value.
_WORSE, _TOLERANCE = 2.5, 0.02
#: From a median absolute deviation to a standard deviation, of values that are normally distributed.
MAD_TO_SIGMA = 1.4826
#: The share of earlier values that is taken for good, and how much less than all of them these vary.
_BETTER, _HALF = 0.5, 1.6
#: A number that was halved or doubled makes settings unlike others.
_FAR = 2.0


class Groups(msgspec.Struct):
    """``parents`` by member (an experiment, a job, a data set, a model), and members by parent."""

    parents: dict[int, list[int]]
    members: dict[int, list[int]]
    nodes: dict[int, Node]

    def siblings(self, handle: int) -> list[Node]:
        """What belongs to the same groups, itself included."""
        found = {m for parent in self.parents.get(handle, ()) for m in self.members.get(parent, ())}
        return [self.nodes[member] for member in sorted(found) if member in self.nodes]


def groups_of(
    store: GraphStore, handles: Collection[int], at: Micros, known_at: Micros | None, spaces: Spaces
) -> Groups:
    """What these belong to, and what else belongs there and was there by then. Three store calls; of very
    large groups only the last members before then are read."""
    parents: dict[int, list[int]] = {}
    for step, _ in along(store, sorted(handles), Direction.UPSTREAM, E.HAS, known_at, spaces):
        parents.setdefault(step.dst, []).append(step.src)
    above = sorted({parent for each in parents.values() for parent in each})
    held: dict[int, set[tuple[int, Micros | None]]] = {}
    for step, edge in along(store, above, Direction.DOWNSTREAM, E.HAS, known_at, spaces):
        held.setdefault(step.src, set()).add((step.dst, edge.valid_from))
    last = max(handles, default=0)
    members = {parent: near(each, at, last) for parent, each in held.items()}
    wanted = {member for each in members.values() for member in each}
    return Groups(parents, members, nodes_of(store, wanted | set(handles), known_at, spaces))


class Chains:
    """How the runs of each group went by ``at``, one after the other: ``bad`` says it of one, None where it
    is not told or does not count."""

    def __init__(self, groups: Groups, at: Micros, bad: Callable[[Node], bool | None]) -> None:
        self._groups, self._at, self._bad = groups, at, bad
        self._held: dict[int, list[tuple[Micros, int, bool]]] = {}

    def before(self, run: Node) -> bool | None:
        """Of the run before it in its group; None where there is none of which that can be told."""
        parent = min(self._groups.parents.get(run.handle, ()), default=None)
        when = time_of(run)
        if parent is None or when is None:
            return None
        if parent not in self._held:
            self._held[parent] = self._chain(parent)
        place = bisect.bisect_left(self._held[parent], (when, -1, False))
        return self._held[parent][place - 1][2] if place else None

    def _chain(self, parent: int) -> list[tuple[Micros, int, bool]]:
        members = self._groups.members.get(parent, ())
        nodes = [self._groups.nodes[m] for m in members if m in self._groups.nodes]
        told = [(time_of(node), node.handle, self._bad(node)) for node in nodes]
        return sorted(
            (when, handle, bad)
            for when, handle, bad in told
            if when is not None and when <= self._at and bad is not None
        )


class RunHistory:
    """Says of a run whether it went worse than those of its group before it."""

    def __init__(self, groups: Groups, at: Micros) -> None:
        self._groups = groups
        self._at = at
        self._values: dict[tuple[int, str, str], list[tuple[Micros, float]]] = {}
        self._usual: dict[int, float] = {}
        self._chains = Chains(groups, at, lambda n: None if self.unlike(n) else self.bad(n, True))
        self._common: dict[int, Mapping[str, object]] = {}
        self._parents: dict[int, list[int]] = {}
        self._worse: dict[int, list[str] | None] = {}
        for parent, members in groups.members.items():
            for handle in members:
                self._parents.setdefault(handle, []).append(parent)
                self._note(parent, groups.nodes.get(handle))
        for values in self._values.values():
            values.sort()

    def _note(self, parent: int, node: Node | None) -> None:
        when = None if node is None else time_of(node)
        if node is None or when is None or when > self._at:
            return
        settings = _settings(node)
        for name, value in numbers(node.properties.get("metrics")).items():
            self._values.setdefault((parent, "", name), []).append((when, value))
            self._values.setdefault((parent, settings, name), []).append((when, value))

    def bad(self, run: Node, metrics_only: bool = False) -> bool | None:
        """Whether a run failed or did worse than those before it; None where that cannot be told."""
        if run.properties.get("status") in BAD:
            return None if metrics_only else True
        worse = self.worse(run)
        if worse is None:
            return None if metrics_only or run.properties.get("status") not in GOOD else False
        return bool(worse)

    def worse(self, run: Node) -> list[str] | None:
        """The metrics that are worse than before by more than they usually vary; None where there is nothing
        to compare with."""
        if run.handle not in self._worse:
            self._worse[run.handle] = self._compared(run)
        return self._worse[run.handle]

    def _compared(self, run: Node) -> list[str] | None:
        when = time_of(run)
        told = False
        found = []
        for name, value in numbers(run.properties.get("metrics")).items():
            higher = higher_is_better(name)
            if higher is None or when is None:
                continue
            for parent in self._parents.get(run.handle, ()):
                # Best with what was set the same; else, as where settings are new, with all of the group.
                for settings in (_settings(run), ""):
                    values = self._values.get((parent, settings, name), [])
                    before = [v for _, v in values[: bisect.bisect_left(values, (when, -math.inf))]]
                    before = before[-_COMPARED:]
                    if len(before) >= _LEAST:
                        break
                else:
                    continue
                told = True
                middle, spread = _well(before, higher)
                lost = middle - value if higher else value - middle
                if lost > max(_WORSE * spread, _TOLERANCE * abs(middle)):
                    found.append(f"{name} {value:g} after {middle:g}")
        return found if told else None

    def before(self, run: Node) -> bool | None:
        """Whether the run before it in its group did worse than those before that one, those with unlike
        settings aside; None where there is none of which that can be told."""
        return self._chains.before(run)

    def unlike(self, run: Node) -> bool:
        """Whether a run has settings that are far from those most usual in its group, and new there: then
        these may be why it did worse."""
        parent = min(self._parents.get(run.handle, ()), default=None)
        when = time_of(run)
        if parent is None or when is None:
            return False
        if parent not in self._common:
            nodes = [self._groups.nodes[m] for m in self._groups.members[parent] if m in self._groups.nodes]
            held = [node for node in nodes if (time_of(node) or 0) <= self._at]
            usual = Counter(_settings(node) for node in held).most_common(1)
            first = next((node for node in held if usual and _settings(node) == usual[0][0]), None)
            self._common[parent] = {} if first is None else _given(first)
        if not _far(_given(run), self._common[parent]):
            return False
        settings = _settings(run)
        names = numbers(run.properties.get("metrics"))
        same = (self._values.get((parent, settings, name), []) for name in names)
        return all(bisect.bisect_left(values, (when, -math.inf)) < _LEAST for values in same)

    def usual(self, run: Node) -> float:
        """How often runs of its group are bad, with one of twenty assumed beforehand."""
        parents = self._parents.get(run.handle, ())
        return max((self._share(parent) for parent in parents), default=0.1)

    def _share(self, parent: int) -> float:
        if parent not in self._usual:
            nodes = [self._groups.nodes[m] for m in self._groups.members[parent] if m in self._groups.nodes]
            told = [self.bad(n) for n in nodes if (time_of(n) or 0) <= self._at]
            bad = sum(each is True for each in told)
            self._usual[parent] = (bad + 1) / (sum(each is not None for each in told) + 20)
        return self._usual[parent]


def _settings(run: Node) -> str:
    """The parameters of a run, to compare it with runs of the same."""
    held = run.properties.get("params")
    return repr(sorted(held.items())) if isinstance(held, Mapping) else "-"


def _given(run: Node) -> Mapping[str, object]:
    held = run.properties.get("params")
    return held if isinstance(held, Mapping) else {}


def _far(mine: Mapping[str, object], usual: Mapping[str, object]) -> bool:
    """Whether some setting is another one, or another number by more than a factor."""
    for name in {*mine, *usual}:
        one, other = mine.get(name), usual.get(name)
        if one == other:
            continue
        numeric = [float(v) for v in (one, other) if isinstance(v, int | float) and v > 0]
        if len(numeric) < 2 or max(numeric) >= _FAR * min(numeric):
            return True
    return False


def _well(values: Sequence[float], higher: bool) -> tuple[float, float]:
    """Middle and spread of the better part of some values: what went badly before sets no standard."""
    better = sorted(values, reverse=higher)[: max(_LEAST, round(_BETTER * len(values)))]
    middle = statistics.median(better)
    return middle, _HALF * MAD_TO_SIGMA * statistics.median(abs(v - middle) for v in better)


def numbers(given: object) -> dict[str, float]:
    """The values of a mapping that are finite numbers."""
    if not isinstance(given, Mapping):
        return {}
    return {
        str(name): float(value)
        for name, value in given.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def size_of(version: Node, siblings: Iterable[Node]) -> tuple[float, float] | None:
    """The factor from the size usual before to that of a data version, and the factor that is usual between
    neighbours; None where too little is known."""
    own, when = _size(version), time_of(version)
    if own is None or when is None:
        return None
    dated = sorted(
        (before, size)
        for node in siblings
        if node.handle != version.handle
        and node.kind is NodeKind.DATASET_VERSION
        and (before := time_of(node)) is not None
        and before < when
        and (size := _size(node)) is not None
    )
    sizes = [size for _, size in dated][-_COMPARED:]
    if not sizes:
        return None
    if len(sizes) < _LEAST:
        return own / sizes[-1], 1.5
    usual = statistics.median(sizes[-7:])
    spread = MAD_TO_SIGMA * statistics.median(abs(math.log(size / usual)) for size in sizes)
    return own / usual, math.exp(min(_DEVIATIONS * spread, 2.0))


def _size(node: Node) -> float | None:
    size = node.properties.get("size")
    return float(size) if isinstance(size, int | float) and not isinstance(size, bool) and size > 0 else None


def check_rates(checks: Sequence[Node]) -> dict[str, tuple[int, int]]:
    """By name of a check: how often it failed, and how often it was made."""
    found: dict[str, tuple[int, int]] = {}
    for node in checks:
        failed = check_failed(node)
        if failed is not None:
            bad, all_of = found.get(node.name, (0, 0))
            found[node.name] = (bad + failed, all_of + 1)
    return found


def check_failed(check: Node) -> bool | None:
    """Whether a check failed; None where it does not say."""
    status = check.properties.get("status")
    return True if status in BAD else False if status in GOOD else None
