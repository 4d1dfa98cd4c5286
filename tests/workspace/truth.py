"""The graph that Kinlore must hold after ingesting the churn project, computed from the tools themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.workspace import truth_code as code
from tests.workspace import truth_runs as runs
from tests.workspace.truth_code import Edge, History
from tests.workspace.truth_runs import Tracking
from tests.workspace.workspace import Project

KIND_OF_SCHEME = {
    "git.remote": "Repository",
    "git.sha": "Commit",
    "dataset": "Dataset",
    "dvc.md5": "DatasetVersion",
    "mlflow.experiment_id": "Experiment",
    "mlflow.run_id": "Run",
    "mlflow.model": "Model",
    "mlflow.model_version": "ModelVersion",
    "mlflow.logged_model": "ModelVersion",
    "runtime": "Runtime",
}
Node = tuple[str, frozenset[str]]
"""(kind, all its identifiers, each as `scheme=value` or `scheme@scope=value`)."""


@dataclass(frozen=True)
class Truth:
    """What must be in the graph, and what must be said about it."""

    nodes: frozenset[Node]
    edges: frozenset[Edge]
    aliases: dict[str, frozenset[str]] = field(default_factory=dict)
    """Current aliases of the model versions that have any."""
    statuses: dict[str, str] = field(default_factory=dict)
    """What each run ended as, in MLflow's words."""
    gone: frozenset[str] = frozenset()
    """Identifiers of what is in the graph but no longer at its source."""
    stubs: frozenset[str] = frozenset()
    """Identifiers of what is only referred to."""

    def counts(self) -> dict[str, int]:
        """How many of each kind of node and edge, for people."""
        kinds = Counter(kind for kind, _ in self.nodes) + Counter(kind for _, kind, _ in self.edges)
        return dict(sorted(kinds.items()))

    def upstream(self, start: str) -> frozenset[str]:
        """Everything that flows into `start`, structure left aside."""
        seen, todo = {start}, [start]
        while todo:
            head = todo.pop()
            for tail, kind, at in self.edges:
                if at == head and kind not in ("HAS", "PRECEDES") and tail not in seen:
                    seen.add(tail)
                    todo.append(tail)
        return frozenset(seen - {start})

    def after(self, earlier: Truth) -> Truth:
        """This truth for a graph that held `earlier` before.

        "Gone at the source is a fact about the node and withdraws nothing: its edges stay and are walked".
        """
        vanished = _named(earlier.nodes) - _named(self.nodes)
        # A commit that a run still cites is a node of the present truth as well, but no longer of git.
        vanished |= self.stubs - earlier.stubs
        return Truth(
            self.nodes | earlier.nodes,
            self.edges | earlier.edges,
            self.aliases,
            {**earlier.statuses, **self.statuses},
            self.gone | earlier.gone | vanished,
            self.stubs - _named(earlier.nodes) | earlier.stubs - _named(self.nodes),
        )


def truth(project: Project, mlflow_url: str) -> Truth:
    """All nodes and edges of the sources git, dvc and mlflow (named `tracking`) together."""
    history, tracking = History(project), runs.ask_mlflow(project, mlflow_url)
    edges = frozenset(_edges(history, tracking))
    stated = frozenset(_stated(history, tracking))
    mentioned = frozenset(end for tail, _, head in edges for end in (tail, head))
    aliases: dict[str, set[str]] = {}
    for each in tracking["models"]:
        for alias, number in each["aliases"].items():
            aliases.setdefault(runs.version(each["name"], int(number)), set()).add(alias)
    return Truth(
        nodes=frozenset((_kind(name), _names(name)) for name in stated | mentioned),
        edges=edges,
        aliases={name: frozenset(values) for name, values in aliases.items()},
        statuses={runs.run_id(each["id"]): each["status"] for each in tracking["runs"]},
        gone=frozenset(_deleted(tracking)),
        stubs=mentioned - stated,
    )


def _edges(history: History, tracking: Tracking) -> Iterator[Edge]:
    for family in (
        code.repository_has_commits,
        code.commits_precede,
        code.datasets_have_versions,
        code.commits_introduced,
        code.versions_derived,
        code.versions_precede,
    ):
        yield from family(history)
    for from_mlflow in (
        runs.commits_code_for_runs,
        runs.experiments_have_runs,
        runs.runs_have_runs,
        runs.runs_produced_models,
        runs.logged_registered_as,
        runs.models_have_versions,
        runs.model_versions_precede,
        runs.runtimes_of_runs,
    ):
        yield from from_mlflow(tracking)
    yield from runs.versions_input_to_runs(tracking, history)


def _stated(history: History, tracking: Tracking) -> Iterator[str]:
    """What a source describes itself, and does not merely refer to."""
    yield code.repository(history)
    for commit in history.commits:
        yield code.sha(commit)
        for path, md5 in history.held(commit).items():
            yield code.dataset(history, path)
            yield code.data(md5)
        for stage in history.stages(commit):
            yield from (
                code.data(each["md5"]) for each in stage["deps"] if each["path"] not in history.files(commit)
            )
    yield from (runs.experiment_id(each["id"]) for each in tracking["experiments"])
    yield from (runs.run_id(each["id"]) for each in tracking["runs"])
    yield from (runs.logged(each["id"]) for each in tracking["logged_models"])
    yield from (runs.model(each["name"]) for each in tracking["models"])
    yield from (runs.version(each["name"], each["version"]) for each in tracking["model_versions"])
    yield from (
        runs.runtime(each["environment"]) for each in tracking["logged_models"] if each["environment"]
    )


def _deleted(tracking: Tracking) -> Iterator[str]:
    """Deleted in MLflow, whose answers still have it: `lifecycle_stage` says so."""
    yield from (runs.run_id(each["id"]) for each in tracking["runs"] if each["gone"])
    yield from (runs.experiment_id(each["id"]) for each in tracking["experiments"] if each["gone"])


def _names(name: str) -> frozenset[str]:
    """All identifiers of a node: DVC 3 writes the plain md5 of a file, which names the same content."""
    scheme, _, value = name.partition("=")
    if scheme == "dvc.md5" and not value.endswith(".dir"):
        return frozenset({name, f"md5@dataset_version={value}"})
    return frozenset({name})


def _kind(name: str) -> str:
    return KIND_OF_SCHEME[name.split("=", 1)[0].split("@", 1)[0]]


def _named(nodes: Iterable[Node]) -> frozenset[str]:
    return frozenset(name for _, names in nodes for name in names)
