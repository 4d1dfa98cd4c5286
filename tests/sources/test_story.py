"""Bad data, a bad model, its release, the alert, the rollback: one walk from the incident to the cause."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from app.answers.causes import root_causes
from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.gate.checking import check
from app.gate.ci import surroundings
from app.gate.reading import read_changes
from app.gate.report import Thresholds, Verdict
from app.lineage.compare import compare
from app.lineage.differences import NOISE
from app.lineage.paths import paths
from app.lineage.walk import lineage
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import parse_time, to_micros
from graph_schema.values import NOW, Direction, Edge, Moment, Node
from ingestors.loop import ingest
from ingestors.registry import build
from tests.contract.conftest import chosen_engines
from tests.contract.harness import Clock, clean_neo4j, open_neo4j, open_sqlite
from tests.sources.pushing import edges, node, push, source_of
from tests.sources.story import Story, happen
from tests.tool_venvs import MLflowServer
from tests.workspace.project import RAW, day
from tests.workspace.workspace import REMOTE, Project

pytestmark = pytest.mark.timeout(1_200)

E = EdgeKind
PULLED = ("git", "dvc", "mlflow", "bentoml")
STEPS = (*PULLED, "releases", "alerts")


@pytest.fixture(scope="session")
def story(mlflow_tool: Path, dvc_tool: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """It happens once for all tests. The tracking server stays, to be pulled from."""
    work = tmp_path_factory.mktemp("story")
    with MLflowServer(work / "tracking") as server:
        yield happen(work, server)


@pytest.fixture(scope="module")
def told(
    story: Story, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, GraphStore]]:
    """A store of each engine that has been told everything, in the order in which it happened."""
    opened: dict[str, GraphStore] = {}
    for engine in chosen_engines():
        if engine == "neo4j":
            server = request.getfixturevalue("neo4j_server")
            clean_neo4j(server)
            opened[engine] = open_neo4j(server, Clock())
        else:
            opened[engine] = open_sqlite(tmp_path_factory.mktemp("told") / "kinlore.db", Clock())
        opened[engine].migrate()
        for step in STEPS:
            tell(opened[engine], story, step)
    yield opened
    for store in opened.values():
        store.close()


def tables(story: Story) -> dict[str, dict[str, Any]]:
    """The sources as kinlore.toml would name them."""
    folder = str(story.project.folder)
    return {
        "git": {"type": "git", "name": "code", "path": folder},
        "dvc": {"type": "dvc", "name": "data", "path": folder},
        "mlflow": {"type": "mlflow", "name": "tracking", "tracking_uri": story.tracking.url},
        "bentoml": {"type": "bentoml", "name": "serving", "home": str(story.store.home)},
    }


def tell(store: GraphStore, story: Story, step: str, chance: random.Random | None = None) -> None:
    """One source is read, or what it sent arrives: with ``chance`` shuffled and doubled."""
    if step in PULLED:
        report = ingest(store, build(tables(story)[step], story.project.folder))
        assert (report.error, report.dead_letters) == (None, 0)
        return
    known = {"releases": ("events", story.announced), "alerts": ("alertmanager", story.alerts)}
    type_name, sent = known[step]
    if chance is not None:
        sent = [*sent, *sent]
        chance.shuffle(sent)
    push(store, source_of(type=type_name, name=step), *sent)


def empty(path: Path) -> GraphStore:
    store = open_sqlite(path, Clock())
    store.migrate()
    return store


def deployment(revision: str) -> str:
    return identifier("deployment", f"prod/churn@{revision}", "releases")


def version(number: int) -> str:
    return identifier("mlflow.model_version", f"churn/{number}", "tracking")


def bento(story: Story, number: int) -> str:
    return identifier("bentoml.bento", story.bentos[number], "serving")


def copy(story: Story, number: int) -> str:
    return identifier("bentoml.model", story.models[number], "serving")


def data_of(story: Story, number: int) -> str:
    """The md5 of the raw extract, as the commit's own .dvc file has it."""
    held = story.project.git("show", f"{story.project.commits[f'data-{number}']}:data/raw.csv.dvc")
    (line,) = [line for line in held.splitlines() if "md5:" in line and "hash:" not in line]
    return f"dvc.md5={line.rpartition(' ')[2]}"


def commit(story: Story, label: str) -> str:
    return f"git.sha={story.project.commits[label]}"


def incident(store: GraphStore) -> Node:
    (found,) = store.find(NodeKind.INCIDENT).items
    return found


def upstream(store: GraphStore, moment: Moment = NOW) -> set[str]:
    """Every name of everything that the service says led to the incident."""
    walk = lineage(
        store,
        incident(store).handle,
        Direction.UPSTREAM,
        50,
        edge_kinds=FLOW_KINDS,
        moment=moment,
        first=5_000,
    )
    assert walk.complete
    nodes = [n for n in store.get([label.handle for label in walk.labels]) if n is not None]
    return {name for n in nodes for name in n.identifiers}


