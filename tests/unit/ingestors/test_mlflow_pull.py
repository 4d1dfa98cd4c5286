"""The source mlflow before servers that misbehave, and its configuration. Answers are MLflow 3.17.2's."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from graph_schema.errors import BadInput
from ingestors.registry import build, checked, disabled_because
from ingestors.source import Item, Refused, SourceError, Unreachable
from ingestors.sources.mlflow import MLflowConfig, MLflowSource, pulling
from ingestors.sources.mlflow.pulling import SWEEP_PER_RUN

NOW = 1_795_250_000_000_000
Answer = Callable[[httpx.Request], httpx.Response]


def run(run_id: str, **info: Any) -> dict[str, Any]:
    times = {"start_time": 1_795_249_000_000, "end_time": 1_795_249_001_000}
    return {
        "info": {"run_id": run_id, "experiment_id": "1", "status": "FINISHED", **times, **info},
        "data": {},
    }


class Server:
    """Answers as MLflow does, one page a list; ``special`` answers some paths otherwise."""

    def __init__(self, runs: list[dict[str, Any]], **special: Answer) -> None:
        self.lists: dict[str, tuple[str, list[Any]]] = {
            "experiments/search": ("experiments", [{"experiment_id": "1", "name": "e"}]),
            "runs/search": ("runs", runs),
            "registered-models/search": ("registered_models", []),
            "model-versions/search": ("model_versions", []),
            "logged-models/search": ("models", []),
        }
        self.special = {name.replace("__", "/").replace("_", "-"): answer for name, answer in special.items()}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/2.0/mlflow/").lstrip("/")
        body = json.loads(request.content) if request.content else dict(request.url.params)
        self.asked.append((path, body))
        if path in self.special:
            return self.special[path](request)
        if path == "version":
            return httpx.Response(200, text="3.17.2")
        if path not in self.lists:
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"no {path}"}
            return httpx.Response(404, json=missing)
        key, entries = self.lists[path]
        return httpx.Response(200, json={key: entries})


def source(server: Answer, **config: Any) -> MLflowSource:
    model = MLflowConfig(type="mlflow", name="t", tracking_uri="http://mlflow.test:5000", **config)
    return MLflowSource(model, transport=httpx.MockTransport(server), environ={})


def pulled(server: Answer, cursor: Any = None, now: int = NOW, **config: Any) -> tuple[list[Item], Any, Any]:
    items: list[Item] = []
    complete = None
    for page in source(server, **config).pull(cursor, now=now):
        items += page.items
        cursor, complete = page.cursor, page.complete
    return items, cursor, complete


@pytest.fixture
def _large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a few runs are too many to be read at every pull."""
    monkeypatch.setattr(pulling, "SWEEP_ALWAYS", -1)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    from ingestors.http import HttpClient

    made = HttpClient.__init__

    def at_once(self: HttpClient, *given: Any, **named: Any) -> None:
        made(self, *given, **{**named, "sleep": lambda seconds: None})

    monkeypatch.setattr(HttpClient, "__init__", at_once)


# --- servers that misbehave ----------------------------------------------------------------------------


def test_a_plain_text_401_names_the_missing_credentials() -> None:
    said = "You are not authenticated. Please see https://mlflow.org/docs/latest/self-hosting/security"
    server = Server([], experiments__search=lambda _: httpx.Response(401, text=said))

    with pytest.raises(Refused, match="wants credentials") as refused:
        pulled(server)

    assert "\n" not in str(refused.value)


def test_a_web_page_is_no_answer() -> None:
    page = httpx.Response(200, html="<!doctype html><html><body>Log in</body></html>")

    with pytest.raises(SourceError, match="web page, not JSON"):
        pulled(Server([], experiments__search=lambda _: page))


@pytest.mark.parametrize(
    "body", [b'{"runs": [{"info": {"run_id": "a', b"", b"\xff\xfe"], ids=["cut", "empty", "binary"]
)
def test_broken_json_may_pass(body: bytes) -> None:
    server = Server([], runs__search=lambda _: httpx.Response(200, content=body))

    with pytest.raises(Unreachable, match="broken JSON"):
        pulled(server)


@pytest.mark.parametrize("body", [[], {"runs": {"a": 1}}], ids=["a list", "no list"])
def test_json_that_is_not_mlflows_is_refused(body: Any) -> None:
    with pytest.raises(SourceError, match="does not answer as MLflow does"):
        pulled(Server([], runs__search=lambda _: httpx.Response(200, json=body)))


