"""Comparing two things, and one thing at two times, on both stores."""

from __future__ import annotations

import pytest

from app.lineage.compare import Comparison, Difference, compare
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from ingestors import joins
from ingestors.deployments import deployed
from tests.contract.conftest import Fresh
from tests.contract.harness import EPOCH, SECOND, TRACKING

GOOD, BAD = "mlflow.run_id=good", "mlflow.run_id=bad"
OLD, NEW = "dvc.md5=" + "1" * 32, "dvc.md5=" + "2" * 32
MODEL = "mlflow.model@tracking=churn"
V1, V2 = "mlflow.model_version@tracking=churn/1", "mlflow.model_version@tracking=churn/2"
COMMIT = "git.sha=" + "3" * 40


def run(id: str, data: str, lr: float, at: int) -> list[Claim]:
    properties = {"params": {"lr": lr, "depth": 3}, "metrics": {"auc": 0.9}, "startedAt": str(at)}
    return [
        States(NodeKind.RUN, id, properties),
        Names(NodeKind.DATASET_VERSION, (data,)),
        Links(EdgeKind.INPUT_TO, data, id, at),
        Links(EdgeKind.CODE_FOR, COMMIT, id, at),
    ]


def release(revision: str, version: str, at: int, share: float | None = None) -> list[Claim]:
    return deployed(
        f"deployment@events=prod/churn@{revision}", environment="prod", name="churn", scope="events",
        at=at, of=[(NodeKind.MODEL_VERSION, version)], share=share,
    )  # fmt: skip


def alias(since: int, until: int | None = None) -> dict[str, object]:
    return {"champion": {"name": "champion", "seenAt": since, **({} if until is None else {"until": until})}}


@pytest.fixture
def store(fresh: Fresh) -> GraphStore:
    """Version 1 released, then 2 beside it with a tenth of the traffic, then 2 alone."""
    store, t = fresh(), EPOCH
    claims = [
        Names(NodeKind.COMMIT, (COMMIT,)),
        *run(GOOD, OLD, 0.1, t),
        *run(BAD, NEW, 0.5, t + 9 * SECOND),
        States(NodeKind.MODEL_VERSION, V1, {"name": "churn v1", "aliasHistory": alias(t, t + 20 * SECOND)}),
        States(NodeKind.MODEL_VERSION, V2, {"name": "churn v2", "aliasHistory": alias(t + 20 * SECOND)}),
        States(NodeKind.MODEL, MODEL, {"name": "churn"}),
        Links(EdgeKind.HAS, MODEL, V1, t),
        Links(EdgeKind.HAS, MODEL, V2, t + 10 * SECOND),
        Links(EdgeKind.PRODUCED, GOOD, V1, t),
        Links(EdgeKind.PRODUCED, BAD, V2, t + 10 * SECOND),
    ]
    records = [
        Record("all", "thing", 1, tuple(claims)),
        Record("release/1", "release", 1, tuple(release("1", V1, t + 5 * SECOND))),
        Record("release/2", "release", 1, tuple(release("2", V2, t + 15 * SECOND, 0.1))),
        Record("release/2 whole", "release", 1, tuple(release("2", V2, t + 25 * SECOND))),
    ]
    store.transact(lambda tx: joins.apply(tx, TRACKING, records))
    return store


def one(store: GraphStore, text: str) -> int:
    (handle,) = store.resolve(text)
    return handle


def told(answer: Comparison) -> dict[str, tuple[object, object, float]]:
    return {each.path: (each.left, each.right, each.weight) for each in answer.differences}


def test_two_runs(store: GraphStore) -> None:
    answer = compare(store, one(store, GOOD), one(store, BAD))

    assert told(answer) == {
        "data.unnamed": ("1" * 10, "2" * 10, 1.0), "params.lr": (0.1, 0.5, 1.0),
        "startedAt": (str(EPOCH), str(EPOCH + 9 * SECOND), 0.05),
    }  # fmt: skip
    assert [node.id for node in answer.differences[0].right_nodes] == [NEW]
    assert {(edge.kind, edge.src) for edge in answer.added} == {("CODE_FOR", COMMIT), ("INPUT_TO", NEW)}
    assert {(edge.kind, edge.src) for edge in answer.removed} == {("CODE_FOR", COMMIT), ("INPUT_TO", OLD)}
    assert answer.complete and (answer.left.id, answer.right.id) == (GOOD, BAD)
    assert answer.code == [], "both ran the same commit"


def test_two_model_versions_differ_as_their_runs_do(store: GraphStore) -> None:
    answer = compare(store, one(store, V1), one(store, V2))

    assert [each.path for each in answer.differences if each.weight >= 1] == ["data.unnamed", "params.lr"]
    assert told(answer)["run.startedAt"][2] == 0.05


def test_two_deployments(store: GraphStore) -> None:
    first, second = (one(store, f"deployment@events=prod/churn@{number}") for number in "12")

    answer = compare(store, first, second)

    assert [each.path for each in answer.differences][:3] == ["data.unnamed", "params.lr", "model.churn"]
    assert told(answer)["model.churn"] == ("churn v1", "churn v2", 0.9)


def test_what_stood_in_an_environment(store: GraphStore) -> None:
    prod = one(store, "environment=prod")
    first, canary, whole = (EPOCH + at * SECOND for at in (6, 16, 26))

    began = compare(store, prod, prod, left_as_of=first, right_as_of=canary)
    ended = compare(store, prod, prod, left_as_of=canary, right_as_of=whole)
    all_of_it = compare(store, prod, prod, left_as_of=first, right_as_of=whole)

    assert ("DEPLOYED_AS", V2) in {(edge.kind, edge.src) for edge in began.added} and not began.removed
    assert ("DEPLOYED_AS", V1) in {(edge.kind, edge.src) for edge in ended.removed}
    share = f"{V2} DEPLOYED_AS deployment@events=prod/churn@2: share"
    assert told(ended)[share] == (0.1, 1.0, 1.0)
    assert told(began)["model.churn"] == (None, "churn v2", 0.9)
    # What stood there is followed back to the data and the parameters.
    assert told(all_of_it)["model.churn"] == ("churn v1", "churn v2", 0.9)
    assert told(all_of_it)["data.unnamed"][:2] == ("1" * 10, "2" * 10)
    assert told(all_of_it)["params.lr"] == (0.1, 0.5, 1.0)


def test_who_held_an_alias(store: GraphStore) -> None:
    model = one(store, MODEL)

    answer = compare(store, model, model, left_as_of=EPOCH + 15 * SECOND, right_as_of=EPOCH + 21 * SECOND)

    assert answer.differences == [Difference("aliases.champion", "churn v1", "churn v2", 0.8)]
    assert not answer.added and not answer.removed


def test_nothing_differs_from_itself(store: GraphStore) -> None:
    for text in (GOOD, MODEL, "environment=prod"):
        answer = compare(store, one(store, text), one(store, text))

        assert (answer.differences, answer.added, answer.removed) == ([], [], [])
