"""What property filters mean."""

from __future__ import annotations

from typing import Any

import pytest

from graph_schema.errors import BadInput
from graph_schema.filters import check, lookup, matches
from graph_schema.kinds import NodeKind
from graph_schema.values import Filter, FilterOp, Node

NODE = Node(
    id="mlflow.run_id=1",
    kind=NodeKind.RUN,
    name="Bold Crane",
    identifiers=("mlflow.run_id=1", "kinlore.run=0190f2a4-6b1c-7def-8123-456789abcdef"),
    url="http://x/1",
    created_at=1_769_853_600_000_000,
    sources=("tracking",),
    properties={
        "status": "FAILED",
        "params": {"lr": "0.1", "a.b": "dotted", "depth": 3, "a": {"b": "deep", "c": None}},
        "metrics": {"auc": 0.91, "nan": "NaN"},
        "flags": ["x", 2, True],
        "ok": True,
        "nothing": None,
    },
)


def holds(key: str, op: FilterOp, value: Any = None) -> bool:
    return matches(NODE, [Filter(key, op, value)])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("name", "Bold Crane"),
        ("status", "FAILED"),
        ("params.lr", "0.1"),
        ("params.a.b", "dotted"),
        ("params.a.c", None),
        ("params.none", None),
        ("metrics.auc.deeper", None),
        ("createdAt", "2026-01-31T10:00:00Z"),
        ("goneAt", None),
        ("stub", False),
        ("kind", "RUN"),
        ("sources", ["tracking"]),
        ("nothing", None),
        ("", None),
        (".", None),
        ("params.", None),
    ],
)
def test_a_key_finds_a_field_or_descends_and_the_longest_key_wins(key: str, expected: Any) -> None:
    assert lookup(NODE, key) == expected


def test_a_shorter_key_is_used_where_the_longest_does_not_lead_on() -> None:
    node = Node(
        id="x",
        kind=NodeKind.RUN,
        name="x",
        identifiers=(),
        properties={"a.b": {"d": 2}, "a": {"b": {"c": 1}}},
    )

    assert lookup(node, "a.b.c") == 1
    assert lookup(node, "a.b.d") == 2


@pytest.mark.parametrize(
    ("key", "op", "value", "expected"),
    [
        ("status", FilterOp.EQ, "FAILED", True),
        ("status", FilterOp.EQ, "failed", False),
        ("params.lr", FilterOp.EQ, 0.1, True),
        ("params.lr", FilterOp.EQ, "0.10", False),
        ("params.depth", FilterOp.EQ, "3", True),
        ("params.depth", FilterOp.EQ, 3.0, True),
        ("ok", FilterOp.EQ, True, True),
        ("ok", FilterOp.EQ, 1, False),
        ("params.depth", FilterOp.EQ, True, False),
        ("none", FilterOp.EQ, None, True),
        ("none", FilterOp.EQ, "x", False),
        ("status", FilterOp.NE, "FAILED", False),
        ("status", FilterOp.NE, "x", True),
        ("none", FilterOp.NE, "x", True),
        ("params.lr", FilterOp.LT, 0.2, True),
        ("params.lr", FilterOp.LT, "0.2", True),
        ("params.lr", FilterOp.GT, 0.1, False),
        ("params.lr", FilterOp.GTE, 0.1, True),
        ("metrics.auc", FilterOp.LTE, 0.91, True),
        ("metrics.auc", FilterOp.GT, "0.9", True),
        ("metrics.nan", FilterOp.LT, 1, False),
        ("metrics.nan", FilterOp.GT, 1, False),
        ("status", FilterOp.GT, 1, False),
        ("status", FilterOp.GT, "E", True),
        ("none", FilterOp.LT, 1, False),
        ("createdAt", FilterOp.GTE, "2026-01-31", True),
        ("createdAt", FilterOp.LT, "2026-01-31T10:00:01Z", True),
        ("status", FilterOp.IN, ["FAILED", "KILLED"], True),
        ("status", FilterOp.IN, [], False),
        ("params.lr", FilterOp.IN, [0.1], True),
        ("none", FilterOp.IN, ["x"], False),
        ("name", FilterOp.CONTAINS, "CRANE", True),
        ("name", FilterOp.CONTAINS, 1, False),
        ("flags", FilterOp.CONTAINS, "x", True),
        ("flags", FilterOp.CONTAINS, "2", True),
        ("flags", FilterOp.CONTAINS, "y", False),
        ("params", FilterOp.CONTAINS, "lr", True),
        ("params", FilterOp.CONTAINS, "nope", False),
        ("identifiers", FilterOp.CONTAINS, "mlflow.run_id=1", True),
        ("none", FilterOp.CONTAINS, "x", False),
        ("params.lr", FilterOp.EXISTS, None, True),
        ("params.lr", FilterOp.EXISTS, True, True),
        ("params.lr", FilterOp.EXISTS, False, False),
        ("none", FilterOp.EXISTS, True, False),
        ("none", FilterOp.EXISTS, False, True),
        ("nothing", FilterOp.EXISTS, True, False),
    ],
)
def test_comparisons(key: str, op: FilterOp, value: Any, expected: bool) -> None:
    assert holds(key, op, value) is expected


def test_containment_of_what_cannot_be_a_key_is_false() -> None:
    assert not holds("params", FilterOp.CONTAINS, ["lr"])
    assert not holds("params", FilterOp.CONTAINS, {"lr": 1})


def test_all_conditions_have_to_hold() -> None:
    good, bad = Filter("status", FilterOp.EQ, "FAILED"), Filter("status", FilterOp.EQ, "x")

    assert matches(NODE, [])
    assert matches(NODE, [good, good])
    assert not matches(NODE, [good, bad])


@pytest.mark.parametrize(
    "condition",
    [
        Filter("", FilterOp.EQ, 1),
        Filter("x", FilterOp.IN, "abc"),
        Filter("x", FilterOp.IN, None),
        Filter("x", FilterOp.LT, None),
        Filter("x", FilterOp.GT, [1]),
        Filter("x", FilterOp.GTE, True),
        Filter("x", FilterOp.LTE, {}),
    ],
)
def test_a_filter_that_can_mean_nothing_is_refused(condition: Filter) -> None:
    with pytest.raises(BadInput):
        check([condition])


def test_sound_filters_pass_and_do_not_hide_one_that_is_not() -> None:
    sound = [
        Filter("x"),
        Filter("x", FilterOp.IN, []),
        Filter("x", FilterOp.LT, 1),
        Filter("x", FilterOp.GT, "1"),
    ]

    check(sound)
    with pytest.raises(BadInput):
        check([*sound, Filter("x", FilterOp.LT, None)])
