"""The demo: unpacks the recorded project, ingests it for real, and knows what to ask about it.

Everything is what a user would do: the folder that it makes has a clone, results of checks, a kinlore.toml
and a SQLite file.
Only the tracking server is played from its recording.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec

from app.container import Configured, Container
from app.demo import incidents
from app.demo.deliveries import RECORDED, deliver
from app.demo.replay import RecordedMLflow
from app.errors import Failed
from app.jobs.runs import polite_lock
from app.learnings.afterwards import bring_up
from app.settings import Loaded, environment, load
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Filter, FilterOp, Node, Order, Ordering
from ingestors.loop import Policy, ingest
from ingestors.report import Progress, Report
from ingestors.source import Source

_HERE = Path(__file__).parent
_PROJECT = "churn"

#: The tracking server has no address: its recording answers in its place.
_SETTINGS = """# What `kinlore demo` ingested. The tracking server is a recording, the rest is as anywhere.
[store]
url = "{store}"

[[sources]]
type = "git"
name = "churn-code"
path = "{project}"

[[sources]]
type = "dvc"
name = "churn-data"
path = "{project}"

[[sources]]
type = "events"
name = "releases"

[[sources]]
type = "openlineage"
name = "pipelines"

[[sources]]
type = "alertmanager"
name = "alerts"

[[sources]]
type = "mlflow"
name = "tracking"
tracking_uri = "http://tracking.example.com"

[[sources]]
type = "great_expectations"
name = "extracts"
path = "checks/great_expectations"

[[sources]]
type = "whylogs"
name = "profiles"
path = "checks/whylogs"

[[bounds]]
name = "good enough to ship"
model = "churn"
metric = "auc"
min = 0.7

