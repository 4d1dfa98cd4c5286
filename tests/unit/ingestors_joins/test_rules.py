"""The other rules: references without a scope, equal content, and trees of commits."""

from __future__ import annotations

from typing import Any

import pytest

from graph_schema.edges import EdgeKind
from graph_schema.identifiers import head_of, kind_of
from graph_schema.store import KeyedClaim, Touch
from ingestors.joins import content, references, trees
from tests.unit.ingestors_joins.claims_at_hand import ClaimsAtHand, claim

RUN = "mlflow.run_id=1"
OPEN = "mlflow.model_version=churn/3"
A, B = (f"mlflow.model_version@{scope}=churn/3" for scope in "ab")
SHA = "e" * 64


# references --------------------------------------------------------------------------------------------


def reference(anchor: str, kind: str, src: str, dst: str, **rest: Any) -> KeyedClaim:
    data: dict[str, Any] = {"kind": kind, "src": src, "dst": dst, "since": 5, "until": None}
    kinds = [None if head_of(end.partition("=")[0]).is_open else kind_of(end) for end in (src, dst)]
    data |= {"kinds": kinds, "properties": None, "evidence": None}
    return claim(anchor, "edge", None, data={**data, **rest})


def answered(tx: ClaimsAtHand, key: str = OPEN) -> dict[str, list[tuple[str, str]]]:
    found = tx.run(references.rule, key, Touch("open", key, None, ""))
    return {anchor: [(d.edge.src, d.edge.dst) for d in edges] for anchor, edges in found.items()}


@pytest.mark.parametrize(
    ("identifiers", "expected"),
    [
        ({}, []),
        ({A: 1}, [(RUN, A)]),
        ({A: 1, B: 2}, []),
        ({A: 1, B: 1}, [(RUN, A)]),
        ({"mlflow.model_version@a=churn/33": 1}, []),
    ],
    ids=["unknown", "unique", "ambiguous", "one node of two names", "another value"],
)
def test_a_reference_joins_where_exactly_one_node_answers(
    identifiers: dict[str, int], expected: list[tuple[str, str]]
) -> None:
    tx = ClaimsAtHand()
    tx.identifiers = identifiers
    tx.put("open", OPEN, reference("r", "PRODUCED", RUN, OPEN))

    assert answered(tx) == {"r": expected}


def test_content_answers_by_the_kind_that_the_edge_takes() -> None:
    tx = ClaimsAtHand()
    tx.identifiers = {f"sha256@dataset_version={SHA}": 1, f"sha256@model_version={SHA}": 2}
    key = f"sha256={SHA}"
    tx.put("open", key, reference("in", "INPUT_TO", key, RUN), reference("out", "PRODUCED", RUN, key))

    found = answered(tx, key)

    assert found["in"] == [(f"sha256@dataset_version={SHA}", RUN)]
    assert found["out"] == [], "a run may have produced either"


def test_a_reference_keeps_its_own_words_else_says_why() -> None:
    tx = ClaimsAtHand()
    tx.identifiers = {A: 1}
    tx.put("open", OPEN, reference("a", "PRODUCED", RUN, OPEN, evidence="logged", properties={"path": "x"}))
    tx.put("open", OPEN, reference("b", "PRODUCED", RUN, OPEN))

    found = tx.run(references.rule, OPEN, Touch("open", OPEN, None, ""))

    (said,), (inferred,) = found["a"], found["b"]
    assert (said.edge.evidence, said.edge.properties, said.edge.since) == ("logged", {"path": "x"}, 5)
    assert inferred.edge.evidence is not None
    assert OPEN in inferred.edge.evidence
    assert said.sources == ("tracking",)


def test_a_reference_that_went_is_restated_as_nothing() -> None:
    assert ClaimsAtHand().run(references.rule, OPEN, Touch("open", OPEN, None, "gone")) == {"gone": []}


