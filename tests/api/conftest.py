"""A small graph in a real store, and the service over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.api.app import create_app
from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.container import Container
from app.settings import load
from graph_schema.claims import Links, Names, Record, States
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from ingestors import joins
from tests.api.served import OPEN, Serve, Served
from tests.bell import SECRET, hang_up, house

SHA = "3faf1c7d9b1be4a7e2c1f6f0a1f0c9d8e7b6a594"
COMMIT, DATA = f"git.sha={SHA}", "dvc.md5=1bc29b36f623ba82aaf6724fd3b16718"
VERSION = "mlflow.model_version@tracking=churn/3"
DAY = 86_400_000_000
JANUARY = 1_767_225_600_000_000  # 2026-01-01

Query = Callable[..., dict[str, Any]]


def run(number: int) -> str:
    return f"mlflow.run_id=run{number:05d}"


def story(runs: int = 5) -> list[Record]:
    """A commit and a data version, runs that read both, a model version from the first, owners and tags."""
    state, e, k = States, EdgeKind, NodeKind
    claims: list[Any] = [
        Names(k.COMMIT, (COMMIT,)),
        state(k.COMMIT, COMMIT, {"name": "3faf1c7 Tune", "author": "Ada", "createdAt": JANUARY}),
        Names(k.DATASET_VERSION, (DATA,)),
        state(k.DATASET_VERSION, DATA, {"name": "users.csv", "size": 12}),
        Links(e.INTRODUCED, COMMIT, DATA, since=JANUARY),
        Names(k.MODEL_VERSION, (VERSION,)),
        state(
            k.MODEL_VERSION,
            VERSION,
            {
                "name": "churn v3",
                "aliasHistory": {
                    "champion@2": {"name": "champion", "notBefore": JANUARY, "seenAt": JANUARY + DAY},
                    "old@1": {"name": "old", "seenAt": JANUARY, "until": JANUARY + DAY},
                },
            },
        ),
        Links(e.PRODUCED, run(0), VERSION, since=JANUARY + DAY),
        Links(e.OWNED_BY, VERSION, "email=ada@example.com", properties={"role": "maintainer"}),
        Names(k.PERSON, ("email=ada@example.com",)),
        Links(e.TAGGED, run(1), "tag=out-of-memory", evidence="the log says so"),
        Names(k.TAG, ("tag=out-of-memory",)),
    ]
    for number in range(runs):
        claims += [
            Names(k.RUN, (run(number),)),
            state(
                k.RUN,
                run(number),
                {
                    "name": f"run {number}",
                    "status": "FAILED" if number == 1 else "FINISHED",
                    "params": {"lr": number / 10},
                    "createdAt": JANUARY + DAY + number,
                },
            ),
            Links(e.INPUT_TO, DATA, run(number), since=JANUARY + DAY + number),
            Links(e.CODE_FOR, COMMIT, run(number), since=JANUARY + DAY + number),
            Links(e.OWNED_BY, run(number), "team=growth"),
        ]
    claims.append(Names(k.TEAM, ("team=growth",)))
    return [Record("story", "story", 1, tuple(claims))]


def write(store: GraphStore, records: list[Record], source: str = "tracking") -> None:
    store.transact(lambda tx: joins.apply(tx, Source(source, "mlflow"), records))


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    file = tmp_path / "kinlore.toml"
    file.write_text("")
    with Container(load(file, environ={})) as made:
        write(made.migrated(), story())
        yield made


@pytest.fixture
def query(container: Container) -> Query:
    """Run a query; the data. With ``fails`` the first error instead."""

    def run_query(text: str, fails: bool = False, **variables: Any) -> dict[str, Any]:
        body = answer(Request(text, variables), lambda: Ask(container.store, None, list))
        if fails:
            error: dict[str, Any] = body["errors"][0]
            return error
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    return run_query


@pytest.fixture
def client(container: Container) -> Iterator[TestClient]:
    with TestClient(create_app(container), base_url="http://127.0.0.1:8420") as made:
        yield made


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a source type ``bell``, and its secret is set."""
    hang_up(monkeypatch)
    monkeypatch.setenv("BELL_SECRET", SECRET)


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    made: list[Container] = []

    def start(text: str = OPEN, **environ: str) -> Served:
        made.append(house(tmp_path, text, **environ))
        return Served(made[-1])

    yield start
    for container in made:
        container.close()
