"""The source capture: deliveries to claims."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.values import Node
from ingestors.registry import build
from ingestors.source import Delivery, Forged, Source
from ingestors.sources.capture import options
from tests.sources.captures import deliver
from tests.sources.repositories import edges, every

RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"
SHA, MD5 = "3faf" * 10, "25a07ffc7bd3e0a9f0a4d2c4d9a1b3e7"
TOLD: dict[str, Any] = {
    "format": 1,
    "kind": "run",
    "id": "a",
    "run": RUN,
    "started": "2026-11-20T10:00:00Z",
    "ended": "2026-11-20T10:00:02.5Z",
    "command": ["python", "src/train.py", "--lr", "0.1"],
    "exit_code": 1,
    "user": "ada",
    "code": {
        "commit": SHA, "branch": "main", "remote": "git@git.example.com:acme/churn.git", "dirty": True,
        "diff": "a" * 64, "folder": ".", "dvc": {"data.csv": MD5},
    },
    "runtime": {
        "parts": {"python": "3.11.7", "platform": "Linux", "machine": "x86_64", "packages": "b" * 64},
        "packages": {"torch": "2.9.0"},
    },
    "inputs": [{"path": "data.csv", "dvc.md5": MD5, "size": 7}, {"path": "/gone"}],
    "outputs": [{"name": "weights", "sha256": "c" * 64}, {"path": "folder", "dvc.md5": f"{MD5}.dir"}],
    "error": {"type": "ValueError", "message": "no", "text": "Traceback …\nValueError: no", "frames": []},
    "log": "ValueError: no",
}  # fmt: skip


@pytest.fixture
def source() -> Source:
    return build({"type": "capture", "name": "capture"}, Path.cwd())


def received(source: Source, **changes: Any) -> Any:
    told = {key: value for key, value in {**TOLD, **changes}.items() if value is not None}
    return source.receive(Delivery({}, json.dumps(told).encode(), 0))


def node(store: SqliteStore, identifier: str) -> Node:
    (handle,) = store.resolve(identifier)
    (found,) = store.get([handle])
    assert found is not None
    return found


def test_what_a_capture_becomes(source: Source, store: SqliteStore) -> None:
    deliver(store, source, [TOLD])

    run = node(store, f"kinlore.run={RUN}")
    assert run.name == "train.py"
    shown = ("status", "duration", "exitCode", "errorType", "params")
    assert [run.properties[key] for key in shown] == ["FAILED", 2.5, 1, "ValueError", {"lr": "0.1"}]
    (runtime,) = every(store, NodeKind.RUNTIME)
    assert runtime.name == "Python 3.11.7 · Linux x86_64"
    drawn, home = edges(store), "git.remote=git.example.com/acme/churn"
    assert drawn == {
        (home, "HAS", f"git.sha={SHA}"),
        (f"git.sha={SHA}", "CODE_FOR", run.id),
        (runtime.id, "RUNTIME_OF", run.id),
        (f"dvc.md5={MD5}", "INPUT_TO", run.id),
        (run.id, "PRODUCED", f"sha256@dataset_version={'c' * 64}"),
        (run.id, "PRODUCED", f"dvc.md5={MD5}.dir"),
        ("dataset=git.example.com/acme/churn/data.csv", "HAS", f"dvc.md5={MD5}"),
        ("dataset=git.example.com/acme/churn/folder", "HAS", f"dvc.md5={MD5}.dir"),
    }


def test_the_same_again_changes_nothing(source: Source, store: SqliteStore) -> None:
    deliver(store, source, [TOLD])
    before = store.digest()

    deliver(store, source, [TOLD])

    assert store.digest() == before


@pytest.mark.parametrize(
    ("ending", "status", "error"),
    [
        ({"exit_code": 0, "error": None}, "FINISHED", None),
        (
            {"exit_code": 137, "signal": "SIGKILL", "error": None, "log": "step 3\n"},
            "KILLED",
            "ended by SIGKILL\nstep 3",
        ),
        ({"exit_code": 2, "error": None, "log": None}, "FAILED", "ended with exit code 2"),
    ],
)
def test_how_a_command_may_end(
    source: Source, store: SqliteStore, ending: dict[str, Any], status: str, error: str | None
) -> None:
    deliver(store, source, [{key: v for key, v in {**TOLD, **ending}.items() if v is not None}])

    properties = node(store, f"kinlore.run={RUN}").properties
    assert (properties["status"], properties.get("error")) == (status, error)


def test_data_of_a_run_that_others_tell_of(source: Source, store: SqliteStore) -> None:
    told = {key: TOLD[key] for key in ("format", "started", "ended", "inputs")}

    deliver(store, source, [{**told, "kind": "lineage", "id": "l", "mlflow_run_id": "abc", "run": RUN}])

    assert edges(store) == {(f"dvc.md5={MD5}", "INPUT_TO", "mlflow.run_id=abc")}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "Invalid enum value 2"),
        ({"kind": "walk"}, "Invalid enum value 'walk'"),
        ({"run": None}, "a run needs run and command"),
        ({"command": []}, "a run needs run and command"),
        ({"run": "seven"}, "'seven' is not a UUID"),
        ({"ended": "yesterday"}, "'yesterday' is not a time"),
        ({"id": ""}, "id is 1 to 200 characters"),
        ({"inputs": [{"size": "x"}]}, "Expected `int | null`, got `str`"),
        ({"kind": "lineage", "run": None}, "it needs run or mlflow_run_id"),
        ({"log": "x" * 1_000_001}, "at most 1,000,000 bytes"),
    ],
)
def test_what_is_no_capture_is_refused(source: Source, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        received(source, **changes)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"format": 1}', b"[" * 100_000])
def test_what_is_no_json_is_refused(source: Source, body: bytes) -> None:
    with pytest.raises(BadInput, match="no capture"):
        source.receive(Delivery({}, body, 0))


def test_unknown_keys_are_left_alone(source: Source) -> None:
    assert [item.key for item in received(source, later="than this version")] == [f"{RUN}/0"]


def test_a_delivery_is_known_by_its_id(source: Source) -> None:
    delivery = Delivery({}, json.dumps(TOLD).encode(), 0)

    assert source.delivery_id(delivery) == "a"
    source.verify(Delivery({"authorization": "Bearer right"}, b"", 0), b"right")
    with pytest.raises(Forged):
        source.verify(Delivery({"authorization": "Bearer wrong"}, b"", 0), b"right")


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "python train.py --lr 0.1 --epochs=3 --fast --seed -1",
            {"lr": "0.1", "epochs": "3", "fast": "true", "seed": "-1"},
        ),
        ("python train.py model.depth=3 +data=big ~x", {"model.depth": "3", "data": "big"}),
        ("python -m train --verbose -x 3", {"verbose": "true"}),
        ("make all", {}),
    ],
)
def test_options_of_a_command(command: str, expected: dict[str, str]) -> None:
    assert options(command.split()) == expected
