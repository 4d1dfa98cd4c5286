"""What is pushed: who may, what is taken, what the answers are, and that it comes into the graph."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.api import hooks
from app.api.app import create_app
from app.api.hooks import unpacked
from app.container import Container
from app.errors import TooCostly
from app.jobs.consumer import Consumer
from graph_schema.errors import BadInput, StoreUnavailable
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from ingestors.inbox import DELIVERIES, INBOX
from ingestors.report import DEAD_LETTERS, statuses
from tests.bell import SECRET, Pipelines, hang_up, house, rings

TOKEN = "0123456789abcdef0123456789abcdef"
HERE = ("127.0.0.1", 50_000)
FAR = ("203.0.113.7", 50_000)
OPEN = '[[sources]]\ntype = "bell"\nname = "bell"\n'
LOCKED = OPEN + 'secret_env = "BELL_SECRET"\n'
GIT = '[[sources]]\ntype = "git"\nname = "code"\nurl = "https://git.example/team/code.git"\n'


@pytest.fixture(autouse=True)
def bell(monkeypatch: pytest.MonkeyPatch) -> None:
    hang_up(monkeypatch)
    monkeypatch.setenv("BELL_SECRET", SECRET)


class Served:
    """The service over some settings."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.app = create_app(container)

    def post(
        self,
        path: str,
        content: bytes,
        *,
        client: tuple[str, int] = HERE,
        base: str = "http://127.0.0.1:8420",
        **headers: Any,
    ) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return TestClient(self.app, base_url=base, client=client, raise_server_exceptions=False).post(
            path, content=content, headers=named
        )

    @property
    def store(self) -> GraphStore:
        return self.container.store

    def rows(self) -> int:
        return len(self.store.service(INBOX))

    def drain(self, name: str = "bell") -> Any:
        source = self.container.source(name).source
        assert source is not None
        return Consumer(self.container).drain(source)

    def runs(self) -> dict[str, Any]:
        return {node.name: node for node in self.store.find(NodeKind.RUN, first=500).items}


Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made: list[Container] = []

    def start(text: str = OPEN, **environ: str) -> Served:
        made.append(house(tmp_path, text, **environ))
        return Served(made[-1])

    yield start
    for container in made:
        container.close()


def bearer(secret: str = SECRET) -> dict[str, Any]:
    return {"authorization": f"Bearer {secret}"}


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


# --- who may -------------------------------------------------------------------------------------------


def test_a_secret_is_needed_where_there_is_one(serve: Serve) -> None:
    served = serve(LOCKED)

    statuses = [
        served.post("/hooks/bell", rings("a"), x_ring="1", **headers).status_code
        for headers in ({}, bearer("wrong"), bearer(SECRET[:-1]), bearer())
    ]

    assert statuses == [401, 401, 401, 202]


def test_a_forged_delivery_is_not_remembered(serve: Serve) -> None:
    served = serve(LOCKED)

    forged = served.post("/hooks/bell", b"{", x_ring="1", **bearer("wrong"))
    honest = served.post("/hooks/bell", rings("a"), x_ring="1", **bearer())

    assert forged.status_code == 401 and forged.headers["www-authenticate"] == "Bearer"
    assert honest.status_code == 202 and served.rows() == 1


