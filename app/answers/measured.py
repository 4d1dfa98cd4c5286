"""What was measured of versions and runs, on which data, with which setup: read from the graph."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from app.answers.leaderboard import Entry, Measurement
from app.lineage.closure import classes
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Moment, Node, Spaces, Step
from graph_schema.wording import a_or_an

#: Versions or runs on one board, and runs beside them that may differ in their seed only.
MAX_ENTRIES, MAX_RUNS = 1_000, 5_000
_MAX_HOPS = 6
_EVALUATION = re.compile(r"eval|test|valid|hold.?out|\bdev\b|bench", re.IGNORECASE)
#: What a parameter is called that only says where randomness starts.
SEED = re.compile(r"(?:^|[._/ -])(?:\w*seed(?:_?everything)?|random_?state|rng(?:_?state)?)$", re.IGNORECASE)
_CHILDREN = {NodeKind.MODEL: NodeKind.MODEL_VERSION, NodeKind.EXPERIMENT: NodeKind.RUN}
_TAKEN = (NodeKind.RUN, NodeKind.MODEL_VERSION, *_CHILDREN)


class Measured(msgspec.Struct, frozen=True):
    """Entries of a leaderboard, in the order asked for, and why some are missing."""

    entries: list[Entry]
    truncated_because: str | None


def measured(
    store: GraphStore, handles: Sequence[int], *, known_at: int | None = None, spaces: Spaces = None
) -> Measured:
    """What was measured of runs and model versions, of all versions of a model and all runs of an experiment.

    A run is measured on its inputs of an evaluation's kind (by their context: test, validation, holdout, …),
    without such on all its inputs. A model version is measured by the run that made it and by runs of the
    same experiment that evaluated it; of both, runs that differ only in a seed are read too. In a fixed
    number of store calls. Raises BadInput for other kinds.
    """
    return _Reader(store, Moment(known_at=known_at), spaces).read(handles)


def seed_of(params: Mapping[str, Any]) -> str | None:
    """The seeds that parameters name, in one text; None where they name none."""
    said = {key: str(value) for key, value in params.items() if SEED.search(key)}
    if len(said) == 1:
        return next(iter(said.values()))
    return ", ".join(f"{key}={said[key]}" for key in sorted(said)) or None


class _Reader:
    def __init__(self, store: GraphStore, moment: Moment, spaces: Spaces) -> None:
        self.store, self.moment, self.spaces = store, moment, spaces

    def read(self, handles: Sequence[int]) -> Measured:
        asked = self._nodes(handles)
        for node in asked.values():
            if node.kind not in _TAKEN:
                allowed = ", ".join(_TAKEN)
                raise BadInput(f"{node.id} is {a_or_an(node.kind)}; a leaderboard takes {allowed}")
        groups = [handle for handle in handles if handle in asked and asked[handle].kind in _CHILDREN]
        below = self._expand(groups, Direction.DOWNSTREAM, (EdgeKind.HAS,))
        found = self._nodes({step.dst for step in below})
        members: dict[int, list[int]] = defaultdict(list)
        for step in below:
            if step.dst in found and found[step.dst].kind is _CHILDREN[asked[step.src].kind]:
                members[step.src].append(step.dst)
        chosen = dict.fromkeys(
            place
            for handle in handles
            if handle in asked
            for place in (sorted(members[handle]) if asked[handle].kind in _CHILDREN else [handle])
        )
        known = {**found, **asked}
        entries = list(chosen)[:MAX_ENTRIES]
        reasons = []
        if len(chosen) > len(entries):
            reasons.append(f"only {MAX_ENTRIES:,} of {len(chosen):,} versions or runs were compared")
        makers = self._makers([h for h in entries if known[h].kind is NodeKind.MODEL_VERSION])
        own = {h: [h] if known[h].kind is NodeKind.RUN else sorted(makers[h].runs) for h in entries}
        runs, cut = self._families({run for listed in own.values() for run in listed})
        if cut:
            reasons.append(f"only {MAX_RUNS:,} runs of the same experiments were looked at")
        facts = self._facts(runs)
        alike: dict[str, list[int]] = defaultdict(list)
        readers: dict[str, list[int]] = defaultdict(list)
        for run, m in facts.items():
            if _unfinished(runs[run]) is not None:
                continue
            if m.seed is not None:
                alike[m.setup].append(run)
            for model in runs[run].properties.get("modelInputs") or ():
                readers[str(model)].append(run)
        done = []
        for handle in entries:
            made = [run for run in own[handle] if run in facts]
            mine = {run for run in made if _unfinished(runs[run]) is None}
            mine.update(*(alike[facts[run].setup] for run in tuple(mine) if facts[run].seed is not None))
            if handle in makers:
                mine.update(*(readers[model] for model in makers[handle].logged if model in readers))
            # A sweep holds the runs that measured; itself it measured nothing.
            if asked.get(handle) is None and known[handle].kind is NodeKind.RUN and not facts[handle].metrics:
                continue
            missing = None
            if not mine:
                missing = _unfinished(runs[made[0]]) if made else "which run made it is unknown"
            done.append(Entry(handle, [facts[run] for run in sorted(mine)], missing))
        return Measured(done, "; ".join(reasons) or None)

    # who measured --------------------------------------------------------------------------------------

    def _makers(self, versions: Sequence[int]) -> dict[int, _Makers]:
        """The runs that made versions, over registrations and copies, and their ids as logged models."""
        reached = {handle: {handle} for handle in versions}
        made: dict[int, set[int]] = defaultdict(set)
        frontier, seen = set(versions), set(versions)
        for _ in range(_MAX_HOPS):
            if not frontier:
                break
            expansion = self.store.expand(
                sorted(frontier), Direction.UPSTREAM, (EdgeKind.PRODUCED, EdgeKind.REGISTERED_AS),
                self.moment, self.spaces,
            )  # fmt: skip
            for step in expansion.steps:
                if step.kind is EdgeKind.PRODUCED:
                    made[step.dst].add(step.src)
            pairs = [(s.dst, s.src) for s in expansion.steps if s.kind is EdgeKind.REGISTERED_AS]
            pairs += [pair for s in expansion.same for pair in ((s.src, s.dst), (s.dst, s.src))]
            # What is the same thing may be registered in turn: twice is enough within one expansion.
            for near, far in [*pairs, *pairs]:
                for group in reached.values():
                    if near in group:
                        group.add(far)
            frontier = {far for _, far in pairs} - seen
            seen |= frontier
        every = self._nodes({h for group in reached.values() for h in group})
        return {
            version: _Makers(
                {run for h in group for run in made.get(h, ())},
                {
                    name.partition("=")[2]
                    for h in group
                    if h in every
                    for name in every[h].identifiers
                    if name.startswith("mlflow.logged_model=")
                },
            )
            for version, group in reached.items()
        }

    def _families(self, runs: Collection[int]) -> tuple[dict[int, Node], bool]:
        """Runs with all others of their experiments, and whether these were too many."""
        above = self._expand(runs, Direction.UPSTREAM, (EdgeKind.HAS,))
        parents = self._nodes({step.src for step in above})
        experiments = {h for h, node in parents.items() if node.kind is NodeKind.EXPERIMENT}
        below = self._expand(experiments, Direction.DOWNSTREAM, (EdgeKind.HAS,))
        others = sorted({step.dst for step in below}.difference(runs))
        nodes = self._nodes([*sorted(runs), *others[: max(0, MAX_RUNS - len(runs))]])
        known = {h: node for h, node in nodes.items() if node.kind is NodeKind.RUN}
        return known, len(runs) + len(others) > MAX_RUNS

    # what they measured --------------------------------------------------------------------------------

    def _facts(self, runs: Mapping[int, Node]) -> dict[int, Measurement]:
        kinds = (EdgeKind.INPUT_TO, EdgeKind.CODE_FOR)
        expansion = (
            self.store.expand(sorted(runs), Direction.UPSTREAM, kinds, self.moment, self.spaces)
            if runs
            else None
        )
        steps = [] if expansion is None else expansion.steps
        leader = classes({step.src for step in steps}, [] if expansion is None else expansion.same)
        contexts = self._contexts([step for step in steps if step.kind is EdgeKind.INPUT_TO])
        inputs: dict[int, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        code: dict[int, set[int]] = defaultdict(set)
        for step in steps:
            if step.kind is EdgeKind.INPUT_TO:
                inputs[step.dst][leader[step.src]].add(contexts.get(step.belief, ""))
            else:
                code[step.dst].add(leader[step.src])
        return {run: _measurement(node, inputs[run], code[run]) for run, node in runs.items()}

    def _contexts(self, steps: Sequence[Step]) -> dict[int, str]:
        beliefs = sorted({step.belief for step in steps})
        edges = self.store.edges(beliefs, known_at=self.moment.known_at) if beliefs else []
        return {b: str(e.properties.get("context") or "") for b, e in zip(beliefs, edges, strict=True)}

    # reading -------------------------------------------------------------------------------------------

    def _expand(
        self, handles: Collection[int], direction: Direction, kinds: Sequence[EdgeKind]
    ) -> list[Step]:
        if not handles:
            return []
        return self.store.expand(sorted(handles), direction, kinds, self.moment, self.spaces).steps

    def _nodes(self, handles: Iterable[int]) -> dict[int, Node]:
        asked = list(dict.fromkeys(handles))
        found = self.store.get(asked, known_at=self.moment.known_at, spaces=self.spaces) if asked else []
        return {node.handle: node for node in found if node is not None}


class _Makers(msgspec.Struct, frozen=True):
    runs: set[int]
    logged: set[str]


def _unfinished(run: Node) -> str | None:
    """Why what a run measured is not final; None where it is, or nobody says."""
    status = run.properties.get("status")
    if status in ("FAILED", "KILLED", "ABORTED"):
        return f"its run was {status.lower()}" if status != "FAILED" else "its run failed"
    return "its run has not ended" if status in ("RUNNING", "SCHEDULED") else None


def _measurement(run: Node, inputs: Mapping[int, set[str]], code: Collection[int]) -> Measurement:
    about = run.properties
    params: Mapping[str, Any] = about.get("params") or {}
    # An uncommitted change that nobody can name is like no other.
    changed = (about.get("diff") or f"run {run.handle}") if about.get("dirty") else None
    setup = {
        "params": sorted((key, str(value)) for key, value in params.items() if not SEED.search(key)),
        "data": sorted((data, *sorted(contexts)) for data, contexts in inputs.items()),
        "code": [str(commit) for commit in sorted(code)] or [f"run {run.handle}"],
        "changed": changed,
    }
    judged = {data for data, contexts in inputs.items() if any(map(_EVALUATION.search, contexts))}
    return Measurement(
        run=run.handle,
        metrics=_numbers(about.get("metrics")),
        data=frozenset(judged or inputs) or None,
        setup=msgspec.json.encode(setup).decode(),
        seed=seed_of(params),
        at=run.created_at or 0,
    )


def _numbers(metrics: Any) -> dict[str, float]:
    if not isinstance(metrics, Mapping):
        return {}
    return {
        str(name): float(value)
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value
    }
