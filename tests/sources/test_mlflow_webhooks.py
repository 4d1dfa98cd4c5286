"""MLflow's registry webhooks, sent by the real server: the history of aliases without gaps."""

from __future__ import annotations

import base64
import copy
import itertools
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.lineage.aliases import moves_of, stays
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.store import GraphStore
from graph_schema.times import format_time
from ingestors.loop import ingest
from ingestors.source import Delivery, Forged
from tests.contract.conftest import Fresh
from tests.receiver import Receiver
from tests.sources.mlflow_tracking import Tracking
from tests.sources.pushing import delivery, edges, node, push, source_of
from tests.sources.test_alertmanager import FIRING
from tests.tool_venvs import MLflowServer

SECRET = "a secret of the registry"
EVENTS = [
    ("MODEL_VERSION_ALIAS", "CREATED"),
    ("MODEL_VERSION_ALIAS", "DELETED"),
    ("MODEL_VERSION", "CREATED"),
]
ALIAS = {"entity": "model_version_alias", "action": "created"}


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracking]:
    """A server that may push to this machine."""
    environment = {
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http,https",
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    }
    with MLflowServer(tmp_path_factory.mktemp("webhooks"), environment=environment) as server:
        yield Tracking(server)


@pytest.fixture(scope="module")
def pushed(tracking: Tracking) -> list[Delivery]:
    """An alias goes from 1 to 2 and back to 1, then it is removed."""
    with Receiver() as receiver:
        events = [{"entity": entity, "action": action} for entity, action in EVENTS]
        url = f"{receiver.url}/hooks/tracking"
        tracking.call("POST", "webhooks", name="kinlore", url=url, events=events, secret=SECRET)
        tracking.call("POST", "registered-models/create", name="churn")
        for _ in range(2):
            tracking.version("churn", "s3://bucket/model", "")
        for version in ("1", "2", "1"):
            tracking.alias("churn", "champion", version)
            # MLflow sends from a pool of threads and stamps what it sends: they must not overtake each other.
            time.sleep(0.5)
        tracking.call("DELETE", "registered-models/alias", name="churn", alias="champion")
        return receiver.wait_until(lambda came: len(came) >= 6)


def champion(store: GraphStore, number: int) -> list[tuple[int | None, int, int | None]]:
    version = node(store, f"mlflow.model_version@tracking=churn/{number}")
    model = node(store, "mlflow.model@tracking=churn")
    return [stay[1:] for stay in stays(version, moves_of([model]))]


def test_what_moved_between_two_pulls_is_in_the_history(
    tracking: Tracking, pushed: list[Delivery], fresh: Fresh
) -> None:
    store = fresh()
    source = source_of(type="mlflow", name="tracking", tracking_uri=tracking.server.url)
    for each in pushed:
        source.verify(each, SECRET.encode())

    push(store, source, *pushed)
    assert ingest(store, source).error is None

    (back, first), (second,) = champion(store, 1)[::-1], champion(store, 2)
    assert first[2] == second[1] and second[2] == back[1]
    assert back[2] is not None and back[1] < back[2]
    assert push(store, source, *pushed) == 0


def test_an_alert_that_names_the_alias_is_of_the_version_that_had_it_then(
    tracking: Tracking, pushed: list[Delivery], fresh: Fresh
) -> None:
    store = fresh()
    source = source_of(type="mlflow", name="tracking", tracking_uri=tracking.server.url)
    push(store, source, *pushed)
    moves = sorted(moves_of([node(store, "mlflow.model@tracking=churn")])["champion"])
    alerts = source_of(type="alertmanager", name="alerts")
    began = [format_time(at + 100_000) for at, _ in moves]
    for number, at in enumerate(began):
        body = copy.deepcopy(FIRING)
        body["alerts"][0] |= {"startsAt": at, "fingerprint": f"{number:016x}"}
        body["alerts"][0]["labels"] = {"alertname": "Drift", "model": "churn", "alias": "champion"}
        push(store, alerts, delivery(body))

    assert ingest(store, source).error is None

    found = []
    for number, at in enumerate(began):
        alert = f"alertmanager.alert={number:016x}@{at}"
        found.append([edge.src for edge in edges(store, alert) if edge.kind is EdgeKind.IMPLICATED_IN])
    versions = [f"mlflow.model_version@tracking=churn/{number}" for number in (1, 2, 1)]
    assert found == [*([version] for version in versions), []], "at last it was taken away"


def test_any_order_of_pushes_and_pulls_ends_in_one_state(
    tracking: Tracking, pushed: list[Delivery], fresh: Fresh
) -> None:
    moves = [each for each in pushed if b"alias" in each.body]
    digests = set()
    for number, order in enumerate(itertools.islice(itertools.permutations(moves), 0, None, 7)):
        store = fresh()
        source = source_of(type="mlflow", name="tracking", tracking_uri=tracking.server.url)
        push(store, source, *order[: number % 5])
        ingest(store, source)
        push(store, source, *order)
        digests.add(store.digest())
    assert len(digests) == 1


def test_deliveries_have_names_and_signatures(pushed: list[Delivery], tmp_path: Path) -> None:
    source = source_of(type="mlflow", name="tracking", tracking_uri="http://127.0.0.1:9")

    assert len({source.delivery_id(each) for each in pushed}) == len(pushed)
    with pytest.raises(Forged):
        source.verify(pushed[0], b"another secret")
    assert [len(source.receive(each)) for each in pushed].count(0) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        {"entity": "model_version_alias"},
        {
            "entity": "model_version_alias",
            "action": "created",
            "timestamp": "2026-11-21T10:00:00Z",
            "data": {},
        },
        {"entity": "model_version_alias", "action": "created", "timestamp": "soon", "data": {}},
    ],
)
def test_what_no_mlflow_sends_is_refused(body: object) -> None:
    source = source_of(type="mlflow", name="tracking", tracking_uri="http://127.0.0.1:9")

    with pytest.raises(BadInput):
        source.receive(delivery(body))
