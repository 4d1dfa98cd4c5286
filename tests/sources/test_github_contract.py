"""Deployments, runs, allowances and conditional requests of GitHub, by contract (see github_contract)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.times import parse_time
from graph_schema.values import Node
from ingestors.loop import Policy, ingest
from ingestors.source import Delivery, Item
from ingestors.sources.github import shape
from tests.sources.forge import push
from tests.sources.github_contract import AT, REPOSITORY, SHA, GitHub, delivery
from tests.sources.repositories import edges, every


def deployment(number: int, **payload: Any) -> dict[str, Any]:
    return {
        "id": number,
        "sha": SHA,
        "ref": "main",
        "task": "deploy",
        "payload": payload,
        "environment": "production",
        "original_environment": "production",
        "creator": {"login": "ada"},
        "description": None,
        "created_at": f"2026-02-01T10:{number:02d}:00Z",
        "updated_at": f"2026-02-01T10:{number:02d}:00Z",
    }


def status(number: int, state: str, minute: int) -> dict[str, Any]:
    when = f"2026-02-01T10:{minute:02d}:30Z"
    return {
        "id": number,
        "state": state,
        "description": "",
        "creator": {"login": "ada"},
        "environment": "production",
        "created_at": when,
        "updated_at": when,
    }


def statuses() -> dict[str, Any]:
    """The first release serves from minute 1 on, the second from minute 3 until it is rolled back at 5."""
    first = [status(12, "success", 1), status(11, "in_progress", 0)]
    second = [status(22, "inactive", 5), status(21, "success", 3)]
    return {
        "": REPOSITORY,
        "deployments": [
            deployment(2, **{"mlflow.model_version": "churn/2"}),
            deployment(1, share=2, mode="x"),
        ],
        "deployments/1/statuses": first,
        "deployments/2/statuses": second,
    }


def nodes(store: SqliteStore, kind: NodeKind) -> dict[str, Node]:
    return {node.id: node for node in every(store, kind) if not node.stub}


def test_a_deployment_lives_until_it_is_rolled_back(store: SqliteStore) -> None:
    source = GitHub(**statuses()).source()

    report = ingest(store, source, policy=Policy(attempts=1))

    assert (report.error, report.dead_letters) == (None, 0)
    made = nodes(store, NodeKind.DEPLOYMENT)
    first, second = (f"deployment@forge=production/churn@{n}" for n in (1, 2))
    assert {id: made[id].properties["status"] for id in made} == {first: "DEPLOYED", second: "ENDED"}
    assert {
        (f"git.sha={SHA}", "CODE_FOR", first),
        (first, "OWNED_BY", "github.login=ada"),
        ("environment@forge=production", "HAS", first),
        (first, "PRECEDES", second),
    } <= edges(store)


def test_statuses_may_come_in_any_order_and_be_pulled_too(tmp_path: Path) -> None:
    server = statuses()
    source = GitHub(**server).source()
    events: list[Delivery | None] = [
        delivery(
            "deployment_status",
            {"action": "created", "deployment": of, "repository": REPOSITORY, "deployment_status": each},
        )
        for of in server["deployments"]
        for each in server[f"deployments/{of['id']}/statuses"]
    ]
    digests = set()
    for number, order in enumerate(itertools.islice(itertools.permutations([*events, None]), 0, 120, 10)):
        store = SqliteStore(tmp_path / f"{number}.db")
        store.migrate()
        for event in order:
            if event is None:
                assert ingest(store, source).error is None
            else:
                push(store, source, event, None)
        digests.add(store.digest())
        store.close()

    assert len(digests) == 1


def test_what_has_not_changed_is_not_sent_again(store: SqliteStore) -> None:
    issue = {
        "number": 7,
        "title": "Down",
        "state": "open",
        "labels": [{"name": "incident"}],
        "user": None,
        "created_at": "2026-02-01T10:00:00Z",
        "updated_at": "2026-02-01T10:00:00Z",
    }
    as_pull = {**issue, "number": 8, "pull_request": {"url": "…"}}
    server = GitHub(**{**statuses(), "issues": [issue, as_pull], "pulls": [], "releases": []})
    source = server.source()
    for _ in range(3):
        assert ingest(store, source, policy=Policy(attempts=1)).error is None
    server.asked.clear()

    report = ingest(store, source, policy=Policy(attempts=1))

    assert report.changes == 0
    assert {path: code for path, code in server.asked if path in ("", "issues", "releases")} == {
        "": 304,
        "issues": 304,
        "releases": 304,
    }
    assert list(nodes(store, NodeKind.INCIDENT)) == ["github.issue=acme/churn#7"]


@pytest.mark.parametrize(
    ("labels", "body", "wanted"),
    [
        ([], "It fails", {"production/churn@2"}),
        (["env: production"], "It fails", {"production/churn@2"}),
        (["env: staging"], "It fails", set()),
        (["deployment:other"], "It fails", set()),
        (["deployment:churn", "revision:2"], "", {"production/churn@2"}),
        ([], "deployment=production/churn@1", {"production/churn@1"}),
    ],
)
def test_an_incident_is_about_what_it_names_or_what_the_repository_deploys(
    store: SqliteStore, labels: list[str], body: str, wanted: set[str]
) -> None:
    when = "2026-02-01T10:04:00Z"
    issue = {
        "number": 7,
        "title": "Down",
        "body": body,
        "state": "open",
        "created_at": when,
        "updated_at": when,
    }
    issue["labels"] = [{"name": name} for name in ("incident", *labels)]

    assert ingest(store, GitHub(**statuses(), issues=[issue]).source()).error is None

    told = {edge for edge in edges(store) if edge[2] == "github.issue=acme/churn#7"}
    assert {src.partition("=")[2] for src, kind, _ in told if kind == "IMPLICATED_IN"} == wanted


def test_pages_are_followed_on_the_same_host_only(store: SqliteStore) -> None:
    many = [
        {
            "number": n,
            "title": "Down",
            "state": "open",
            "labels": [{"name": "incident"}],
            "created_at": "2026-02-01T10:00:00Z",
            "updated_at": "2026-02-01T10:00:00Z",
        }
        for n in range(1, 251)
    ]
    server = GitHub(**{"": REPOSITORY, "issues": many})

    assert ingest(store, server.source(parts=["issues"])).error is None

    assert len(nodes(store, NodeKind.INCIDENT)) == 250
    assert [path for path, _ in server.asked].count("issues") == 3


def test_an_exhausted_allowance_leaves_everything_as_it_is(store: SqliteStore) -> None:
    server = GitHub(**statuses())
    source = server.source()
    ingest(store, source)
    before = store.digest()
    server.refuse = httpx.Response(
        403, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "4102444800"}
    )

    report = ingest(store, source)

    assert report.error is not None and "403" in report.error
    assert store.digest() == before


def test_an_author_is_known_by_mail_and_login_where_github_says_both(store: SqliteStore) -> None:
    pull = {
        "number": 7,
        "title": "Work",
        "state": "open",
        "user": {"login": "Ada"},
        "base": {"sha": "a" * 40},
        "created_at": "2026-02-01T10:00:00Z",
        "updated_at": "2026-02-01T10:00:00Z",
    }

    def commit(sha: str, email: str, login: str | None) -> dict[str, Any]:
        author = {"name": "Ada", "email": email, "date": "2026-02-01T09:00:00Z"}
        by = None if login is None else {"login": login}
        return {
            "sha": sha * 40,
            "author": by,
            "commit": {"message": "Work", "author": author, "committer": author},
        }

    commits = [
        commit("a", "x@example.com", "x"),
        commit("b", "Ada@example.com", "ada"),
        commit("c", "bob@example.com", None),
        commit("d", "noreply@github.com", "web-flow"),
        commit("e", "no address", "ada"),
    ]
    server = GitHub(**{"": REPOSITORY, "pulls": [pull], "pulls/7/commits": commits})

    assert ingest(store, server.source(parts=["pulls"])).error is None

    people = {node.id: set(node.identifiers) for node in every(store, NodeKind.PERSON)}
    assert people == {"email=ada@example.com": {"email=ada@example.com", "github.login=ada"}}
    assert {node.id for node in every(store, NodeKind.COMMIT)} == {f"git.sha={c * 40}" for c in "bcde"}


def test_a_file_of_a_release_joins_by_its_content(store: SqliteStore) -> None:
    digest = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    release = {
        "id": 5,
        "tag_name": "v1",
        "name": "First",
        "created_at": "2026-02-01T10:00:00Z",
        "assets": [
            {
                "name": "model.pkl",
                "size": 3,
                "digest": f"sha256:{digest}",
                "browser_download_url": "https://x/m",
            },
            {"name": "old.pkl", "size": 3, "digest": None},
        ],
    }
    server = GitHub(
        **{"": REPOSITORY, "releases": [release], "tags": [{"name": "v1", "commit": {"sha": SHA}}]}
    )

    assert ingest(store, server.source(parts=["releases"])).error is None

    assert (f"git.sha={SHA}", "CODE_FOR", f"sha256@artifact={digest}") in edges(store)
    assert ("github.release=acme/churn@v1", "ABOUT", f"sha256@artifact={digest}") in edges(store)


def test_a_workflow_run_its_attempts_and_its_end(store: SqliteStore) -> None:
    run = {
        "id": 31,
        "name": "Train",
        "path": ".github/workflows/train.yml@main",
        "run_number": 4,
        "run_attempt": 1,
        "status": "in_progress",
        "conclusion": None,
        "head_sha": SHA,
        "created_at": "2026-02-01T10:00:00Z",
        "run_started_at": "2026-02-01T10:00:00Z",
        "updated_at": "2026-02-01T10:00:05Z",
    }
    done = {
        **run,
        "run_attempt": 2,
        "status": "completed",
        "conclusion": "timed_out",
        "updated_at": "2026-02-01T11:00:00Z",
    }
    owners = {"encoding": "base64", "content": "Ki55bWwgQGFkYQo="}
    server = GitHub(
        **{
            "": REPOSITORY,
            "actions/runs": {"workflow_runs": [run]},
            "actions/runs/31": run,
            "contents/CODEOWNERS": owners,
        }
    )
    source = server.source()
    ingest(store, source)
    (begun,) = nodes(store, NodeKind.JOB_RUN).values()
    server.lists["actions/runs/31"] = done

    assert ingest(store, source).error is None

    (ended,) = nodes(store, NodeKind.JOB_RUN).values()
    job = "github.workflow=acme/churn/.github/workflows/train.yml"
    assert (begun.properties["status"], "endedAt" in begun.properties) == ("RUNNING", False)
    assert (ended.properties["status"], ended.properties["attempts"]) == ("FAILED", 2)
    assert {
        (job, "HAS", ended.id),
        (f"git.sha={SHA}", "CODE_FOR", ended.id),
        (job, "OWNED_BY", "github.login=ada"),
    } <= edges(store)


def test_two_states_of_one_second_are_settled_by_a_later_pull() -> None:
    raw = {"number": 1, "created_at": "2026-03-01T11:00:00Z", "updated_at": "2026-03-01T11:00:00Z"}
    pushed = shape.issue(raw, shape.Seen(AT, asked=False))
    early = shape.issue(raw, shape.Seen(parse_time("2026-03-01T11:00:30Z"), asked=True))
    later = shape.issue(raw, shape.Seen(AT, asked=True))
    next_second = shape.issue({**raw, "updated_at": "2026-03-01T11:00:01Z"}, shape.Seen(AT, asked=False))

    assert pushed.version == early.version < later.version < next_second.version


def test_commits_that_were_not_asked_for_are_no_commits() -> None:
    with pytest.raises(BadInput):
        GitHub().source().to_claims(Item("pull/1/commits", "pull_commits", 1, {"number": 1, "asked": False}))