def guilty(store: GraphStore) -> list[Edge]:
    return [e for e in edges(store, incident(store).id) if e.kind is E.IMPLICATED_IN]


def during(story: Story, store: GraphStore) -> Moment:
    return Moment(as_of=parse_time(incident(store).properties["startedAt"]))


# the story ---------------------------------------------------------------------------------------------


def test_one_walk_leads_from_the_incident_to_the_commit_and_the_data(
    told: dict[str, GraphStore], story: Story
) -> None:
    for store in told.values():
        led = upstream(store)

        assert {
            deployment("2"), bento(story, 2), copy(story, 2), version(2),
            f"mlflow.logged_model={story.project.models['train-2']}",
            f"mlflow.run_id={story.project.runs['train-2']}",
            data_of(story, 2), commit(story, "data-2"),
        } <= led  # fmt: skip


def test_nothing_of_the_good_version_is_on_it(told: dict[str, GraphStore], story: Story) -> None:
    for store in told.values():
        good = {
            deployment("1"), deployment("3"), bento(story, 1), copy(story, 1), version(1),
            f"mlflow.logged_model={story.project.models['train-1']}",
            f"mlflow.run_id={story.project.runs['train-1']}",
            data_of(story, 1), commit(story, "data-1"),
        }  # fmt: skip

        assert not good & upstream(store)
        assert all(store.resolve(name) for name in good), "they are known all the same"


def test_paths_prove_it(told: dict[str, GraphStore], story: Story) -> None:
    released = [E.PACKAGED_IN, E.DEPLOYED_AS, E.IMPLICATED_IN]
    for store in told.values():
        found = {}
        for cause in (data_of(story, 2), commit(story, "data-2")):
            (begin,) = store.resolve(cause)
            found[cause] = paths(store, begin, incident(store).handle).paths

        assert [step.kind for step in found[data_of(story, 2)][0]][-3:] == released
        assert [step.kind for step in found[commit(story, "data-2")][0]] == [E.CODE_FOR, E.IMPLICATED_IN]


def test_the_incident_says_what_stood_there(told: dict[str, GraphStore]) -> None:
    for store in told.values():
        (edge,) = guilty(store)

        assert (edge.src, edge.properties) == (deployment("2"), {"share": 1.0})
        assert edge.evidence is not None
        assert edge.evidence.startswith("stood in prod/churn since ")
        assert "with all of the traffic; the incident began at" in edge.evidence


def test_it_began_and_was_resolved(told: dict[str, GraphStore], story: Story) -> None:
    for store in told.values():
        found = incident(store)

        assert found.properties["status"] == "RESOLVED"
        started, ended = (parse_time(found.properties[key]) for key in ("startedAt", "endedAt"))
        assert to_micros(story.releases["2"].at) < started < to_micros(story.releases["3"].at) <= ended


def test_the_deployments_follow_each_other(told: dict[str, GraphStore], story: Story) -> None:
    first, second, third = (to_micros(story.releases[r].at) for r in "123")
    for store in told.values():
        served = {
            (e.src, e.dst, e.valid_from, e.valid_to)
            for r in "123"
            for e in edges(store, deployment(r))
            if e.kind is E.DEPLOYED_AS
        }
        assert served == {
            (bento(story, 1), deployment("1"), first, second),
            (bento(story, 2), deployment("2"), second, third),
            (bento(story, 1), deployment("3"), third, None),
        }
        assert node(store, deployment("3")).properties["rollback"] is True


def test_the_copies_in_bentoml_are_the_versions_in_mlflow(told: dict[str, GraphStore], story: Story) -> None:
    for store in told.values():
        assert store.open_references() == []
        for number in (1, 2):
            (handle,) = store.resolve(version(number))
            same = store.expand([handle], Direction.UPSTREAM, list(FLOW_KINDS)).same
            (twin,) = store.resolve(copy(story, number))
            assert {twin, handle} in [{step.src, step.dst} for step in same]


def test_comparing_the_versions_shows_the_data_and_not_the_noise(
    told: dict[str, GraphStore], story: Story
) -> None:
    for store in told.values():
        (first,), (second,) = store.resolve(version(1)), store.resolve(version(2))

        answer = compare(store, first, second)

        shown = [each for each in answer.differences if each.weight > NOISE]
        data, *rest = shown
        assert data.path == "data.data/raw.csv"
        assert data.text is not None and data.text.startswith("data data/raw.csv changed from raw.csv@")
        assert [node.id for node in data.right_nodes] == [data_of(story, 2)]
        assert all(each.weight < data.weight for each in rest)
        follows = {each.path for each in rest if each.path.startswith("data.")}
        assert follows == {"data.data/clean.csv", "data.data/features.csv"}
        # The parameters were the same; the code differs by the commit that brought the data.
        assert {each.path.partition(".")[0] for each in shown} <= {"data", "code", "metrics"}
        (code,) = answer.code
        assert [node.id for node in code.added] == [commit(story, "data-2")] and not code.removed


