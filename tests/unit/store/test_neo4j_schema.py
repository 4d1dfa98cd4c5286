"""Migrations of the Neo4j store: repeatable, resumable, and refused where a newer Kinlore was before."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from neo4j import Driver

from app.store.neo4j import Neo4jStore
from app.store.neo4j.connection import Connection
from app.store.neo4j.schema import MIGRATIONS, SCHEMA_VERSION, name_of
from graph_schema.claims import Names, Record
from graph_schema.edges import EdgeKind
from graph_schema.errors import SchemaMissing, SchemaTooNew
from graph_schema.kinds import KINDS, NodeKind
from graph_schema.store import Source
from tests.neo4j_server import Neo4jServer

STATEMENTS = [statement for step in MIGRATIONS for statement in step]


@pytest.fixture
def bare(neo4j_server: Neo4jServer) -> Iterator[Driver]:
    """The server without data, constraints and indexes of ours."""
    with neo4j_server.driver() as driver, driver.session() as session:
        session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS").consume()
        for kind, kinds in (("CONSTRAINT", "CONSTRAINTS"), ("INDEX", "INDEXES")):
            for (name,) in session.run(f"SHOW {kinds} YIELD name").values():
                if name.startswith("kinlore_"):
                    session.run(f"DROP {kind} {name}").consume()
        yield driver


@pytest.fixture
def store(neo4j_server: Neo4jServer) -> Iterator[Neo4jStore]:
    opened = Neo4jStore(neo4j_server.url, neo4j_server.password)
    yield opened
    opened.close()


def present(driver: Driver) -> set[str]:
    records, _, _ = driver.execute_query("SHOW INDEXES YIELD name, state WHERE state = 'ONLINE' RETURN name")
    return {record["name"] for record in records}


def write_a_run(store: Neo4jStore) -> int:
    record = Record("r", "run", 1, (Names(NodeKind.RUN, ("mlflow.run_id=a",)),))
    return store.transact(lambda tx: tx.write(Source("tracking", "mlflow"), [record])).new


def test_every_constraint_and_index_has_one_name_and_can_be_made_again() -> None:
    names = [name_of(statement) for statement in STATEMENTS]

    assert len(set(names)) == len(names)
    assert all(name.startswith("kinlore_") for name in names)
    assert all(" IF NOT EXISTS " in statement for statement in STATEMENTS)


def test_labels_of_our_own_are_no_kinds() -> None:
    labels = {found for statement in STATEMENTS for found in re.findall(r"\(n:(\w+)\)", statement)}

    assert "Item" in labels
    assert labels.isdisjoint(NodeKind)


def test_every_kind_and_every_declared_property_has_its_index() -> None:
    text = "\n".join(STATEMENTS)

    assert all(f"()-[e:{kind}]-()" in text for kind in EdgeKind)
    assert all(f"|{kind}" in text or f":{kind}|" in text for kind in NodeKind)
    assert all(f"(n.kind, n.p_{key}, n.id)" in text for spec in KINDS.values() for key in spec.properties)


def test_a_migration_makes_everything_and_the_next_one_nothing(bare: Driver, store: Neo4jStore) -> None:
    first = store.migrate()
    second = store.migrate()

    assert (first.before, first.after) == (0, SCHEMA_VERSION)
    assert (second.before, second.after) == (SCHEMA_VERSION, SCHEMA_VERSION)
    assert present(bare) >= {name_of(statement) for statement in STATEMENTS}
    assert write_a_run(store) == 1


@pytest.mark.parametrize("done", [0, 1, 3, len(STATEMENTS) // 2, len(STATEMENTS) + 1])
def test_a_migration_that_was_killed_is_taken_up_again(
    bare: Driver, store: Neo4jStore, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    change, left = Connection.change_schema, [done]

    def dying(self: Connection, statement: str) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        change(self, statement)

    monkeypatch.setattr(Connection, "change_schema", dying)
    with pytest.raises(KeyboardInterrupt):
        store.migrate()
    with pytest.raises(SchemaMissing, match="run kinlore migrate"):
        write_a_run(store)
    monkeypatch.undo()

    again = store.migrate()

    assert (again.before, again.after) == (0, SCHEMA_VERSION)
    assert present(bare) >= {name_of(statement) for statement in STATEMENTS}
    assert write_a_run(store) == 1


def test_a_graph_of_a_newer_kinlore_is_left_alone(bare: Driver, store: Neo4jStore) -> None:
    store.migrate()
    bare.execute_query("MATCH (s:State) SET s.version = 99")

    with pytest.raises(SchemaTooNew, match="schema 99, made by a newer Kinlore"):
        store.migrate()
    with pytest.raises(SchemaTooNew, match="schema 99"):
        write_a_run(store)
    assert store.counts().records == 0


def test_nothing_is_written_before_the_first_migration(bare: Driver, store: Neo4jStore) -> None:
    with pytest.raises(SchemaMissing, match="run kinlore migrate"):
        write_a_run(store)

    assert bare.execute_query("MATCH (n) RETURN count(n)").records[0][0] == 0
