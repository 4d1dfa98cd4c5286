"""Times as microseconds: what tools send, and the edges of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph_schema.errors import BadInput
from graph_schema.times import checked, format_time, from_micros, from_millis, parse_time, to_micros

FIRST, LAST = -62_135_596_800_000_000, 253_402_300_799_999_999
NOON = 1_769_853_600_000_000


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-01-31T10:00:00Z", NOON),
        ("2026-01-31T10:00:00+00:00", NOON),
        ("2026-01-31T10:00:00", NOON),
        ("2026-01-31T11:00:00+01:00", NOON),
        ("2026-01-31T04:30:00-05:30", NOON),
        ("2026-01-31 10:00:00", NOON),
        ("  2026-01-31T10:00:00Z\n", NOON),
        ("2026-01-31", NOON - 36_000_000_000),
        ("2026-01-31T10:00:00.123Z", NOON + 123_000),
        ("2026-01-31T10:00:00.123456789Z", NOON + 123_456),
        ("2026-01-31T10:00:00.123456789+01:00", NOON - 3_600_000_000 + 123_456),
        ("2026-01-31T10:00:00.999999999Z", NOON + 999_999),
        ("0001-01-01T00:00:00Z", FIRST),
        ("9999-12-31T23:59:59.999999Z", LAST),
        ("1969-12-31T23:59:59.999999Z", -1),
    ],
)
def test_times_as_tools_write_them(written: str, expected: int) -> None:
    assert parse_time(written) == expected


@pytest.mark.parametrize(
    "written",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-01-31T25:00:00Z",
        "10000-01-01",
        "1769853600",
        "2026-01-31T10:00:00.Z9",
    ],
)
def test_what_is_no_time_is_refused(written: str) -> None:
    with pytest.raises(BadInput, match="is not a time"):
        parse_time(written)


@pytest.mark.parametrize("written", ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_a_zone_does_not_lead_out_of_the_years_that_can_be_written(written: str) -> None:
    with pytest.raises(BadInput):
        parse_time(written)


@given(st.integers(FIRST, LAST))
def test_every_time_survives_being_written_and_read(micros: int) -> None:
    assert parse_time(format_time(micros)) == micros
    assert to_micros(from_micros(micros)) == micros
    assert format_time(micros).endswith("Z")


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)), st.integers(-14 * 60, 14 * 60)
)
def test_zones_do_not_change_the_moment(naive: datetime, offset: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=offset)))

    assert to_micros(moment) == to_micros(moment.astimezone(UTC)) == parse_time(moment.isoformat())


def test_a_time_is_written_without_an_empty_fraction() -> None:
    assert format_time(NOON) == "2026-01-31T10:00:00Z"
    assert format_time(NOON + 5) == "2026-01-31T10:00:00.000005Z"


def test_milliseconds() -> None:
    assert from_millis(1_769_853_600_000) == NOON
    assert from_millis("1769853600000") == NOON
    assert from_millis(-1) == -1_000


@pytest.mark.parametrize("millis", ["NaN", "", "x", float("nan"), float("inf"), None, 10**18, -(10**18)])
def test_milliseconds_that_are_no_time_are_refused(millis: object) -> None:
    with pytest.raises(BadInput):
        from_millis(millis)  # type: ignore[arg-type]


def test_bounds_are_inside() -> None:
    assert checked(FIRST) == FIRST
    assert checked(LAST) == LAST
    for outside in (FIRST - 1, LAST + 1):
        with pytest.raises(BadInput, match="1 to 9999"):
            checked(outside)