def test_the_second_open_end_sends_to_the_first() -> None:
    tx: Any = ClaimsAtHand()
    tx.put("open", OPEN, claim("x", "also", None, data={"under": "mlflow.model=churn"}))

    outcome = references.rule(tx, OPEN, [Touch("open", OPEN, None, "")])

    assert [touch.key for touch in outcome.also] == ["mlflow.model=churn"]


# content -----------------------------------------------------------------------------------------------


def same(*refs: str) -> list[tuple[str, str]]:
    tx = ClaimsAtHand()
    key = f"sha256={SHA}"
    tx.put("content", key, *[claim(f"{n}", "has", ref) for n, ref in enumerate(refs)])
    found = tx.run(content.rule, key, Touch("content", key, None, ""))
    edges = [d.edge for derived in found.values() for d in derived]
    assert all(e.kind is EdgeKind.SAME_AS and e.evidence and SHA in e.evidence for e in edges)
    return [(e.src, e.dst) for e in edges]


def test_equal_content_is_chained_from_kind_to_kind_in_one_order() -> None:
    data, model, artifact = (
        f"sha256@{kind}={SHA}" for kind in ("dataset_version", "model_version", "artifact")
    )

    assert same() == []
    assert same(model) == []
    assert same(model, model) == []
    assert same(model, data) == same(data, model) == [(data, model)]
    assert same(artifact, model, data) == [(data, model), (model, artifact)]
    assert same(artifact, data) == [(data, artifact)]


# trees -------------------------------------------------------------------------------------------------

COMMIT = "c" * 40


def data(n: int) -> str:
    return f"dvc.md5={str(n) * 32}"


def tree(files: dict[str, int], *paths: str) -> dict[str, list[str]]:
    tx = ClaimsAtHand()
    tx.put("tree_state", "s", *[claim(p, "file", data(n), data={"path": p}) for p, n in files.items()])
    tx.put("tree", COMMIT, claim("t", "tree", None, data={"state": "s"}, source="dvc"))
    tx.put("tree", COMMIT, *[claim(f"read {p}", "reads", RUN, 7, data={"path": p}) for p in paths])
    found = tx.run(trees.rule, COMMIT, Touch("tree", COMMIT, None, ""))
    return {anchor.removeprefix("read "): [d.edge.src for d in edges] for anchor, edges in found.items()}


def test_a_path_at_a_commit_is_the_file_or_the_directory_that_holds_it() -> None:
    files = {"data/users.csv": 1, "data/images": 2, "other.csv": 3}

    found = tree(
        files, "data/users.csv", "data/images/a/b.png", "/other.csv/", "data", "data/imagesque", "none"
    )

    assert found["data/users.csv"] == [data(1)]
    assert found["data/images/a/b.png"] == [data(2)]
    assert found["/other.csv/"] == [data(3)]
    assert found["data"] == found["data/imagesque"] == found["none"] == []


def test_without_a_tree_nothing_was_read() -> None:
    tx = ClaimsAtHand()
    tx.put("tree", COMMIT, claim("r", "reads", RUN, 7, data={"path": "x"}))

    assert tx.run(trees.rule, COMMIT, Touch("tree", COMMIT, None, "")) == {"r": []}


def test_two_sources_that_watch_one_repository_give_one_input() -> None:
    tx = ClaimsAtHand()
    for state in ("s1", "s2"):
        tx.put("tree_state", state, claim(state, "file", data(1), data={"path": "x"}))
        tx.put("tree", COMMIT, claim(state, "tree", None, data={"state": state}, source=state))
    tx.put("tree", COMMIT, claim("r", "reads", RUN, 7, data={"path": "x"}))

    (edge,) = tx.run(trees.rule, COMMIT, Touch("tree", COMMIT, None, ""))["r"]

    assert (edge.edge.src, edge.edge.dst, edge.edge.since) == (data(1), RUN, 7)
    assert COMMIT[:7] in (edge.edge.evidence or "")
