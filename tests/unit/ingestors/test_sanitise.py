"""What no store can hold is mended or refused; what is fine comes back as it is."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ingestors.sanitise import MAX_DEPTH, Poison, clean, shortened


def test_what_is_fine_comes_back_as_it_is() -> None:
    value = {"a": [1, 2.5, None, True, "ä", {"b": "😀"}], "c": -(2**63)}

    assert clean(value) is value


def test_mending_leaves_the_rest_and_the_original_alone() -> None:
    value = {"ok": 1, "k\0ey": ["x", "\ud800"], 7: date(2026, 1, 31), "at": datetime(2026, 1, 31, tzinfo=UTC)}

    done = clean(value)

    assert done == {
        "ok": 1,
        "k\ufffdey": ["x", "\ufffd"],
        "7": "2026-01-31",
        "at": "2026-01-31T00:00:00+00:00",
    }
    assert list(value) == ["ok", "k\0ey", 7, "at"]


@pytest.mark.parametrize(
    ("value", "mended"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (2**63, "9223372036854775808"),
        (-(2**63) - 1, "-9223372036854775809"),
        (("a", "b"), ("a", "b")),
    ],
)
def test_numbers_without_a_json_form_become_texts(value: Any, mended: Any) -> None:
    assert clean(value) == mended


def test_integers_too_long_for_decimals_become_hex() -> None:
    assert clean([1 << 40_000]) == [hex(1 << 40_000)]


def nested(depth: int) -> Any:
    value: Any = "x"
    for level in range(depth):
        value = {"k": value} if level % 2 else [value]
    return value


def test_depth_has_an_end() -> None:
    assert clean(nested(MAX_DEPTH)) is not None
    for depth in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(Poison, match="64 levels"):
            clean(nested(depth))


@pytest.mark.parametrize("value", [{1, 2}, b"bytes", object(), lambda: None])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(Poison, match="no JSON form"):
        clean({"a": [value]})


def test_dead_letters_are_kept_short() -> None:
    assert shortened({"a": 1}) == {"a": 1}
    assert len(shortened({"a": "x" * 100_000})) == 32_768
    assert isinstance(shortened(nested(3_000)), str)
    assert isinstance(shortened({"a": object()}), str)
