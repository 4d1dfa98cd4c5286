"""What became of runs, job runs, checks and deployments, and what each of them bore: read from the graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from app.answers.correlations import Fact, facts_of_values
from app.lineage.closure import classes
from app.lineage.runtimes import packages_of
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Filter, Moment, Node, Order, Ordering, Spaces, Step
from graph_schema.wording import a_or_an

#: Subjects that one question looks at, the newest first; where there are more, the answer says so.
MAX_SUBJECTS = 5_000
#: How far upstream data and models count as borne by a subject, and how many nodes are looked at.
MAX_HOPS, MAX_REACHED = 8, 50_000

GOOD = frozenset({"FINISHED", "COMPLETE", "PASSED", "SUCCEEDED", "READY"})
BAD = frozenset({"FAILED", "ERROR"})
KINDS = (NodeKind.RUN, NodeKind.JOB_RUN, NodeKind.CHECK, NodeKind.DEPLOYMENT)
#: Settings beside the parameters. Who ran it is left out: people are not findings.
_SETTINGS = ("host", "script", "branch", "dirty")
_RUNTIME = ("python", "image", "gpus", "machine", "platform")
_NODES = {
    NodeKind.DATASET_VERSION: "data",
    NodeKind.MODEL_VERSION: "model",
    NodeKind.COMMIT: "commit",
    NodeKind.RUNTIME: "runtime",
}
_PARENTS = {NodeKind.JOB: "job", NodeKind.EXPERIMENT: "experiment"}


def failed_run(node: Node) -> bool:
    """Whether a node is a run or job run that failed."""
    return node.kind in (NodeKind.RUN, NodeKind.JOB_RUN) and node.properties.get("status") in BAD


class Outcomes(msgspec.Struct, frozen=True, kw_only=True):
    """``subjects`` are nodes whose outcome is known, the newest first, ``failed`` is aligned with them;
    ``facts`` says which of them (positions) bear what. ``left_out`` counts those without an outcome."""

    subjects: list[Node]
    failed: list[bool]
    facts: dict[Fact, list[int]]
    left_out: int
    truncated_because: str | None = None


def outcomes(
    store: GraphStore,
    kind: NodeKind = NodeKind.RUN,
    where: Sequence[Filter] = (),
    *,
    known_at: int | None = None,
    spaces: Spaces = None,
) -> Outcomes:
    """Read subjects of a kind, how each ended, and what each bore.

    A run, job run or check failed or not by its status; what is still going on or was stopped is left out. A
    deployment failed if an incident has it as implicated. The number of store calls does not depend on how
    many subjects there are. Raises BadInput for a kind that has no outcome.
    """
    if kind not in KINDS:
        raise BadInput(f"{a_or_an(kind)} has no outcome to go with; allowed are {', '.join(KINDS)}")
    newest = Ordering(Order.CREATED_AT, descending=True)
    page = store.find(kind, where, newest, MAX_SUBJECTS, known_at=known_at, spaces=spaces)
    moment = Moment(known_at=known_at)
    if kind is NodeKind.DEPLOYMENT:
        implicated = _implicated(store, [node.handle for node in page.items], moment, spaces)
        ended = [(node, node.handle in implicated) for node in page.items]
    else:
        ended = [
            (node, status in BAD)
            for node in page.items
            if (status := node.properties.get("status")) in GOOD or status in BAD
        ]
    subjects = [node for node, _ in ended]
    bearers = list(enumerate(subjects))
    around = _Around({}, [], False)
    reasons = []
    if subjects:
        around = _around(store, subjects, kind, moment, spaces)
        if around.cut:
            reasons.append(f"only {MAX_REACHED:,} things upstream were looked at")
    if page.next is not None:
        reasons.append(f"only the newest {MAX_SUBJECTS:,} were looked at: narrow with where")
    return Outcomes(
        subjects=subjects,
        failed=[bad for _, bad in ended],
        facts={**_own([*bearers, *around.runs]), **around.facts},
        left_out=len(page.items) - len(subjects),
        truncated_because="; ".join(reasons) or None,
    )


def _implicated(store: GraphStore, handles: Sequence[int], moment: Moment, spaces: Spaces) -> set[int]:
    if not handles:
        return set()
    kinds = (EdgeKind.IMPLICATED_IN,)
    return {step.src for step in store.expand(handles, Direction.DOWNSTREAM, kinds, moment, spaces).steps}


def _own(bearers: Iterable[tuple[int, Node]]) -> dict[Fact, list[int]]:
    """Parameters and settings, by subject (position); the first that says something counts."""
    values: dict[tuple[str, str], dict[int, Any]] = defaultdict(dict)
    for place, node in bearers:
        for name, value in _flat("", node.properties.get("params") or {}):
            values["parameter", name].setdefault(place, value)
        for name in _SETTINGS:
            if node.properties.get(name) is not None:
                values["setting", name].setdefault(place, node.properties[name])
    facts: dict[Fact, list[int]] = {}
    for (kind, name), held in values.items():
        facts.update(facts_of_values(kind, name, held))
    return facts


def _flat(prefix: str, values: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(values, Mapping):
        return
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{key}.", value)
        elif value is not None:
            yield f"{prefix}{key}", value


class _Around(msgspec.Struct, frozen=True):
    """Facts from what lies around; for deployments the runs behind them, by position; whether it was cut."""

    facts: dict[Fact, list[int]]
    runs: list[tuple[int, Node]]
    cut: bool


def _around(
    store: GraphStore, subjects: Sequence[Node], kind: NodeKind, moment: Moment, spaces: Spaces
) -> _Around:
    """What lies upstream, and what the subjects belong to. Which subjects reach a node is a bit mask."""
    masks = {node.handle: 1 << place for place, node in enumerate(subjects)}
    direct = dict(masks)
    steps: list[Step] = []
    same: list[Step] = []
    cut = False
    frontier = sorted(masks)
    for hop in range(MAX_HOPS):
        if not frontier:
            break
        expansion = store.expand(frontier, Direction.UPSTREAM, FLOW_KINDS, moment, spaces)
        steps += expansion.steps
        same += expansion.same
        grown = _spread(masks, expansion.steps, expansion.same)
        if hop == 0:
            direct = {step.src: masks[step.src] for step in expansion.steps if step.src in masks}
        frontier = sorted(grown)
        if len(masks) > MAX_REACHED:
            cut = True
            break
    has = store.expand(
        [n.handle for n in subjects], Direction.UPSTREAM, (EdgeKind.HAS,), moment, spaces
    ).steps
    owned: dict[int, int] = defaultdict(int)
    for step in has:
        owned[step.src] |= masks.get(step.dst, 0)
    above = store.expand(sorted(owned), Direction.UPSTREAM, (EdgeKind.HAS,), moment, spaces).steps
    for step in above:
        owned[step.src] |= owned.get(step.dst, 0)
    # A deployment is not what was trained: its code, runtime and parameters lie further up.
    deep = kind is NodeKind.DEPLOYMENT
    themselves = {node.handle for node in subjects}
    reached = {handle: mask for handle, mask in masks.items() if handle not in themselves}
    leader = classes(reached, same)
    nodes = _read(store, {*reached, *owned}, moment, spaces)
    named = _versions_of(store, nodes, reached, moment, spaces)
    code = {step.src for step in steps if step.kind is EdgeKind.CODE_FOR}
    facts: dict[Fact, int] = defaultdict(int)
    runs: list[tuple[int, Node]] = []
    for handle, mask in reached.items():
        node = nodes.get(handle)
        if node is None or (leader[handle] != handle and leader[handle] in nodes):
            continue
        if node.kind in (NodeKind.DATASET_VERSION, NodeKind.MODEL_VERSION):
            facts[Fact(_NODES[node.kind], named.get(handle, ""), node.name, handle)] |= mask
        elif node.kind in (NodeKind.COMMIT, NodeKind.RUNTIME) and (deep or handle in direct):
            mask = mask if deep else direct[handle]
            if node.kind is NodeKind.COMMIT and handle in code:
                facts[Fact("commit", "", node.name, handle)] |= mask
            elif node.kind is NodeKind.RUNTIME:
                facts[Fact("runtime", "", f"{node.name} ({node.id[:18]})", handle)] |= mask
                for name, value in _parts(node):
                    facts[Fact("runtime", name, f"= {value}")] |= mask
        elif node.kind is NodeKind.RUN and deep:
            runs += [(place, node) for place in _places(mask)]
    for handle, mask in owned.items():
        node = nodes.get(handle)
        if node is not None and node.kind in _PARENTS:
            facts[Fact(_PARENTS[node.kind], "", node.name, handle)] |= mask
    return _Around({fact: _places(mask) for fact, mask in facts.items()}, runs, cut)


def _spread(masks: dict[int, int], steps: Iterable[Step], same: Sequence[Step]) -> set[int]:
    """Hand the subjects that reach a node on to what lies upstream of it; returns what gained some."""
    grown: set[int] = set()

    def give(handle: int, mask: int) -> bool:
        held = masks.get(handle, 0)
        if held | mask == held:
            return False
        masks[handle] = held | mask
        grown.add(handle)
        return True

    for step in steps:
        give(step.src, masks.get(step.dst, 0))
    again = bool(same)
    while again:
        again = False
        for step in same:
            again |= give(step.src, masks.get(step.dst, 0))
            again |= give(step.dst, masks.get(step.src, 0))
    return grown


def _read(store: GraphStore, handles: Iterable[int], moment: Moment, spaces: Spaces) -> dict[int, Node]:
    found = store.get(sorted(handles), known_at=moment.known_at, spaces=spaces)
    return {node.handle: node for node in found if node is not None}


def _versions_of(
    store: GraphStore, nodes: Mapping[int, Node], reached: Iterable[int], moment: Moment, spaces: Spaces
) -> dict[int, str]:
    """What versions are versions of: the data set's or model's name."""
    wanted = {NodeKind.DATASET_VERSION: NodeKind.DATASET, NodeKind.MODEL_VERSION: NodeKind.MODEL}
    asked = sorted(h for h in reached if h in nodes and nodes[h].kind in wanted)
    steps = store.expand(asked, Direction.UPSTREAM, (EdgeKind.HAS,), moment, spaces).steps if asked else []
    labels = {
        label.handle: label
        for label in store.labels(sorted({step.src for step in steps}), known_at=moment.known_at)
    }
    named: dict[int, str] = {}
    for step in sorted(steps, key=lambda s: labels[s.src].id):
        if step.dst in nodes and labels[step.src].kind is wanted.get(nodes[step.dst].kind):
            named.setdefault(step.dst, labels[step.src].name)
    return named


def _parts(runtime: Node) -> Iterator[tuple[str, str]]:
    """What a runtime is made of: two that differ in one package share all others."""
    for name in _RUNTIME:
        value = runtime.properties.get(name)
        if value:
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    for name, version in packages_of(runtime).items():
        if version:
            yield name, version


def _places(mask: int) -> list[int]:
    """The positions of the bits that are set."""
    places = []
    while mask:
        lowest = mask & -mask
        places.append(lowest.bit_length() - 1)
        mask ^= lowest
    return places
