"""What has states stands for them: a data set for its versions, a model, an environment for its own."""

from __future__ import annotations

import pytest

from app.answers.checks import checks
from app.answers.impact import ImpactAnswer, impact
from app.lineage.paths import paths
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
    monkeypatch.setattr("app.lineage.states.MAX_STATES", 2)
    write(store)

    found = risk(store, DATASET)

    assert not found.complete and dict(found.counts)[K.RUN] == 2 and K.DEPLOYMENT not in dict(found.counts)
    assert found.truncated_because == "of the 3 states of lake/orders the last 2 count"


def way(store: GraphStore, start: str, end: str) -> list[tuple[str, str]]:
    """The shortest path between two, as its edges."""
    ((one,), (other,)) = (store.resolve(text) for text in (start, end))
    found = paths(store, one, other, first=1)
    return [(edge.src, edge.dst) for edge in found.paths[0]] if found.paths else []


def test_paths_lead_from_a_data_set_to_a_model(store: GraphStore) -> None:
    write(store)
    there = way(store, DATASET, MODEL)

    held, read, made, registered = there
    assert held[0] == DATASET and registered[0] == MODEL, "which has its version"
    assert (held[1], read[1], made[1]) == (read[0], made[0], registered[1])
    back = way(store, MODEL, DATASET)
    assert back == there[::-1]
    assert way(store, DATASET, data(2)) == [(DATASET, data(2))]
    assert way(store, DATASET, "environment=prod")[0] == (DATASET, data(0)), "the first alone is deployed"


def test_between_things_that_nothing_joins_there_is_none(store: GraphStore) -> None:
    write(store)
    claims = [Names(K.DATASET, ("dataset=lake/other",)), Names(K.DATASET_VERSION, (data(99),))]
    other = [*claims, Links(E.HAS, "dataset=lake/other", data(99), EPOCH)]
    store.transact(lambda tx: joins.apply(tx, Source("lake", "dvc"), [record("other", *other)]))

    assert way(store, "dataset=lake/other", MODEL) == []


def test_checks_of_a_data_set_are_those_of_its_versions(store: GraphStore) -> None:
    write(store)
    check = "check@quality=rows/1"
    claims = [Names(K.CHECK, (check,)), Links(E.CHECKED_BY, data(1), check, EPOCH + HOUR)]
    store.transact(lambda tx: joins.apply(tx, Source("quality", "events"), [record("check", *claims)]))
    (handle,) = store.resolve(DATASET)

    assert [each.check.id for each in checks(store, of=handle).results] == [check]
