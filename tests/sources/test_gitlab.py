"""The source gitlab against a GitLab by contract (see gitlab_contract): pulled, pushed, and both."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.values import Node
from ingestors.loop import Policy, ingest
from ingestors.report import Report
from ingestors.source import Forged, Item
from ingestors.sources.gitlab import GitLabConfig, GitLabSource
from ingestors.sources.gitlab.shape import time
from tests.sources.forge import push
from tests.sources.gitlab_contract import (
    MERGE,
    PATH,
    PROJECT,
    SHA,
    URL,
    GitLab,
    at,
    delivery,
    deployment_hook,
)
from tests.sources.repositories import edges, every

HOME = f"git.remote=gitlab.example/{PATH}"


@pytest.fixture
def gitlab() -> GitLab:
    return GitLab()


def source(gitlab: GitLab, **keys: Any) -> GitLabSource:
    config = {"type": "gitlab", "name": "forge", "project": PATH, "url": URL, **keys}
    return GitLabSource(GitLabConfig.model_validate(config), transport=gitlab.transport())


def pulled(store: SqliteStore, made: GitLabSource, **how: Any) -> Report:
    report = ingest(store, made, policy=Policy(attempts=1), **how)
    assert (report.error, report.dead_letters) == (None, 0)
    return report


def held(store: SqliteStore, kind: NodeKind) -> dict[str, Node]:
    return {node.id: node for node in every(store, kind) if not node.stub}


def notice(event: str, kind: str, **attributes: Any) -> dict[str, Any]:
    return {"event": event, "body": {"object_kind": kind, "project": PROJECT, **attributes}}


def test_what_is_pulled(gitlab: GitLab, store: SqliteStore) -> None:
    pulled(store, source(gitlab))

    request, pipeline = f"gitlab.merge_request={PATH}!1", f"gitlab.pipeline={PATH}#31"
    deployment = "deployment@forge=production/churn@15"
    assert edges(store) >= {
        (HOME, "HAS", request),
        (request, "HAS", f"git.sha={SHA}"),
        (request, "OWNED_BY", "gitlab.username=ada"),
        (f"gitlab.release={PATH}@v1", "ABOUT", f"git.sha={SHA}"),
        (f"git.sha={SHA}", "CODE_FOR", deployment),
        ("environment@forge=production", "HAS", deployment),
        (deployment, "IMPLICATED_IN", f"gitlab.issue={PATH}#9"),
        (f"git.sha={SHA}", "CODE_FOR", pipeline),
        (pipeline, "HAS", f"gitlab.job={PATH}#377"),
        (f"gitlab.job_name={PATH}@train", "HAS", f"gitlab.job={PATH}#377"),
        (HOME, "OWNED_BY", "gitlab.username=ada"),
    }
    (incident,) = held(store, NodeKind.INCIDENT).values()
    assert (incident.properties["status"], incident.properties["severity"]) == ("OPEN", "high")
    jobs = {node.id: node.properties["status"] for node in every(store, NodeKind.JOB_RUN)}
    assert jobs == {
        pipeline: "COMPLETE",
        f"gitlab.job={PATH}#377": "COMPLETE",
        f"gitlab.job={PATH}#378": "FAILED",
    }
    assert held(store, NodeKind.PULL_REQUEST)[request].properties["fixes"] == [f"gitlab.issue={PATH}#9"]


def test_a_merge_and_an_issue_that_is_gitlabs_own_incident(gitlab: GitLab, store: SqliteStore) -> None:
    made = source(gitlab)
    pulled(store, made)
    gitlab.merge_requests = [
        gitlab.merge_request(1, state="merged", merged_at=at(30), updated_at=at(30), merge_commit_sha=MERGE)
    ]
    gitlab.issues = [
        gitlab.issue(9, [], updated_at=at(31)),
        gitlab.issue(
            11,
            [],
            issue_type="incident",
            severity="HIGH",
            state="closed",
            closed_at=at(32),
            updated_at=at(32),
        ),
    ]

    pulled(store, made)

    (request,) = held(store, NodeKind.PULL_REQUEST).values()
    assert request.properties["status"] == "MERGED"
    assert {(request.id, "HAS", f"git.sha={MERGE}"), (HOME, "HAS", f"git.sha={MERGE}")} <= edges(store)
    (incident,) = held(store, NodeKind.INCIDENT).values()
    assert incident.id == f"gitlab.issue={PATH}#11"
    assert (incident.properties["status"], incident.properties["severity"]) == ("RESOLVED", "high")


def test_nothing_new_changes_nothing_even_in_full(gitlab: GitLab, store: SqliteStore) -> None:
    made = source(gitlab)
    pulled(store, made)
    before = store.digest()

    assert (pulled(store, made).changes, pulled(store, made, full=True).changes) == (0, 0)
    assert store.digest() == before


def test_lists_longer_than_a_page_that_change_meanwhile(
    gitlab: GitLab, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestors.sources.gitlab.api.PER_PAGE", 3)
    gitlab.issues = [gitlab.issue(n, ["incident"], updated_at=at(n // 4)) for n in range(1, 12)]

    pulled(store, source(gitlab))

    assert len(held(store, NodeKind.INCIDENT)) == 11


def test_what_is_gone_is_marked_and_keeps_its_edges(gitlab: GitLab, store: SqliteStore) -> None:
    gitlab.issues = [gitlab.issue(n, ["incident"]) for n in range(1, 13)]
    made = source(gitlab)
    pulled(store, made)
    before = edges(store)
    del gitlab.issues[4]

    report = pulled(store, made, full=True)

    assert report.retired == 1 and edges(store) == before
    assert [n.id for n in every(store, NodeKind.INCIDENT) if n.gone_at] == [f"gitlab.issue={PATH}#5"]


def test_a_suddenly_empty_list_is_not_believed(gitlab: GitLab, store: SqliteStore) -> None:
    made = source(gitlab)
    pulled(store, made)
    gitlab.issues = []

    report = pulled(store, made, full=True)

    assert report.retired == 0 and "issue records are missing" in report.warnings[0]


def test_a_deployment_is_told_in_full_by_its_delivery(
    gitlab: GitLab, store: SqliteStore, tmp_path: Path
) -> None:
    made = source(gitlab)
    running = deployment_hook(15, "running", "2026-03-01 11:09:00 +0100")
    done = deployment_hook(15, "success", "2026-03-01 10:10:00 UTC")
    digests = set()
    for number, order in enumerate(itertools.permutations([running, done, None])):
        other = SqliteStore(tmp_path / f"{number}.db")
        other.migrate()
        for each in order:
            if each is None:
                pulled(other, made)
            else:
                push(other, made, each, b"shared")
        digests.add(other.digest())
        (deployment,) = held(other, NodeKind.DEPLOYMENT).values()
        other.close()

    assert len(digests) == 1
    assert deployment.properties["status"] == "DEPLOYED"


@pytest.mark.parametrize(
    "told",
    [
        notice("Merge Request Hook", "merge_request", object_attributes={"iid": 1, "action": "open"}),
        notice("Issue Hook", "issue", object_attributes={"iid": 9, "type": "Issue", "action": "update"}),
        notice("Issue Hook", "work_item", object_attributes={"iid": 9, "type": "Incident", "action": "open"}),
        notice("Pipeline Hook", "pipeline", object_attributes={"id": 31, "status": "success"}, builds=[]),
        notice("Job Hook", "build", pipeline_id=31, build_id=377, build_status="success"),
        notice("Release Hook", "release", tag="v1", action="create"),
        notice("Push Hook", "push", ref="refs/heads/main", total_commits_count=1,
               commits=[{"added": [], "modified": ["docs/CODEOWNERS"], "removed": []}]),
    ],
)  # fmt: skip
def test_what_is_pushed_is_asked_for_and_is_what_is_pulled(
    gitlab: GitLab, store: SqliteStore, told: dict[str, Any]
) -> None:
    made = source(gitlab)
    event = delivery(told["event"], told["body"])

    first = push(store, made, event, b"shared")
    again = push(store, made, event, b"shared")
    pushed = edges(store)
    pulled(store, made)
    after = push(store, made, event, b"shared")

    assert first.new > 0 and (again.changes, after.changes) == (0, 0)
    assert pushed <= edges(store)


def test_deliveries_about_others_or_of_no_interest(gitlab: GitLab) -> None:
    made = source(gitlab)
    other = {
        "object_kind": "issue",
        "project": {"path_with_namespace": "acme/x"},
        "object_attributes": {"iid": 1},
    }

    assert list(made.receive(delivery("Issue Hook", other))) == []
    assert list(made.receive(delivery("Note Hook", {"object_kind": "note", "project": PROJECT}))) == []
    for body in ({"object_kind": "issue", "project": PROJECT}, {"object_kind": "issue"}):
        with pytest.raises(BadInput):
            made.receive(delivery("Issue Hook", body))
    with pytest.raises(BadInput):
        made.to_claims(Item("issue/1", "issue", 1, {"ask": 1}))


def test_a_release_that_was_deleted_says_so(gitlab: GitLab, store: SqliteStore) -> None:
    body = {
        "object_kind": "release", "action": "delete", "tag": "v1", "name": "v1", "description": "x",
        "created_at": "2026-03-01 10:05:00 UTC", "released_at": None, "project": PROJECT, "url": URL,
    }  # fmt: skip
    made = source(gitlab)
    ingest(store, made)

    push(store, made, delivery("Release Hook", body), b"shared")

    assert [item.data["deleted"] for item in made.receive(delivery("Release Hook", body))] == [True]


def test_only_who_knows_the_secret_is_heard(gitlab: GitLab) -> None:
    made, event = source(gitlab), deployment_hook(1, "success", "2026-03-01 10:10:00 UTC")

    made.verify(event, b"shared")
    with pytest.raises(Forged):
        made.verify(event, b"another")
    assert made.delivery_id(event) == "k1"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-03-01T10:00:00.123Z", "2026-03-01T10:00:00Z"),
        ("2026-03-01 10:00:00 UTC", "2026-03-01T10:00:00Z"),
        ("2021-04-28 21:50:00 +0200", "2021-04-28T19:50:00Z"),
        ("2026-03-01T11:00:00.000+01:00", "2026-03-01T10:00:00Z"),
        (None, None),
    ],
)
def test_times_of_both_spellings(said: str | None, meant: str | None) -> None:
    assert time(said) == meant


def test_the_connection_is_described(gitlab: GitLab) -> None:
    assert source(gitlab).check() == f"{PATH}, default branch main"
