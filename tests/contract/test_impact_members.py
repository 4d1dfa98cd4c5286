"""Impact of what has states: a data set stands for its versions, a model for its own."""

from __future__ import annotations

import pytest

from app.answers.impact import ImpactAnswer, impact
from graph_schema.claims import Claim, Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import Moment
from ingestors import joins
from ingestors.deployments import deployed
from tests.contract.harness import EPOCH, record

E, K = EdgeKind, NodeKind
DATASET, MODEL = "dataset=lake/orders", "mlflow.model@tracking=churn"
HOUR = 3_600_000_000


def version(number: int) -> str:
    return f"mlflow.model_version@tracking=churn/{number}"


def data(number: int) -> str:
    return f"dvc.md5={number:032x}"


def write(store: GraphStore, versions: int = 3) -> None:
    """Versions of a data set, a model version of each, of which the first is deployed."""
    claims: list[Claim] = [Names(K.DATASET, (DATASET,)), Names(K.MODEL, (MODEL,))]
    for number in range(versions):
        at = EPOCH + number * HOUR
        run = f"mlflow.run_id=r{number}"
        claims += [Names(K.DATASET_VERSION, (data(number),)), Names(K.MODEL_VERSION, (version(number),))]
        claims += [Links(E.HAS, DATASET, data(number), at), Links(E.HAS, MODEL, version(number), at)]
        claims += [Names(K.RUN, (run,)), Links(E.INPUT_TO, data(number), run, at)]
        claims.append(Links(E.PRODUCED, run, version(number), at))
    claims += deployed(
        "deployment@releases=prod/churn@1", environment="prod", name="churn", scope="releases", at=EPOCH,
        of=[(K.MODEL_VERSION, version(0))], properties={},
    )  # fmt: skip
    store.transact(lambda tx: joins.apply(tx, Source("releases", "events"), [record("all", *claims)]))


def risk(store: GraphStore, id: str, moment: Moment | None = None) -> ImpactAnswer:
    (handle,) = store.resolve(id)
    return impact(store, [handle], moment=moment or Moment(), now=EPOCH + 90 * HOUR)


@pytest.mark.parametrize("group", [DATASET, MODEL, "environment=prod"])
def test_what_its_states_feed_is_at_risk(store: GraphStore, group: str) -> None:
    write(store)

    found = risk(store, group)

    assert found.complete and dict(found.counts)[K.DEPLOYMENT] == 1
    (shown,) = [target for target in found.targets if target.kind is K.DEPLOYMENT]
    edges = store.edges(list(shown.beliefs))
    assert group == "environment=prod" or edges[0].src == (data(0) if group == DATASET else version(0))
    assert found.score >= risk(store, data(0)).score or group != DATASET


def test_states_count_as_of_a_time(store: GraphStore) -> None:
    write(store)

    (early,) = (risk(store, DATASET, Moment(as_of=EPOCH + HOUR + 1)),)

    assert dict(early.counts)[K.RUN] == 2
    assert dict(risk(store, DATASET).counts)[K.RUN] == 3


def test_of_very_many_the_last_count_and_it_says_so(
    store: GraphStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.answers.impact_members.MAX_MEMBERS", 2)
    write(store)

    found = risk(store, DATASET)

    assert not found.complete and dict(found.counts)[K.RUN] == 2 and K.DEPLOYMENT not in dict(found.counts)
    assert found.truncated_because == "of the 3 states of lake/orders the last 2 count"
