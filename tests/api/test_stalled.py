"""Stalled runs over GraphQL: shown, never stored."""

from __future__ import annotations

import time

import pytest

from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.container import Container
from graph_schema.claims import Names, Record, States
from graph_schema.kinds import NodeKind
from tests.api.conftest import write
from tests.api.test_calls import Counting

HOUR = 3_600_000_000
RUN = "mlflow.run_id=silent"
QUERIES = {
    "node": f'{{ node(id: "{RUN}") {{ properties }} }}',
    "find": '{ find(kind: RUN, where: [{key: "status", value: "RUNNING"}]) { nodes { properties } } }',
    "search": '{ search(text: "silent") { nodes { properties } } }',
    "lineage": f'{{ lineage(id: "{RUN}") {{ root {{ properties }} nodes {{ node {{ properties }} }} }} }}',
}


def running(number: int, hours: float) -> Record:
    at = time.time_ns() // 1000 - round(hours * HOUR)
    name = RUN if number == 0 else f"mlflow.run_id=silent{number}"
    about = {"name": "silent", "status": "RUNNING"}
    return Record(
        f"run/{number}", "run", 1, (Names(NodeKind.RUN, (name,)), States(NodeKind.RUN, name, about, at))
    )


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize(("hours", "shown"), [(23, False), (25, True)])
def test_wherever_a_run_is_read(container: Container, name: str, hours: float, shown: bool) -> None:
    write(container.store, [running(0, hours)], "tracking")
    before = container.store.digest()

    body = answer(Request(QUERIES[name]), lambda: Ask(container.store, None, list))

    assert ('"stalled": True' in str(body).replace("'", '"')) is shown, body
    assert container.store.digest() == before


def test_it_costs_one_call_however_many_run(container: Container) -> None:
    write(container.store, [running(number, 25) for number in range(200)], "tracking")
    counting = Counting(container.store)

    query = "{ find(kind: RUN, first: 500) { nodes { properties } } }"
    body = answer(Request(query), lambda: Ask(counting, None, list))  # type: ignore[arg-type]

    assert str(body).count("stalled") == 200 and counting.calls["heard"] == 1


def test_how_long_is_a_setting(container: Container) -> None:
    write(container.store, [running(0, 2)], "tracking")

    body = answer(Request(QUERIES["node"]), lambda: Ask(container.store, None, list, stalled_after=3_600))

    assert body["data"]["node"]["properties"]["stalled"] is True
