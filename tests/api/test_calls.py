"""No N+1: the number of store calls depends on the query and never on the size of the answer."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.container import Container
from tests.api.conftest import DATA, story, write
from tests.counting import Counting

FULL = "id url properties identifiers { id } owners { role owner { id tags { by } } } tags { tag { name } }"

QUERIES = {
    "find": f"{{ find(kind: RUN, first: 400) {{ nodes {{ {FULL} }} }} }}",
    "search": f'{{ search(text: "run", first: 100) {{ nodes {{ {FULL} }} }} }}',
    "lineage": f'{{ lineage(id: "{DATA}", first: 2000) {{ nodes {{ hiddenUpstream node {{ {FULL} }} }} '
    "edges { from source evidence } table } }",
    "columns": f'{{ columnLineage(id: "{DATA}", column: "age") {{ nodes {{ node {{ {FULL} }} }} '
    f"edges {{ from }} readers {{ reads node {{ {FULL} }} }} }} }}",
    "impact": f'{{ impact(ids: ["{DATA}"], first: 2000) {{ score summary owners {{ owner {{ name }} }} '
    "targets { node { id properties owners { role owner { id } } } path { from source } } } }",
    "table": f'{{ lineage(id: "{DATA}", first: 2000) {{ table totalNodes complete }} }}',
}


def ask_for(store: Any, text: str) -> tuple[Counter[str], int]:
    counting = Counting(store)
    body = answer(Request(text), lambda: Ask(counting, None, list))  # type: ignore[arg-type]
    assert "errors" not in body, body
    return counting.calls, str(body).count("mlflow.run_id=")


@pytest.mark.parametrize("name", QUERIES)
def test_calls_do_not_grow_with_the_answer(container: Container, name: str) -> None:
    few, small = ask_for(container.store, QUERIES[name])
    write(container.store, story(runs=300), "tracking")

    many, large = ask_for(container.store, QUERIES[name])

    assert large > 10 * small
    assert many == few
    assert sum(many.values()) <= 20


def test_a_table_costs_one_expansion_a_hop_and_the_labels(container: Container) -> None:
    calls, _ = ask_for(container.store, QUERIES["table"])

    assert calls["labels"] == 1 and calls["get"] == 0 and calls["edges"] == 0
