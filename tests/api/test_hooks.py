"""What is pushed: what is taken, what the answers are, and that it comes into the graph."""

from __future__ import annotations

import gzip
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.api import hooks
from app.api.hooks import unpacked
from app.errors import TooCostly
from app.jobs.consumer import Consumer
from graph_schema.errors import BadInput, StoreUnavailable
from ingestors.inbox import DELIVERIES
from ingestors.report import DEAD_LETTERS, statuses
from tests.api.served import GIT, HERE, LOCKED, OPEN, Serve, bearer
from tests.bell import rings

pytestmark = pytest.mark.usefixtures("bell")


# --- taken ---------------------------------------------------------------------------------------------


def test_what_rings_is_in_the_store_and_then_in_the_graph(serve: Serve) -> None:
    served = serve()

    answer = served.post("/hooks/bell", rings("a", "b", status="FINISHED"))

    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "refused": 0})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert served.rows() == 1
    report = served.drain()
    assert (report.items, report.new, report.deliveries, served.rows()) == (2, 2, 1, 0)
    assert served.runs()["a"].properties == {"status": "FINISHED"}


def test_a_running_consumer_applies_what_comes(serve: Serve) -> None:
    served = serve()
    consumer = Consumer(served.container)

    consumer.start()
    try:
        served.post("/hooks/bell", rings("a"))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not served.runs():
            time.sleep(0.02)
    finally:
        consumer.stop()

    assert set(served.runs()) == {"a"}
    (status,) = statuses(served.store)
    assert (status.name, status.counts["items"], status.dead_letters) == ("bell", 1, 0)
    assert status.last_delivery is not None and status.last_success is not None
    assert status.last_delivery <= status.last_success


def test_order_of_arrival_does_not_matter(serve: Serve) -> None:
    served = serve()

    for version in (2, 3, 1):
        served.post("/hooks/bell", rings("a", version=version, status=f"state {version}"))
    report = served.drain()

    assert served.runs()["a"].properties == {"status": "state 3"}
    assert report.deliveries == 3


def test_nothing_of_interest_is_acknowledged_and_leaves_nothing(serve: Serve) -> None:
    served = serve()

    answer = served.post("/hooks/bell", rings(), x_ring="1")

    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "refused": 0})
    assert served.rows() == 0 and not served.store.service(DELIVERIES)


def test_a_delivery_that_is_known_is_answered_as_before(serve: Serve) -> None:
    served = serve()
    first = served.post("/hooks/bell", rings("a"), x_ring="7")
    served.drain()
    digest = served.store.digest()

    again = served.post("/hooks/bell", rings("a"), x_ring="7")

    assert (again.status_code, again.json()) == (202, first.json())
    assert served.rows() == 0 and served.drain() is None
    assert served.store.digest() == digest


def test_secrets_are_out_before_anything_is_stored(serve: Serve, tmp_path: Path) -> None:
    served = serve()
    secret = "hunter2-hunter2-hunter2"

    served.post("/hooks/bell", rings("a", params={"db_password": secret}, broken=True))
    served.post("/hooks/bell", rings("b", params={"db_password": secret}, note="x" * 10))
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    served.drain()

    assert secret.encode() not in kept
    assert secret not in str(served.store.service(DEAD_LETTERS)) and "redacted" in str(served.runs())


def test_gzip_is_unpacked_after_the_signature_is_checked(serve: Serve) -> None:
    served = serve(LOCKED)
    packed = gzip.compress(rings("a")) + gzip.compress(b"  ")

    taken = served.post("/hooks/bell", packed, content_encoding="gzip", **bearer())
    forged = served.post("/hooks/bell", b"no gzip", content_encoding="gzip", **bearer("wrong"))

    assert (taken.status_code, taken.json()["accepted"], forged.status_code) == (202, 1, 401)


# --- refused -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"", {}, 400, "bell cannot take this: not the rings of a bell"),
        (b"{", {}, 400, "not the rings"),
        (b'{"rings": 3}', {}, 400, "rings has to be a list"),
        (b'{"rings": "\xff"}', {}, 400, "not the rings"),
        (b'{"rings":[' + b'{"a":' * 100_000, {}, 400, "nested too deep"),
        (b"{" * 100_000, {}, 400, "bell cannot take this"),
        (b"x" * 10_000_001, {}, 413, "longer than 10,000,000 bytes"),
        (gzip.compress(bytes(10_000_001)), {"content-encoding": "gzip"}, 413, "when it is unpacked"),
        (b"no gzip", {"content-encoding": "gzip"}, 400, "no gzip"),
        (gzip.compress(b"{}")[:-4], {"content-encoding": "gzip"}, 400, "ends before its end"),
        (b"{}", {"content-encoding": "br"}, 415, "allowed is gzip"),
    ],
)
def test_bodies_that_are_refused(
    serve: Serve, body: bytes, headers: dict[str, Any], status: int, said: str
) -> None:
    served = serve()

    answer = served.post("/hooks/bell", body, **headers)

    assert answer.status_code == status
    assert said in answer.json()["errors"][0]["message"]
    assert served.rows() == 0


