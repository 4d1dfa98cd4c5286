"""What was already tried of a configuration, from the graph; on both stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.learnings.experiments import experiments
from app.learnings.planned import read
from graph_schema.claims import Claim, Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from ingestors import joins

SOURCE = Source("tracking", "mlflow", "growth")


def run(number: int) -> str:
    return f"mlflow.run_id={number:032x}"


def write(
    store: GraphStore, number: int, status: str = "FINISHED", data: str | None = None, **params: Any
) -> None:
    said = {"name": f"run {number}", "status": status, "createdAt": number}
    settings = {"lr": 0.1, "batch": 64, "optimizer": "adam", "seed": number * 13, **params}
    claims: list[Claim] = [
        Names(NodeKind.RUN, (run(number),)),
        States(NodeKind.RUN, run(number), {**said, "params": settings}),
    ]
    if data is not None:
        version = f"dvc.md5={data * 32}"
        claims += [
            Names(NodeKind.DATASET_VERSION, (version,)),
            States(NodeKind.DATASET_VERSION, version, {"name": f"users.csv@{data}"}),
            Links(EdgeKind.INPUT_TO, version, run(number)),
        ]
    record = Record(f"run/{number}", "run", number, tuple(claims))
    store.transact(lambda tx: joins.apply(tx, SOURCE, [record]))


def handle(store: GraphStore, number: int) -> int:
    return store.resolve(run(number))[0]


@pytest.fixture
def told(store: GraphStore) -> GraphStore:
    for number in range(1, 7):
        write(store, number, data="a", lr=0.1 if number % 2 else 0.2)
    write(store, 10, "FAILED", data="a", lr=40)
    write(store, 11, "FAILED", data="a", lr=90)
    write(store, 12, "FAILED", data="b")
    return store


def test_a_planned_configuration_was_tried_or_was_not(told: GraphStore) -> None:
    plan = {"lr": 0.2, "batch": 64, "optimizer": "adam", "seed": 1}
    found = experiments(told, config=plan, first=2)

    assert found.already_tried
    assert found.summary == "already tried: 3 runs with these settings, worked 3×"
    assert [each.same for each in found.alike] == [True, True]
    assert {d.path for each in found.alike for d in each.differs} == {"seed"}

    other = experiments(told, config={**plan, "lr": 45})
    assert not other.already_tried
    assert (other.alike[0].node.id, other.alike[0].outcome) == (run(10), "failed")
    assert other.successful[0].differs[0].path == "lr"
    assert "run 10, which failed, differs in lr" in other.summary


def test_a_failed_run_is_held_against_what_worked_and_what_failed_alike(told: GraphStore) -> None:
    found = experiments(told, handle=handle(told, 11))

    assert found.successful[0].outcome == "worked"
    assert found.successful[0].differs[0].path == "lr"
    twin = found.failed_alike[0]
    assert (twin.node.id, twin.shared) == (run(10), ["lr"])

    by_data = experiments(told, handle=handle(told, 12)).successful[0].differs[0]
    assert (by_data.path, by_data.left) == ("data:users.csv", f"dvc.md5={'b' * 32}")


def test_what_changes_is_seen_at_once(told: GraphStore) -> None:
    plan = {"lr": 7, "batch": 8, "optimizer": "sgd"}
    assert not experiments(told, config=plan).already_tried

    write(told, 20, lr=7, batch=8, optimizer="sgd")
    assert experiments(told, config=plan).already_tried

    told.transact(lambda tx: joins.apply(tx, SOURCE, [Record("run/20", "run", 99, ())]))
    assert not experiments(told, config=plan).already_tried


def test_what_may_not_be_read_is_not_shown(told: GraphStore) -> None:
    found = experiments(told, config={"lr": 0.2, "batch": 64}, spaces=frozenset({"default"}))

    assert found.alike == found.successful == []
    assert found.summary == "no run with an alike configuration"


def test_what_cannot_be_asked_is_said(told: GraphStore) -> None:
    data = told.resolve(f"dvc.md5={'a' * 32}")[0]
    for asked, because in (
        ({"handle": data}, "is a DatasetVersion"),
        ({"config": {}}, "has no settings"),
        ({"config": {"a": 1}, "first": 0}, "allowed are 1 to 50"),
        ({}, "give either"),
    ):
        with pytest.raises(BadInput, match=because):
            experiments(told, **asked)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.yaml", "lr: 0.1\nmodel:\n  depth: 3\n"),
        ("a.json", '{"lr": 0.1, "model": {"depth": 3}}'),
        ("a.toml", "lr = 0.1\n[model]\ndepth = 3\n"),
    ],
)
def test_a_plan_is_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    assert read(tmp_path / name) == {"lr": 0.1, "model": {"depth": 3}}


@pytest.mark.parametrize(
    ("name", "text", "because"),
    [
        ("a.ini", "", "a configuration is one of"),
        ("a.json", "[1]", "holds no settings"),
        ("a.json", "{", "cannot be read"),
        ("a.yaml", "a: [", "cannot be read"),
        ("a.toml", "=", "cannot be read"),
        ("a.yaml", "[" * 1_000, "nests deeper"),
        ("none.yaml", None, "No such file"),
    ],
)
def test_a_plan_that_cannot_be_read_is_named(
    tmp_path: Path, name: str, text: str | None, because: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)

    with pytest.raises(BadInput, match=because):
        read(tmp_path / name)
