"""How near a commit's files are to what ran."""

from __future__ import annotations

from typing import Any

import pytest

from app.answers.cause_code import Place, Touch, entry_of, paths_of, touch, upgrade, words_of
from graph_schema.kinds import NodeKind
from graph_schema.values import Node


def node(kind: NodeKind = NodeKind.RUN, **properties: Any) -> Node:
    return Node(handle=1, id="x", kind=kind, name="x", identifiers=["x"], properties=properties)


@pytest.mark.parametrize(
    ("said", "entry"),
    [
        ({"script": "churn/train.py"}, "churn/train.py"),
        ({"script": "./churn/train.py"}, "churn/train.py"),
        ({"script": "/builds/acme/models/churn/train.py"}, "churn/train.py"),
        ({"script": "C:\\work\\models\\churn\\train.py"}, "churn/train.py"),
        ({"path": "jobs/features.sql"}, "jobs/features.sql"),
        ({"command": "python -m pip && python churn/train.py --lr 0.1"}, "churn/train.py"),
        ({"script": "/opt/elsewhere/churn/train.py"}, None),
        ({"script": "../other/train.py"}, None),
        ({"script": "train.py"}, None),
        ({"script": "ipykernel_launcher"}, None),
        ({}, None),
    ],
)
def test_entry_points_are_read_from_the_root_of_the_repository(
    said: dict[str, str], entry: str | None
) -> None:
    assert entry_of(node(**said), ["models"]) == entry


@pytest.mark.parametrize(
    ("paths", "near"),
    [
        (["README.md", "docs/a.png", "tests/data/x.csv", "churn/test_train.py"], Touch.ASIDE),
        (["uv.lock", "README.md"], Touch.INSTALLED),
        (["uv.lock", "dvc.lock"], Touch.INSTALLED),
        (["data/raw.csv.dvc", "dvc.lock", ".gitignore"], Touch.DATA),
        (["fraud/model.py"], Touch.OTHERS),
        (["fraud/"], Touch.OTHERS),
        (["common/io.py", "fraud/model.py"], Touch.SHARED),
        (["churn/params.yaml"], Touch.OWN),
        (["fraud/model.py", "churn/deep/x.py"], Touch.OWN),
    ],
)
def test_folders_tell_whose_code_it_is(paths: list[str], near: Touch) -> None:
    churn, fraud = (Place(f"{name}/train.py", frozenset()) for name in ("churn", "fraud"))

    assert touch(paths, churn, {churn, fraud}) is near


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("jobs/churn.py", Touch.OWN),
        ("jobs/sql/churn.sql", Touch.OWN),
        ("jobs/fraud.py", Touch.OTHERS),
        ("jobs/sql/fraud.sql", Touch.OTHERS),
        ("jobs/dates.py", Touch.SHARED),
        ("lib/dates.py", Touch.SHARED),
    ],
)
def test_files_beside_each_other_are_told_apart_by_name(path: str, near: Touch) -> None:
    churn, fraud = (Place(f"jobs/{name}.py", words_of(f"features_{name}")) for name in ("churn", "fraud"))

    assert touch([path], churn, {churn, fraud}) is near


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("churn/model.py", Touch.OWN),
        ("services/Churn/app.py", Touch.OWN),
        ("fraud/app.py", Touch.OTHERS),
        ("common/app.py", Touch.SHARED),
        ("train/app.py", Touch.SHARED),
        ("docs/churn.md", Touch.ASIDE),
    ],
)
def test_without_an_entry_point_names_tell_what_they_can(path: str, near: Touch) -> None:
    churn, fraud = (Place(None, words_of(f"{name}:17", f"train-{name}")) for name in ("churn", "fraud"))

    assert touch([path], churn, {churn, fraud}) is near


def test_a_commit_of_many_files_tells_its_folders() -> None:
    assert paths_of(node(NodeKind.COMMIT, folders=["a/"], fileCount=70)) == ["a/"]
    assert paths_of(node(NodeKind.COMMIT, files=["a/b.py"], fileCount=1)) == ["a/b.py"]
    assert paths_of(node(NodeKind.COMMIT)) is None


@pytest.mark.parametrize(
    ("before", "after", "step"),
    [
        ({"a": "1.4.0"}, {"a": "2.0.0"}, 2),
        ({"a": "1.4.0", "b": "1.0.0"}, {"a": "1.5.0", "b": "1.0.1"}, 1),
        ({"a": "1.4.0"}, {"a": "1.4.1"}, 0),
        ({"a": "1.4.0"}, {"a": "1.4.0"}, None),
        ({"a": "1"}, {"a": "1", "b": "1"}, 2),
    ],
)
def test_the_greatest_step_of_a_version(
    before: dict[str, str], after: dict[str, str], step: int | None
) -> None:
    assert upgrade(before, after) == step
