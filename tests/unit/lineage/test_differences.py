"""What differs between two things by their own words."""

from __future__ import annotations

from typing import Any

import pytest

from app.lineage.differences import DATA, logged, of_properties


def used(name: str, digest: str, **more: str) -> dict[str, str]:
    return {"name": name, "digest": digest, **more}


def inputs(*each: dict[str, str]) -> dict[str, Any]:
    return {"params": {"lr": "0.1"}, "inputs": list(each)}


def test_data_that_a_run_only_logged_differs_by_its_digest() -> None:
    before = inputs(used("orders", "d4ea40ad", context="training"), used("users", "11111111"))
    after = inputs(used("orders", "c247459b", context="training"), used("users", "11111111"))

    (found,) = of_properties(before, after)

    assert (found.path, found.left, found.right) == ("inputs.orders (training)", "d4ea40ad", "c247459b")
    assert found.weight == DATA


@pytest.mark.parametrize(
    "exactly", [{"dvcMd5": "333a0cec3883d0656639c8b2c4473346"}, {"dvcPath": "a.csv"}, {"dataset": "pg/a"}]
)
def test_data_that_is_known_exactly_is_compared_as_such(exactly: dict[str, str]) -> None:
    assert list(of_properties(inputs(used("a", "1", **exactly)), inputs(used("a", "2", **exactly)))) == []


def test_the_order_in_which_data_was_logged_does_not_matter() -> None:
    parts = used("part", "2"), used("part", "1")

    assert logged(inputs(*parts)) == logged(inputs(*reversed(parts))) == {"part": "1, 2"}


@pytest.mark.parametrize("held", [None, "orders", [None, "x", {}, {"name": "a"}], {"name": "a"}])
def test_what_is_no_list_of_inputs_says_nothing(held: object) -> None:
    assert logged({"inputs": held}) == {}
