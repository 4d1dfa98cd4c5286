"""Lineage of columns, from OpenLineage's facets, on demand."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.lineage.columns import ColumnLineage, column_lineage
from app.lineage.walk import lineage
from graph_schema.claims import Links, Names, States
from graph_schema.edges import EdgeKind
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore, Source
from graph_schema.values import Direction, Moment
from ingestors import registry
from ingestors.source import Item
from ingestors.sources.openlineage import events
from tests.contract.conftest import Fresh
from tests.contract.harness import node, record, write

PIPELINES = Source("pipelines", "openlineage")
UP, DOWN = Direction.UPSTREAM, Direction.DOWNSTREAM


def run_id(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def state(table: str, number: int) -> str:
    return f"openlineage.dataset_version=pg/{table}@{run_id(number)}"


def event(number: int, second: int, reads: list[str], writes: dict[str, Any]) -> list[Item]:
    """A run that read these tables and wrote others; of each its columns and their lineage."""
    outputs = []
    for table, facet in writes.items():
        facets = {} if facet is None else {"columnLineage": facet}
        outputs.append({"namespace": "pg", "name": table, "facets": facets})
    body: dict[str, Any] = {
        "eventType": "COMPLETE",
        "eventTime": f"2026-01-01T00:00:{second:02d}Z",
        "run": {"runId": run_id(number)},
        "job": {"namespace": "etl", "name": f"job{number}"},
        "inputs": [{"namespace": "pg", "name": table} for table in reads],
        "outputs": outputs,
    }
    return events.read(msgspec.json.encode(body))


def made(column: str, *sources: tuple[str, str, list[dict[str, Any]]]) -> dict[str, Any]:
    fields = [
        {"namespace": "pg", "name": table, "field": field, **({"transformations": how} if how else {})}
        for table, field, how in sources
    ]
    return {column: {"inputFields": fields}}


IDENTITY = [{"type": "DIRECT", "subtype": "IDENTITY"}]
HASHED = [{"type": "DIRECT", "subtype": "TRANSFORMATION", "masking": True, "description": "sha256 of it"}]
FILTER = [{"type": "INDIRECT", "subtype": "FILTER", "description": "where active"}]


def story() -> list[list[Item]]:
    """users → clean → features; the filter on users.active bears on all of clean; notes has no columns."""
    clean = {
        "fields": {**made("email", ("users", "mail", HASHED)), **made("age", ("users", "age", IDENTITY))},
        "dataset": [{"namespace": "pg", "name": "users", "field": "active", "transformations": FILTER}],
    }
    features = {
        "fields": {**made("age_bin", ("clean", "age", [])), **made("key", ("clean", "email", IDENTITY))}
    }
    return [
        event(1, 10, [], {"users": None}),
        event(2, 20, ["users"], {"clean": clean}),
        event(3, 30, ["clean"], {"features": features}),
        event(4, 40, ["features"], {"scores": {"fields": made("score", ("features", "age_bin", []))}}),
    ]


def send(store: GraphStore, *deliveries: list[Item]) -> None:
    source = registry.build({"type": "openlineage", "name": "pipelines"}, Path())
    for items in deliveries:
        made = [record(i.key, *source.to_claims(i), version=i.version, type=i.type) for i in items]
        write(store, PIPELINES, *made)


def ask(
    store: GraphStore, text: str, column: str, way: Direction = Direction.BOTH, **kwargs: Any
) -> ColumnLineage:
    return column_lineage(store, node(store, text).handle, column, way, **kwargs)


def places(store: GraphStore, found: ColumnLineage) -> dict[tuple[str, str | None], int]:
    """Table and column, with the hops."""
    labels = {label.handle: label for label in store.labels([place.handle for place in found.places])}
    return {
        (labels[place.handle].id.partition("=")[2].partition("@")[0].removeprefix("pg/"), place.column): hops
        for place, hops in found.places.items()
    }


def test_a_column_is_followed_both_ways(store: GraphStore) -> None:
    send(store, *story())

    found = ask(store, state("clean", 2), "age")

    assert places(store, found) == {
        ("clean", "age"): 0, ("users", "age"): -1, ("users", "active"): -1, ("features", "age_bin"): 1,
        ("scores", "score"): 2,
    }  # fmt: skip
    assert found.complete
    into = next(step for step in found.steps if step.src.column == "age" and step.dst.column == "age")
    assert into.transformations == ("DIRECT/IDENTITY",) and not into.masked
    assert into.edge.source == "pipelines"


def test_what_hides_the_values_and_what_only_filters_are_told(store: GraphStore) -> None:
    send(store, *story())

    found = ask(store, state("features", 3), "key", UP)

    told = {(s.src.column, s.dst.column): (s.transformations, s.masked, s.description) for s in found.steps}
    assert told == {
        ("email", "key"): (("DIRECT/IDENTITY",), False, None),
        ("mail", "email"): (("DIRECT/TRANSFORMATION",), True, "sha256 of it"),
        ("active", "email"): (("INDIRECT/FILTER",), False, "where active"),
    }


def test_a_column_that_bears_on_all_rows_goes_into_the_tables_as_a_whole(store: GraphStore) -> None:
    send(store, *story())

    found = ask(store, state("users", 1), "active", DOWN)

    assert places(store, found) == {
        ("users", "active"): 0, ("clean", None): 1, ("features", None): 2, ("scores", None): 3
    }  # fmt: skip
    readers = {(store.labels([r.reader])[0].id, store.labels([r.data])[0].id) for r in found.readers}
    assert (f"openlineage.run_id={run_id(4)}", state("features", 3)) in readers


def test_a_data_set_stands_for_its_newest_state_and_columns_are_checked(store: GraphStore) -> None:
    send(store, *story(), event(5, 50, ["users"], {"clean": {"fields": made("age", ("users", "age", []))}}))

    found = ask(store, "dataset=pg/clean", "AGE", UP)

    assert found.root.column == "age"
    assert found.root.handle == node(store, state("clean", 5)).handle
    with pytest.raises(BadInput, match="has no column 'salary'; it has age"):
        ask(store, "dataset=pg/clean", "salary")
    with pytest.raises(BadInput, match="columns are those of a DatasetVersion or a Dataset"):
        ask(store, f"openlineage.run_id={run_id(2)}", "age")


def test_a_derivation_without_columns_ends_the_walk_and_is_said(store: GraphStore) -> None:
    a, b = f"dvc.md5={'a' * 32}", f"dvc.md5={'b' * 32}"
    write(store, Source("data", "dvc"), record("r", Names(NodeKind.DATASET_VERSION, (a,)),
          Names(NodeKind.DATASET_VERSION, (b,)), Links(EdgeKind.DERIVED_INTO, a, b)))  # fmt: skip

    found = ask(store, a, "x", DOWN)

    assert not found.complete and [edge.dst for edge in found.unknown] == [b]
    assert found.truncated_because == (
        "1 derivation does not say its columns: whether the column is in them is not known"
    )


def test_the_limit_of_hops_is_said(store: GraphStore) -> None:
    send(store, *story())

    found = ask(store, state("users", 1), "age", DOWN, max_hops=1)

    assert len(found.places) == 2 and not found.complete
    assert found.truncated_because == "stopped at 1 hop: 1 more column lies one hop further: raise maxHops"
    assert ask(store, state("users", 1), "age", DOWN, max_hops=3).complete


def test_what_is_the_same_has_the_same_columns(store: GraphStore) -> None:
    send(store, *story())
    twin, after = f"dvc.md5={'a' * 32}", f"dvc.md5={'b' * 32}"
    write(store, Source("data", "dvc"), record(
        "r",
        States(NodeKind.DATASET_VERSION, twin, {"name": "export"}),
        Links(EdgeKind.SAME_AS, state("clean", 2), twin, evidence="exported"),
        Links(EdgeKind.DERIVED_INTO, twin, after, properties={"columns": [["age", "years"]]}),
    ))  # fmt: skip

    found = ask(store, state("users", 1), "age", DOWN)

    columns = {(store.labels([p.handle])[0].id, p.column): hops for p, hops in found.places.items()}
    assert columns[after, "years"] == 2 and columns[state("features", 3), "age_bin"] == 2


def test_time_is_that_of_the_derivations(store: GraphStore) -> None:
    send(store, *story())

    before = Moment(as_of=1_767_225_615_000_000)

    assert len(ask(store, state("users", 1), "age", DOWN, moment=before).places) == 1


def test_any_order_gives_the_same_and_ordinary_walks_are_no_larger(fresh: Fresh, engine: str) -> None:
    seen = set()
    for order in list(permutations(story()))[:: 5 if engine == "sqlite" else 12]:
        store = fresh()
        send(store, *order, order[0])
        seen.add(
            (
                store.digest(),
                repr(sorted(places(store, ask(store, state("clean", 2), "age")).items(), key=repr)),
            )
        )
        assert lineage(store, node(store, state("clean", 2)).handle, max_hops=20).total == 8

    assert len(seen) == 1
