"""How often a walk goes to the server: what takes a hop more there costs no further round trip here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from neo4j import ManagedTransaction, Session
from neo4j.exceptions import ServiceUnavailable

from app.api.fields import Ask
from app.api.graphql import Request, answer
from app.lineage.paths import paths
from app.lineage.walk import lineage
from graph_schema.claims import Links, Names
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction
from tests.contract.harness import Clock, clean_neo4j, open_neo4j, say
from tests.neo4j_server import Neo4jServer

E = EdgeKind
TYPED = """query($id: ID!, $hops: Int!) {
  lineage(id: $id, direction: DOWNSTREAM, maxHops: $hops) {
    nodes { hops node { id kind name url createdAt properties } }
    edges { from to kind source validFrom }
    complete
  }
}"""


def data(number: int) -> str:
    return f"md5@dataset_version={number:032x}"


@pytest.fixture
def store(neo4j_server: Neo4jServer) -> Iterator[GraphStore]:
    """A chain with fans on the way; every third link has a twin, and the chain goes on from the twin."""
    clean_neo4j(neo4j_server)
    opened = open_neo4j(neo4j_server, Clock())
    opened.migrate()
    claims: list[Any] = [Names(NodeKind.DATASET_VERSION, (data(n),)) for n in range(200)]
    for number in range(12):
        after = data(number + 1)
        if number % 3 == 2:
            claims.append(Links(E.SAME_AS, after, data(100 + number)))
            after = data(100 + number)
        claims.append(Links(E.DERIVED_INTO, data(number), after))
        claims += [Links(E.DERIVED_INTO, data(number), data(20 + 6 * number + fan)) for fan in range(6)]
    say(opened, *claims)
    yield opened
    opened.close()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was sent to the server."""
    sent: list[str] = []
    for runner in (Session, ManagedTransaction):
        run = runner.run

        def counted(self: Any, query: Any, *given: Any, _run: Any = run, **named: Any) -> Any:
            sent.append(str(query))
            return _run(self, query, *given, **named)

        monkeypatch.setattr(runner, "run", counted)
    return sent


def test_five_hops_and_a_look_beyond_are_one_statement(store: GraphStore, statements: list[str]) -> None:
    (root,) = store.resolve(data(0))
    statements.clear()

    found = lineage(store, root, Direction.DOWNSTREAM, 5, stubs=False)

    assert max(found.hops) == 5 and found.truncated_because is not None
    assert len(statements) == 2, "the hops, and the labels"


@pytest.mark.parametrize("hops", [1, 3, 5])
def test_a_typed_answer_costs_the_same_few_statements_whatever_its_depth(
    store: GraphStore, statements: list[str], hops: int
) -> None:
    given = answer(Request(TYPED, {"id": data(0), "hops": hops}), lambda: Ask(store, None, list))

    assert max(node["hops"] for node in given["data"]["lineage"]["nodes"]) == hops
    assert len(statements) == 5, "the name, the hops, the labels, the nodes, the edges"


def test_a_longer_walk_goes_some_hops_at_a_time(store: GraphStore, statements: list[str]) -> None:
    (root,) = store.resolve(data(0))
    statements.clear()

    found = lineage(store, root, Direction.DOWNSTREAM, 100, stubs=False)

    assert max(found.hops) == 12 and found.complete
    assert len(statements) <= 4


def test_a_path_from_end_to_end(store: GraphStore, statements: list[str]) -> None:
    (start,), (end,) = store.resolve(data(0)), store.resolve(data(5))
    statements.clear()

    found = paths(store, start, end, 5)

    assert [edge.kind for edge in found.paths[0]].count(E.DERIVED_INTO) == 5
    assert len(statements) <= 6


def test_what_can_be_tried_again_is(store: GraphStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question without a transaction of its own is no reason to give up where one would be repeated."""
    failed: list[str] = []

    def gone(self: Session, *given: Any, **named: Any) -> None:
        failed.append("gone")
        raise ServiceUnavailable("the connection is gone")

    monkeypatch.setattr(Session, "run", gone)

    assert len(store.resolve(data(0))) == 1
    assert failed == ["gone"]
