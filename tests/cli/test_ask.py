"""The commands that ask: the same answers from the store and from a server, and an exit code for each end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from app.api.app import create_app
from app.api.server import listen
from app.cli.find import condition
from app.container import Container
from tests.api.conftest import COMMIT, DATA, SHA, VERSION, run
from tests.cli.conftest import Kinlore

pytestmark = pytest.mark.usefixtures("graph")


@pytest.fixture
def server(graph: Container) -> Iterator[str]:
    """The graph served on a free port."""
    listening, port = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    service = uvicorn.Server(uvicorn.Config(create_app(graph), log_level="error"))
    thread = threading.Thread(target=service.run, kwargs={"sockets": [listening]})
    thread.start()
    while not service.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    service.should_exit = True
    thread.join()
    listening.close()


def test_resolve(kinlore: Kinlore) -> None:
    assert COMMIT in kinlore("resolve", "git.sha", SHA[:7]).out
    assert COMMIT in kinlore("resolve", f"git.sha={SHA[:7]}").out
    assert [node["id"] for node in json.loads(kinlore("resolve", "name", "users.csv", "--json").out)] == [
        DATA
    ]
    assert kinlore("resolve", "tag", "nobody").code == 4
    assert kinlore("resolve", "colour", "red").code == 2
    assert kinlore("resolve", "git.sha").code == 2


def test_find(kinlore: Kinlore) -> None:
    table = kinlore("find", "run", "--where", "params.lr>=0.3", "--order", "created_at", "--descending")
    page = json.loads(kinlore("find", "Run", "--where", "status=FAILED", "--json").out)

    lines = table.out.splitlines()
    assert lines[0].split() == ["name", "created", "params.lr", "id"]
    assert [line.split()[:2] for line in lines[1:]] == [["run", "4"], ["run", "3"]]
    assert [node["id"] for node in page["nodes"]] == [run(1)]
    assert kinlore("find", "Rum").code == 2
    assert "--after" in kinlore("find", "Run", "--first", "2").err


@pytest.mark.parametrize(
    ("text", "key", "op", "value"),
    [
        ("params.lr>=0.1", "params.lr", "GTE", 0.1),
        ("status = FAILED", "status", "EQ", "FAILED"),
        ("status!=FAILED", "status", "NE", "FAILED"),
        ("name~a=b", "name", "CONTAINS", "a=b"),
        ('version="3"', "version", "EQ", "3"),
        ("version=3", "version", "EQ", 3),
        ("url", "url", "EXISTS", True),
        ("!url", "url", "EXISTS", False),
    ],
)
def test_conditions(text: str, key: str, op: str, value: object) -> None:
    assert condition(text) == {"key": key, "op": op, "value": value}


def test_search(kinlore: Kinlore) -> None:
    assert "run 3" in kinlore("search", "run", "--kind", "Run").out
    assert json.loads(kinlore("search", "users", "csv", "--json").out)["nodes"][0]["id"] == DATA
    assert kinlore("search", "zebra").code == 4


def test_lineage_as_a_tree(kinlore: Kinlore) -> None:
    outcome = kinlore("lineage", VERSION, "--hops", "9")

    lines = outcome.out.splitlines()
    assert lines[0] == "ModelVersion churn v3"
    assert lines[1].strip() == VERSION
    assert "upstream (3)" in lines
    assert lines[4].startswith("└─ Run run 0") and lines[4].endswith("-1  [PRODUCED tracking]")
    assert any("Commit 3faf1c7 Tune" in line and "-2  [CODE_FOR tracking]" in line for line in lines)
    assert "4 nodes, 4 edges: complete" in outcome.err


def test_lineage_options(kinlore: Kinlore) -> None:
    def ids(*words: str) -> list[str]:
        return [each["node"]["id"] for each in json.loads(kinlore("lineage", *words, "--json").out)["nodes"]]

    assert ids(COMMIT, "--as-of", "2026-01-01T12:00:00Z") == [COMMIT, DATA]
    assert ids(COMMIT, "--down", "--kind", "ModelVersion", "--hops", "9") == [COMMIT, VERSION]
    assert ids(DATA, "--up") == [DATA, COMMIT]
    assert ids(VERSION, "--edge", "owned_by") == [VERSION, "email=ada@example.com"]
    assert len(ids(DATA, "--first", "2")) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lineage", "git.sha=abcd"], 4, "no node is named 'git.sha=abcd'"),
        (["lineage", "churn"], 2, "not spelled scheme=value"),
        (["lineage", DATA, "--first", "0"], 2, "first is 0"),
        (["lineage", DATA, "--as-of", "soon"], 2, "not a time"),
        (["lineage", DATA, "--edge", "LOVES"], 2, "LOVES"),
        (["paths", DATA, "tag=out-of-memory"], 4, "no path leads"),
    ],
)
def test_ends_that_are_expected(kinlore: Kinlore, words: list[str], code: int, said: str) -> None:
    outcome = kinlore(*words)

    assert outcome.code == code and said in outcome.err
    assert not outcome.out and "\n" not in outcome.err.strip()


def test_paths(kinlore: Kinlore) -> None:
    outcome = kinlore("paths", COMMIT, VERSION)

    assert outcome.out.splitlines()[:3] == [
        "1. 2 hops",
        f"   {COMMIT} ─CODE_FOR→ {run(0)}",
        f"   {run(0)} ─PRODUCED→ {VERSION}",
    ]


@pytest.mark.parametrize(
    "words",
    [
        ["lineage", VERSION, "--hops", "9"],
        ["find", "Run", "--where", "params.lr<0.2"],
        ["search", "run"],
        ["resolve", "git.sha", SHA[:7]],
        ["paths", COMMIT, VERSION],
        ["sources"],
        ["lineage", "git.sha=abcd"],
    ],
)
def test_a_server_gives_the_same_answers(
    kinlore: Kinlore, server: str, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    local = kinlore(*words)
    monkeypatch.setenv("KINLORE_URL", server)

    remote = kinlore(*words)

    assert remote == local


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("http://127.0.0.1:9", 5, "no Kinlore answers at http://127.0.0.1:9 (KINLORE_URL)"),
        ("127.0.0.1:9", 2, "KINLORE_URL is '127.0.0.1:9'"),
    ],
)
def test_a_server_that_is_not_there(
    kinlore: Kinlore, monkeypatch: pytest.MonkeyPatch, url: str, code: int, said: str
) -> None:
    monkeypatch.setenv("KINLORE_URL", url)

    outcome = kinlore("sources")

    assert outcome.code == code and said in outcome.err


def test_schema_and_migrate(kinlore: Kinlore) -> None:
    assert "type Query" in kinlore("schema").out
    assert "mlflow.model_version" in kinlore("schema", "--kinds").out
    assert json.loads(kinlore("schema", "--edges", "--json").out)["edges"][0]["kind"] == "INTRODUCED"
    assert "the store has schema" in kinlore("migrate").out
