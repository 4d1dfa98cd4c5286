"""Statistics of data that are out of line with the versions before: values, columns, and what they say."""

from __future__ import annotations

import random
from typing import Any

import pytest

from app.answers.cause_evidence import DataSeen, Signals
from app.answers.cause_history import Groups
from app.answers.cause_score import weigh
from app.answers.cause_statistics import (
    ROWS,
    Finding,
    Profile,
    StatisticsHistory,
    in_words,
    out_of_line,
    profile_of,
)
from graph_schema.kinds import NodeKind
from graph_schema.values import Node

HOUR = 3_600_000_000


def measured(**columns: dict[str, float]) -> Profile:
    profile = profile_of([{"columnStatistics": columns}], {})
    assert profile is not None
    return profile


def texts(found: list[Finding] | None) -> list[str]:
    assert found is not None
    return [each.text for each in found]


def usual(number: int, seed: int = 1) -> list[Profile]:
    dice = random.Random(seed)
    return [measured(age={"mean": dice.gauss(40, 0.5), "nullFraction": 0.01}) for _ in range(number)]


def test_a_column_that_got_holes_is_named_before_one_that_moved() -> None:
    found = out_of_line(measured(age={"mean": 47, "nullFraction": 0.6}), usual(12))

    assert texts(found) == ["age: nullFraction 0.6, usually 0.01", "age: mean 47, usually 40"]
    assert found is not None and in_words(found) == "; ".join(texts(found))
    assert in_words([*found, Finding("x", "x: mean 1, usually 2")]) == f"{in_words(found)}, and 1 more"


def test_what_is_as_before_is_not_out_of_line() -> None:
    assert out_of_line(measured(age={"mean": 40.6, "nullFraction": 0.011}), usual(12)) == []
    odd = sum(
        bool(out_of_line(p, usual(20, seed))) for seed in range(200) for p in usual(21, seed + 1_000)[20:]
    )
    assert odd <= 4, "statistics that vary as they always did"


def test_nothing_is_said_where_there_is_too_little_before() -> None:
    assert out_of_line(measured(age={"mean": 900.0}), usual(3)) is None
    assert out_of_line(measured(height={"mean": 900.0}), usual(9)) is None


def test_a_value_that_has_always_been_the_same_may_move_a_little() -> None:
    before = [measured(age={"nullFraction": 0.0, "mean": 40.0}) for _ in range(9)]

    assert out_of_line(measured(age={"nullFraction": 0.001, "mean": 40.05}), before) == []
    assert out_of_line(measured(age={"nullFraction": 0.05, "mean": 40.0}), before)


def test_counts_are_shares_of_the_rows() -> None:
    before = [measured(age={"count": n, "nulls": n / 100, "string": 0}) for n in (900, 1000, 1100, 5000)]

    assert out_of_line(measured(age={"count": 90_000, "nulls": 900, "string": 0}), before) == []
    found = out_of_line(measured(age={"count": 1000, "nulls": 10, "string": 1000}), before)
    assert texts(found) == ["age: string 1, usually 0"]


def test_a_table_without_a_row_is_out_of_line() -> None:
    before = [Profile({ROWS: float(1000 + n)}, {}) for n in range(6)]

    empty = profile_of([{"metrics": {"rowCount": 0}}], {"rows": 1003})

    assert empty is not None and empty.values == {ROWS: 0.0}, "what was counted goes before what was told"
    assert texts(out_of_line(empty, before)) == ["rows 0, usually 1e+03"]


def test_a_column_that_is_gone_or_of_another_type_is_told() -> None:
    def stated(**types: str) -> Profile:
        told = {name: type for name, type in types.items() if type}
        profile = profile_of([], {"columns": list(types), "columnTypes": told, "rows": 5})
        assert profile is not None
        return profile

    before = [stated(id="int", country="varchar", amount="double")]

    assert before[0].values == {ROWS: 5.0}
    assert out_of_line(stated(id="int", country="varchar", amount="double", more="int"), before) == []
    assert out_of_line(stated(id="int", land="varchar", amount="varchar"), before) == [
        Finding("amount", "column amount is varchar, was double"),
        Finding("country", "column country is gone, land is new"),
    ]
    assert out_of_line(stated(id="int", amount=""), before) == [Finding("country", "column country is gone")]


@pytest.mark.parametrize("told", [None, [], {"age": 3}, {"age": {"mean": "much", "max": True}}])
def test_what_is_no_statistic_is_passed_over(told: Any) -> None:
    assert profile_of([{"columnStatistics": told}], {"rows": "many", "columns": "id"}) is None


def node(handle: int, kind: NodeKind, at: int, **properties: Any) -> Node:
    return Node(
        handle=handle,
        kind=kind,
        id=f"{kind.value}={handle}",
        name=f"{kind.value} {handle}",
        identifiers=(f"{kind.value}={handle}",),
        properties=properties,
        created_at=at,
    )


def test_versions_are_held_against_earlier_ones_only() -> None:
    versions = [node(n, NodeKind.DATASET_VERSION, n * HOUR) for n in range(1, 13)]
    groups = Groups(
        {n: [100] for n in range(1, 13)}, {100: list(range(1, 13))}, {v.handle: v for v in versions}
    )
    means = {n: [check(n, 40 + n / 50)] for n in range(1, 13)}
    means[9] = [check(9, 90.0)]

    history = StatisticsHistory(groups, means, at=10 * HOUR)

    assert [history.out(n) for n in (4, 8, 10, 11)] == [None, [], [], None], "11 was not there yet"
    assert texts(history.out(9)) == ["age: mean 90, usually 40.1"]
    assert history.columns(9) == ({"age"}, {"age"})
    assert history.columns(8) == ({"age"}, set())
    assert history.columns(11) == (set(), set())
    assert history.usual(8) > history.usual(9), "its own result is not what is usual"


def test_columns_that_came_went_or_changed_their_type_are_known_after_one_version() -> None:
    def of(handle: int, **types: str) -> Node:
        return node(handle, NodeKind.DATASET_VERSION, handle * HOUR, columns=list(types), columnTypes=types)

    versions = [of(1, id="int", country="text", paid="bool"), of(2, id="int", land="text", paid="text")]
    groups = Groups({1: [100], 2: [100]}, {100: [1, 2]}, {v.handle: v for v in versions})
    # A profile of one column only is no list of the columns.
    history = StatisticsHistory(groups, {2: [check(2, 40)]}, at=3 * HOUR)

    assert history.columns(2) == (
        {"id", "country", "land", "paid", "age"},
        {"country", "land", "paid"},
    )


def check(version: int, mean: float) -> Node:
    statistics = {"age": {"mean": mean}}
    return node(200 + version, NodeKind.CHECK, version * HOUR, columnStatistics=statistics)


def test_statistics_of_the_data_say_more_than_those_of_what_was_made_from_it() -> None:
    def total(*seen: DataSeen) -> float:
        return sum(e.log_odds for e in weigh(Signals(sort="DatasetVersion", measured=seen)))

    own, later = (DataSeen("orders", "age: mean 90, usually 40", direct, 0.05) for direct in (True, False))
    fine = DataSeen("orders", "", True, 0.05)

    assert total(own) > total(later) > total() > total(fine)
    assert total(own) > total(DataSeen("orders", own.out, True, 0.5)), "data that is often out of line"
    texts = [each.text for each in weigh(Signals(sort="DatasetVersion", measured=[own, later]))]
    assert "its statistics are out of line: age: mean 90, usually 40" in texts
    assert "statistics of what was made from it are out of line: orders: age: mean 90, usually 40" in texts
