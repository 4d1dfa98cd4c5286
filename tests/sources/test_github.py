"""The source github against npm's emulate 0.11.2: what it says, what is new, and that pushes say the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.store.sqlite.store import SqliteStore
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Node
from ingestors.loop import Policy, ingest
from ingestors.report import Report
from ingestors.source import Delivery, Forged
from ingestors.sources.github import GitHubConfig, GitHubSource
from tests.npm_tools import GitHubServer
from tests.receiver import Receiver
from tests.sources.forge import SECRET, Forge, came, push
from tests.sources.repositories import Repository, edges, every, ingested


@pytest.fixture
def forge(github_server: GitHubServer, request: pytest.FixtureRequest) -> Iterator[Forge]:
    forge = Forge(github_server, request.node.name.removeprefix("test_").replace("_", "-"))
    yield forge
    forge.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def source(forge: Forge, monkeypatch: pytest.MonkeyPatch, **keys: object) -> GitHubSource:
    monkeypatch.setenv("FORGE_TOKEN", "ada-token")
    return GitHubSource(
        GitHubConfig.model_validate(
            {"type": "github", "name": "forge", "repository": forge.path, "api_url": forge.server.url,
             "token_env": "FORGE_TOKEN", **keys}
        )
    )  # fmt: skip


def pulled(store: GraphStore, made: GitHubSource, *, full: bool = False) -> Report:
    report = ingest(store, made, full=full, policy=Policy(attempts=1))
    assert report.error is None, report.error
    assert report.dead_letters == 0
    return report


def one(store: GraphStore, kind: NodeKind) -> Node:
    (node,) = every(store, kind)
    return node


def test_a_pull_request_from_its_opening_to_its_merge(
    forge: Forge, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(forge, monkeypatch)
    number = forge.pull("Fix the scaler", "Prefixes #8. Fixes #9, and see #10.\n<!-- Fixes #11 -->")
    head = forge.of("GET", f"/pulls/{number}")["head"]["sha"]

    pulled(store, made)
    opened = one(store, NodeKind.PULL_REQUEST)
    merge = forge.of("PUT", f"/pulls/{number}/merge")["sha"]
    pulled(store, made)
    merged = one(store, NodeKind.PULL_REQUEST)

    assert (opened.properties["status"], merged.properties["status"]) == ("OPEN", "MERGED")
    assert merged.name == f"#{number} Fix the scaler"
    assert merged.properties["author"] == "ada" and merged.properties["mergedAt"]
    assert merged.properties["fixes"] == [f"github.issue={forge.path}#9"]
    home = f"git.remote=127.0.0.1:{forge.server.port}/{forge.path}"
    assert edges(store) == {
        (home, "HAS", merged.id),
        (merged.id, "HAS", f"git.sha={head}"),
        (merged.id, "HAS", f"git.sha={merge}"),
        (home, "HAS", f"git.sha={merge}"),
        (merged.id, "OWNED_BY", "github.login=ada"),
    }


def test_an_issue_is_an_incident_while_it_is_labelled_so(
    forge: Forge, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(forge, monkeypatch, incident_labels=["Incident"])
    number = forge.issue("Churn is wrong", "deployment: churn\nmlflow.model_version=churn/3")
    forge.issue("A question", labels=["question"])
    forge.pull("Not an issue")

    pulled(store, made)
    before = every(store, NodeKind.INCIDENT)
    forge.issue("Sets the labels up", labels=["incident", "severity:high"])
    forge.of("POST", f"/issues/{number}/labels", {"labels": ["incident", "severity:high"]})
    pulled(store, made)
    labelled = {node.id: node for node in every(store, NodeKind.INCIDENT)}[
        f"github.issue={forge.path}#{number}"
    ]
    forge.of("PATCH", f"/issues/{number}", {"state": "closed"})
    pulled(store, made)
    closed = {node.id: node for node in every(store, NodeKind.INCIDENT)}[labelled.id]
    forge.of("DELETE", f"/issues/{number}/labels/incident")
    pulled(store, made)

    assert before == []
    assert (labelled.properties["status"], labelled.properties["severity"]) == ("OPEN", "high")
    assert closed.properties["status"] == "RESOLVED" and closed.properties["endedAt"]
    live = {node.id for node in every(store, NodeKind.INCIDENT) if not node.stub}
    assert labelled.id not in live and len(live) == 1


def test_releases_and_owners(forge: Forge, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    made = source(forge, monkeypatch)
    forge.put("docs/CODEOWNERS", "* @nobody\n")
    sha = forge.put("CODEOWNERS", "# who\n*  @acme/Growth-ML ops@example.com\n/data/  @bob\n")
    forge.of("POST", "/git/refs", {"ref": "refs/tags/v1", "sha": sha})
    forge.of("POST", "/releases", {"tag_name": "v1", "name": "First", "body": "All of it"})
    forge.of("POST", "/releases", {"tag_name": "v2", "draft": True})

    pulled(store, made)

    release = one(store, NodeKind.DOCUMENT)
    home = one(store, NodeKind.REPOSITORY)
    assert release.id == f"github.release={forge.path}@v1" and release.properties["text"] == "All of it"
    assert {edge for edge in edges(store) if edge[1] in ("ABOUT", "OWNED_BY")} == {
        (release.id, "ABOUT", home.id),
        (release.id, "ABOUT", f"git.sha={sha}"),
        (release.id, "OWNED_BY", "github.login=ada"),
        (home.id, "OWNED_BY", "team=acme/growth-ml"),
        (home.id, "OWNED_BY", "email=ops@example.com"),
    }
    assert home.properties["codeownersPath"] == "CODEOWNERS"
    forge.put("CODEOWNERS", "/data/ @bob\n")
    pulled(store, made)
    assert not [edge for edge in edges(store) if edge[:2] == (home.id, "OWNED_BY")]


def test_a_data_set_has_the_owners_of_its_path(
    forge: Forge, store: SqliteStore, monkeypatch: pytest.MonkeyPatch, dvc_tool: Path, tmp_path: Path
) -> None:
    forge.put("CODEOWNERS", "* @acme/ml\n/data/ @bob\ndata/*.tmp\n")
    checkout = Repository(tmp_path / "churn", dvc_tool)
    checkout.start_dvc()
    checkout.write({"data/users.csv": "1\n", "model.pkl": "m"})
    checkout.dvc("add", "--quiet", "data/users.csv", "model.pkl")
    checkout.git("remote", "add", "origin", f"{forge.server.url}/{forge.path}.git")
    checkout.commit("Data")

    ingested(store, "dvc", checkout.folder)
    pulled(store, source(forge, monkeypatch))

    home = f"127.0.0.1:{forge.server.port}/{forge.path}"
    owned = {edge for edge in edges(store) if edge[0].startswith("dataset=") and edge[1] == "OWNED_BY"}
    assert owned == {
        (f"dataset={home}/data/users.csv", "OWNED_BY", "github.login=bob"),
        (f"dataset={home}/model.pkl", "OWNED_BY", "team=acme/ml"),
    }


def test_nothing_new_changes_nothing_even_in_full(
    forge: Forge, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(forge, monkeypatch)
    forge.issue("Down", labels=["incident"])
    forge.of("PUT", f"/pulls/{forge.pull('Work')}/merge")
    pulled(store, made)
    before = store.digest()

    again = pulled(store, made)
    full = pulled(store, made, full=True)

    assert (again.changes, full.changes) == (0, 0)
    assert store.digest() == before


def test_many_pages_are_read_and_a_broken_pull_goes_on(
    forge: Forge, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestors.sources.github.api.PER_PAGE", 3)
    made = source(forge, monkeypatch)
    numbers = [forge.issue(f"Incident {number}", labels=["incident"]) for number in range(8)]
    stops = iter([False] * 4 + [True] * 100)

    first = ingest(store, made, should_stop=lambda: next(stops))
    second = pulled(store, made)

    assert first.stopped and second.new < len(numbers)
    assert len(every(store, NodeKind.INCIDENT)) == len(numbers)


def test_what_is_pushed_is_what_is_pulled(
    forge: Forge, store: SqliteStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = source(forge, monkeypatch)
    forge.watch(receiver.url)
    number = forge.issue("Down", "environment: prod", labels=["incident"])
    pull = forge.pull("Repair", f"Closes #{number}")
    forge.of("PUT", f"/pulls/{pull}/merge")
    forge.of("PATCH", f"/issues/{number}", {"state": "closed"})
    forge.put("CODEOWNERS", "* @acme/ml\n")
    came(receiver, issues=2, pull_request=2, push=2)
    other = SqliteStore(tmp_path / "other.db")
    other.migrate()

    pulled(store, made)
    at_first = store.digest()
    for delivery in receiver.deliveries:
        push(store, made, delivery)
    # A repository's own record comes with its own event only.
    for delivery in random.Random(1).sample(receiver.deliveries * 2, len(receiver.deliveries) * 2):
        push(other, made, delivery)
    pushed = edges(other)
    pulled(other, made)

    assert store.digest() == at_first == other.digest()
    assert pushed == edges(store)
    other.close()


def test_any_order_of_pushes_and_pulls_gives_one_graph(
    forge: Forge, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = source(forge, monkeypatch)
    forge.watch(receiver.url)
    number = forge.issue("Down", labels=["incident", "sev1"])
    forge.of("DELETE", f"/issues/{number}/labels/sev1")
    pull = forge.pull("Repair", f"Fixes #{number}")
    forge.of("PATCH", f"/pulls/{pull}", {"title": "Repair it"})
    forge.of("PATCH", f"/issues/{number}", {"state": "closed"})
    forge.of("PUT", f"/pulls/{pull}/merge")
    came(receiver, issues=3, pull_request=2)
    chance = random.Random(7)
    digests = set()

    for order in range(12):
        store = SqliteStore(tmp_path / f"{order}.db")
        store.migrate()
        events: list[Delivery | None] = [*receiver.deliveries, *receiver.deliveries, None]
        chance.shuffle(events)
        for event in events:
            if event is None:
                pulled(store, made)
            else:
                push(store, made, event)
        digests.add(store.digest())
        store.close()

    assert len(digests) == 1


def test_only_what_is_signed_is_taken(
    forge: Forge, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(forge, monkeypatch)
    forge.watch(receiver.url)
    forge.issue("Down", labels=["incident"])
    genuine = next(each for each in came(receiver, issues=1) if each.headers["x-github-event"] == "issues")
    forged = Delivery(genuine.headers, genuine.body.replace(b"Down", b"Fine"), genuine.at)

    made.verify(genuine, SECRET)
    with pytest.raises(Forged):
        made.verify(forged, SECRET)
    with pytest.raises(Forged):
        made.verify(genuine, b"another")

    assert made.delivery_id(genuine)


def test_an_issue_that_was_deleted_is_gone_and_keeps_its_edges(
    forge: Forge, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(forge, monkeypatch)
    for number in range(12):
        forge.issue(f"Incident {number}", "mlflow.run_id=abc", labels=["incident"])
    pulled(store, made)
    before = edges(store)
    listed = made._api._client.answer

    def without_the_third(path: str, *rest: object) -> object:
        answer = listed(path, *rest)  # type: ignore[arg-type]
        if path.endswith("/issues"):
            return answer._replace(json=[each for each in answer.json if each["number"] != 3])
        if path.endswith("/issues/3"):
            raise_gone()
        return answer

    def raise_gone() -> None:
        from ingestors.http import HttpError

        raise HttpError("it answers 410: This issue was deleted")

    monkeypatch.setattr(made._api._client, "answer", without_the_third)
    report = pulled(store, made, full=True)

    assert report.retired == 1
    assert [n.id for n in every(store, NodeKind.INCIDENT) if n.gone_at] == [f"github.issue={forge.path}#3"]
    assert edges(store) == before


def test_a_suddenly_empty_list_is_not_believed(
    forge: Forge, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = source(forge, monkeypatch)
    for number in range(3):
        forge.issue(f"Incident {number}", labels=["incident"])
    pulled(store, made)
    listed = made._api._client.answer

    def empty(path: str, *rest: object) -> object:
        answer = listed(path, *rest)  # type: ignore[arg-type]
        return answer._replace(json=[]) if path.endswith("/issues") else answer

    monkeypatch.setattr(made._api._client, "answer", empty)
    report = pulled(store, made, full=True)

    assert report.retired == 0 and "3 of 3 issue records are missing" in report.warnings[0]


def test_the_connection_is_described(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    assert source(forge, monkeypatch).check() == f"{forge.path}, default branch main; no deployments there"


def test_init_proposes_it_where_a_token_is_at_hand(repository: Repository) -> None:
    repository.commit("One")
    before = GitHubSource.discover(repository.folder, {"GITHUB_TOKEN": "x"})
    repository.git("remote", "add", "origin", "git@github.com:acme/churn.git")

    (found,) = GitHubSource.discover(repository.folder, {"GH_TOKEN": "x"})

    assert before == [] == GitHubSource.discover(repository.folder, {})
    assert found.config == {
        "type": "github",
        "name": "churn-github",
        "repository": "acme/churn",
        "token_env": "GH_TOKEN",
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("repository", "churn"),
        ("repository", "acme/../x"),
        ("api_url", "ftp://api.github.com"),
        ("api_url", "https://ada:secret@api.github.com"),
        ("parts", ["everything"]),
    ],
)
def test_what_no_configuration_may_say(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        GitHubConfig.model_validate({"type": "github", "name": "x", "repository": "acme/churn", key: value})
