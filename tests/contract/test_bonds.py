"""Claims on identity as people see them, and people's own, on both stores."""

from __future__ import annotations

import pytest

from app.lineage.identity import Identity, explain
from graph_schema.claims import Claim, Links, Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from ingestors import corrections, joins
from tests.contract.conftest import Fresh
from tests.contract.harness import CODE, TRACKING

RUN = "mlflow.run_id=a1"
OTHER = "mlflow.run_id=b2"
RECORDED = "kinlore.run=0190f2a4-6b1c-7def-8123-456789abcdef"
VERSION = "mlflow.model_version@tracking=churn/3"
COPY = "bentoml.model@serving=churn:k2vq5wtx6gm3kasc"


def say(store: GraphStore, source: Source, key: str, *claims: Claim, version: int = 1) -> None:
    store.transact(lambda tx: joins.apply(tx, source, [Record(key, "thing", version, claims)]))


def run(*ids: str) -> Names:
    return Names(NodeKind.RUN, ids)


@pytest.fixture
def store(fresh: Fresh) -> GraphStore:
    store = fresh()
    say(store, TRACKING, "runs", run(RUN), run(OTHER))
    return store


def test_one_node_is_explained_by_the_records_that_name_it(store: GraphStore) -> None:
    say(store, CODE, "capture/1", run(RUN, RECORDED))

    answer = explain(store, RUN, RECORDED)

    assert answer.identity is Identity.ONE_NODE
    assert answer.because == [f"{RUN} and {RECORDED} name one thing: code says so in capture/1"]


def test_things_that_nobody_joins(store: GraphStore) -> None:
    say(store, CODE, "other", run(RECORDED))

    answer = explain(store, OTHER, RECORDED)

    assert answer.identity is Identity.UNRELATED
    assert "kinlore identity same" in answer.because[0]


def test_a_chain_of_claims_is_told_in_order(store: GraphStore) -> None:
    versions = Names(NodeKind.MODEL_VERSION, (VERSION,)), Names(NodeKind.MODEL_VERSION, (COPY,))
    logged = "mlflow.logged_model=m-1"
    say(store, TRACKING, "v3", *versions, Links(EdgeKind.SAME_AS, COPY, VERSION, evidence="its metadata"))
    say(store, CODE, "m-1", Names(NodeKind.MODEL_VERSION, (VERSION, logged)))

    answer = explain(store, COPY, logged)

    assert answer.identity is Identity.SAME
    assert answer.because == [f"{COPY} is the same as {VERSION}: its metadata"]


def test_what_is_exclusive_refuses_a_person_and_says_why(store: GraphStore) -> None:
    before = store.digest()

    with pytest.raises(BadInput, match=r"refused, two values of an exclusive scheme"):
        corrections.same(store, RUN, OTHER, why="they look alike")

    assert store.digest() == before and corrections.listed(store) == []
    answer = explain(store, RUN, OTHER)
    assert answer.identity is Identity.UNRELATED
    assert answer.because == [
        "one has mlflow.run_id=a1, the other mlflow.run_id=b2: a thing has only one of these"
    ]


def test_a_refused_claim_of_a_source_is_named(store: GraphStore) -> None:
    say(store, CODE, "wrong", Links(EdgeKind.SAME_AS, RUN, OTHER, evidence="same seed"))

    answer = explain(store, RUN, OTHER)

    assert answer.identity is Identity.REFUSED
    assert answer.because[0] == f"{RUN} is the same as {OTHER}: same seed, which is refused"
    assert answer.because[1].startswith("one has mlflow.run_id=a1")


def test_different_kinds_are_never_one(store: GraphStore) -> None:
    say(store, CODE, "commit", Names(NodeKind.TAG, ("tag=red",)))

    answer = explain(store, RUN, "tag=red")

    assert answer.because == ["one is a Run and the other a Tag"]
    with pytest.raises(BadInput, match="SAME_AS may not join Run to Tag"):
        corrections.same(store, RUN, "tag=red")


def test_what_people_say_outlives_ingestion_and_can_be_taken_back(store: GraphStore) -> None:
    joined = run(RUN, RECORDED)
    say(store, CODE, "capture/1", joined)
    before = store.digest()

    said = corrections.apart(store, RUN, RECORDED, why="two ranks", by="ada")
    say(store, CODE, "capture/1", joined, run(OTHER), version=2)

    assert said.changed and len(store.resolve(RUN)) == 1
    assert store.resolve(RUN) != store.resolve(RECORDED)
    answer = explain(store, RUN, RECORDED)
    assert answer.identity is Identity.APART
    assert answer.because == [f"{RUN} is not {RECORDED}: said by ada: two ranks"]
    taken = corrections.withdraw(store, said.id)
    assert taken.changed and store.resolve(RUN) == store.resolve(RECORDED)
    say(store, CODE, "capture/1", joined, version=3)
    assert store.digest() == before and corrections.listed(store) == []
    with pytest.raises(NotFound, match="no correction"):
        corrections.withdraw(store, said.id)


def test_a_later_word_on_the_same_two_replaces_the_earlier(store: GraphStore) -> None:
    say(store, CODE, "other", run(RECORDED))
    corrections.same(store, RUN, RECORDED)
    again = corrections.same(store, RUN, RECORDED)

    last = corrections.apart(store, RECORDED, RUN)

    assert not again.changed and last.changed
    assert [(each.verdict, each.a) for each in corrections.listed(store)] == [("apart", RECORDED)]
    assert explain(store, RUN, RECORDED).identity is Identity.APART


def test_owners_and_labels(store: GraphStore) -> None:
    owner = corrections.set_owner(store, RUN, "team=growth", role="maintainer", by="ada")
    label = corrections.tag(store, RUN, "tag=flaky", why="three times", by="ada")

    counts = store.counts().edges
    assert counts["OWNED_BY"] == counts["TAGGED"] == 1
    for said in (owner, label):
        assert corrections.withdraw(store, said.id).changed
    assert not store.counts().edges.get("OWNED_BY")
    with pytest.raises(BadInput, match="names no person or team"):
        corrections.set_owner(store, RUN, "tag=flaky")
    with pytest.raises(BadInput, match="is no label"):
        corrections.tag(store, RUN, "team=growth")


def test_hidden_claims_are_not_told(store: GraphStore) -> None:
    say(store, Source("secret", "git", "vault"), "capture/1", run(RUN, RECORDED))

    (handle,) = store.resolve(RUN)
    assert len(store.bonds([handle])) == 1
    assert store.bonds([handle], spaces=frozenset({"default"})) == []


def test_all_that_people_have_said_is_listed_page_by_page(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corrections, "_PAGE", 2)
    labels = [f"tag=label-{number}" for number in range(5)]

    for label in labels:
        corrections.tag(store, RUN, label)

    assert [each.b for each in corrections.listed(store)] == labels
