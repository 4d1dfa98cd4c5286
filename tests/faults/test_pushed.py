"""Rows 8, 10 and 23 for what is pushed: sent ten times, poisoned, forged, stale, replayed, written anew."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.api.app import create_app
from app.container import Container
from app.jobs.consumer import Consumer
from graph_schema.store import GraphStore
from ingestors.inbox import INBOX
from ingestors.report import DEAD_LETTERS
from ingestors.sanitise import text
from tests.bell import SECRET, hang_up, house, rings
from tests.contract.conftest import Fresh
from tests.contract.harness import Clock
from tests.faults.conftest import Figure
from tests.faults.naughty import NAUGHTY
from tests.faults.test_poison import nested, runs

OPEN = '[[sources]]\ntype = "bell"\nname = "bell"\n'


class Doors:
    """The service over a store, in this process."""

    def __init__(self, folder: Path, text: str, store: GraphStore) -> None:
        self.container: Container = house(folder, text)
        self.container._store = store
        self.client = TestClient(
            create_app(self.container), base_url="http://127.0.0.1:8420", client=("127.0.0.1", 50_000)
        )

    def post(self, name: str, body: bytes, headers: dict[str, str] | None = None) -> int:
        return self.client.post(f"/hooks/{name}", content=body, headers=headers or {}).status_code

    def drain(self) -> None:
        for source in self.container.receivers:
            Consumer(self.container).drain(source)


Open = Callable[..., Doors]


@pytest.fixture
def doors(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    hang_up(monkeypatch)
    # A second for each transaction would be too fast for leases.
    clock.step = 1_000
    made: list[Doors] = []

    def start(store: GraphStore, text: str = OPEN) -> Doors:
        made.append(Doors(tmp_path, text, store))
        return made[-1]

    yield start
    for each in made:
        each.container.inbox.close()


# row 8 -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [True, False], ids=["named", "nameless"])
def test_the_same_delivery_ten_times(fresh: Fresh, doors: Open, named: bool, figure: Figure) -> None:
    deliveries = [rings(f"r{number}", f"r{number + 1}", version=number + 1) for number in range(10)]
    once = fresh()
    opened = doors(once)
    for number, body in enumerate(deliveries):
        opened.post("bell", body, {"x-ring": str(number)})
    opened.drain()
    wanted, records = once.digest(), once.counts().records

    store = fresh()
    opened = doors(store)
    statuses = []
    for turn in range(10):
        for number, body in enumerate(deliveries):
            statuses.append(opened.post("bell", body, {"x-ring": str(number)} if named else {}))
        if turn % 3 == 0:
            opened.drain()
    opened.drain()

    figure("each delivery ten times: records doubled", store.counts().records - records)
    assert set(statuses) == {202}
    assert (store.digest(), store.counts().records) == (wanted, records)
    assert not store.service(INBOX)


def as_json(words: str) -> str:
    """What comes of a text that is written as JSON: two halves of a character become one."""
    read: str = json.loads(json.dumps(words))
    return read


# row 10 ------------------------------------------------------------------------------------------------


def test_naughty_texts_and_poison_through_a_hook(store: GraphStore, doors: Open, figure: Figure) -> None:
    opened = doors(store)
    texts = [{"note": words, "params": {f"k{words}": words}} for words in NAUGHTY]
    poison: list[Any] = [
        nested(70), nested(300), 2**63, -(2**63) - 1, 10**400,
        float("nan"), float("inf"), "\0", "\ud800", None,
    ]  # fmt: skip
    statuses = []
    for number, data in enumerate(texts):
        statuses.append(opened.post("bell", json.dumps({"rings": [{"key": f"t{number}", **data}]}).encode()))
    for number, value in enumerate(poison):
        ring = {"key": f"p{number}", "params": {"x": value}}
        good = {"key": f"good{number}"}
        statuses.append(opened.post("bell", json.dumps({"rings": [ring, good]}).encode()))
    for body in (
        b'{"rings": [{"key": "v", "version": 1e400}]}',
        b'{"rings": [{"key": "w", "version": "x"}]}',
    ):
        statuses.append(opened.post("bell", body))
    statuses.append(
        opened.post("bell", json.dumps({"rings": [{"key": "\ud800"}, {"key": "x" * 2_000}]}).encode())
    )
    statuses.append(
        opened.post("bell", b'{"rings": [{"key": "deep", "x": ' + b"[" * 2_000 + b"]" * 2_000 + b"}]}")
    )
    opened.drain()

    there, letters = runs(store), store.service(DEAD_LETTERS)
    literal = [
        number
        for number, words in enumerate(NAUGHTY)
        if there[f"mlflow.run_id=t{number}"].properties["note"] == text(as_json(words))
    ]
    landed = sum(f"mlflow.run_id=good{number}" in there for number in range(len(poison)))
    figure(
        "through a hook:",
        f"{len(literal)}/{len(NAUGHTY)} naughty texts literally, {landed / len(poison):.0%} beside poison"
        f" landed, {len(letters)} put aside, crashes {sum(status >= 500 for status in statuses)}",
    )
    assert set(statuses) <= {202, 400}
    assert len(literal) == len(NAUGHTY) and landed == len(poison)
    assert letters and all(letter["reason"] for _, letter in letters)
    assert not store.service(INBOX)


# row 23 ------------------------------------------------------------------------------------------------

WEBHOOK_KEY = base64.b64encode(SECRET.encode()).decode()
SECRETS = {
    "github": SECRET, "gitlab": f"whsec_{WEBHOOK_KEY}", "pagerduty": SECRET,
    "standard": SECRET, "bearer": SECRET,
}  # fmt: skip
PROVIDERS = "".join(
    f'[[sources]]\ntype = "bell"\nname = "{name}"\nscheme = "{name}"\nsecret_env = "{name.upper()}_SECRET"\n'
    for name in SECRETS
)


def signed(name: str, body: bytes, secret: str, at: float, number: str) -> dict[str, str]:
    """The headers with which a provider sends a body."""
    key = base64.b64decode(secret[6:]) if secret.startswith("whsec_") else secret.encode()
    when = str(int(at))
    over_all = base64.b64encode(hmac.digest(key, f"{number}.{when}.".encode() + body, "sha256")).decode()
    digest = hmac.new(key, body, hashlib.sha256).hexdigest()
    return {
        "x-ring": number,
        **{
            "github": {"x-hub-signature-256": f"sha256={digest}"},
            "gitlab": {
                "webhook-id": number, "webhook-timestamp": when, "webhook-signature": f"v1,{over_all}"
            },
            "pagerduty": {"x-pagerduty-signature": f"v1={'0' * 64},v1={digest}"},
            "standard": {
                "x-mlflow-delivery-id": number,
                "x-mlflow-timestamp": when,
                "x-mlflow-signature": f"v1,{over_all}",
            },
            "bearer": {"authorization": f"Bearer {secret}"},
        }[name],
    }  # fmt: skip


def test_forged_stale_replayed_and_rewritten_webhooks_of_five_providers(
    store: GraphStore, doors: Open, monkeypatch: pytest.MonkeyPatch, figure: Figure
) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(f"{name.upper()}_SECRET", secret)
    opened = doors(store, PROVIDERS)
    now = time.time()
    body = rings("honest", version=5, status="FINISHED")
    for name, secret in SECRETS.items():
        assert opened.post(name, body, signed(name, body, secret, now, "1")) == 202
    opened.drain()
    wanted, records = store.digest(), store.counts().records

    other = rings("forged", version=9)
    wrong = "another-secret-of-somebody-else"
    refused, without_effect = [], []
    for name, secret in SECRETS.items():
        other_secret = f"whsec_{base64.b64encode(wrong.encode()).decode()}" if name == "gitlab" else wrong
        fresh = signed(name, body, secret, now, "2")
        forgeries: list[tuple[bytes, dict[str, str]]] = [
            (other, {"x-ring": "2"}),
            (other, signed(name, other, other_secret, now, "2")),
            (other, signed(name, other, "", now, "2")),
            (other, dict.fromkeys(fresh, "")),
        ]
        if name != "bearer":
            rewritten = json.dumps(json.loads(body), indent=1).encode()
            forgeries += [
                (other, fresh),
                (body + b"\n", fresh),
                (rewritten, fresh),
                (body.decode().encode("utf-16"), fresh),
                (gzip.compress(body), {**fresh, "content-encoding": "gzip"}),
            ]
        if name in ("gitlab", "standard"):
            renamed = {key: "3" if value == "2" else value for key, value in fresh.items()}
            forgeries += [
                (other, signed(name, other, secret, now - 400, "2")),
                (other, signed(name, other, secret, now + 400, "2")),
                (body, renamed),
            ]
        refused += [opened.post(name, each, headers) for each, headers in forgeries]
        # What somebody has overheard, sent again as it was; where the id is not signed, under another one.
        overheard = signed(name, body, secret, now, "1")
        replays = [overheard]
        if name not in ("gitlab", "standard"):
            replays.append({**overheard, "x-ring": "another"})
        without_effect += [opened.post(name, body, headers) for headers in replays]
    opened.drain()

    accepted = sum(status != 401 for status in refused)
    changed = int((store.digest(), store.counts().records) != (wanted, records))
    figure(
        f"{len(refused)} forged, stale or rewritten webhooks of {len(SECRETS)} providers: accepted",
        f"{accepted}; {len(without_effect)} replayed: with an effect {changed}",
    )
    assert accepted == 0
    assert set(without_effect) == {202}
    assert changed == 0 and not store.service(DEAD_LETTERS)
