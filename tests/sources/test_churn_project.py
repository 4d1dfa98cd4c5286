"""The churn project, made with the real git, DVC and MLflow: the graph equals what the tools themselves say.

One project for all tests of this module, because it takes the tools most of a minute to make it. The tests
run in the order in which they stand: the source is changed between the first and the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from app.lineage.walk import lineage
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Node
from ingestors.loop import ingest
from ingestors.registry import build as build_source
from ingestors.report import Report
from tests.contract.conftest import chosen_engines
from tests.contract.harness import Clock, clean_neo4j, open_neo4j, open_sqlite
from tests.tool_venvs import MLflowServer
from tests.workspace import changes
from tests.workspace.project import build
from tests.workspace.tools import Tools
from tests.workspace.truth import Truth, truth
from tests.workspace.truth_runs import version
from tests.workspace.workspace import Project

pytestmark = pytest.mark.timeout(900)

SOURCES = ("git", "dvc", "mlflow")
ORDERS = tuple(permutations(SOURCES))


@pytest.fixture(scope="module")
def tracking(mlflow_tool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    """A tracking server with nothing but this project's runs."""
    with MLflowServer(tmp_path_factory.mktemp("tracking")) as server:
        yield server


@pytest.fixture(scope="module")
def project(tracking: MLflowServer, dvc_tool: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project as it stands before anything is changed."""
    return build(tmp_path_factory.mktemp("work") / "churn", Tools.installed(), tracking.url)


@pytest.fixture(scope="module")
def told(project: Project, tracking: MLflowServer) -> Truth:
    """What the tools say of it."""
    return truth(project, tracking.url)


@pytest.fixture(scope="module")
def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, GraphStore]]:
    """One store of each engine, kept from test to test: the source changes under both at once."""
    opened: dict[str, GraphStore] = {}
    for engine in chosen_engines():
        if engine == "neo4j":
            server = request.getfixturevalue("neo4j_server")
            clean_neo4j(server)
            opened[engine] = open_neo4j(server, Clock())
        else:
            opened[engine] = open_sqlite(tmp_path_factory.mktemp("store") / "kinlore.db", Clock())
        opened[engine].migrate()
    yield opened
    for each in opened.values():
        each.close()


def configs(project: Project) -> dict[str, dict[str, Any]]:
    """The three sources as kinlore.toml would name them."""
    folder = str(project.folder)
    return {
        "git": {"type": "git", "name": "code", "path": folder},
        "dvc": {"type": "dvc", "name": "data", "path": folder},
        "mlflow": {"type": "mlflow", "name": "tracking", "tracking_uri": project.mlflow_url},
    }


def pull(
    store: GraphStore, project: Project, order: tuple[str, ...] = SOURCES, *, full: bool = False
) -> dict[str, Report]:
    """Ingest the three sources in an order."""
    known = configs(project)
    return {
        name: ingest(store, build_source(known[name], project.folder), full=full, accept_retirement=True)
        for name in order
    }


def nodes_in(store: GraphStore) -> list[Node]:
    """Every node of the graph."""
    found: list[Node] = []
    for kind in NodeKind:
        page = store.find(kind, first=500)
        found.extend(page.items)
        while page.next is not None:
            page = store.find(kind, first=500, after=page.next)
            found.extend(page.items)
    return found


def assert_equals(store: GraphStore, told: Truth) -> None:
    """The graph is the truth, to the last node and edge, in both directions."""
    nodes = nodes_in(store)
    steps = store.expand([n.handle for n in nodes], Direction.DOWNSTREAM, list(EdgeKind)).steps
    edges = {(e.src, e.kind.value, e.dst) for e in store.edges([s.belief for s in steps])}
    by_name = {name: n for n in nodes for name in n.identifiers}

    assert {(n.kind.value, frozenset(n.identifiers)) for n in nodes} == set(told.nodes)
    assert edges == set(told.edges)
    assert set(told.stubs) == {n.id for n in nodes if n.stub}
    assert {n.id for n in nodes if n.gone_at is not None} == set(told.gone)
    for run, status in told.statuses.items():
        assert by_name[run].properties["status"] == status
    versions = (n for n in nodes if n.kind is NodeKind.MODEL_VERSION and n.properties.get("aliases"))
    aliases = {n.id: frozenset(n.properties["aliases"]) for n in versions}
    assert aliases == told.aliases


def upstream(store: GraphStore, start: str) -> set[str]:
    """Everything that the service says flows into a node."""
    (handle,) = store.resolve(start)
    walk = lineage(store, handle, Direction.UPSTREAM, max_hops=50, edge_kinds=FLOW_KINDS, first=50_000)
    assert walk.complete
    return {label.id for label in walk.labels} - {start}


def test_both_extracts_have_one_mlflow_digest(project: Project, told: Truth) -> None:
    """The trap that this project is built around, or nothing below would mean much."""
    digests: dict[str, set[str]] = {}
    for run in project.runs.values():
        answer = project.mlflow("GET", "runs/get", {"run_id": run})["run"]
        for used in answer.get("inputs", {}).get("dataset_inputs", []):
            for tag in used["tags"]:
                if tag["key"] == "dvc.md5":
                    digests.setdefault(used["dataset"]["digest"], set()).add(tag["value"])
    assert any(len(md5s) > 1 for md5s in digests.values()), digests


def test_the_graph_is_what_the_tools_say(
    stores: dict[str, GraphStore], project: Project, told: Truth
) -> None:
    for store in stores.values():
        reports = pull(store, project)

        assert all(report.error is None and report.dead_letters == 0 for report in reports.values())
        assert_equals(store, told)
    assert len({store.digest() for store in stores.values()}) == 1


def test_pulling_again_changes_nothing(stores: dict[str, GraphStore], project: Project) -> None:
    for store in stores.values():
        before = store.digest()

        for full in (False, True):
            reports = pull(store, project, full=full)
            assert [(r.new, r.changed, r.nodes, r.edges) for r in reports.values()] == [(0, 0, 0, 0)] * 3

        assert store.digest() == before


def test_nothing_of_the_first_data_is_upstream_of_the_second_version(
    stores: dict[str, GraphStore], project: Project, told: Truth
) -> None:
    first, second = version("churn", 1), version("churn", 2)
    for store in stores.values():
        of_first, of_second = upstream(store, first), upstream(store, second)

        assert of_first == told.upstream(first)
        assert of_second == told.upstream(second)
        data = {name for name in of_first if name.startswith("dvc.md5=")}
        regions = {name for name in data & of_second if name in told.upstream(second)}
        assert data - of_second, "the first version has data of its own"
        assert data & of_second == regions


def test_the_order_of_sources_makes_no_difference(
    stores: dict[str, GraphStore], project: Project, tmp_path: Path
) -> None:
    digest = next(iter(stores.values())).digest()
    for number, order in enumerate(ORDERS):
        other = open_sqlite(tmp_path / f"{number}.db", Clock())
        other.migrate()
        pull(other, project, order)
        assert other.digest() == digest, order
        other.close()


def test_what_changes_at_the_sources_arrives(
    stores: dict[str, GraphStore], project: Project, told: Truth, tracking: MLflowServer
) -> None:
    changes.everything(project)
    changed = truth(project, tracking.url).after(told)

    for store in stores.values():
        pull(store, project, full=True)
        assert_equals(store, changed)
    assert len({store.digest() for store in stores.values()}) == 1