@pytest.mark.parametrize("length", ["10000001", "9" * 19, "9" * 30])
def test_a_body_that_says_that_it_is_too_long_is_not_read(serve: Serve, length: str) -> None:
    served = serve()

    answer = served.post("/hooks/bell", b"{}", content_length=length)

    assert answer.status_code == 413


def test_more_at_once_than_is_taken_is_told_to_come_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    monkeypatch.setattr(hooks, "_MOST_BYTES", 10)

    answer = served.post("/hooks/bell", rings("a"))

    assert answer.status_code == 503 and answer.headers["retry-after"]
    assert served.rows() == 0


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/hooks/horn", 404, "no source is named 'horn'; these take requests: bell"),
        ("/hooks/code", 404, "code takes no requests"),
        ("/api/v1/lineage", 404, "no source of type openlineage"),
    ],
)
def test_addresses_at_which_nobody_takes_anything(serve: Serve, path: str, status: int, said: str) -> None:
    served = serve(OPEN + GIT)

    answer = served.post(path, rings("a"))

    assert answer.status_code == status
    assert said in answer.json()["errors"][0]["message"]


def test_hooks_are_posted_to(serve: Serve) -> None:
    client = TestClient(serve().app, base_url="http://127.0.0.1:8420", client=HERE)

    assert client.get("/hooks/bell").status_code == 405


def test_a_mistake_of_the_source_keeps_what_came(serve: Serve) -> None:
    served = serve()

    answer = served.post("/hooks/bell", rings("a", name="mistake"), x_ring="7")
    served.drain()

    ((key, letter),) = served.store.service(DEAD_LETTERS)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 0, "refused": 1})
    assert key == "bell/delivery/7" and "KeyError" in letter["reason"] and "mistake" in letter["data"]["body"]
    assert statuses(served.store)[0].dead_letters == 1


def test_a_gzip_of_many_parts_is_no_body() -> None:
    with pytest.raises(BadInput, match="more than 16 parts"):
        unpacked(gzip.compress(b"") * 200_000, "gzip")


def test_a_body_is_unpacked_up_to_its_limit_and_no_further() -> None:
    assert unpacked(gzip.compress(bytes(1_000)), "gzip", 1_000) == bytes(1_000)
    with pytest.raises(TooCostly):
        unpacked(gzip.compress(bytes(1_001)), "gzip", 1_000)


# --- the store -----------------------------------------------------------------------------------------


def test_while_the_store_is_away_nothing_is_acknowledged(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    served.post("/hooks/bell", rings("a"))

    def away(*args: Any, **kwargs: Any) -> Any:
        raise StoreUnavailable("the store is away")

    with monkeypatch.context() as patched:
        for name in ("transact", "deposit", "service"):
            patched.setattr(served.store, name, away)
        refused = served.post("/hooks/bell", rings("b"), x_ring="1")
        ready = TestClient(served.app, base_url="http://127.0.0.1:8420", client=HERE).get("/readyz")
    again = served.post("/hooks/bell", rings("b"), x_ring="1")

    assert (refused.status_code, ready.status_code, again.status_code) == (503, 503, 202)
    assert refused.headers["retry-after"] and served.rows() == 2


def test_nobody_waits_for_a_store_that_hangs_before_the_first_delivery(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    transact, free = served.store.transact, threading.Event()
    began: list[float] = []

    def hanging(*args: Any, **kwargs: Any) -> Any:
        began.append(time.monotonic())
        assert free.wait(20)
        return transact(*args, **kwargs)

    monkeypatch.setattr(served.store, "transact", hanging)
    monkeypatch.setattr(hooks, "_PATIENCE", 0.1)
    # One client, so that all of it happens on one event loop.
    with TestClient(served.app, base_url="http://127.0.0.1:8420", client=HERE) as client:
        refused = [client.post("/hooks/bell", content=rings(key)).status_code for key in "abc"]
        hung = len(began)
        free.set()
        monkeypatch.setattr(hooks, "_PATIENCE", 10.0)
        again = client.post("/hooks/bell", content=rings("a"))

    assert refused == [503] * 3
    assert hung == 1
    assert again.status_code == 202 and served.rows() == 1
