"""What the mlflow source makes of the tags that kinlore-client and ``kinlore run`` leave."""

from __future__ import annotations

from typing import Any

import pytest

from graph_schema.claims import Claim, Keyed, Links, States
from graph_schema.edges import EdgeKind
from ingestors.sources.mlflow.names import Names
from ingestors.sources.mlflow.runs import run_claims

RUN = "0f8fad5b-d9cb-469f-a165-70867728950e"
MD5 = "25a07ffc7bd3e0a9f0a4d2c4d9a1b3e7"
TRACEBACK = "Traceback (most recent call last):\nValueError: no"


def claims(
    tags: dict[str, str], status: str = "FAILED", inputs: tuple[dict[str, Any], ...] = ()
) -> list[Claim]:
    data = {
        "id": "abc", "name": "r", "experiment": "1", "status": status, "start": 1, "end": 2, "user": None,
        "stage": "active", "params": {}, "metrics": {}, "tags": tags, "inputs": inputs,
    }  # fmt: skip
    return run_claims(data, Names("tracking", "http://127.0.0.1:5000"))


def properties(said: list[Claim]) -> dict[str, Any]:
    (found,) = [c.properties for c in said if isinstance(c, States)]
    return found


def used(source: str, **tags: str) -> dict[str, Any]:
    return {
        "name": "d", "context": None, "digest": None, "source": source, "sourceType": "local", "tags": tags,
    }  # fmt: skip


def read(said: list[Claim]) -> list[str]:
    return [c.src for c in said if isinstance(c, Links) and c.kind is EdgeKind.INPUT_TO]


def test_the_traceback_is_the_error() -> None:
    tags = {"kinlore.traceback": TRACEBACK, "kinlore.error_type": "ValueError", "error": "ValueError: no"}

    found = properties(claims(tags))

    assert (found["error"], found["errorType"]) == (TRACEBACK, "ValueError")
    assert found.get("tags", {}) == {"error": "ValueError: no"}


def test_a_run_that_succeeded_in_the_end_has_no_error() -> None:
    found = properties(claims({"kinlore.traceback": TRACEBACK, "kinlore.error_type": "E"}, "FINISHED"))

    assert "error" not in found and "errorType" not in found


def test_the_command_that_made_it() -> None:
    said = claims({"kinlore.run": RUN, "mlflow.parentRunId": "def"})

    (made,) = [c for c in said if isinstance(c, Keyed)]
    assert (made.rule, made.key, made.ref) == ("captured", f"kinlore.run={RUN}", "mlflow.run_id=abc")
    assert made.data == {"parent": "mlflow.run_id=def"}
    assert not [c for c in claims({"kinlore.run": "seven"}) if isinstance(c, Keyed)]


def test_data_by_its_path_as_dvc_had_it() -> None:
    tags = {"kinlore.dvc": f'{{"data/train.csv": "{MD5}"}}', "kinlore.dirty": "true"}

    assert read(claims(tags, inputs=(used("data/train.csv"),))) == [f"dvc.md5={MD5}"]
    assert read(claims(tags, inputs=(used("data/other.csv"),))) == []
    assert read(claims(tags, inputs=(used("data/train.csv", **{"dvc.md5": MD5[::-1]}),))) == [
        f"dvc.md5={MD5[::-1]}"
    ]


@pytest.mark.parametrize(
    "told", ["", "[]", "{", '{"data/train.csv": 7}', '{"data/train.csv": "x"}', "[" * 50_000]
)
def test_what_is_not_from_the_client_is_ignored(told: str) -> None:
    assert read(claims({"kinlore.dvc": told}, inputs=(used("data/train.csv"),))) == []