@pytest.mark.parametrize("value", ["", "  "])
def test_a_secret_that_is_not_set_lets_nobody_in(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("BELL_SECRET", value)
    served = serve(LOCKED)

    answers = [served.post("/hooks/bell", rings("a"), **headers) for headers in ({}, bearer(""))]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert "BELL_SECRET holds no secret" in answers[0].json()["errors"][0]["message"]


def test_without_a_secret_only_from_this_machine(serve: Serve) -> None:
    served = serve()

    def said(**extra: Any) -> int:
        return int(served.post("/hooks/bell", rings("a"), **extra).status_code)

    assert said() == 202
    assert said(client=("::1", 50_000)) == 202
    assert said(client=FAR) == 403
    assert said(x_forwarded_for="127.0.0.1") == 403
    assert said(host="kinlore.example") == 421
    assert said(origin="https://evil.example") == 403
    assert served.rows() == 2


def test_the_secret_of_a_source_opens_a_server_with_a_token_for_that_source_alone(serve: Serve) -> None:
    served = serve(LOCKED, KINLORE_SERVER__TOKEN=TOKEN)

    def said(path: str, headers: dict[str, Any], client: tuple[str, int] = FAR) -> int:
        return int(
            served.post(path, rings("a"), client=client, base="http://k.example", **headers).status_code
        )

    assert said("/hooks/bell", bearer()) == 202
    assert said("/hooks/bell", {}) == 401
    assert said("/hooks/bell", bearer(TOKEN)) == 401
    assert said("/hooks/horn", bearer()) == 401
    assert said("/hooks/horn", bearer(TOKEN)) == 404
    assert said("/graphql", bearer()) == 401
    assert said("/hooks/", bearer()) == 401
    assert said("/hooks/bell", {}, HERE) == 401


def test_a_source_without_secret_on_a_server_with_a_token(serve: Serve) -> None:
    served = serve(OPEN, KINLORE_SERVER__TOKEN=TOKEN, KINLORE_SERVER__PUBLIC_URL="https://k.example")

    def said(base: str, client: tuple[str, int], **headers: Any) -> int:
        return int(served.post("/hooks/bell", rings("a"), client=client, base=base, **headers).status_code)

    assert said("https://k.example", FAR, **bearer(TOKEN)) == 202
    assert said("http://127.0.0.1:8420", HERE) == 202
    assert said("https://k.example", FAR) == 403
    assert said("https://k.example", HERE) == 403, "a proxy on this machine"


def test_a_server_that_is_closed_is_closed_for_its_own_machine(serve: Serve) -> None:
    served = serve(OPEN, KINLORE_SERVER__TOKEN=TOKEN, KINLORE_SERVER__AUTH="required")

    assert served.post("/hooks/bell", rings("a")).status_code == 403
    assert served.post("/hooks/bell", rings("a"), **bearer(TOKEN)).status_code == 202


# --- the address of OpenLineage's clients ----------------------------------------------------------------


@pytest.fixture
def as_openlineage(monkeypatch: pytest.MonkeyPatch) -> None:
    hang_up(monkeypatch, Pipelines)


def pipelines(*names: str, secret: bool = True) -> str:
    return "".join(
        f'[[sources]]\ntype = "openlineage"\nname = "{name}"\n'
        + (f'secret_env = "{name.upper()}_SECRET"\n' if secret else "")
        for name in names
    )


def test_the_only_source_of_lineage_takes_it(serve: Serve, as_openlineage: None) -> None:
    served = serve(pipelines("dbt", secret=False))

    assert served.post("/api/v1/lineage", rings("a")).status_code == 202
    assert served.store.service(INBOX)[0][0].startswith("dbt/")


def test_of_several_the_token_says_which(
    serve: Serve, as_openlineage: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_SECRET", SECRET + "1")
    monkeypatch.setenv("AIRFLOW_SECRET", SECRET + "2")
    served = serve(pipelines("dbt", "airflow"))

    second = served.post("/api/v1/lineage", rings("a"), **bearer(SECRET + "2"))
    none = served.post("/api/v1/lineage", rings("a"))
    far = served.post("/api/v1/lineage", rings("a"), client=FAR, **bearer("wrong"))

    assert second.status_code == 202
    assert served.store.service(INBOX)[0][0].startswith("airflow/")
    assert none.status_code == 400 and "(dbt, airflow)" in none.json()["errors"][0]["message"]
    assert far.status_code == 401 and "dbt" not in far.text


# --- the store -----------------------------------------------------------------------------------------


def test_while_the_store_is_away_nothing_is_acknowledged(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve()
    served.post("/hooks/bell", rings("a"))

    def away(*args: Any, **kwargs: Any) -> Any:
        raise StoreUnavailable("the store is away")

    with monkeypatch.context() as patched:
        patched.setattr(served.store, "transact", away)
        patched.setattr(served.store, "service", away)
        refused = served.post("/hooks/bell", rings("b"), x_ring="1")
        ready = TestClient(served.app, base_url="http://127.0.0.1:8420", client=HERE).get("/readyz")
    again = served.post("/hooks/bell", rings("b"), x_ring="1")

    assert (refused.status_code, ready.status_code, again.status_code) == (503, 503, 202)
    assert refused.headers["retry-after"] and served.rows() == 2
