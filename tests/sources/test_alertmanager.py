"""The source alertmanager, against the real Alertmanager and Prometheus of Debian, and message by message."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from ingestors.alerts import dedup_key, fingerprint, labels_in
from ingestors.sanitise import clean_item
from ingestors.source import Forged, Source
from tests.alerting import Alertmanager, Exporter, Prometheus, Recorder, Sent, wait_for
from tests.sources.mutations import mutated
from tests.sources.pushing import delivery, node, push, received, source_of, write

RECORDED = Path(__file__).parent.parent.parent / "app" / "demo" / "alerts.json"
K = NodeKind
ALERT = "alertmanager.alert=25c04050f07a33b6@2026-11-21T11:23:16.585Z"

#: Recorded from Alertmanager 0.25.0 with Prometheus 2.42.0, 2026-11-21.
FIRING: dict[str, Any] = {
    "receiver": "all",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {
                "alertname": "Drift",
                "deployment": "churn-api",
                "env": "prod",
                "instance": "127.0.0.1:39737",
                "job": "service",
                "model": "churn",
                "severity": "critical",
                "version": "3",
            },
            "annotations": {
                "description": "long",
                "runbook_url": "https://runbooks.example.com/x",
                "summary": "drift is 0.9",
            },
            "startsAt": "2026-11-21T11:23:16.585Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://127.0.0.1:47053/graph?g0.expr=drift+%3E+0.5&g0.tab=1",
            "fingerprint": "25c04050f07a33b6",
        }
    ],
    "groupLabels": {"alertname": "Drift", "deployment": "churn-api"},
    "commonLabels": {"alertname": "Drift", "deployment": "churn-api"},
    "commonAnnotations": {},
    "externalURL": "http://127.0.0.1:33237",
    "version": "4",
    "groupKey": '{}:{alertname="Drift", deployment="churn-api"}',
    "truncatedAlerts": 0,
}
DEDUP = "af5f7fc9660763bb87aae6c60abe3a546a5c5cf6b97338b6e2e8e939d9183615"


def resolved(body: dict[str, Any] = FIRING, at: str = "2026-11-21T11:23:18.585Z") -> dict[str, Any]:
    body = copy.deepcopy(body)
    body["status"] = body["alerts"][0]["status"] = "resolved"
    body["alerts"][0]["endsAt"] = at
    return body


@pytest.fixture
def alerts() -> Source:
    return source_of(type="alertmanager", name="alerts", secret_env="ALERTS_TOKEN")


# the real tools ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Sent]]:
    """What the real Alertmanager sent to a webhook: an alert of the real Prometheus and one that was posted,
    both firing, both resolved; the receiver failed the first time."""
    home = tmp_path_factory.mktemp("alerting")
    authorization = {"authorization": {"type": "Bearer", "credentials": "s3cret"}}
    rule = {
        "alert": "Drift",
        "expr": "drift > 0.5",
        "for": "1s",
        "labels": {"severity": "critical", "deployment": "churn-api", "env": "prod"},
        "annotations": {"summary": "drift is {{ $value }}"},
    }
    with Recorder([503]) as recorder, Exporter({"drift": 0.9}) as service:
        hook = {"url": f"{recorder.url}/hooks/alerts", "send_resolved": True, "http_config": authorization}
        events = {"routing_key": "0" * 32, "url": f"{recorder.url}/v2/enqueue"}
        receivers = {"webhook_configs": [hook], "pagerduty_configs": [events]}
        alertmanager = Alertmanager(home / "alertmanager", receivers, {"repeat_interval": "2s"})
        target = f"127.0.0.1:{service.port}"
        with (
            alertmanager,
            Prometheus(home / "prometheus", target=target, alertmanager=alertmanager, rules=[rule]),
        ):
            wait_for("the alert", lambda: recorder.at("/hooks/alerts")[1:])
            began = datetime.now(UTC)
            posted = {"labels": {"alertname": "Lag", "bento": "churn:7"}, "startsAt": began.isoformat()}
            alertmanager.post(posted)
            wait_for(
                "both",
                lambda: _states(recorder.at("/hooks/alerts")) >= {("Drift", "firing"), ("Lag", "firing")},
            )
            service.values["drift"] = 0.1
            ended = {"endsAt": (datetime.now(UTC) - timedelta(milliseconds=1)).isoformat()}
            alertmanager.post(posted | ended)
            over = {("Drift", "resolved"), ("Lag", "resolved")}
            wait_for("the end", lambda: _states(recorder.at("/hooks/alerts")) >= over)
        yield recorder.sent


def _states(sent: list[Sent]) -> set[tuple[str, str]]:
    return {(a["labels"]["alertname"], a["status"]) for s in sent for a in s.json["alerts"]}


def test_what_the_real_one_sends_is_two_incidents_that_are_over(
    told: list[Sent], alerts: Source, store: SqliteStore
) -> None:
    hooks = [sent for sent in told if sent.path == "/hooks/alerts"]
    for sent in hooks:
        one = delivery(sent.body, sent.headers)
        alerts.verify(one, b"s3cret")
        push(store, alerts, one)

    found = {n.name: n for n in store.find(K.INCIDENT).items}

    assert {name: n.properties["status"] for name, n in found.items()} == {
        "Drift": "RESOLVED",
        "Lag": "RESOLVED",
    }
    assert found["Drift"].properties["severity"] == "critical"
    assert found["Drift"].properties["startedAt"] < found["Drift"].properties["endedAt"]
    started = hooks[0].json["alerts"][0]
    assert found["Drift"].id == f"alertmanager.alert={started['fingerprint']}@{started['startsAt']}"
    assert found["Drift"].url == started["generatorURL"]


def test_it_is_the_same_in_every_order_and_however_often(
    told: list[Sent], alerts: Source, tmp_path: Path
) -> None:
    hooks = [delivery(sent.body) for sent in told if sent.path == "/hooks/alerts"]
    chance = random.Random(7)
    digests = set()
    for number in range(12):
        store = SqliteStore(tmp_path / f"{number}.db")
        store.migrate()
        push(store, alerts, *chance.sample(hooks, len(hooks)), *chance.sample(hooks, len(hooks) // 2))
        digests.add(store.digest())
        store.close()

    assert len(digests) == 1


def test_it_tries_again_after_503_and_repeats_what_goes_on(told: list[Sent], alerts: Source) -> None:
    hooks = [sent for sent in told if sent.path == "/hooks/alerts"]

    assert hooks[0].json["alerts"][0]["labels"]["alertname"] == "Drift"
    assert hooks[1].json == hooks[0].json, "the first was answered 503"
    assert all("x-request-id" not in sent.headers for sent in hooks), "deliveries have no name"


def test_fingerprint_and_group_are_worked_out_as_alertmanager_does(told: list[Sent]) -> None:
    hooks = [sent.json for sent in told if sent.path == "/hooks/alerts"]
    events = [sent.json for sent in told if sent.path == "/v2/enqueue"]

    assert {e["dedup_key"] for e in events} == {dedup_key(h["groupKey"]) for h in hooks}
    for alert in (a for hook in hooks for a in hook["alerts"]):
        assert fingerprint(alert["labels"]) == alert["fingerprint"]
    listed = [
        fingerprint(labels)
        for event in events
        for labels in labels_in(event["payload"]["custom_details"]["firing"] if "payload" in event else "")
    ]
    assert set(listed) == {a["fingerprint"] for hook in hooks for a in hook["alerts"]}


# message by message ------------------------------------------------------------------------------------


def test_an_alert_that_fires_and_is_resolved_is_one_incident(alerts: Source, store: SqliteStore) -> None:
    push(store, alerts, delivery(FIRING))
    firing = node(store, ALERT)
    push(store, alerts, delivery(resolved()))
    over = node(store, ALERT)

    assert (firing.properties["status"], over.properties["status"]) == ("FIRING", "RESOLVED")
    assert "endedAt" not in firing.properties
    assert over.properties == {
        "status": "RESOLVED",
        "severity": "critical",
        "startedAt": "2026-11-21T11:23:16.585000Z",
        "endedAt": "2026-11-21T11:23:18.585000Z",
        "summary": "drift is 0.9",
        "description": "long",
        "runbookUrl": "https://runbooks.example.com/x",
        "labels": FIRING["alerts"][0]["labels"],
        "annotations": FIRING["alerts"][0]["annotations"],
    }
    assert (over.name, over.url) == ("Drift", FIRING["alerts"][0]["generatorURL"])


def test_a_repetition_writes_nothing(alerts: Source, store: SqliteStore) -> None:
    push(store, alerts, delivery(FIRING))
    held = store.backup_digest()

    assert push(store, alerts, delivery(FIRING, at=1_795_000_999_000_000)) == 0
    assert store.backup_digest() == held
    assert push(store, alerts, delivery(resolved())) > 0
    assert push(store, alerts, delivery(FIRING), delivery(resolved()), delivery(FIRING)) == 0


def test_states_with_other_words_are_one_incident_in_every_order(alerts: Source, tmp_path: Path) -> None:
    louder, later = copy.deepcopy(FIRING), resolved(at="2026-11-21T12:00:00Z")
    louder["alerts"][0]["annotations"]["summary"] = "drift is 1.2"
    told = [FIRING, louder, resolved(), later]
    seen = set()
    for number, order in enumerate(permutations(told)):
        store = SqliteStore(tmp_path / f"{number}.db")
        store.migrate()
        push(store, alerts, *map(delivery, order))
        found = node(store, ALERT)
        seen.add((store.digest(), found.properties["status"], found.properties["endedAt"]))
        store.close()

    assert [each[1:] for each in seen] == [("RESOLVED", "2026-11-21T12:00:00Z")]


def test_an_alert_in_two_groups_is_one_incident(alerts: Source, store: SqliteStore) -> None:
    other = FIRING | {"groupKey": '{}/{team="ml"}:{alertname="Drift"}'}

    push(store, alerts, delivery(FIRING), delivery(other))

    assert len(store.find(K.INCIDENT).items) == 1
    for key in (FIRING["groupKey"], DEDUP, other["groupKey"], dedup_key(other["groupKey"])):
        assert [label.id for label in store.labels(store.resolve(f"dedup_key={key}"))] == [ALERT]


def test_who_pushes_has_the_token_or_is_refused(alerts: Source) -> None:
    basic = {"authorization": "Basic YW55Ym9keTpzM2NyZXQ="}

    alerts.verify(delivery(FIRING, {"authorization": "Bearer s3cret"}), b"s3cret")
    alerts.verify(delivery(FIRING, basic), b"s3cret")

    for headers in ({}, {"authorization": "Bearer other"}, {"authorization": "s3cret"}):
        with pytest.raises(Forged):
            alerts.verify(delivery(FIRING, headers), b"s3cret")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "no list"),
        ({"alerts": {}}, "no list"),
        ({"alerts": [], "version": "3"}, "version '3'"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_message_is_refused(alerts: Source, body: Any, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        alerts.receive(delivery(body))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"startsAt": "soon"}, "is not a time"),
        ({"startsAt": None}, "needs startsAt"),
        ({"labels": ["a"]}, "needs labels"),
        ({"labels": {"a": 1}}, "are texts"),
    ],
)
def test_a_broken_alert_is_refused_and_the_others_land(
    alerts: Source, store: SqliteStore, broken: dict[str, Any], reason: str
) -> None:
    body = copy.deepcopy(FIRING)
    body["alerts"].insert(0, body["alerts"][0] | broken)

    bad, *good = received(alerts, [delivery(body)])
    write(store, alerts, good)

    with pytest.raises(BadInput, match=reason):
        alerts.to_claims(bad)
    assert node(store, ALERT).name == "Drift"


def test_what_is_not_wanted_is_passed_over() -> None:
    for keys in ({"exclude": ["Dri*"]}, {"include": ["Lag"]}, {"since": "2026-12-01"}):
        assert source_of(type="alertmanager", name="alerts", **keys).receive(delivery(FIRING)) == []


def test_a_secret_in_a_label_stays_out_and_the_alert_is_the_same(alerts: Source, store: SqliteStore) -> None:
    body = copy.deepcopy(FIRING)
    body["alerts"][0]["labels"]["password"] = "hunter2"

    push(store, alerts, delivery(body), delivery(resolved(body)))

    found = node(store, ALERT)
    assert found.properties["status"] == "RESOLVED"
    assert found.properties["labels"]["password"].startswith("[redacted:")


def test_the_recording_of_the_demo_can_be_read(alerts: Source, store: SqliteStore) -> None:
    deliveries = json.loads(RECORDED.read_text(encoding="utf-8"))["deliveries"]

    push(store, alerts, *map(delivery, deliveries))

    named = {a["fingerprint"] + "@" + a["startsAt"] for d in deliveries for a in d["alerts"]}
    assert {n.id for n in store.find(K.INCIDENT).items} == {f"alertmanager.alert={name}" for name in named}


def test_whatever_is_sent_lands_or_is_refused(alerts: Source) -> None:
    chance = random.Random(1)
    landed = refused = 0
    for _ in range(1_500):
        body = mutated(chance.choice([FIRING, resolved()]), chance, chance.randrange(1, 4))
        try:
            items = alerts.receive(delivery(json.dumps(body).encode()))
            landed += sum(bool(alerts.to_claims(clean_item(item))) for item in items)
        except BadInput:
            refused += 1

    assert landed > 500
    assert refused > 200
