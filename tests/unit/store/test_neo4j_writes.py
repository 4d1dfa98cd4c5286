"""How often a writing transaction goes to the server, whatever it writes and whatever there is already."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from neo4j import ManagedTransaction

from graph_schema.claims import Claim, Links, Names, Record, States, occupies, uses
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from ingestors import joins
from tests.contract.harness import TRACKING, Clock, clean_neo4j, open_neo4j
from tests.neo4j_server import Neo4jServer

K, E = NodeKind, EdgeKind
#: More claims than a transaction keeps of one key.
MANY = 70
LINEAGE = Source("lineage", "test")


def data(number: int) -> str:
    return f"dvc.md5={number:032x}"


def training(number: int, state: str, at: int) -> Record:
    """A run that reads a table, and makes a model version that is named without its server."""
    run = f"mlflow.run_id=r{number}"
    claims: list[Claim] = [
        Names(K.RUN, (run,)),
        States(K.RUN, run, {"name": f"run {number}", "state": state}, at),
        Links(E.CODE_FOR, f"git.sha={number % 7:040x}", run, at),
        Links(E.PRODUCED, run, f"mlflow.model_version=churn/{number % 5}", at),
        uses("table/users", run, at, E.INPUT_TO),
    ]
    return Record(f"run/{number}", "run", at, tuple(claims))


def version(number: int, at: int) -> Record:
    """A state of the table, and the version of a model that a run may mean."""
    claims: list[Claim] = [
        Names(K.DATASET_VERSION, (data(number),)),
        occupies("table/users", data(number), at),
        Names(K.MODEL_VERSION, (f"mlflow.model_version@tracking=churn/{number % 5}",)),
    ]
    return Record(f"data/{number}", "data", at, tuple(claims))


@pytest.fixture(scope="module")
def store(neo4j_server: Neo4jServer) -> Iterator[GraphStore]:
    clean_neo4j(neo4j_server)
    opened = open_neo4j(neo4j_server, Clock())
    opened.migrate()
    opened.transact(lambda tx: joins.apply(tx, LINEAGE, [version(n, 10 * n) for n in range(MANY)]))
    opened.transact(lambda tx: joins.apply(tx, TRACKING, [training(n, "RUNNING", 10 * n) for n in range(40)]))
    yield opened
    opened.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to the server."""
    sent: list[str] = []
    run = ManagedTransaction.run

    def counted(self: Any, query: Any, *given: Any, **named: Any) -> Any:
        sent.append(" ".join(str(query).split()))
        return run(self, query, *given, **named)

    monkeypatch.setattr(ManagedTransaction, "run", counted)
    return sent


@pytest.mark.parametrize(("first", "count"), [(0, 4), (4, 16)])
def test_records_that_change_and_join_are_few_statements(
    store: GraphStore, statements: list[str], first: int, count: int
) -> None:
    arriving = [training(n, "FINISHED", 10 * n + 5) for n in range(first, first + count)]

    written = store.transact(lambda tx: joins.apply(tx, TRACKING, arriving))

    assert written.changed == count and written.edges_retired >= 3 * count
    assert len(statements) <= 18, "\n".join(one[:120] for one in statements)


def test_what_changes_nothing_is_three_statements(store: GraphStore, statements: list[str]) -> None:
    same = [training(n, "RUNNING", 10 * n) for n in range(20, 40)]

    written = store.transact(lambda tx: joins.apply(tx, TRACKING, same))

    assert written.unchanged == 20
    assert len(statements) == 3, "the lock and what is read with it, what is held, and the end"


def test_a_service_record_is_three_statements(store: GraphStore, statements: list[str]) -> None:
    store.transact(lambda tx: tx.service_put("note", tx.service_get("note", "k") or "k", 1))

    assert len(statements) == 3, "with what is read at first, one that was not foreseen, and the end"