[[bounds]]
name = "every price is known"
check = "churn extracts"
metric = "monthly.nullFraction"
max = 0.0
incident = true
"""


class Question(msgspec.Struct, frozen=True):
    """Something to try: in words, as a command and as GraphQL."""

    words: str
    command: str
    graphql: str


def unpack(folder: Path, store: str | None = None) -> Loaded:
    """Put the project and its settings into a folder. ``store``: another one than a SQLite file in it.

    Raises Failed where git cannot, or something is in the way."""
    folder.mkdir(parents=True, exist_ok=True)
    project, file = folder / _PROJECT, folder / "kinlore.toml"
    if project.exists() or file.exists():
        raise Failed(f"{folder} holds a demo or a project already: name an empty folder")
    remote = json.loads((_HERE / "manifest.json").read_text(encoding="utf-8"))["remote"]
    _git("clone", "--quiet", str(_HERE / "churn.bundle"), str(project))
    _git("-C", str(project), "remote", "set-url", "origin", remote)
    shutil.copytree(_HERE / "checks", folder / "checks", dirs_exist_ok=True)
    text = _SETTINGS.format(store=store or "sqlite:///kinlore.db", project=_PROJECT)
    file.write_text(text, encoding="utf-8")
    # Only the password may come from outside: another graph is not the demo's to write to.
    return load(file, environ={k: v for k, v in environment().items() if k == "KINLORE_STORE__PASSWORD"})


def _git(*words: str) -> None:
    try:
        subprocess.run(["git", *words], check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise Failed("the demo needs git: install it first") from None
    except subprocess.CalledProcessError as problem:
        raise Failed(f"git {words[0]} failed: {' '.join(problem.stderr.split())}") from None


def ingest_all(container: Container, progress: Progress | None = None) -> Iterator[Report]:
    """Ingest the sources one after the other. Raises Failed where one ends with an error."""
    store = container.migrated()
    for configured in container.sources:
        source = _source(configured)
        if source.pulls:
            report = ingest(store, source, progress=progress, policy=Policy(lock=polite_lock(store)))
        else:
            report = deliver(container, source, RECORDED[source.type])
        if report.error is not None:
            raise Failed(report.error)
        yield report
    incidents.record(store)
    bring_up(store)


def _source(configured: Configured) -> Source:
    if configured.source is None:
        raise Failed(f"the demo cannot read {configured.name}: {configured.disabled}")
    if configured.type != "mlflow":
        return configured.source
    from ingestors.sources.mlflow import MLflowSource

    recording = RecordedMLflow.load(_HERE / "mlflow.json.gz")
    return MLflowSource(configured.source.config, transport=recording)


def questions(store: GraphStore) -> list[Question]:
    """Questions that this graph answers."""
    champion, failed, incident = _champion(store), _last_failed(store), _gravest(store)
    asked = []
    if champion is not None:
        asked.append(
            Question(
                f"Where does the champion, {champion.name}, come from?",
                f"kinlore lineage '{champion.id}' --up --hops 10",
                f'{{ lineage(id: "{champion.id}", direction: UPSTREAM, maxHops: 10) '
                "{ nodes { hops node { kind name } } complete } }",
            )
        )
    if incident is not None:
        asked.append(
            Question(
                f"What led to the incident {incident.name!r}?",
                f"kinlore causes '{incident.id}'",
                _causes(incident),
            )
        )
    latest = _latest(store)
    if latest is not None:
        asked.append(
            Question(
                f"What caused the last incident, {latest.name!r}?", "kinlore causes latest", _causes(latest)
            )
        )
    before = None if champion is None else _before(store, champion)
    if champion is not None and before is not None:
        asked.append(
            Question(
                f"What differs between {champion.name} and the version before it?",
                f"kinlore compare '{before.id}' '{champion.id}'",
                f'{{ compare(left: "{before.id}", right: "{champion.id}") '
                "{ differences { path left right text } code { added { name } } complete } }",
            )
        )
    written = _written_down(store)
    if written is not None:
        asked.append(
            Question(
                f"What was tried on {written.name!r}, and what helped?",
                f"kinlore remedy list '{written.id}'",
                f'{{ remediations(id: "{written.id}") '
                "{ suggestions { remediation { name } because } } }",
            )
        )
    asked.append(
        Question(
            "Which runs read data that had failed a check, and could that have been known?",
            "kinlore checks --failed --downstream Run",
            '{ checks(status: "FAILED", downstream: RUN) '
            "{ affected { node { name } check { name } timing because } complete } }",
        )
    )
    asked.append(
        Question(
            "Which runs failed, and with what?",
            "kinlore find Run --where status=FAILED --where error",
            '{ find(kind: RUN, where: [{key: "status", value: "FAILED"}]) { nodes { name properties } } }',
        )
    )
    if champion is not None:
        asked.append(
            Question(
                f"How could {champion.name} be trained again, and what is missing for it?",
                f"kinlore repro '{champion.id}'",
                f'{{ repro(id: "{champion.id}") {{ script missing {{ what text }} }} }}',
            )
        )
    if failed is not None:
        asked.append(
            Question(
                f"What went into {failed.name}, which failed?",
                f"kinlore lineage '{failed.id}' --up",
                f'{{ lineage(id: "{failed.id}", direction: UPSTREAM) '
                "{ nodes { hops node { kind name } } } }",
            )
        )
    return asked


def _champion(store: GraphStore) -> Node | None:
    """The version that bears the alias champion now."""
    for node in store.find(NodeKind.MODEL_VERSION, first=500).items:
        for stay in node.properties.get("aliasHistory", {}).values():
            if stay["name"] == "champion" and stay.get("until") is None:
                return node
    return None


def _before(store: GraphStore, version: Node) -> Node | None:
    """The version that comes directly before."""
    steps = store.expand([version.handle], Direction.UPSTREAM, (EdgeKind.PRECEDES,)).steps
    return store.get([steps[0].src])[0] if steps else None


def _gravest(store: GraphStore) -> Node | None:
    """The first incident that was critical."""
    page = store.find(
        NodeKind.INCIDENT, [Filter(key="severity", value="critical")], Ordering(Order.CREATED_AT), first=1
    )
    return page.items[0] if page.items else None


def _latest(store: GraphStore) -> Node | None:
    """The incident that was the last to begin."""
    page = store.find(NodeKind.INCIDENT, (), Ordering(Order.CREATED_AT, descending=True), first=1)
    return page.items[0] if page.items else None


def _causes(incident: Node) -> str:
    return (
        f'{{ rootCauses(id: "{incident.id}") {{ lastGood {{ name }} missing '
        "candidates { score because node { kind name } path { from kind to } } } }"
    )


def _written_down(store: GraphStore) -> Node | None:
    """The first incident of which people wrote down how it was dealt with."""
    said = [Filter(key="cause", op=FilterOp.EXISTS)]
    page = store.find(NodeKind.INCIDENT, said, Ordering(Order.CREATED_AT), first=1)
    return page.items[0] if page.items else None


def _last_failed(store: GraphStore) -> Node | None:
    failed = [Filter(key="status", value="FAILED")]
    page = store.find(NodeKind.RUN, failed, Ordering(Order.CREATED_AT, descending=True), first=1)
    return page.items[0] if page.items else None