def test_a_page_token_that_repeats_ends_the_pull() -> None:
    server = Server(
        [], runs__search=lambda _: httpx.Response(200, json={"runs": [run("a")], "next_page_token": "x"})
    )

    with pytest.raises(SourceError, match="same page token"):
        pulled(server)

    assert [path for path, _ in server.asked].count("runs/search") == 2


def test_a_failing_page_leaves_the_cursor_before_it() -> None:
    answers = iter([{"runs": [run("a")], "next_page_token": "x"}])
    server = Server(
        [],
        runs__search=lambda _: next(
            (httpx.Response(200, json=a) for a in answers), httpx.Response(500, text="oops")
        ),
    )
    cursors: list[Any] = []

    with pytest.raises(Unreachable, match="500"):
        for page in source(server).pull(None, now=NOW):
            cursors.append(page.cursor)

    assert cursors
    assert all(cursor["swept"] is None and cursor["pulled"] is None for cursor in cursors)


def test_an_entry_without_its_parts_is_an_item_of_its_own_and_the_others_land() -> None:
    items, _, _ = pulled(Server([run("a"), {"data": {}}, {"info": None}, run("b")]))

    runs = [item for item in items if item.type == "run"]
    assert [item.key for item in runs if "broken" not in item.data] == ["run/a", "run/b"]
    assert sum("broken" in item.data for item in runs) == 2


def test_a_server_without_logged_models_is_read_and_none_of_them_retired() -> None:
    old = Server([run("a")], logged_models__search=lambda _: httpx.Response(404, text="Not Found"))

    items, cursor, complete = pulled(old)

    assert "run/a" in {item.key for item in items}
    assert cursor["swept"] == NOW
    assert "logged_model" not in complete
    assert "environment" not in complete


def test_artifacts_that_cannot_be_read_do_not_stop_the_pull_and_are_asked_again() -> None:
    failed = [run(f"r{n}", status="FAILED") for n in range(5)]
    server = Server(failed, artifacts__list=lambda _: httpx.Response(403, text="Permission denied"))

    items, cursor, _ = pulled(server)

    assert len([item for item in items if item.type == "run"]) == 5
    assert [path for path, _ in server.asked].count("artifacts/list") == 3
    assert len(cursor["errors"]["waiting"]) == 5


# --- what is asked when --------------------------------------------------------------------------------


@pytest.mark.usefixtures("_large")
def test_between_sweeps_only_what_may_have_changed_is_asked_with_a_margin() -> None:
    server = Server([run("a"), run("b")])
    _, cursor, _ = pulled(server)
    server.asked.clear()

    _, again, complete = pulled(server, cursor, now=NOW + 1_000)

    mark = 1_795_249_001_000 - 10 * 60 * 1_000
    assert [body["filter"] for path, body in server.asked if path == "runs/search"] == [
        f"attributes.end_time > {mark}",
        f"attributes.start_time > {mark}",
        "attributes.status = 'RUNNING'",
    ]
    assert all(body["run_view_type"] == "ALL" for path, body in server.asked if path == "runs/search")
    assert complete is None
    assert (again["pulled"], again["swept"]) == (NOW + 1_000, NOW)


@pytest.mark.usefixtures("_large")
def test_a_sweep_comes_the_later_the_more_runs_there_are() -> None:
    server = Server([run(f"r{n}") for n in range(10)])
    _, cursor, _ = pulled(server)

    early = pulled(server, cursor, now=NOW + 10 * SWEEP_PER_RUN - 1)[2]
    due = pulled(server, cursor, now=NOW + 10 * SWEEP_PER_RUN)[2]

    assert early is None
    assert due["run"] == {f"run/r{n}" for n in range(10)}


def test_a_small_server_is_swept_at_every_pull() -> None:
    server = Server([run(f"r{n}") for n in range(10)])
    _, cursor, _ = pulled(server)

    complete = pulled(server, cursor, now=NOW + 1)[2]

    assert complete["run"] == {f"run/r{n}" for n in range(10)}


def test_a_machine_whose_clock_runs_ahead_does_not_hide_what_others_write() -> None:
    ahead = run("ahead", start_time=1_895_000_000_000, end_time=1_895_000_000_000)

    _, cursor, _ = pulled(Server([run("a"), ahead]))

    assert cursor["mark"] == 1_795_249_001_000


