"""Properties of a node, put together from what each source says."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.kinds import KINDS, TERMINAL_STATUSES, NodeKind
from graph_schema.properties import Statement, default_name, merge

RUN = NodeKind.RUN


def said(source: str, at: int | None = None, type: str = "mlflow", **properties: Any) -> Statement:
    return Statement(source, type, at, properties)


def test_nothing_said_is_nothing() -> None:
    assert merge(RUN, []) == {}


def test_the_later_wins_within_a_source_whatever_the_order() -> None:
    early, late = said("a", 1, user="ada", host="x"), said("a", 2, user="bob")

    assert merge(RUN, [late, early]) == merge(RUN, [early, late]) == {"user": "bob", "host": "x"}


def test_without_a_time_is_before_every_time() -> None:
    assert merge(RUN, [said("a", None, user="ada"), said("a", -5, user="bob")]) == {"user": "bob"}


def test_the_declared_order_of_source_types_wins_over_time() -> None:
    believed = KINDS[RUN].precedence[0]
    first, second = said("k", 1, believed, user="ada"), said("m", 9, "mlflow", user="bob", host="x")

    assert merge(RUN, [second, first]) == {"user": "ada", "host": "x"}


def test_an_undeclared_source_type_is_believed_least() -> None:
    assert merge(RUN, [said("a", 9, "somewhere", user="x"), said("b", 1, "backstage", user="y")]) == {
        "user": "y"
    }


def test_two_sources_of_one_type_are_ordered_by_name() -> None:
    assert merge(RUN, [said("b", 9, user="b"), said("a", 1, user="a")]) == {"user": "a"}


@pytest.mark.parametrize("final", sorted(TERMINAL_STATUSES))
def test_a_final_status_outranks_running_in_any_order(final: str) -> None:
    statements = [said("a", 1, status=final), said("a", 2, status="RUNNING")]

    assert merge(RUN, statements)["status"] == merge(RUN, statements[::-1])["status"] == final


def test_a_final_status_outranks_running_of_a_source_that_is_believed_more() -> None:
    statements = [said("m", 1, "mlflow", status="FAILED"), said("k", 2, "kinlore", status="RUNNING")]

    assert merge(RUN, statements)["status"] == "FAILED"


def test_between_final_states_the_later_wins() -> None:
    assert (
        merge(RUN, [said("a", 1, status="FAILED"), said("a", 2, status="FINISHED")])["status"] == "FINISHED"
    )


def test_objects_are_put_together_one_level_deep() -> None:
    first = said("a", 1, params={"lr": "1", "deep": {"x": 1}})
    second = said("a", 2, params={"depth": "3", "deep": {"y": 2}})

    assert merge(RUN, [first, second]) == {"params": {"lr": "1", "depth": "3", "deep": {"y": 2}}}


def test_an_object_and_a_value_do_not_mix() -> None:
    assert merge(RUN, [said("a", 1, params={"lr": 1}), said("a", 2, params="none")]) == {"params": "none"}


@pytest.mark.parametrize("status", [["FAILED"], {"a": 1}, None, 7])
def test_a_status_that_is_no_text_is_kept_as_it_is(status: Any) -> None:
    assert merge(RUN, [said("a", 1, status=status), said("a", 2, user="ada")])["status"] == status
    assert merge(RUN, [said("a", 1, status="RUNNING"), said("a", 2, status=status)])["status"] == status


def test_what_is_merged_is_nobody_elses() -> None:
    one = said("a", 1, params={"lr": 1})

    merge(RUN, [one])["user"] = "changed"
    merge(RUN, [one, said("a", 2, params={"x": 2})])["params"]["lr"] = 9

    assert one.properties == {"params": {"lr": 1}}


_values = st.one_of(
    st.none(),
    st.integers(-3, 3),
    st.sampled_from(["RUNNING", "FAILED", "FINISHED", "x"]),
    st.dictionaries(st.sampled_from("ab"), st.integers(0, 3), max_size=2),
)
_statements = st.lists(
    st.builds(
        Statement,
        st.sampled_from(["a", "ab", "b"]),
        st.sampled_from(["mlflow", "git", "kinlore", "unheard-of"]),
        st.one_of(st.none(), st.integers(0, 3)),
        st.dictionaries(st.sampled_from(["status", "params", "user"]), _values, max_size=3),
    ),
    max_size=5,
)


@given(statements=_statements, shuffle=st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(statements: list[Statement], shuffle: Any) -> None:
    # A source has one type; statements that differ in it only would be no statements of one source.
    types = {s.source: s.source_type for s in statements}
    statements = [s._replace(source_type=types[s.source]) for s in statements]
    shuffled = list(statements)
    shuffle.shuffle(shuffled)

    assert merge(RUN, shuffled) == merge(RUN, statements)
    assert merge(RUN, statements + statements) == merge(RUN, statements)
    assert set(merge(RUN, statements)) == {key for s in statements for key in s.properties}


@pytest.mark.parametrize(
    ("kind", "leading", "expected"),
    [
        (NodeKind.COMMIT, "git.sha=" + "3faf1c7d9b" + "0" * 30, "3faf1c7d9b"),
        (NodeKind.DATASET_VERSION, "dvc.md5=" + "1bc29b36f6" + "0" * 22 + ".dir", "1bc29b36f6.dir"),
        (NodeKind.MODEL_VERSION, "sha256@model_version=" + "9f86d08188" + "0" * 54, "9f86d08188"),
        (NodeKind.MODEL_VERSION, "mlflow.model_version@prod=churn/3", "churn/3"),
        (NodeKind.RUNTIME, "runtime=" + "9f86d08188" + "0" * 54, "9f86d08188"),
        (NodeKind.TAG, "tag=a=b", "a=b"),
    ],
)
def test_a_node_that_nobody_named_is_called_by_its_id(kind: NodeKind, leading: str, expected: str) -> None:
    assert default_name(kind, leading) == expected


def test_a_thing_was_created_when_its_source_first_saw_it() -> None:
    first, again = said("a", 1, createdAt=5, name="x"), said("a", 9, createdAt=9, name="y")

    for statements in ([first, again], [again, first]):
        assert merge(RUN, statements) == {"createdAt": 5, "name": "y"}
