"""The source pagerduty: webhooks as PagerDuty documents them, its API, the real Alertmanager before it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Record
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from ingestors.deployments import deployed
from ingestors.loop import Policy, ingest
from ingestors.report import Report
from ingestors.sanitise import clean_item
from ingestors.source import Forged, Source
from ingestors.sources.pagerduty.shape import incident_items
from tests.sources.mutations import mutated
from tests.sources.pagerduty_account import (
    ADA,
    SECRET,
    TOKEN,
    Account,
    alert,
    incident,
    signed,
    told,
    webhook,
)
from tests.sources.pushing import apply, delivery, links, node, push, received, source_of

K = NodeKind
ONE = "pagerduty.incident=Q0INCIDENT0001"
CREATED = "2026-11-03T14:20:00Z"

TRIGGERED = webhook("incident.triggered", "2026-11-03T14:20:00.169Z", told(1, CREATED))
ACKNOWLEDGED = webhook("incident.acknowledged", "2026-11-03T14:25:00Z", told(1, CREATED, "acknowledged"))
RAISED = webhook(
    "incident.priority_updated",
    "2026-11-03T14:30:00Z",
    told(1, CREATED, "acknowledged", priority={"id": "P2", "type": "priority_reference", "summary": "P2"}),
)
RESOLVED = webhook("incident.resolved", "2026-11-03T16:31:00Z", told(1, CREATED, "resolved"))
REOPENED = webhook("incident.reopened", "2026-11-03T17:00:00Z", told(1, CREATED))
NOTE = webhook(
    "incident.annotated",
    "2026-11-03T16:40:00Z",
    {
        "incident": {"id": "Q0INCIDENT0001", "type": "incident_reference"},
        "id": "PNOTE01",
        "content": "Rolled back to version 2",
        "trimmed": False,
        "type": "incident_note",
    },
)


@pytest.fixture
def account() -> Iterator[Account]:
    with Account() as account:
        yield account


@pytest.fixture
def hooked() -> Source:
    """Webhooks only."""
    return source_of(type="pagerduty", name="duty", secret_env="DUTY_SECRET")


@pytest.fixture
def duty(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setenv("DUTY_TOKEN", TOKEN)
    source = source_of(type="pagerduty", name="duty", url=account.url, token_env="DUTY_TOKEN")
    yield source
    source.close()


# webhooks ----------------------------------------------------------------------------------------------


def test_what_is_told_becomes_an_incident(hooked: Source, store: SqliteStore) -> None:
    push(store, hooked, *map(delivery, (TRIGGERED, ACKNOWLEDGED, RESOLVED, NOTE)))

    found = node(store, ONE)
    assert (found.name, found.url) == ("Scores drift", "https://acme.pagerduty.com/incidents/Q0INCIDENT0001")
    assert found.properties == {
        "status": "RESOLVED",
        "startedAt": "2026-11-03T14:20:00Z",
        "endedAt": "2026-11-03T16:31:00Z",
        "number": 1,
        "urgency": "high",
        "priority": "P1",
        "severity": "P1",
        "service": "Churn API",
        "escalationPolicy": "Default",
        "assignees": ["Ada Lovelace"],
        "teams": ["growth-ml"],
        "notes": {
            "PNOTE01": {
                "text": "Rolled back to version 2",
                "by": "Ada Lovelace",
                "at": "2026-11-03T16:40:00Z",
            }
        },
    }
    assert links(store, ONE) == [(ONE, "OWNED_BY", "team=growth-ml")]


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ((TRIGGERED, ACKNOWLEDGED, RAISED, RESOLVED), "RESOLVED"),
        ((TRIGGERED, RESOLVED, NOTE, REOPENED), "TRIGGERED"),
        ((RAISED, TRIGGERED), "ACKNOWLEDGED"),
    ],
)
def test_events_in_every_order_are_one_story(
    hooked: Source, tmp_path: Path, events: tuple[Any, ...], status: str
) -> None:
    seen = set()
    for number, order in enumerate(permutations(events)):
        store = SqliteStore(tmp_path / f"{number}.db")
        store.migrate()
        push(store, hooked, *map(delivery, (*order, order[0])))
        found = node(store, ONE)
        seen.add((store.digest(), found.properties["status"], found.properties.get("endedAt")))
        store.close()

    assert [each[1:] for each in seen] == [(status, "2026-11-03T16:31:00Z" if status == "RESOLVED" else None)]


def test_what_is_said_after_the_end_does_not_open_it_again(hooked: Source, store: SqliteStore) -> None:
    late = webhook("incident.priority_updated", "2026-11-03T18:00:00Z", told(1, CREATED, "resolved"))

    push(store, hooked, delivery(late))
    assert node(store, ONE).properties["status"] == "RESOLVED"
    push(store, hooked, delivery(RESOLVED), delivery(late))

    assert node(store, ONE).properties["endedAt"] == "2026-11-03T16:31:00Z"


def test_a_merged_incident_is_a_part(hooked: Source, store: SqliteStore) -> None:
    reason = {
        "type": "merge_resolve_reason",
        "incident": {"id": "Q0INCIDENT0002", "type": "incident_reference"},
    }
    merged = webhook(
        "incident.resolved", "2026-11-03T15:00:00Z", told(1, CREATED, "resolved", resolve_reason=reason)
    )

    push(store, hooked, delivery(merged))

    assert ("pagerduty.incident=Q0INCIDENT0002", "HAS", ONE) in links(store, ONE)


def test_only_what_is_signed_is_taken(hooked: Source) -> None:
    body = json.dumps(TRIGGERED).encode()
    good = delivery(body, signed(body))

    hooked.verify(good, SECRET)
    assert hooked.delivery_id(good) == "b4e5a1c0"

    for bad in (delivery(body), delivery(body + b" ", signed(body)), delivery(body, signed(body, b"other"))):
        with pytest.raises(Forged):
            hooked.verify(bad, SECRET)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        ({"messages": []}, "no object"),
        ({"event": {"event_type": "incident.triggered"}}, "needs data"),
        (webhook("incident.triggered", "soon", told(1, CREATED)), "is not a time"),
        (webhook("incident.triggered", CREATED, told(1, CREATED, id=None)), "needs an id"),
    ],
)
def test_what_is_no_webhook_is_refused(hooked: Source, body: Any, reason: str) -> None:
    with pytest.raises(BadInput, match=reason):
        hooked.receive(delivery(body))


def test_other_events_are_passed_over(hooked: Source) -> None:
    for kind, data in (
        ("pagey.ping", {"message": "Hello from your friend Pagey!", "type": "ping"}),
        ("service.updated", {"id": "PF9KMXH", "type": "service"}),
        ("incident.responder.added", {"incident": {"id": "Q1"}, "type": "incident_responder"}),
    ):
        assert hooked.receive(delivery(webhook(kind, CREATED, data))) == []


def test_services_that_are_not_named_are_passed_over() -> None:
    body = delivery(TRIGGERED)

    assert source_of(type="pagerduty", name="duty", services=["POTHER"]).receive(body) == []
    assert source_of(type="pagerduty", name="duty", services=["PF9KMXH"]).receive(body) != []


def releases(*, name: str = "churn-api") -> Record:
    """Something stands in prod under that name."""
    me = f"deployment@cd=prod/{name}@1"
    at = 1_700_000_000_000_000
    return Record("d", "d", 1, tuple(deployed(me, environment="prod", name=name, scope="cd", at=at)))


@pytest.mark.parametrize(
    ("deployments", "name"),
    [
        ({"PF9KMXH": "prod/churn-api"}, "churn-api"),
        ({"Churn API": ["staging/churn-api", "churn-api"]}, "churn-api"),
        ({}, "Churn API"),
    ],
)
def test_an_incident_is_about_what_its_service_stands_for(
    store: SqliteStore, deployments: dict[str, Any], name: str
) -> None:
    duty = source_of(type="pagerduty", name="duty", deployments=deployments)
    apply(store, duty, releases(name=name))

    push(store, duty, delivery(TRIGGERED))

    assert (f"deployment=prod/{name}@1", "IMPLICATED_IN", ONE) in links(store, ONE)


def test_a_service_that_is_said_to_stand_for_nothing_does(store: SqliteStore) -> None:
    duty = source_of(type="pagerduty", name="duty", deployments={"PF9KMXH": []})
    apply(store, duty, releases(name="Churn API"))

    push(store, duty, delivery(TRIGGERED))

    assert links(store, ONE) == [(ONE, "OWNED_BY", "team=growth-ml")]


@pytest.mark.parametrize("said", ["", "prod/", "/churn", [""], 7, None])
def test_what_names_no_place_is_refused(said: Any) -> None:
    with pytest.raises(BadInput, match="PF9KMXH takes environment/name or a name"):
        source_of(type="pagerduty", name="duty", deployments={"PF9KMXH": said})


def pull(store: SqliteStore, source: Source) -> Report:
    report = ingest(store, source)
    assert report.error is None
    return report


# the API -----------------------------------------------------------------------------------------------


def opened(days: float) -> str:
    """A time so many days ago."""
    return (datetime.now(UTC) - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_pull_reads_incidents_their_alerts_notes_and_people(
    account: Account, duty: Source, store: SqliteStore
) -> None:
    details = {"deployment": "churn-api", "environment": "prod", "firing": "", "latency": 1.5}
    made = incident(1, opened(200))
    account.add(made, alert(1, made["id"], made["created_at"], "srv01/HTTP", details))
    account.resolve(made["id"], opened(199))
    account.add(incident(2, opened(1)))
    account.notes[made["id"]] = [
        {"id": "PN1", "content": "Restarted", "created_at": opened(199.5), "user": ADA}
    ]
    at = 1_700_000_000_000_000
    claims = deployed(
        "deployment@cd=prod/churn-api@1", environment="prod", name="churn-api", scope="cd", at=at
    )
    apply(store, duty, Record("d", "d", 1, tuple(claims)))

    pull(store, duty)

    assert node(store, ONE).properties["status"] == "RESOLVED"
    assert node(store, ONE).properties["notes"]["PN1"]["text"] == "Restarted"
    assert node(store, ONE).properties["alerts"]["Q1ALERT0001"]["details"]["latency"] == "1.5"
    assert store.resolve("dedup_key=srv01/HTTP") == store.resolve(ONE)
    assert ("deployment=prod/churn-api@1", "IMPLICATED_IN", ONE) in links(store, ONE)
    two = "pagerduty.incident=Q0INCIDENT0002"
    assert (two, "OWNED_BY", "email=ada@example.com") in links(store, two)
    assert node(store, "email=ada@example.com").name == "Ada Lovelace"


def test_a_second_pull_asks_for_little_and_writes_nothing(
    account: Account, duty: Source, store: SqliteStore
) -> None:
    for number in range(1, 6):
        account.add(incident(number, opened(number * 40)))
        if number > 1:
            account.resolve(f"Q0INCIDENT{number:04d}", opened(number * 40 - 1))
    pull(store, duty)
    held = store.digest()
    account.asked.clear()

    report = pull(store, duty)

    assert (report.items, report.changes, store.digest()) == (0, 0, held)
    assert len(account.asked) == 2, "what is recent, and what is open"


def test_what_was_open_long_ago_is_seen_to_end(account: Account, duty: Source, store: SqliteStore) -> None:
    account.add(incident(1, opened(300)))
    pull(store, duty)
    assert node(store, ONE).properties["status"] == "TRIGGERED"
    account.resolve("Q0INCIDENT0001")

    pull(store, duty)
    account.asked.clear()
    pull(store, duty)

    assert node(store, ONE).properties["status"] == "RESOLVED"
    assert not [path for path in account.asked if "Q0INCIDENT0001" in path]


def test_more_than_a_page_and_more_than_it_lets_one_turn(
    account: Account, duty: Source, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestors.sources.pagerduty import api

    monkeypatch.setattr(api, "_PAGE", 4)
    monkeypatch.setattr(api, "_FARTHEST", 8)
    for number in range(1, 31):
        account.add(incident(number, opened(100 - number * 0.5)))

    pull(store, duty)

    assert len(store.find(K.INCIDENT, first=100).items) == 30


def test_webhooks_and_pulls_say_the_same(account: Account, duty: Source, store: SqliteStore) -> None:
    account.add(incident(1, CREATED))
    account.resolve("Q0INCIDENT0001", "2026-11-03T16:31:00Z")
    push(store, duty, *map(delivery, (TRIGGERED, RESOLVED)))
    before = node(store, ONE).properties
    pull(store, duty)

    assert node(store, ONE).properties | {"assignees": ["Ada Lovelace"]} == before


def test_a_refused_key_is_told_in_a_line(
    account: Account, monkeypatch: pytest.MonkeyPatch, store: SqliteStore
) -> None:
    monkeypatch.setenv("DUTY_TOKEN", "another")
    source = source_of(type="pagerduty", name="duty", url=account.url, token_env="DUTY_TOKEN")

    report = ingest(store, source, policy=Policy(attempts=1))

    assert report.error is not None
    assert "answers 401: it refuses the token in the environment variable DUTY_TOKEN" in report.error
    assert "another" not in report.error


def test_without_a_key_nothing_is_asked(hooked: Source, store: SqliteStore) -> None:
    assert ingest(store, hooked).items == 0
    assert "webhooks only" in hooked.check()
    assert received(hooked, [delivery(TRIGGERED)])


def test_check_says_what_is_open(account: Account, duty: Source) -> None:
    account.add(incident(1, opened(1)))

    assert duty.check() == f"{account.url}: 1 incident is open"


def test_whatever_is_sent_lands_or_is_refused(hooked: Source) -> None:
    chance = random.Random(1)
    landed = refused = 0
    for _ in range(1_500):
        body = mutated(chance.choice([TRIGGERED, RESOLVED, NOTE]), chance, chance.randrange(1, 4))
        made = mutated(incident(1, CREATED), chance, 2)
        try:
            items = [*hooked.receive(delivery(json.dumps(body).encode())), *incident_items(made)]
            landed += sum(bool(hooked.to_claims(clean_item(item))) for item in items)
        except BadInput:
            refused += 1

    assert landed > 500
    assert refused > 200


def test_an_incident_that_nobody_can_read_does_not_hold_up_the_others(
    account: Account, duty: Source, store: SqliteStore
) -> None:
    account.add(incident(1, opened(2)))
    account.add(incident(2, opened(1), updated_at="soon"))

    report = pull(store, duty)

    assert (report.dead_letters, [n.id for n in store.find(K.INCIDENT).items]) == (1, [ONE])