def test_the_data_is_named_as_the_cause_with_its_path(told: dict[str, GraphStore], story: Story) -> None:
    for store in told.values():
        answer = root_causes(store, incident(store).handle)

        first = answer.candidates[0]
        assert data_of(story, 2) in first.node.identifiers
        assert first.path[0].src == commit(story, "data-2")
        assert first.path[0].kind is E.INTRODUCED
        assert [step.kind for step in first.path][-3:] == [E.PACKAGED_IN, E.DEPLOYED_AS, E.IMPLICATED_IN]
        assert answer.last_good is not None
        assert deployment("1") in answer.last_good.identifiers


# time --------------------------------------------------------------------------------------------------


def test_as_of_the_incident_the_walk_is_whole(told: dict[str, GraphStore], story: Story) -> None:
    for store in told.values():
        led = upstream(store, during(story, store))

        assert {deployment("2"), version(2), data_of(story, 2), commit(story, "data-2")} <= led


def test_after_the_rollback_the_incident_still_has_its_cause(
    told: dict[str, GraphStore], story: Story
) -> None:
    after = Moment(as_of=to_micros(story.resolved))
    for store in told.values():
        led = upstream(store, after)

        assert deployment("2") in led
        assert not {deployment("1"), deployment("3"), version(1)} & led
        assert bento(story, 2) not in led, "by then it was deployed no more"
        assert version(2) in upstream(store), "without a time the whole story is told"


# orders ------------------------------------------------------------------------------------------------


def test_the_alert_may_come_before_the_deployment_is_known(story: Story, tmp_path: Path) -> None:
    store = empty(tmp_path / "kinlore.db")
    tell(store, story, "alerts")
    assert guilty(store) == []

    tell(store, story, "releases")
    assert [e.src for e in guilty(store)] == [deployment("2")]
    waiting = {f"bentoml.bento={tag} DEPLOYED_AS {deployment(r)}" for r, tag in _released(story)}
    assert set(store.open_references()) == waiting
    for step in reversed(PULLED):
        tell(store, story, step)

    assert store.open_references() == []
    assert data_of(story, 2) in upstream(store)


def _released(story: Story) -> list[tuple[str, str]]:
    return [(r.revision, story.bentos[r.version]) for r in story.releases.values()]


def test_the_order_of_the_sources_makes_no_difference(
    told: dict[str, GraphStore], story: Story, tmp_path: Path
) -> None:
    digests = {store.digest() for store in told.values()}
    chance = random.Random(23)
    orders = [STEPS[::-1], *(tuple(chance.sample(STEPS, len(STEPS))) for _ in range(6))]
    for number, order in enumerate(orders):
        store = empty(tmp_path / f"{number}.db")
        for step in order:
            tell(store, story, step, chance)
        digests.add(store.digest())
        store.close()

    assert len(digests) == 1


def test_everything_again_changes_nothing(told: dict[str, GraphStore], story: Story) -> None:
    for store in told.values():
        before = store.digest()

        for step in STEPS:
            tell(store, story, step)

        assert store.digest() == before


# a change to it -----------------------------------------------------------------------------------------


def test_a_branch_that_touches_the_data_is_warned_of_and_one_that_touches_the_readme_is_not(
    told: dict[str, GraphStore], story: Story, tmp_path: Path
) -> None:
    """What `kinlore check` says in a clone, before anything of it is merged."""
    clone = Project(tmp_path / "churn", story.project.tools, "")
    story.project.git("clone", "--quiet", str(story.project.folder), str(clone.folder))
    clone.git("remote", "set-url", "origin", REMOTE)
    clone.git("checkout", "--quiet", "-b", "more-data")
    clone.add_extract("second")
    clone.commit("data", "A later extract", day(9))
    clone.git("checkout", "--quiet", "-b", "words", "main")
    clone.edit("README.md", "# churn", "# Churn")
    clone.commit("words", "A word", day(9))
    data, words = (
        read_changes(clone.folder, surroundings({}), "main", head) for head in ("more-data", "words")
    )

    for store in told.values():

        def ask(query: str, variables: Mapping[str, Any], store: GraphStore = store) -> dict[str, Any]:
            said = answer(Request(query, dict(variables)), lambda: Ask(store, None, list))
            assert "errors" not in said, said["errors"]
            return dict(said["data"])

        warned, silent = (check(ask, changes, Thresholds()) for changes in (data, words))

        assert (warned.verdict, silent.verdict) == (Verdict.WARN, Verdict.QUIET)
        assert [(each.path, each.kind) for each in warned.changes] == [(RAW, "data")]
        # Both releases of the past are over: at risk is the one that stands.
        at_risk = [risk.id for risk in warned.risks if risk.kind == "DEPLOYMENT"]
        assert at_risk == [deployment("3")]
        # The last change of the same data led to the incident.
        (failure,) = warned.failures
        assert failure.id == incident(store).id
        assert failure.cause in (data_of(story, 2), commit(story, "data-2"))
