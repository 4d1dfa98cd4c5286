"""Published payloads of GitHub's webhooks (npm @octokit/webhooks-examples 7.6.1), as they are read."""

from __future__ import annotations

import json

import httpx
import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.values import Node
from ingestors.sources.github import GitHubSource
from tests.npm_tools import webhook_examples
from tests.sources.forge import push
from tests.sources.github_contract import GitHub, delivery
from tests.sources.repositories import every

HELLO = "codertocat/hello-world"
_TAKEN = (
    "pull_request",
    "issues",
    "release",
    "deployment",
    "deployment_status",
    "workflow_run",
    "push",
    "repository",
)


def nodes(store: SqliteStore, kind: NodeKind) -> dict[str, Node]:
    return {node.id: node for node in every(store, kind) if not node.stub}


@pytest.mark.parametrize("event", _TAKEN)
def test_every_published_payload_is_understood(event: str) -> None:
    sources: dict[str, GitHubSource] = {}
    made = 0
    for body in webhook_examples()[event]:
        path = body["repository"]["full_name"]
        source = sources.setdefault(path, GitHub().source(repository=path))
        for item in source.receive(delivery(event, body)):
            made += 1
            if item.data.get("asked") is not False:
                source.to_claims(item)

    assert made > 0 or event == "push"


def test_events_of_no_interest_are_left_alone() -> None:
    source = GitHub().source(repository=HELLO)
    for event, bodies in webhook_examples().items():
        if event not in _TAKEN:
            assert [list(source.receive(delivery(event, body))) for body in bodies] == [[]] * len(bodies)


def test_what_is_no_delivery_is_refused() -> None:
    source = GitHub().source()
    body = {"repository": {"full_name": "acme/churn"}}
    for bad in (
        delivery("", {}),
        delivery("issues", b"{"),
        delivery("issues", b"[]"),
        delivery("issues", {}),
        delivery("issues", body),
        delivery("issues", {**body, "issue": {"number": "x"}}),
    ):
        with pytest.raises(BadInput):
            source.receive(bad)


def test_a_form_is_understood_and_other_repositories_are_not_ours() -> None:
    body = next(b for b in webhook_examples()["issues"] if b["action"] == "opened")
    form = httpx.QueryParams({"payload": json.dumps(body)}).__str__().encode()
    typed = {"content-type": "application/x-www-form-urlencoded"}

    assert GitHub().source(repository=HELLO.upper()).receive(delivery("issues", form, **typed))
    assert not GitHub().source(repository="acme/churn").receive(delivery("issues", body))


def test_an_issue_that_moved_is_the_one_there(store: SqliteStore) -> None:
    body = next(b for b in webhook_examples()["issues"] if b["action"] == "transferred")
    body["issue"]["labels"] = [{"name": "Incident"}]
    body["changes"]["new_repository"]["full_name"], body["changes"]["new_issue"]["number"] = "acme/other", 4
    source = GitHub().source(repository=body["repository"]["full_name"])

    push(store, source, delivery("issues", body), None)

    (incident,) = nodes(store, NodeKind.INCIDENT).values()
    assert "github.issue=acme/other#4" in incident.identifiers and len(incident.identifiers) == 2


def test_a_repository_answers_to_its_former_name(store: SqliteStore) -> None:
    body = next(b for b in webhook_examples()["repository"] if b["action"] == "renamed")
    owner = body["repository"]["full_name"].partition("/")[0]
    before = f"{owner}/{body['changes']['repository']['name']['from']}"
    body["repository"]["full_name"] = f"{owner}/new"
    source = GitHub().source(repository=before)

    push(store, source, delivery("repository", body), None)

    (home,) = nodes(store, NodeKind.REPOSITORY).values()
    assert {f"git.remote=github.com/{before}", f"git.remote=github.com/{owner}/new"} <= set(home.identifiers)
