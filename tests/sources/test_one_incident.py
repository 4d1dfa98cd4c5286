"""One incident, told by Alertmanager and by PagerDuty: the real Alertmanager tells both of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Record
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.values import Direction
from ingestors.deployments import deployed
from ingestors.source import Delivery, Item, Source
from tests.alerting import Alertmanager, Recorder, wait_for
from tests.sources.pagerduty_account import TOKEN, Account
from tests.sources.pushing import apply, delivery, edges, received, source_of

K = NodeKind


@pytest.fixture
def account() -> Iterator[Account]:
    with Account() as account:
        yield account


@pytest.fixture
def duty(account: Account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setenv("DUTY_TOKEN", TOKEN)
    source = source_of(type="pagerduty", name="duty", url=account.url, token_env="DUTY_TOKEN")
    yield source
    source.close()


def alerting(account: Account, recorder: Recorder, home: Path, apart: bool) -> Alertmanager:
    """A real Alertmanager that tells Kinlore and PagerDuty: in one receiver, or each by its own route."""
    hook = {"webhook_configs": [{"url": f"{recorder.url}/hooks/alerts", "send_resolved": True}]}
    events = {"pagerduty_configs": [{"routing_key": "0" * 32, "url": f"{account.url}/v2/enqueue"}]}
    if not apart:
        return Alertmanager(home, hook | events, {"group_by": ["service"]})
    manager = Alertmanager(home, hook, {"group_by": ["service"]})
    manager.config["receivers"].append({"name": "duty", **events})
    manager.config["route"]["routes"] = [
        {"receiver": "duty", "matchers": ['severity="critical"'], "continue": True},
        {"receiver": "all"},
    ]
    return manager


@pytest.mark.parametrize("apart", [False, True], ids=["one receiver", "two routes"])
def test_one_alert_and_its_incident_are_one_and_two_are_its_parts(
    account: Account, duty: Source, tmp_path: Path, apart: bool
) -> None:
    alerts = source_of(type="alertmanager", name="alerts")
    first = {"alertname": "Drift", "service": "churn-api", "env": "prod", "severity": "critical"}
    second = first | {"alertname": "Lag"}
    later: list[Item] = []
    with Recorder() as recorder, alerting(account, recorder, tmp_path / "am", apart) as manager:
        manager.post({"labels": first})
        wait_for("the incident", lambda: account.incidents and recorder.sent)
        one = [delivery(sent.body) for sent in recorder.sent]
        items = _pulled(duty)
        manager.post({"labels": second})
        wait_for("the second", lambda: len(account.sent) > 1 and len(recorder.sent) > 1)
        two = [delivery(sent.body) for sent in recorder.sent]
        later += _pulled(duty)
    story = _Story(tmp_path, duty, alerts)

    same = story.told(one, items)
    has = story.told(two, later)

    assert same == {"SAME_AS"}
    # By another route the incident lists what it was opened with, and no more.
    assert has == ({"SAME_AS"} if apart else {"HAS"})


def _pulled(source: Source) -> list[Item]:
    now = int(datetime.now(UTC).timestamp() * 1_000_000) + 5_000_000
    return [item for page in source.pull(None, now=now) for item in page.items]


class _Story:
    """What two sources told, written in several orders: one graph, and how the incident is tied."""

    def __init__(self, home: Path, duty: Source, alerts: Source) -> None:
        self.home, self.duty, self.alerts, self.number = home, duty, alerts, 0

    def told(self, pushed: list[Delivery], pulled: list[Item]) -> set[str]:
        chance = random.Random(3)
        release = deployed(
            "deployment@cd=prod/churn-api@1", environment="prod", name="churn-api", scope="cd", at=1
        )
        told = [(self.alerts, item) for item in received(self.alerts, pushed)]
        told += [(self.duty, item) for item in pulled]
        seen: set[tuple[str, tuple[str, ...]]] = set()
        for _ in range(6):
            self.number += 1
            store = SqliteStore(self.home / f"{self.number}.db")
            store.migrate()
            chance.shuffle(told)
            apply(store, self.alerts, Record("release", "event", 1, tuple(release)))
            for source, item in told:
                apply(store, source, Record(item.key, item.type, item.version, tuple(source.to_claims(item))))
            (name,) = (n.id for n in store.find(K.INCIDENT).items if n.id.startswith("pagerduty"))
            # By itself, or by the alert that it is.
            assert any(e.kind is EdgeKind.IMPLICATED_IN for e in edges(store, name))
            seen.add((store.digest(), tuple(_ties(store, name))))
            store.close()
        ((_, ties),) = seen
        return set(ties)


def _ties(store: SqliteStore, name: str) -> list[str]:
    """The kinds of edge from an incident to alerts."""
    found = store.expand(store.resolve(name), Direction.DOWNSTREAM, [EdgeKind.HAS])
    tied = store.edges(sorted({step.belief for step in (*found.steps, *found.same)}))
    return sorted({e.kind.value for e in tied if e.src == name and e.dst.startswith("alertmanager")})
