"""How Neo4j goes about the statements of the store: by its indexes, whatever the size of the graph.

Plans are made when a statement is first seen, which is when the graph is still empty, or holds a few nodes.
Those of the writer are kept, so they name their indexes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from neo4j import Driver

from app.store.neo4j import (
    Neo4jStore,
    applying,
    asking,
    engine,
    finding,
    hops,
    keyed,
    past,
    reading,
    services,
    store,
)
from app.store.neo4j.rows import PLANNED
from graph_schema.edges import EDGE_CODES, FLOW_KINDS
from tests.neo4j_server import Neo4jServer

FLOW = tuple(EDGE_CODES[kind] for kind in FLOW_KINDS)
NUMBERS = ("limit", "at", "rev", "kind", "low", "high")
TEXTS = ("text", "prefix", "after", "type", "skey", "start", "collection", "name", "place", "id", "value")

#: What reads a whole table means to: it holds a handful, or all of it is asked for.
WHOLE = {"past._OF_KIND", "past._FACTS_THEN", "reading._SOURCES", "reading.ORIGINS", "reading._WHO"}
#: No statements, but parts of some.
PARTS = {
    "reading._ALL_SOURCES",
    "reading._ALL_ORIGINS",
    "asking._SHOWN",
    "keyed._NAMED",
    "keyed.BY_PLACE",
    "keyed.OF_PLACE",
    "asking.OF_PLACE",
    "keyed._THERE",
}


def statements(*modules: ModuleType) -> Iterator[tuple[str, str]]:
    """Every constant statement of these modules, one of a kind where kinds differ."""
    for module in modules:
        for name, value in vars(module).items():
            text = value[0] if isinstance(value, tuple) and value else value
            if isinstance(text, str) and name.isupper() and re.search(r"\b(MATCH|MERGE)\b", text):
                yield f"{module.__name__.rpartition('.')[2]}.{name}", text


#: Of all that look things up.
STATEMENTS = dict(statements(engine, asking, applying, keyed, past, reading, services))


@pytest.fixture(scope="module")
def driver(neo4j_server: Neo4jServer) -> Iterator[Driver]:
    """A driver on an empty graph with our indexes."""
    with neo4j_server.driver() as opened:
        with opened.session() as session:
            session.run("MATCH (n) CALL (n) { DETACH DELETE n } IN TRANSACTIONS OF 5000 ROWS").consume()
        store = Neo4jStore(neo4j_server.url, neo4j_server.password)
        store.migrate()
        store.close()
        yield opened


def plan(driver: Driver, text: str) -> list[str]:
    """The operators of a statement's plan, with their details."""
    names = set(re.findall(r"\$(\w+)", text))
    values: dict[str, Any] = {name: [] for name in names}
    values.update({name: 1 for name in names if name in NUMBERS})
    values.update({name: "x" for name in names if name in TEXTS})
    values.update({name: {} for name in names if name == "p"})
    found: list[str] = []

    def walk(node: dict[str, Any]) -> None:
        found.append(f"{node['operatorType'].partition('@')[0]} {node['args'].get('Details', '')}")
        for child in node.get("children", ()):
            walk(child)

    walk(driver.execute_query(f"EXPLAIN {text}", values).summary.plan)
    return found


def scans(operators: list[str]) -> list[str]:
    """What is read from end to end, but for who says what: that is a handful, and read along."""
    return [
        one
        for one in operators
        if re.match(r"\w*(AllNodes|AllRelationships|Label|Types?|Index)\w*Scan", one)
        and not re.search(r"\b[so]:(Source|Origin)$", one)
    ]


def test_there_are_statements_to_look_at() -> None:
    assert len(STATEMENTS) > 40


@pytest.mark.parametrize("name", sorted(STATEMENTS.keys() - WHOLE - PARTS))
def test_look_ups_seek(driver: Driver, name: str) -> None:
    operators = plan(driver, STATEMENTS[name])

    assert scans(operators) == []
    assert any("Seek" in one or one.startswith("MergeUniqueNode") for one in operators)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("as_of", [False, True])
@pytest.mark.parametrize("many", [1, hops.HOPS])
def test_hops_seek_their_nodes_and_follow_only_the_kinds_asked_for(
    driver: Driver, down: bool, as_of: bool, many: int
) -> None:
    operators = plan(driver, hops.hops_query(FLOW, down, as_of, True, many))

    assert scans(operators) == []
    assert len([one for one in operators if one.startswith("NodeUniqueIndexSeek UNIQUE n:Item(num)")]) == 1
    expanded = [one for one in operators if one.startswith("Expand") and "INTRODUCED" in one]
    assert len(expanded) == many
    assert all("IMPLICATED_IN" in one and "PAST" not in one for one in expanded)


@pytest.mark.parametrize("as_of", [False, True])
def test_what_is_the_same_thing_is_gathered_without_trying_every_path(driver: Driver, as_of: bool) -> None:
    operators = plan(driver, hops.hops_query(FLOW, True, as_of, as_of, 1))

    followed = [one for one in operators if "VarLengthExpand" in one]
    assert len(followed) == 2
    assert all("Pruning" in one for one in followed)


@pytest.mark.parametrize("column", ["id", "name", "createdAt", "undated"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("behind", [False, True])
def test_a_page_comes_in_the_order_of_an_index(
    driver: Driver, column: str, descending: bool, behind: bool
) -> None:
    mark = (1 if column == "createdAt" else "x", "x") if behind else None
    text, _ = finding.page_query(column, {}, descending, mark)

    operators = plan(driver, text)

    assert scans(operators) == []
    assert any(one.startswith("NodeIndexSeek") for one in operators)
    # A partial sort only brings equal names or times into the order of their ids.
    assert not any(re.match(r"(Sort|Top)\b", one) for one in operators)


@pytest.mark.parametrize("behind", [False, True])
def test_a_declared_property_narrows_and_keeps_the_order(driver: Driver, behind: bool) -> None:
    text, _ = finding.page_query("id", {"p_status": ["FAILED"]}, False, ("x", "x") if behind else None)

    operators = plan(driver, text)

    assert any("Item(kind, p_status, id)" in one for one in operators if one.startswith("NodeIndexSeek"))
    assert not any(re.match(r"(Partial)?(Sort|Top)\b", one) for one in operators)


def test_the_last_of_many_is_found_from_the_end(driver: Driver) -> None:
    """The occupant of a slot at a time, among any number before it."""
    operators = plan(driver, keyed.keyed_query(True, False, True, True))

    assert scans(operators) == []
    assert any("Keyed(place, role, when)" in one for one in operators if one.startswith("NodeIndexSeek"))
    assert not any(re.match(r"(Sort|Top)\b", one) for one in operators)


def kept() -> dict[str, str]:
    """The statements whose plans are kept, whatever the graph becomes."""
    found = {name: text for name, text in (*STATEMENTS.items(), *statements(store)) if PLANNED in text}
    return found | {"keyed.keyed_query": keyed.keyed_query(True, True, True, False)}


@pytest.mark.parametrize("name", sorted(kept()))
def test_plans_that_are_kept_are_told_their_indexes(name: str) -> None:
    """Where a few nodes or edges are there, a plan that reads all of them costs least, and some were so."""
    text = kept()[name]
    looked_up = re.findall(r"[([](\w+):(\w+) \{", re.sub(r"MERGE \([^)]*\)", "", text))
    looked_up += [("k", "Keyed")] * text.count("k.place = ")

    for variable, label in looked_up:
        assert f"USING INDEX SEEK {variable}:{label}(" in text
    assert text.count("USING INDEX SEEK") >= len(looked_up)
    assert looked_up
