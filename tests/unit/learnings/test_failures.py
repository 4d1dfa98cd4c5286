"""What a failure says of itself: its error in a line, and what makes two errors one."""

from __future__ import annotations

import pytest

from app.learnings.failures import error_of, sort_of_error


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"errorType": "KeyError", "errorMessage": "'tenure'"}, "KeyError: 'tenure'"),
        ({"errorType": "KeyError"}, "KeyError"),
        ({"errorMessage": "relation orders does not exist"}, "relation orders does not exist"),
        (
            {"error": "Traceback (most recent call last):\n  File \"a.py\", line 1\nKeyError: 'a'"},
            "KeyError: 'a'",
        ),
        ({"status": "FAILED"}, ""),
    ],
)
def test_the_error_in_a_line(said: dict[str, str], error: str) -> None:
    assert error_of(said) == error


def test_errors_are_one_but_for_numbers_and_paths() -> None:
    def sort(message: str) -> tuple[str, ...]:
        return sort_of_error({"error": message})

    assert sort("ValueError: 3 rows in /tmp/a1/x.csv") == sort("ValueError: 7 rows in /tmp/b2/x.csv")
    assert sort("KeyError: 'tenure'") != sort("KeyError: 'age'"), "another column is another fault"
    assert sort("KeyError: 'a_1'") != sort("KeyError: 'a_2'")
    assert sort("KeyError: 'tenure'") != sort("TypeError: 'tenure'")
    assert sort_of_error({}) == () != sort("AssertionError")
