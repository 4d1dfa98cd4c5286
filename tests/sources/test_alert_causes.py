"""What an alert is implicated with: the most specific thing that its labels name."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Names, Record, occupies
from graph_schema.errors import BadInput
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import parse_time
from ingestors import tables
from ingestors.deployments import deployed
from ingestors.released import alias_slot
from tests.sources.pushing import apply, delivery, edges, links, push, source_of
from tests.sources.test_alertmanager import FIRING

K = NodeKind
ALERT = "alertmanager.alert=25c04050f07a33b6@2026-11-21T11:23:16.585Z"


def labelled(**labels: str) -> dict[str, Any]:
    body = copy.deepcopy(FIRING)
    body["alerts"][0]["labels"] = {"alertname": "Drift", **labels}
    return body


DEPLOYMENT = identifier("deployment", "prod/churn-api@14", "cd")
VERSION = identifier("mlflow.model_version", "churn/3", "tracking")
BENTO = identifier("bentoml.bento", "churn:7", "serving")
IMAGE = identifier("oci.digest", "sha256:" + "9f" * 32)
RUN = identifier("mlflow.run_id", "1bc29b36f623ba82aaf6724fd3b16718")


def known(store: SqliteStore) -> None:
    """What there is: a deployment since last year, a version, a bento, an image, a run."""
    at = parse_time("2025-12-01")
    release = source_of(type="alertmanager", name="releases")
    claims = deployed(DEPLOYMENT, environment="prod", name="churn-api", scope="cd", at=at)
    apply(store, release, Record("d", "d", 1, tuple(claims)))
    held = occupies(alias_slot("churn", "champion"), VERSION, at)
    apply(store, release, Record("a", "a", 1, (held,)))
    things = ((K.MODEL_VERSION, VERSION), (K.ARTIFACT, BENTO), (K.ARTIFACT, IMAGE), (K.RUN, RUN))
    for kind, text in things:
        apply(store, release, Record(text, "t", 1, (Names(kind, (text,)),)))


def causes(store: SqliteStore) -> set[str]:
    return {e.src for e in edges(store, ALERT) if e.kind.value == "IMPLICATED_IN"}


@pytest.mark.parametrize(
    ("labels", "cause"),
    [
        ({"bento": "churn:7", "model": "churn", "version": "3", "service": "churn-api"}, {BENTO}),
        ({"model": "churn", "version": "3", "deployment": "churn-api", "env": "prod"}, {VERSION}),
        ({"model_name": "churn", "model_version": "v3"}, {VERSION}),
        ({"deployment": "churn-api", "env": "prod"}, {DEPLOYMENT}),
        ({"service": "churn-api", "namespace": "prod"}, {DEPLOYMENT}),
        ({"service": "churn-api"}, {DEPLOYMENT}),
        ({"model": "churn-api", "env": "prod"}, {DEPLOYMENT}),
        ({"model": "churn-api", "version": " ", "env": "prod"}, {DEPLOYMENT}),
        ({"deployment": "churn-api", "env": "staging"}, set()),
        ({"bento": "no bento", "service": "churn-api"}, {DEPLOYMENT}),
        ({"model": "churn", "alias": "champion", "service": "churn-api"}, {VERSION}),
        ({"model": "churn", "model_alias": "challenger"}, set()),
        ({"model": "churn", "alias": "champion", "version": "4"}, set()),
        ({"severity": "critical"}, set()),
        ({"image": "sha256:" + "9F" * 32, "run": "1bc29b36f623ba82aaf6724fd3b16718"}, {IMAGE, RUN}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", ["the alert", "the world"])
def test_an_alert_comes_from_the_most_specific_thing_that_it_names(
    store: SqliteStore, labels: dict[str, str], cause: set[str], first: str
) -> None:
    more = {"oci.digest": "image", "mlflow.run_id": ["run_id", "run"]}
    alerts = source_of(type="alertmanager", name="alerts", labels=more)
    if first == "the world":
        known(store)
    push(store, alerts, delivery(labelled(**labels)))
    if first == "the alert":
        known(store)

    assert causes(store) == cause


def test_a_table_is_what_it_held_when_the_alert_began(store: SqliteStore) -> None:
    alerts = source_of(type="alertmanager", name="alerts", labels={"dataset": ["table"]})
    openlineage = source_of(type="alertmanager", name="pipelines")
    for day in (20, 22):
        run = f"0190f2a4-6b1c-7def-8123-4567890000{day}"
        state = tables.version("pg://db/users", run)
        at = parse_time(f"2026-11-{day}")
        claims = (
            Names(K.DATASET_VERSION, (state,)),
            tables.written("pg://db/users", state, at, f"openlineage.run_id={run}"),
        )
        apply(store, openlineage, Record(run, "w", 1, claims))

    push(store, alerts, delivery(labelled(table="pg://db/users")))

    assert causes(store) == {tables.version("pg://db/users", "0190f2a4-6b1c-7def-8123-456789000020")}


def test_labels_name_owners_and_tags(store: SqliteStore) -> None:
    alerts = source_of(type="alertmanager", name="alerts", labels={"team": "team", "tag": "kind"})

    push(store, alerts, delivery(labelled(team="growth-ml", kind="drift")))

    assert links(store, ALERT) == [
        ("alertmanager.alert=" + ALERT.partition("=")[2], "OWNED_BY", "team=growth-ml"),
        ("alertmanager.alert=" + ALERT.partition("=")[2], "TAGGED", "tag=drift"),
    ]


def test_a_mapping_replaces_lines_of_the_default(store: SqliteStore) -> None:
    known(store)
    alerts = source_of(type="alertmanager", name="alerts", labels={"bentoml.bento": [], "deployment": "app"})

    push(store, alerts, delivery(labelled(bento="churn:7", app="churn-api", env="prod")))

    assert causes(store) == {DEPLOYMENT}


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({"bentoml.bentoo": "b"}, "labels: unknown scheme 'bentoml.bentoo'; did you mean bentoml.bento"),
        (
            {"git.sha": "commit"},
            "'git.sha' names a Commit, which an alert is not implicated with; allowed are deployment, ",
        ),
        ({"uri": "u"}, "'uri' names nothing by itself"),
        ({"model": 3}, "labels: model takes names of labels, such as 'model' = \\['model'\\]"),
        ("service", "labels: labels is a table"),
    ],
)
def test_a_wrong_mapping_is_one_clear_line(labels: Any, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as raised:
        source_of(type="alertmanager", name="alerts", labels=labels)

    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith("source 'alerts': ")
