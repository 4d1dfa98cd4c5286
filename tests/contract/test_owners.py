"""Owners that follow from several records: by path (CODEOWNERS) and by place (what stands under a name)."""

from __future__ import annotations

import random
from itertools import permutations

from graph_schema.claims import Claim, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from ingestors import codeowners, joins
from ingestors.deployments import deployed, owned
from ingestors.source import Delivery
from ingestors.sources.github import GitHubConfig, GitHubSource
from ingestors.sources.gitlab import GitLabConfig, GitLabSource
from tests.contract.conftest import Fresh
from tests.contract.test_derived import edges
from tests.sources.github_contract import REPOSITORY, SHA, delivery
from tests.sources.gitlab_contract import PATH, deployment_hook

HOME = "git.remote=github.com/acme/churn"
FORGE = Source("forge", "github")


def put(store: GraphStore, key: str, version: int, *claims: Claim, by: Source = FORGE) -> None:
    record = Record(key, "x", version, claims)
    store.transact(lambda tx: joins.apply(tx, by, [record]))


def owners(store: GraphStore) -> set[tuple[str, str, str]]:
    return {
        (edge.src.partition("=")[2], edge.dst, edge.evidence or "")
        for edge in edges(store)
        if edge.kind is EdgeKind.OWNED_BY
    }


def file(text: str) -> tuple[Claim, ...]:
    return tuple(codeowners.claims(codeowners.parse(text, "github"), HOME))


def data_set(path: str) -> tuple[Claim, ...]:
    name = identifier("dataset", f"github.com/acme/churn/{path}")
    return Names(NodeKind.DATASET, (name,)), codeowners.lies_at("github.com/Acme/Churn", path, name)


def test_owners_by_path_follow_the_file_in_every_order(fresh: Fresh) -> None:
    records = [
        ("codeowners", 1, file("* @ada\n/data/ @bob\n")),
        ("users", 1, data_set("data/users.csv")),
        ("model", 1, data_set("model.pkl")),
        ("codeowners", 2, file("* @ada\n/data/users.csv @acme/ml\n")),
    ]
    digests = set()
    for order in permutations(records):
        store = fresh()
        for key, version, claims in order:
            put(store, key, version, *claims)
        digests.add(store.digest())
        assert owners(store) == {
            ("github.com/acme/churn", "github.login=ada", "CODEOWNERS: *"),
            ("github.com/acme/churn/model.pkl", "github.login=ada", "CODEOWNERS: *"),
            ("github.com/acme/churn/data/users.csv", "team=acme/ml", "CODEOWNERS: /data/users.csv"),
        }

    assert len(digests) == 1


def test_owners_by_path_go_with_the_file_or_the_path(store: GraphStore) -> None:
    put(store, "codeowners", 1, *file("* @ada\n"))
    put(store, "users", 1, *data_set("users.csv"))
    put(store, "model", 1, *data_set("model.pkl"))

    put(store, "users", 2)
    without_path = {src for src, _, _ in owners(store)}
    put(store, "codeowners", 2)

    assert without_path == {"github.com/acme/churn", "github.com/acme/churn/model.pkl"}
    assert owners(store) == set()


def test_owners_by_place_own_what_stood_and_what_will_stand(fresh: Fresh) -> None:
    def release(number: int) -> tuple[Claim, ...]:
        name = identifier("deployment", f"prod/churn@{number}", "k8s")
        return tuple(deployed(name, environment="prod", name="churn", scope="k8s", at=number * 1_000_000))

    catalog = owned("team=growth", environment="prod", name="churn", role="owner", because="catalog")
    records = [
        ("1", release(1)),
        ("2", release(2)),
        ("catalog", (Names(NodeKind.TEAM, ("team=growth",)), catalog)),
    ]
    digests = set()
    for order in permutations(records):
        store = fresh()
        for key, claims in order:
            put(store, key, 1, *claims)
        digests.add(store.digest())
        assert {src for src, _, _ in owners(store)} == {"prod/churn@1", "prod/churn@2"}
        put(store, "catalog", 2)
        assert owners(store) == set()

    assert len(digests) == 1


def test_deliveries_of_both_forges_give_one_graph_in_any_order(fresh: Fresh) -> None:
    github = GitHubSource(GitHubConfig(type="github", name="forge", repository="acme/churn"))
    gitlab = GitLabSource(GitLabConfig(type="gitlab", name="lab", project=PATH, url="https://gitlab.example"))
    issue = {
        "number": 7,
        "title": "Down",
        "state": "open",
        "user": {"login": "ada"},
        "created_at": "2026-02-01T10:00:00Z",
    }
    states = [
        {**issue, "labels": [{"name": "incident"}], "body": "deployment: churn",
         "updated_at": "2026-02-01T10:00:00Z"},
        {**issue, "labels": [], "updated_at": "2026-02-01T10:05:00Z"},
        {**issue, "labels": [{"name": "incident"}], "state": "closed", "closed_at": "2026-02-01T11:00:00Z",
         "body": "environment: production\ndeployment: churn", "updated_at": "2026-02-01T11:00:00Z"},
    ]  # fmt: skip
    of = {
        "id": 1,
        "sha": SHA,
        "payload": {},
        "environment": "production",
        "created_at": "2026-02-01T09:00:00Z",
    }
    made = {"id": 2, "state": "success", "created_at": "2026-02-01T09:01:00Z"}
    events: list[tuple[GitHubSource | GitLabSource, Delivery]] = [
        (github, delivery("issues", {"issue": state, "repository": REPOSITORY})) for state in states
    ]
    body = {"deployment": of, "deployment_status": made, "repository": REPOSITORY}
    events.append((github, delivery("deployment_status", body)))
    events += [
        (gitlab, deployment_hook(15, state, f"2026-02-01 10:0{minute}:00 UTC"))
        for minute, state in enumerate(("running", "success", "failed"))
    ]
    chance, digests = random.Random(3), set()
    for _ in range(6):
        store = fresh()
        for source, event in chance.sample(events * 2, len(events) * 2):
            for item in source.receive(event):
                claims = tuple(source.to_claims(item))
                put(store, item.key, item.version, *claims, by=Source(source.config.name, source.type))
        digests.add(store.digest())
        blamed = {(e.src, e.dst) for e in edges(store) if e.kind is EdgeKind.IMPLICATED_IN}
        assert blamed == {("deployment@forge=production/churn@1", "github.issue=acme/churn#7")}

    assert len(digests) == 1