def test_since_bounds_every_question() -> None:
    server = Server([])

    _, cursor, _ = pulled(server, since="2026-01-01")
    pulled(server, cursor, now=NOW - 1, since="2026-01-01")

    filters = [body["filter"] for path, body in server.asked if path == "runs/search"]
    assert len(filters) == 4
    assert all("attributes.start_time >= 1767225600000" in each for each in filters)


def test_a_model_with_quotes_in_its_name_is_asked_for_with_all_others() -> None:
    server = Server([])
    _, cursor, _ = pulled(server)
    server.lists["registered-models/search"][1].append({"name": 'it\'s "new"', "last_updated_timestamp": 1})
    server.asked.clear()

    items, _, _ = pulled(server, cursor, now=NOW - 1)

    assert [item.key for item in items if item.type == "model"] == ['model/it\'s "new"']
    assert [body.get("filter") for path, body in server.asked if path == "model-versions/search"] == [None]


def test_existence_is_asked_by_id_and_a_wrong_address_is_no_proof() -> None:
    there = {"run": run("a")}
    deleted = {"run": run("a", lifecycle_stage="deleted")}

    def answers(found: dict[str, Any]) -> frozenset[str] | None:
        return source(Server([], runs__get=lambda _: httpx.Response(200, json=found))).get("run", ["run/a"])

    assert answers(there) == {"run/a"}
    assert answers(deleted) == frozenset()
    assert source(Server([])).get("run_error", ["error/a"]) == frozenset()
    assert source(Server([])).get("alias", ["alias/m/1/prod/7"]) == frozenset()
    with pytest.raises(SourceError, match="404"):
        source(Server([], runs__get=lambda _: httpx.Response(404, html="<html>"))).get("run", ["run/a"])


# --- configuration -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://ada:secret@x", "user_env"),
        ("http://", "host"),
        ("databricks://x", "Databricks"),
        ("", "may not be empty"),
        ("ftp://x", "nothing that MLflow reads"),
    ],
)
def test_a_wrong_address_is_one_clear_line(uri: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as problem:
        build({"type": "mlflow", "name": "t", "tracking_uri": uri}, Path("/"))

    assert "\n" not in str(problem.value)
    assert "tracking_uri" in str(problem.value)


@pytest.mark.parametrize("uri", ["sqlite:///mlflow.db", "mlruns", "file:///srv/mlruns"])
def test_a_store_without_a_server_needs_the_extra_and_says_so(
    uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the package were not installed, whether it is or not.
    monkeypatch.setitem(sys.modules, "mlflow", None)

    with pytest.raises(BadInput, match=r"kinlore\[mlflow\]"):
        build({"type": "mlflow", "name": "t", "tracking_uri": uri}, Path("/"))


def test_a_server_needs_no_extra() -> None:
    config = checked({"type": "mlflow", "name": "t", "tracking_uri": "http://127.0.0.1:9"}, Path("/"))

    assert disabled_because("mlflow", config) is None


def test_what_init_finds(tmp_path: Path) -> None:
    nothing = MLflowSource.discover(tmp_path, {})
    (tmp_path / "mlflow.db").touch()
    (tmp_path / "mlruns" / "1").mkdir(parents=True)
    artifacts_only = MLflowSource.discover(tmp_path, {})
    (tmp_path / "mlruns" / "1" / "meta.yaml").touch()
    environ = {"MLFLOW_TRACKING_URI": "https://ada:pw@mlflow.acme.com/x", "MLFLOW_TRACKING_TOKEN": "t"}

    everything = MLflowSource.discover(tmp_path, environ)

    assert nothing == []
    assert [found.config for found in artifacts_only] == [{"tracking_uri": "sqlite:///mlflow.db"}]
    assert [found.config for found in everything] == [
        {"tracking_uri": "https://mlflow.acme.com/x", "token_env": "MLFLOW_TRACKING_TOKEN"},
        {"tracking_uri": "sqlite:///mlflow.db"},
        {"tracking_uri": "mlruns"},
    ]
    assert "pw" not in repr(everything)


def test_check_counts_in_a_line() -> None:
    said = source(Server([run("a")])).check()

    assert said == "MLflow 3.17 at http://mlflow.test:5000: 1 experiment, 1 run"
