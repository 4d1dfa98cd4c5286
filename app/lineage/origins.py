"""What two things came from, side by side: data, models, runs, code, runtime, shape of the lineage.

What both came from says nothing; of the rest, a node on the left is held against its counterpart on the
right: the version of the same data set or model, the run that is nearest, commits of the same repository.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from app.lineage import commits, differences, runtimes
from app.lineage.closure import classes
from app.lineage.commits import CommitRange
from app.lineage.differences import Difference
from app.lineage.sides import Side
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import parse
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Direction, Edge, Moment, Node, Spaces, Step
from graph_schema.wording import counted

#: Schemes that name content: where a version has none of them, nobody knows whether it differs.
_CONTENT = frozenset({"dvc.md5", "md5", "sha256"})
_PARENTS = {
    NodeKind.DATASET_VERSION: NodeKind.DATASET,
    NodeKind.MODEL_VERSION: NodeKind.MODEL,
    NodeKind.COMMIT: NodeKind.REPOSITORY,
    NodeKind.JOB_RUN: NodeKind.JOB,
    NodeKind.RUN: NodeKind.EXPERIMENT,
}
_TOLD_COMMITS = 3

_Role = tuple[str, str]
_Pair = tuple[list[int], list[int]]


class Told(NamedTuple):
    """What was found: differences in any order, and the commits between the code of both."""

    differences: list[Difference]
    code: list[CommitRange]


def told(store: GraphStore, left: Side, right: Side, *, known_at: Micros | None, spaces: Spaces) -> Told:
    """Hold what two sides came from against each other, in a fixed number of store calls and one for each
    step between two commits."""
    origins = _Origins(store, (left, right), known_at, spaces)
    found = [*origins.data(), *origins.stages(), *origins.versions(), *origins.runs(), *origins.runtime()]
    code, ranges = origins.code()
    if left.node.handle != right.node.handle:
        found += origins.shape()
    return Told([*found, *code], ranges)


class _Origins:
    def __init__(
        self, store: GraphStore, sides: tuple[Side, Side], known_at: Micros | None, spaces: Spaces
    ) -> None:
        self.store, self.sides, self.known_at, self.spaces = store, sides, known_at, spaces
        steps = [step for side in sides for step in side.flow.values()]
        same = [step for step in steps if step.kind is EdgeKind.SAME_AS]
        self.leader = classes({handle for side in sides for handle in side.hops}, same)
        reached = [{self.leader[handle] for handle in side.hops} for side in sides]
        self.common = reached[0] & reached[1]
        self.roots = {self.leader[side.node.handle] for side in sides}
        #: What only one of the sides came from, nearest first.
        self.only = [
            sorted(
                (h for h in side.hops if self.leader[h] not in self.common), key=lambda h: (side.hops[h], h)
            )
            for side in sides
        ]
        moment = Moment(known_at=known_at)
        # The code of one side may be history of the other: it brought data that both read.
        code = {step.src for step in steps if step.kind is EdgeKind.CODE_FOR}
        asked = sorted({*self.only[0], *self.only[1], *code})
        has = store.expand(asked, Direction.UPSTREAM, (EdgeKind.HAS,), moment, spaces).steps if asked else []
        self.nodes = self._read({*asked, *(step.src for step in has)})
        self.parents: dict[int, list[Node]] = defaultdict(list)
        for step in has:
            child, parent = self.nodes.get(step.dst), self.nodes.get(step.src)
            if child is not None and parent is not None and _PARENTS.get(child.kind) is parent.kind:
                self.parents[step.dst].append(parent)
        self.pairs = [
            pair for kind in (NodeKind.RUN, NodeKind.JOB_RUN) if (pair := self._nearest(kind)) is not None
        ]
        self.carriers = [
            {self.leader[side.node.handle], *(self.leader[pair[number]] for pair in self.pairs)}
            for number, side in enumerate(sides)
        ]

    def _read(self, handles: Iterable[int]) -> dict[int, Node]:
        asked = sorted(handles)
        found = self.store.get(asked, known_at=self.known_at, spaces=self.spaces) if asked else []
        return {node.handle: node for node in found if node is not None}

    def _nearest(self, kind: NodeKind) -> tuple[int, int] | None:
        """The run on each side that lies nearest, if it is one."""
        chosen: list[int] = []
        for side, only in zip(self.sides, self.only, strict=True):
            known = [h for h in only if h in self.nodes and self.nodes[h].kind is kind]
            near = [h for h in known if side.hops[h] == side.hops[known[0]]]
            if len({self.leader[h] for h in near}) != 1:
                return None
            chosen.append(near[0])
        return chosen[0], chosen[1]

    def _parent(self, handle: int) -> Node | None:
        return min(self.parents.get(handle, ()), key=lambda node: node.id, default=None)

    def _grouped(self, kind: NodeKind) -> dict[str, _Pair]:
        """What only one side came from, of a kind, by what it is a version of; the things compared aside."""
        groups: dict[str, _Pair] = defaultdict(lambda: ([], []))
        for number, only in enumerate(self.only):
            for handle in only:
                node = self.nodes.get(handle)
                if node is None or node.kind is not kind or self.leader[handle] in self.roots:
                    continue
                groups[self._name(node)][number].append(handle)
        return groups

    def _name(self, node: Node) -> str:
        """What a node is a version of, in words."""
        parent = self._parent(node.handle)
        if parent is not None:
            return parent.name
        if node.kind is NodeKind.DATASET_VERSION and isinstance(node.properties.get("path"), str):
            return str(node.properties["path"])
        for mark in ("@", ":"):
            head, found, _ = node.name.partition(mark)
            if found and head and head != "sha256":
                return head
        if node.kind is NodeKind.ARTIFACT and node.name.startswith("sha256:"):
            return "image"
        return node.name if node.kind is not NodeKind.DATASET_VERSION else ""

    # data and models -----------------------------------------------------------------------------------

    def data(self) -> Iterator[Difference]:
        """Versions of the same data set that differ; those made from others that differ come later."""
        follows = self._follows()
        for name, (a, b) in self._grouped(NodeKind.DATASET_VERSION).items():
            if not name and a and b and len(a) + len(b) > 2:
                # Without names nothing says which of them are versions of one thing.
                yield from self._data("unnamed (left)", (a, []), follows)
                yield from self._data("unnamed (right)", ([], b), follows)
            else:
                yield from self._data(name or "unnamed", (a, b), follows)

    def _data(self, name: str, pair: _Pair, follows: set[int]) -> Iterator[Difference]:
        told = [h for handles in pair for h in handles]
        weight, more = differences.DATA, ""
        if all(self.leader[h] in follows for h in told):
            weight, more = differences.FOLLOWS, ", as what it was made from differs"
        elif not any(_has_content(self.nodes[h]) for h in told):
            weight = differences.UNKNOWN_CONTENT
            more = "; whether the content differs nobody says"
        yield self._of(f"data.{name}", f"data {name}", pair, weight, more)

    def _follows(self) -> set[int]:
        """Classes of what was made, over whatever steps, from data that only one side came from."""
        found: set[int] = set()
        for side, only in zip(self.sides, self.only, strict=True):
            after: dict[int, set[int]] = defaultdict(set)
            for step in side.flow.values():
                if step.kind is not EdgeKind.SAME_AS:
                    after[self.leader[step.src]].add(self.leader[step.dst])
            pending = [
                self.leader[h]
                for h in only
                if h in self.nodes and self.nodes[h].kind is NodeKind.DATASET_VERSION
            ]
            while pending:
                for other in after[pending.pop()] - found:
                    found.add(other)
                    pending.append(other)
        return found

    def versions(self) -> Iterator[Difference]:
        """Versions of the same model, and what else was packaged, that differ."""
        for name, pair in self._grouped(NodeKind.MODEL_VERSION).items():
            registered: _Pair = ([], [])
            for number in (0, 1):
                registered[number].extend(h for h in pair[number] if self._parent(h) is not None)
            if any(registered):
                yield self._of(f"model.{name}", f"model {name}", registered, differences.MODEL, "")
        for name, pair in self._grouped(NodeKind.ARTIFACT).items():
            yield self._of(f"artifact.{name}", f"artifact {name}", pair, differences.OTHER, "")

    def _of(self, path: str, what: str, pair: _Pair, weight: float, more: str) -> Difference:
        nodes = [tuple(self.nodes[h] for h in handles) for handles in pair]
        a, b = (", ".join(node.name for node in side) or None for side in nodes)
        if a is None or b is None:
            text = f"only the {'right' if a is None else 'left'} side goes back to {what}: {a or b}"
        else:
            text = f"{what} changed from {a} to {b}{more}"
        return Difference(path, a, b, weight, text, nodes[0], nodes[1])

    def stages(self) -> Iterator[Difference]:
        """Parameters of the stages that made the data."""
        stages: list[dict[str, Any]] = []
        for side, only in zip(self.sides, self.only, strict=True):
            wanted = set(only)
            made = [s for s in side.flow.values() if s.kind is EdgeKind.DERIVED_INTO and s.dst in wanted]
            found: dict[str, Any] = {}
            for edge in self._edges(made):
                for values in (edge.properties.get("params") or {}).values():
                    if isinstance(values, Mapping):
                        found.update({f"{key}": value for key, value in values.items()})
            stages.append(found)
        a, b = stages
        both = a.keys() & b.keys()
        yield from differences.of_values(
            {key: a[key] for key in both}, {key: b[key] for key in both}, "params.", differences.PARAMETER
        )

    def _edges(self, steps: Sequence[Step]) -> list[Edge]:
        beliefs = sorted({step.belief for step in steps})
        return self.store.edges(beliefs, known_at=self.known_at) if beliefs else []

    # runs and what they ran on -------------------------------------------------------------------------

    def runs(self) -> Iterator[Difference]:
        """What the nearest run on each side says of itself, where it is not what is compared anyway."""
        for a, b in self.pairs:
            if self.leader[a] not in self.roots or self.leader[b] not in self.roots:
                left, right = self.nodes[a], self.nodes[b]
                prefix = "run." if left.kind is NodeKind.RUN else "jobRun."
                yield from differences.of_properties(left.properties, right.properties, prefix)

    def runtime(self) -> Iterator[Difference]:
        """Interpreter, packages, hardware; of two runtimes all but packages is their own properties."""
        left, right = (side.node for side in self.sides)
        if left.kind is right.kind is NodeKind.RUNTIME:
            packages = runtimes.packages_of(left), runtimes.packages_of(right)
            yield from differences.of_values(*packages, "packages.", differences.RUNTIME)
            return
        found = [self._behind(number, EdgeKind.RUNTIME_OF) for number in (0, 1)]
        held = [[step.src for step in steps] for steps in found]
        classes_of = [{self.leader[h] for h in handles} for handles in held]
        if classes_of[0] == classes_of[1]:
            return
        known = self._read({h for handles in held for h in handles} - self.nodes.keys())
        nodes = [
            [self.nodes.get(h) or known[h] for h in dict.fromkeys(handles) if h in self.nodes or h in known]
            for handles in held
        ]
        yield from runtimes.compared(nodes[0], nodes[1])

    def _behind(self, number: int, kind: EdgeKind) -> list[Step]:
        """Steps of a kind into the thing itself or its run; if there are none, the nearest."""
        side = self.sides[number]
        steps = sorted(
            (s for s in side.flow.values() if s.kind is kind), key=lambda s: (side.hops[s.src], s.src)
        )
        direct = [s for s in steps if self.leader[s.dst] in self.carriers[number]]
        return direct or [s for s in steps if side.hops[s.src] == side.hops[steps[0].src]]

    # code ----------------------------------------------------------------------------------------------

    def code(self) -> tuple[list[Difference], list[CommitRange]]:
        """Commits of the same repository that differ, with those between them, and uncommitted changes."""
        steps = [self._behind(number, EdgeKind.CODE_FOR) for number in (0, 1)]
        found = self._dirty(steps)
        groups: dict[str, _Pair] = defaultdict(lambda: ([], []))
        ran = [{self.leader[step.src] for step in listed} for listed in steps]
        for number, listed in enumerate(steps):
            for step in listed:
                if step.src in self.nodes and self.leader[step.src] not in ran[1 - number]:
                    parent = self._parent(step.src)
                    groups["" if parent is None else parent.name][number].append(step.src)
        if "" in groups and len(groups) == 2:
            # A commit that no repository has been read for: most likely one of this, the only other.
            (name,) = groups.keys() - {""}
            for number, handles in enumerate(groups.pop("")):
                groups[name][number].extend(handles)
        ranges: list[CommitRange] = []
        brought = self._bringers()
        for name, (a, b) in sorted(groups.items()):
            path = f"code.{name}" if name else "code"
            left, right = ([self.nodes[h] for h in dict.fromkeys(handles)] for handles in (a, b))
            if not left or not right:
                found.append(
                    self._of(path, "code" + f" of {name}" * bool(name), (a, b), differences.CODE, "")
                )
                continue
            between = commits.between(
                self.store, left[0], right[0], repository=self._parent(left[0].handle),
                known_at=self.known_at, spaces=self.spaces,
            )  # fmt: skip
            ranges.append(between)
            crossed = [node.handle for node in (*between.added, *between.removed)]
            only_data = bool(crossed) and between.complete and brought.issuperset(crossed)
            weight = differences.OUTCOME if only_data else differences.CODE
            text = _told(between) + ("; each of them brought data" if only_data else "")
            found.append(
                Difference(path, left[0].name, right[0].name, weight, text, tuple(left), tuple(right))
            )
        return found, ranges

    def _bringers(self) -> set[int]:
        """Commits that introduced data which only one side came from."""
        return {
            step.src
            for side, only in zip(self.sides, self.only, strict=True)
            for step in side.flow.values()
            if step.kind is EdgeKind.INTRODUCED and step.dst in set(only)
        }

    def _dirty(self, steps: Sequence[Sequence[Step]]) -> list[Difference]:
        """Whether, and how, the tree differed from its commit."""
        said = []
        for number, listed in enumerate(steps):
            facts: dict[str, Any] = {}
            for edge in self._edges(listed):
                facts.update({k: v for k, v in edge.properties.items() if k in ("dirty", "diff")})
            about = self.sides[number].node.properties
            facts = {**{k: about[k] for k in ("dirty", "diff") if k in about}, **facts}
            said.append(facts)
        a, b = said
        if a.get("dirty") != b.get("dirty"):
            text = " and ".join(
                f"the {side} one ran {_STATE[facts.get('dirty')]}"
                for side, facts in zip(("left", "right"), said, strict=True)
            )
            return [Difference("code.dirty", a.get("dirty"), b.get("dirty"), differences.METRIC, text)]
        if a.get("dirty") and a.get("diff") != b.get("diff"):
            text = "both ran with uncommitted changes, and with different ones"
            return [Difference("code.diff", a.get("diff"), b.get("diff"), differences.METRIC, text)]
        return []

    # shape ---------------------------------------------------------------------------------------------

    def shape(self) -> Iterator[Difference]:
        """How often each kind of edge is there between different things, where that differs."""
        seen: list[dict[str, set[tuple[_Role, _Role]]]] = []
        for side in self.sides:
            drawn: dict[str, set[tuple[_Role, _Role]]] = defaultdict(set)
            for step in side.flow.values():
                a, b = side.labels.get(step.src), side.labels.get(step.dst)
                # Which commit brought data is history, and no part of how a thing was made.
                if step.kind in (EdgeKind.SAME_AS, EdgeKind.INTRODUCED) or a is None or b is None:
                    continue
                drawn[f"{a.kind} {step.kind} {b.kind}"].add((self._role(step.src), self._role(step.dst)))
            seen.append(drawn)
        before, after = ({drawn: len(roles) for drawn, roles in each.items()} for each in seen)
        for name in sorted(before.keys() | after.keys()):
            fewer, more = before.get(name, 0), after.get(name, 0)
            if fewer != more:
                text = f"{name}: {counted(fewer, 'edge')} on the left, {more:,} on the right"
                yield Difference(f"structure.{name}", fewer, more, differences.STRUCTURE, text)

    def _role(self, handle: int) -> _Role:
        """What a node is in its lineage, the same for a node and its counterpart."""
        if self.leader[handle] in self.common:
            return ("same", str(self.leader[handle]))
        node = self.nodes.get(handle)
        if node is None:
            return ("unread", "")
        if self.leader[handle] in self.roots:
            return ("root", "")
        if node.kind in (NodeKind.DATASET_VERSION, NodeKind.MODEL_VERSION, NodeKind.COMMIT):
            parent = self._parent(handle)
            named = self._name(node) if node.kind is not NodeKind.COMMIT else parent.name if parent else ""
            return (node.kind, named)
        return (node.kind, "")


_STATE = {
    True: "with uncommitted changes",
    False: "as it was committed",
    None: "with or without uncommitted changes, nobody says",
}


def _has_content(node: Node) -> bool:
    return any(parse(name).scheme in _CONTENT for name in node.identifiers)


def _told(between: CommitRange) -> str:
    """``2 commits later: 67c54e3 Refuse …; c0f0add Extract …``"""
    if not between.complete:
        return "no common history was found within the limits"
    said = []
    for number, listed, word in (
        (between.added_count, between.added, "later"),
        (between.removed_count, between.removed, "earlier"),
    ):
        if number:
            names = "; ".join(node.name for node in listed[:_TOLD_COMMITS])
            more = f"; and {number - _TOLD_COMMITS:,} more" if number > _TOLD_COMMITS else ""
            both = between.added_count and between.removed_count
            side = "right" if word == "later" else "left"
            where = f" only on the {side}" if both else f" {word}"
            said.append(f"{counted(number, 'commit')}{where}: {names}{more}")
    return "; ".join(said) or "the same history"
