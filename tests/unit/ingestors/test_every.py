"""How often: intervals and cron lines."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from apscheduler.triggers.cron.expressions import WEEKDAYS

from graph_schema.errors import BadInput
from graph_schema.times import format_time, parse_time
from ingestors import registry
from ingestors.every import duration, parse_every


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("30s", 30), ("5m", 300), (" 1h ", 3_600), ("1d", 86_400)]
)
def test_an_interval(text: str, seconds: float) -> None:
    every = parse_every(text)

    assert every.seconds == seconds == duration(text)
    assert every.after(0) is None


@pytest.mark.parametrize(
    ("line", "after", "comes"),
    [
        ("*/5 * * * *", "2026-11-21T10:01:00Z", "2026-11-21T10:05:00Z"),
        ("*/5 * * * *", "2026-11-21T10:05:00Z", "2026-11-21T10:10:00Z"),
        ("*/5 * * * *", "2026-11-21T10:04:59.999999Z", "2026-11-21T10:05:00Z"),
        ("0 3 * * *", "2026-11-21T10:00:00Z", "2026-11-22T03:00:00Z"),
        # 2026-11-21 is a Saturday.
        ("0 3 * * 1-5", "2026-11-21T10:00:00Z", "2026-11-23T03:00:00Z"),
        ("0 3 * * 0", "2026-11-21T10:00:00Z", "2026-11-22T03:00:00Z"),
        ("0 3 * * 7", "2026-11-21T10:00:00Z", "2026-11-22T03:00:00Z"),
        ("0 3 * * 5-7", "2026-11-21T10:00:00Z", "2026-11-22T03:00:00Z"),
        ("0 3 * * */3", "2026-11-21T10:00:00Z", "2026-11-22T03:00:00Z"),
        ("0 3 * * tue,4", "2026-11-21T10:00:00Z", "2026-11-24T03:00:00Z"),
        ("0 3 * * Mon-Fri", "2026-11-21T10:00:00Z", "2026-11-23T03:00:00Z"),
        ("30 2 29 2 *", "2026-11-21T10:00:00Z", "2028-02-29T02:30:00Z"),
    ],
)
def test_a_cron_line_in_utc(line: str, after: str, comes: str) -> None:
    found = parse_every(line).after(parse_time(after))

    assert found is not None and format_time(found) == comes


def test_days_of_the_week_are_cron_s_and_not_the_library_s() -> None:
    assert WEEKDAYS[0] == "mon"
    found = parse_every("0 0 * * 0").after(0)

    assert found is not None and datetime.fromtimestamp(found / 1_000_000, UTC).strftime("%a") == "Sun"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no interval"),
        ("5", "is no interval"),
        ("0s", "is no interval"),
        ("-5m", "is no interval"),
        ("5 parsecs", "2 fields and not 5"),
        ("1.5h", "is no interval"),
        ("400d", "is no interval"),
        ("99999999999d", "is no interval"),
        ("61 * * * *", "is no cron line"),
        ("* * * *", "4 fields and not 5"),
        ("0 0 * * 8", "days of the week"),
        ("0 0 * * 5-1", "days of the week"),
        ("0 0 * * 1/0", "days of the week"),
        ("0 0 31 2 *", "never comes"),
        ("a b c d e", "is no cron line"),
    ],
)
def test_what_is_neither_is_one_line(text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        parse_every(text)

    assert "allowed are 30s, 5m, 1h, 1d" in str(caught.value) and "\n" not in str(caught.value)


def test_it_is_checked_with_the_settings(tmp_path: Path) -> None:
    table = {"type": "git", "name": "code", "path": "."}

    assert registry.checked({**table, "every": "0 3 * * *"}, tmp_path).every == "0 3 * * *"
    with pytest.raises(BadInput, match="source 'code': every: '5x' is no interval; allowed are"):
        registry.checked({**table, "every": "5x"}, tmp_path)


@pytest.mark.parametrize("type_name", ["openlineage", "alertmanager", "events"])
def test_what_is_only_pushed_to_takes_none(tmp_path: Path, type_name: str) -> None:
    table = {"type": type_name, "name": "theirs"}

    assert registry.checked(table, tmp_path).every is None
    with pytest.raises(BadInput, match=r"source 'theirs': every: a .* pushed to, and there is nothing"):
        registry.checked({**table, "every": "5m"}, tmp_path)
