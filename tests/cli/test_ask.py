"""The commands that ask: the same answers from the store and from a server, and an exit code for each end."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from app.api.app import create_app
from app.api.server import listen
from app.cli.find import _shown, condition
from app.container import Container
from graph_schema.claims import Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from tests.api.conftest import COMMIT, DATA, SHA, VERSION, run, write
from tests.cli.conftest import KINLORE, Kinlore, environ
from tests.cli.test_help import LOOK
from tests.receiver import Receiver

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
    "words", [["lineage", DATA, "--as-of"], ["find", "Run", "--known-at"], ["compare", DATA, "--left-as-of"]]
)
def test_what_is_no_time_is_said_of_the_option(kinlore: Kinlore, words: list[str]) -> None:
    refused = kinlore(*words, "soon")

    assert refused.code == 2 and not refused.out
    assert refused.err.endswith(
        f"Error: Invalid value for '{words[-1]}': 'soon' is not a time; write it as 2026-01-31 or "
        "2026-01-31T10:00:00Z, in UTC\n"
    )


def test_a_table_says_how_things_stand(kinlore: Kinlore) -> None:
    assert kinlore("find", "Run").out.splitlines()[0].split() == ["name", "created", "status", "id"]
    assert kinlore("find", "Commit").out.splitlines()[0].split() == ["name", "created", "id"]


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


def test_a_short_answer_says_which_option_widens_it(kinlore: Kinlore) -> None:
    short = kinlore("lineage", COMMIT, "--hops", "1")
    few = kinlore("lineage", COMMIT, "--hops", "20", "--first", "1")

    assert "raise --hops" in short.err and "maxHops" not in short.err
    assert "raise --first" in few.err


def test_search(kinlore: Kinlore) -> None:
    found = kinlore("search", "run", "--kind", "Run").out
    assert "run 3" in found and "Run " in found
    assert json.loads(kinlore("search", "users", "csv", "--json").out)["nodes"][0]["id"] == DATA
    assert kinlore("search", "zebra").code == 4


def test_lineage_as_a_tree(kinlore: Kinlore) -> None:
    outcome = kinlore("lineage", VERSION, "--hops", "9")

    lines = outcome.out.splitlines()
    assert lines[0] == "ModelVersion churn v3"
    assert lines[1].strip() == VERSION
    assert lines[2] == "  owned by ada@example.com (maintainer)"
    assert "upstream (3)" in lines
    assert lines[5].startswith("└─ Run run 0") and lines[5].endswith("-1  [PRODUCED tracking]")
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
        (["lineage", "churn"], 4, "nothing is named 'churn'; an id is spelled scheme=value, such as"),
        (["lineage", "model_version=churn/3"], 2, "did you mean mlflow.model_version?"),
        (["lineage", "mlflow.modelversion=churn/3"], 2, "did you mean mlflow.model_version?"),
        (["lineage", DATA, "--first", "0"], 2, "first is 0"),
        (["paths", DATA, "tag=out-of-memory"], 4, "no path leads"),
    ],
)
def test_ends_that_are_expected(kinlore: Kinlore, words: list[str], code: int, said: str) -> None:
    outcome = kinlore(*words)

    assert outcome.code == code and said in outcome.err
    assert not outcome.out and "\n" not in outcome.err.strip()


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--edge", "OWND_BY", "did you mean OWNED_BY? allowed are INTRODUCED, CODE_FOR"),
        ("--kind", "Comit", "did you mean Commit? allowed are Repository, Commit"),
    ],
)
def test_an_unknown_kind_is_a_usage_error(kinlore: Kinlore, option: str, value: str, said: str) -> None:
    outcome = kinlore("lineage", DATA, option, value)

    assert outcome.code == 2 and said in " ".join(outcome.err.split())


def test_whoever_has_seen_enough_is_no_failure(folder: Path) -> None:
    """`kinlore schema | head`, with a reader who goes at once."""
    process = subprocess.Popen(
        [KINLORE, "schema"], cwd=folder, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()

    assert (process.wait(timeout=60), said) == (0, b"")
    process.stderr.close()


def test_an_id_without_a_scheme_is_taken_for_what_it_names(kinlore: Kinlore) -> None:
    version, commit = kinlore("lineage", "churn/3"), kinlore("lineage", SHA[:7], "--json")

    assert version.code == 0 and version.out.startswith("ModelVersion churn v3")
    assert f"churn/3 is taken for ModelVersion {VERSION}" in version.err
    assert json.loads(commit.out)["root"]["id"] == COMMIT and not commit.err
    assert kinlore("paths", SHA[:7], "churn/3").out == kinlore("paths", COMMIT, VERSION).out


def test_an_id_without_a_scheme_that_names_several_lists_them(kinlore: Kinlore, graph: Container) -> None:
    names = [Names(NodeKind.TEAM, ("team=users.csv",))]
    write(graph.store, [Record("twin", "story", 1, tuple(names))])

    outcome = kinlore("lineage", "users.csv")

    assert outcome.code == 2 and not outcome.out
    assert [line.strip() for line in outcome.err.splitlines()[1:]] == [
        f"DatasetVersion {DATA}",
        "Team team=users.csv",
    ]


def test_lineage_of_what_only_has_others_lists_them(kinlore: Kinlore, graph: Container) -> None:
    model = "mlflow.model@tracking=churn"
    claims: list[Any] = [Names(NodeKind.MODEL, (model,))]
    for number in range(12):
        version = f"mlflow.model_version@tracking=churn/{number}"
        claims += [
            Names(NodeKind.MODEL_VERSION, (version,)),
            States(NodeKind.MODEL_VERSION, version, {"createdAt": 1_767_225_600_000_000 + number}),
            Links(EdgeKind.HAS, model, version),
        ]
    write(graph.store, [Record("model", "story", 1, tuple(claims))], source="registry")

    shown, told = kinlore("lineage", "mlflow.model=churn"), kinlore("lineage", model, "--json")

    has = json.loads(told.out)["has"]
    assert has["total"] == 12 and len(has["nodes"]) == 10
    assert has["nodes"][0]["id"] == "mlflow.model_version@tracking=churn/11"
    assert "it has 12, the newest 10; each has lineage of its own:" in shown.out
    assert "kinlore lineage mlflow.model_version@tracking=churn/11" in shown.err
    assert "no lineage" not in shown.err
    assert "it has" not in kinlore("lineage", model, "--kind", "Run").out
    assert "no lineage is recorded for it" in kinlore("lineage", "team=growth").err


def test_numbers_and_texts_in_a_table_are_short() -> None:
    node = {"properties": {"auc": 0.8123456789, "error": "word " * 30, "epochs": 12}}

    assert _shown(node, "auc") == "0.812346" and _shown(node, "epochs") == "12"
    assert len(_shown(node, "error")) <= 80 and _shown(node, "error").endswith("word…")


def test_paths(kinlore: Kinlore) -> None:
    outcome = kinlore("paths", COMMIT, VERSION)

    against = kinlore("paths", VERSION, COMMIT)

    assert outcome.out.splitlines()[:4] == [
        "1. 2 hops",
        "   from Commit 3faf1c7 Tune",
        "   ─CODE_FOR→ Run run 0",
        "   ─PRODUCED→ ModelVersion churn v3",
    ]
    assert against.out.splitlines()[1:4] == [
        "   from ModelVersion churn v3",
        "   ←PRODUCED─ Run run 0",
        "   ←CODE_FOR─ Commit 3faf1c7 Tune",
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
        ["lineage", "churn/3"],
        ["lineage", "team=growth"],
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


def test_asking_a_server_loads_no_client_of_its_own(folder: Path, server: str) -> None:
    words = ["find", "Run", "--first", "1"]
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *words],
        env=environ(KINLORE_URL=server), capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    heavy = {"fastapi", "graphql", "httpx", "numpy", "rich", "sqlite3", "app.container"}
    assert not heavy & set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("status", [200, 302, 502])
def test_what_answers_is_no_kinlore(kinlore: Kinlore, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    with Receiver(status) as other:
        monkeypatch.setenv("KINLORE_URL", other.url)
        monkeypatch.setenv("KINLORE_TOKEN", "0123456789abcdef")

        outcome = kinlore("sources")

    assert outcome.code == 5 and f"{other.url} (KINLORE_URL) does not answer as Kinlore does" in outcome.err
    assert [each.headers["authorization"] for each in other.deliveries] == ["Bearer 0123456789abcdef"]


def test_schema_and_migrate(kinlore: Kinlore) -> None:
    assert "type Query" in kinlore("schema").out
    assert "mlflow.model_version" in kinlore("schema", "--kinds").out
    assert json.loads(kinlore("schema", "--edges", "--json").out)["edges"][0]["kind"] == "INTRODUCED"
    assert "the store has schema" in kinlore("migrate").out


def test_compare(kinlore: Kinlore) -> None:
    two = kinlore("compare", run(1), run(2))
    answer = json.loads(kinlore("compare", run(1), run(2), "--json").out)
    times = kinlore("compare", VERSION, "--left-as-of", "2026-01-01", "--right-as-of", "2026-06-01")

    assert two.code == 0 and two.out.splitlines()[0].split() == ["what", "run", "1", "run", "2"]
    assert answer["differences"][0]["path"] == "params.lr" and answer["complete"]
    assert "+ Run run 0 ─PRODUCED→ ModelVersion churn v3" in times.out
    assert kinlore("compare", run(1)).code == 2
    assert kinlore("compare", run(1), "mlflow.run_id=nobody").code == 4
