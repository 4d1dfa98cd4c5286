"""The source events: CloudEvents in every mode, and what a sender is told of its mistakes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import BadInput
from ingestors.source import Forged, Source
from tests.sources.cdevents import DIGEST, cdevent, sdk_sent, service, structured
from tests.sources.pushing import delivery, node, push, source_of


@pytest.fixture
def source() -> Source:
    return source_of(type="events")


def test_the_sdk_is_understood_in_both_modes_and_its_event_is_one(source: Source, store: SqliteStore) -> None:
    event = cdevent(
        "service.deployed", "2026-11-06T10:00:00Z", id="ä 1/2", content={"artifactId": f"sha256:{DIGEST}"}
    )
    both = sdk_sent(event)
    bare = delivery(event)
    batch = delivery([structured(event)], {"content-type": "application/cloudevents-batch+json"})

    items = [source.receive(one) for one in (*both, bare, batch)]

    assert "ce-id" not in both[0].headers
    assert both[1].headers["ce-id"] != "ä 1/2"
    assert [list(found) for found in items] == [list(items[0])] * 4
    assert {source.delivery_id(one) for one in (*both, bare, batch)} == {items[0][0].key}
    assert push(store, source, both[0]) > 0
    assert push(store, source, both[1], bare, batch) == 0
    assert node(store, "deployment=prod/churn@ä 1/2").name == "prod/churn@ä 1/2"


def test_data_may_come_in_base64_or_as_a_text(source: Source) -> None:
    event = service("deployed", "2026-11-06T10:00:00Z")
    whole = structured(event)
    text = json.dumps(whole.pop("data"))
    encoded = {**whole, "data_base64": base64.b64encode(text.encode()).decode()}

    items = [source.receive(delivery(one)) for one in (event, encoded, {**whole, "data": text})]

    assert items[0] == items[1] == items[2] != []


def test_what_others_tell_is_passed_over(source: Source) -> None:
    plain = {"specversion": "1.0", "id": "1", "source": "/x", "type": "com.example.order", "data": {"a": 1}}
    run = structured(service("deployed", "2026-11-06T10:00:00Z"))
    run["type"] = run["data"]["context"]["type"] = "dev.cdevents.pipelinerun.finished.0.3.0"

    assert [source.receive(delivery(one)) for one in (plain, run)] == [[], []]
    assert source.delivery_id(delivery(plain)) == "/x 1 com.example.order"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"7", "not a JSON object"),
        (b"[7]", "event 1 is not a JSON object"),
        (b"{}", "has no specversion"),
        (b'{"context": {}}', "has no id"),
        (b'{"specversion": "0.3", "id": "1", "source": "/", "type": "x"}', r"CloudEvents 0\.3"),
        (b'{"specversion": "1.0", "id": 7, "source": "/", "type": "x"}', "has no id"),
        (b'{"specversion": "1.0", "id": "1", "source": "/", "type": "x", "data_base64": "&"}', "not base64"),
        (b'{"specversion": "1.0", "id": "1", "source": "/", "type": "x", "data": "text"}', "not JSON"),
    ],
)
def test_what_is_no_event_is_refused(source: Source, body: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        source.receive(delivery(body))
    assert source.delivery_id(delivery(body)) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": None}, "data.subject is missing"),
        ({"subject": {"id": "churn", "content": {}}}, "environment.id is missing"),
        ({"subject": {"content": {"environment": {"id": "prod"}}}}, "subject.id is missing"),
        ({"customData": {"share": "10%"}}, "number between 0 and 1"),
        ({"customData": {"share": 10}}, "number between 0 and 1"),
        ({"customData": {"mode": "fast"}}, "canary, shadow, blue-green, a/b"),
        ({"customData": {"model": "churn"}}, "write name/version"),
        ({"customData": {"commit": "main"}}, "not a full commit id"),
        ({"customData": {"identifiers": ["x"]}}, "is an object"),
        ({"customData": {"identifiers": {"git.shaa": "x"}}}, "did you mean git.sha"),
        ({"customData": {"identifiers": {"sha256": "0" * 64}}}, "say which: sha256@dataset_version"),
        ({"customData": {"identifiers": {"uri": "s3://b/k"}}}, "only finds"),
        ({"customData": {"identifiers": {"mlflow.run_id": "1"}}}, "is a Run, which has no place here"),
        ({"customData": {"identifiers": {"deployment": "prod/churn@1"}}}, "say whose it is"),
    ],
)
def test_a_sender_is_told_what_is_wrong(source: Source, change: dict[str, Any], said: str) -> None:
    event = {**service("deployed", "2026-11-06T10:00:00Z"), **change}

    with pytest.raises(BadInput, match=said):
        source.receive(delivery(event))


def test_an_event_without_a_time_is_refused(source: Source) -> None:
    event = service("deployed", "2026-11-06T10:00:00Z")
    del event["context"]["timestamp"]

    with pytest.raises(BadInput, match="it has no time"):
        source.receive(delivery(event))


def test_a_bearer_token_is_asked_for(source: Source) -> None:
    came = delivery(service("deployed", "2026-11-06T10:00:00Z"), {"authorization": "Bearer right"})

    source.verify(came, b"right")

    with pytest.raises(Forged):
        source.verify(came, b"wrong")
