"""When a source is due: pure functions over the record of its last run."""

from __future__ import annotations

import pytest

from app.jobs.schedule import Job, due_in, jitter, next_slot, pause
from graph_schema.times import format_time, parse_time
from ingestors.every import parse_every

SECOND = 1_000_000
NOW = parse_time("2026-11-21T10:00:00Z")
MINUTE, HOUR, NIGHT = parse_every("1m"), parse_every("1h"), parse_every("0 3 * * *")


def ran(ago: float, **more: object) -> Job:
    """A job whose last run began so many seconds ago."""
    started = NOW - round(ago * SECOND)
    return Job(**{"runs": 1, "started": started, "ended": started + SECOND, **more})  # type: ignore[arg-type]


def test_what_never_ran_is_due_and_what_ran_waits_for_its_interval() -> None:
    assert due_in(MINUTE, Job(), NOW) == 0
    assert due_in(MINUTE, ran(20), NOW) == 40
    assert due_in(MINUTE, ran(60), NOW) == 0


def test_what_began_late_does_not_shift_what_follows() -> None:
    assert due_in(MINUTE, ran(20, late=2.0), NOW) == 38


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_was_set_costs_one_interval_at_most(hours: int) -> None:
    wait = due_in(MINUTE, ran(20), NOW + hours * 3_600 * SECOND)

    assert 0 <= wait <= 60


def test_after_a_long_sleep_it_is_due_once() -> None:
    assert due_in(MINUTE, ran(86_400), NOW) == 0


def test_a_pull_that_takes_long_is_not_pulled_for_more_than_its_share() -> None:
    assert pause(MINUTE, took=10, failures=0, share=0.5) == 60
    assert pause(MINUTE, took=45, failures=0, share=0.5) == 90
    assert pause(MINUTE, took=45, failures=0, share=0.1) == 450
    assert due_in(MINUTE, ran(20, delay=90.0), NOW) == 70


def test_failures_are_tried_again_less_and_less_often() -> None:
    waits = [pause(MINUTE, 0, failures) for failures in range(1, 6)]

    assert waits == [60, 120, 240, 300, 300]
    assert [pause(parse_every("1s"), 0, n) for n in (1, 2, 3, 50)] == [1, 2, 4, 300]


def test_after_a_failure_a_long_interval_is_not_waited_for() -> None:
    waits = [pause(HOUR, 0, failures) for failures in range(1, 9)]

    assert waits == [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]
    assert pause(HOUR, 0, 0) == 3_600


def test_a_cron_line_waits_for_its_moment() -> None:
    slot = next_slot(NIGHT, Job(), NOW)

    assert slot is not None and format_time(slot) == "2026-11-22T03:00:00Z"
    assert due_in(NIGHT, Job(), NOW) == 17 * 3_600
    assert pause(NIGHT, took=10_000, failures=0) is None


def test_a_moment_that_was_slept_through_is_caught_up_with_once() -> None:
    job = ran(10 * 86_400)

    assert due_in(NIGHT, job, NOW) < 0
    assert due_in(NIGHT, ran(1), NOW) == 17 * 3_600


def test_a_moment_is_not_run_for_twice_though_it_began_a_little_early() -> None:
    slot = parse_time("2026-11-21T03:00:00Z")
    job = Job(runs=1, started=slot - 300_000, slot=slot, ended=slot)

    assert due_in(NIGHT, job, slot + SECOND) > 80_000


def test_a_nightly_run_that_failed_is_tried_again_the_same_night() -> None:
    delay = pause(NIGHT, took=1, failures=1)
    assert delay == 60

    assert due_in(NIGHT, ran(20, failures=1, delay=delay), NOW) == 40


def test_starts_are_spread() -> None:
    assert jitter(parse_every("1s"), 1.0) == pytest.approx(0.1)
    assert jitter(HOUR, 1.0) == jitter(NIGHT, 1.0) == 30
    assert jitter(HOUR, 0.0) == 0


def test_a_run_that_did_not_end_is_unfinished() -> None:
    assert not Job().unfinished and not ran(1).unfinished
    assert Job(runs=1, started=NOW).unfinished
