"""The service over HTTP: who may come in, what is taken, what the probes and pages say."""

from __future__ import annotations

import gzip
import json
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient

from app.api.access import check_openness
from app.api.app import create_app
from app.api.threads import Threads
from app.container import Container
from app.errors import ConfigError
from app.settings import ServerSettings, load
from graph_schema.claims import Names, Record, States
from graph_schema.errors import StoreBusy
from graph_schema.kinds import NodeKind
from tests.api.conftest import COMMIT, VERSION, write

TOKEN = "0123456789abcdef0123456789abcdef"
ASK = {"query": "{ __typename }"}


def served(tmp_path: Path, environ: dict[str, str], text: str = "") -> TestClient:
    file = tmp_path / "kinlore.toml"
    file.write_text(text)
    container = Container(load(file, environ=environ))
    container.migrated()
    return TestClient(create_app(container), base_url="http://127.0.0.1:8420")


def test_a_query_is_answered(client: TestClient) -> None:
    answer = client.post(
        "/graphql", json={"query": "query($id: ID!) { node(id: $id) { name } }", "variables": {"id": VERSION}}
    )

    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert answer.json() == {"data": {"node": {"name": "churn v3"}}}
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("content", "kind", "status", "said"),
    [
        (b"{", "application/json", 400, "the body must be one JSON object"),
        (b"[]", "application/json", 400, "the body must be one JSON object"),
        (b"[" * 100_000, "application/json", 400, "the body must be one JSON object"),
        (b'{"query": 3}', "application/json", 400, "the body must be one JSON object"),
        (b'{"variables": {}}', "application/json", 400, "the body must be one JSON object"),
        (b'{"query": "\xff"}', "application/json", 400, "the body must be one JSON object"),
        (b"x" * 1_000_001, "application/json", 413, "longer than 1,000,000 bytes"),
        (b'{"query": "{ __typename }"}', "text/plain", 415, "application/json"),
        (b"query={__typename}", "application/x-www-form-urlencoded", 415, "application/json"),
        (gzip.compress(b"{}"), "application/json", 400, "the body must be one JSON object"),
    ],
)
def test_bodies_that_are_refused(
    client: TestClient, content: bytes, kind: str, status: int, said: str
) -> None:
    answer = client.post("/graphql", content=content, headers={"content-type": kind})

    assert answer.status_code == status
    assert said in answer.json()["errors"][0]["message"]


def test_queries_are_not_sent_by_get(client: TestClient) -> None:
    answer = client.get("/graphql", params={"query": "{ __typename }"})

    assert answer.status_code == 405 and answer.headers["allow"] == "POST"


NAUGHTY = (
    "\0",
    "git.sha=\0",
    "\ud800",
    "tag=\udfff",
    "💥" * 3_000,
    "tag=" + "x" * 5_000,
    "<a>",
    "=",
    "@=",
    "tag=",
)


@pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
def test_naughty_strings_come_back_as_errors(client: TestClient, text: str) -> None:
    query = "query($id: ID!) { node(id: $id) { id } }"
    asked = [
        {"query": query, "variables": {"id": text}},
        {"query": f"{{ node(id: {json.dumps(text)}) {{ id }} }}"},
        {"query": f"{{ {json.dumps(text)} }}"},
        {"query": query, "variables": {text: text}},
        {"query": query, "operationName": text},
    ]
    for body in asked:
        answer = client.post(
            "/graphql", content=json.dumps(body), headers={"content-type": "application/json"}
        )

        assert answer.status_code in (200, 400)
        codes = {error["extensions"]["code"] for error in answer.json()["errors"]}
        assert codes <= {"BAD_INPUT", "NOT_FOUND"}, answer.text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8420"}, 200),
        ({"host": "[::1]:8420"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example"}, 421),
        ({"host": "evil.example@127.0.0.1"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://127.0.0.1:8420"}, 200),
        ({"origin": "http://127.0.0.1:3000"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_foreign_pages_and_rebound_names_are_kept_out(
    client: TestClient, headers: dict[str, str], status: int
) -> None:
    if headers.get("host") == "evil.example@127.0.0.1":
        # No resolver is asked, and what stands before an @ is no host.
        status = 200
    assert client.post("/graphql", json=ASK, headers=headers).status_code == status


def test_the_public_address_is_known(tmp_path: Path) -> None:
    text = '[server]\npublic_url = "https://kinlore.example.com"\n'
    with served(tmp_path, {}, text) as client:
        headers = {"host": "kinlore.example.com", "origin": "https://kinlore.example.com"}
        assert client.post("/graphql", json=ASK, headers=headers).status_code == 200


def test_with_a_token_nobody_comes_in_without(tmp_path: Path) -> None:
    with served(tmp_path, {"KINLORE_SERVER__TOKEN": TOKEN}) as client:
        paths = [
            ("GET", "/"),
            ("GET", "/graphql"),
            ("POST", "/graphql"),
            ("GET", "/metrics"),
            ("GET", "/nothing"),
        ]
        for given in (None, "Bearer wrong", f"Basic {TOKEN}", "Bearer ", TOKEN, f"Bearer {TOKEN}x"):
            headers = {} if given is None else {"authorization": given}
            for method, path in paths:
                answer = client.request(method, path, headers=headers, json=ASK if method == "POST" else None)
                assert answer.status_code == 401, (given, path)
                assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert client.get("/livez").status_code == client.get("/readyz").status_code == 200
        good = {"authorization": f"Bearer {TOKEN}", "host": "any.example", "origin": "https://any.example"}
        assert client.post("/graphql", json=ASK, headers=good).status_code == 200


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"host": "0.0.0.0"}, "set KINLORE_SERVER__TOKEN"),
        ({"host": "kinlore.example.com"}, "beyond this machine"),
        ({"host": "::"}, "beyond this machine"),
        ({"auth": "required"}, 'server.auth is "required"'),
    ],
)
def test_it_refuses_to_start_open_to_strangers(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_openness(ServerSettings(**settings))
    assert "token" in check_openness(ServerSettings(**settings, token=TOKEN))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "localhost"])
def test_loopback_is_open_and_says_so(host: str) -> None:
    assert "open to the users of this machine" in check_openness(ServerSettings(host=host))


def test_probes_and_metrics(client: TestClient) -> None:
    assert client.get("/livez").text == "alive\n" and client.get("/readyz").text == "ready\n"
    assert 'kinlore_nodes{kind="Run"} 5' in client.get("/metrics").text


def test_a_store_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    file = tmp_path / "kinlore.toml"
    file.write_text("")
    with (
        Container(load(file, environ={})) as container,
        TestClient(create_app(container), base_url="http://127.0.0.1") as client,
    ):
        answer = client.get("/readyz")
        assert answer.status_code == 503 and "there is no graph" in answer.text
        assert client.get("/livez").status_code == 200 and client.get("/").status_code == 503
        body = client.post("/graphql", json={"query": '{ node(id: "tag=x") { id } }'}).json()
        assert body["errors"][0]["extensions"]["code"] == "STORE_UNAVAILABLE"


def test_pages_show_what_is_there_and_load_nothing(client: TestClient) -> None:
    for path in ("/", "/graphql", f"/?q={COMMIT}", "/?q=run", "/?q=git.sha%3Dabcd"):
        answer = client.get(path)
        policy = answer.headers["content-security-policy"]
        assert answer.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in policy and "script-src" not in policy and "unsafe" not in policy
        assert "<script" not in answer.text and "src=" not in answer.text and "@import" not in answer.text
    assert "5 Run" in client.get("/").text
    assert "3faf1c7 Tune" in client.get(f"/?q={COMMIT}").text
    assert client.get("/?q=git.sha%3Dabcd").status_code == 404
    assert "run 3" in client.get("/?q=run").text


def test_names_from_outside_stay_text(container: Container, client: TestClient) -> None:
    evil = "<img src=x onerror=alert(1)>"
    claims = (Names(NodeKind.TAG, ("tag=evil",)), States(NodeKind.TAG, "tag=evil", {"name": evil}))
    write(container.store, [Record("evil", "tag", 1, claims)])

    for path in ("/?q=tag%3Devil", "/?q=onerror", f"/?q={evil}"):
        assert "<img" not in client.get(path).text
    assert "&lt;img" in client.get("/?q=tag%3Devil").text


def test_there_are_no_pages_that_load_scripts(client: TestClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert client.get(path).status_code == 404


def test_more_work_than_may_wait_is_turned_away() -> None:
    threads, release = Threads(workers=1, waiting=1), threading.Event()
    outcomes: list[str] = []

    async def one() -> None:
        try:
            outcomes.append(await threads.run(lambda: "done" if release.wait(5) else "late"))
        except StoreBusy:
            outcomes.append("busy")
            release.set()

    async def three() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(one)

    anyio.run(three)

    assert outcomes == ["busy", "done", "done"]
