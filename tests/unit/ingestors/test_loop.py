"""The loop: what is committed with what, what is refused, what is tried again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.filters import lookup
from graph_schema.times import Micros
from ingestors.loop import Policy, ingest
from ingestors.report import statuses
from ingestors.source import Item, Pulled, Refused, Unreachable
from tests.unit.ingestors.scripted import (
    QUICK,
    Scripted,
    cursor_of,
    items,
    letters,
    listing,
    numbered,
    runs,
    waits,
)


def test_records_and_cursor_land_together_and_the_second_pull_goes_on_there(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        if cursor is None:
            yield Pulled(items("a", "b"), 1)
            yield Pulled(items("c"), 2)

    source = Scripted(script)
    first = ingest(store, source)
    second = ingest(store, source)

    assert (first.new, first.first, first.error) == (3, True, None)
    assert (second.items, second.changes, second.first) == (0, 0, False)
    assert source.cursors == [None, 2]
    assert set(runs(store)) == {"a", "b", "c"}


def test_a_full_pull_of_the_same_changes_nothing(store: SqliteStore) -> None:
    source = Scripted(listing("a", "b"))
    ingest(store, source)
    before = store.digest()

    report = ingest(store, source, full=True)

    assert source.cursors == [None, None]
    assert (report.unchanged, report.changes) == (2, 0)
    assert store.digest() == before


def test_later_pulls_have_later_times_even_when_the_clock_goes_back(tmp_path: Any) -> None:
    clock = iter([5_000_000, *range(1_000_000, 1_000_100)])
    times: list[int] = []

    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        times.append(now)
        yield Pulled(items("a", now=now, at=now), now)

    with_clock = SqliteStore(tmp_path / "k.db", clock=lambda: next(clock))
    with_clock.migrate()
    for _ in range(3):
        assert ingest(with_clock, Scripted(script)).stale == 0

    assert times == sorted(set(times))
    with_clock.close()


def test_an_item_that_breaks_the_transform_is_kept_with_its_reason(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled([*items("a", "b"), *items("bad", broken=True, api_key="hunter2hunter2")], 1)

    report = ingest(store, Scripted(script))

    assert (report.new, report.dead_letters, report.error) == (2, 1, None)
    letter = letters(store)["tool/run/bad"]
    assert "a field that is not there" in letter["reason"]
    assert letter["data"]["broken"] is True
    assert "hunter2" not in json.dumps(letters(store))
    assert cursor_of(store) == 1
    assert statuses(store)[0].dead_letters == 1


def test_a_record_that_the_store_refuses_does_not_take_its_neighbours_along(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled([*items(*numbered(60)), *items("bad", refused=True), *items(*numbered(60, 60))], 1)

    report = ingest(store, Scripted(script))

    assert (report.new, report.dead_letters, report.error) == (120, 1, None)
    assert list(letters(store)) == ["tool/run/bad"]
    assert cursor_of(store) == 1


def test_a_dead_letter_goes_when_its_item_lands(store: SqliteStore) -> None:
    broken = [True]

    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items("a", now=now, broken=broken[0]), now)

    ingest(store, Scripted(script))
    assert list(letters(store)) == ["tool/run/a"]
    broken[0] = False

    ingest(store, Scripted(script))

    assert letters(store) == {}
    assert set(runs(store)) == {"a"}


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("nul\0here", "nul\ufffdhere"),
        ("lone\ud800surrogate", "lone\ufffdsurrogate"),
        (2**63, str(2**63)),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (2**63 - 1, 2**63 - 1),
        ("'; DROP TABLE nodes; --", "'; DROP TABLE nodes; --"),
    ],
)
def test_poison_is_stored_harmless(store: SqliteStore, value: Any, stored: Any) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items("a", params={"x": value}), 1)

    report = ingest(store, Scripted(script))

    assert report.dead_letters == 0
    assert lookup(runs(store)["a"], "params.x") == stored


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "bad",
    [
        Item("bad", "run", 1, {"x": nested(70)}),
        Item("bad", "run", 1, {"x": nested(2_000)}),
        Item("bad", "run", 1, {"x": object()}),
        Item("bad", "run", 2**70, {}),
        Item("nul\0key", "run", 1, {}),
        Item("lone\ud800", "run", 1, {}),
        Item("long" * 1_000, "run", 1, {}),
        Item("", "run", 1, {}),
    ],
    ids=["deep", "very deep", "no json", "version", "nul", "surrogate", "long", "empty"],
)
def test_what_cannot_be_mended_is_a_dead_letter_and_the_rest_lands(store: SqliteStore, bad: Item) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled([*items("a"), bad, *items("b")], 1)

    report = ingest(store, Scripted(script))

    assert (report.new, report.dead_letters, report.error) == (2, 1, None)
    assert len(letters(store)) == 1
    assert set(runs(store)) == {"a", "b"}


def test_too_many_refused_items_halt_the_source_before_its_page_is_written(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items(*numbered(100)), 1)
        yield Pulled([*items(*numbered(80, 100)), *items(*numbered(20, 180), broken=True)], 2)
        yield Pulled(items(*numbered(100, 200)), 3)

    report = ingest(store, Scripted(script))

    assert report.error is not None and "20 of 200 items" in report.error
    assert report.new == 100
    assert cursor_of(store) == 1
    assert len(letters(store)) == 20
    assert ingest(store, Scripted(listing("a"), name="other")).error is None


def test_ten_refused_items_do_not_halt(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled([*items(*numbered(10), broken=True), *items("a")], 1)

    report = ingest(store, Scripted(script))

    assert (report.error, report.new, report.dead_letters) == (None, 1, 10)


def test_a_source_that_fails_is_asked_again_from_the_last_commit(store: SqliteStore) -> None:
    failures = iter([True, True, False])

    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        if cursor is None:
            yield Pulled(items("a"), 1)
        if next(failures):
            raise Unreachable("the tool answers 503", retry_after=7)
        yield Pulled(items("b"), 2)

    waits.clear()
    source = Scripted(script)
    report = ingest(store, source, policy=QUICK)

    assert report.error is None
    assert source.cursors == [None, 1, 1]
    assert len(waits) == 2 and all(7 <= wait <= 8 for wait in waits)
    assert set(runs(store)) == {"a", "b"}


def test_a_source_that_stays_away_is_given_up_and_the_cursor_stays(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        if cursor is None:
            yield Pulled(items("a"), 1)
        raise Unreachable("the tool does not answer")

    waits.clear()
    report = ingest(store, Scripted(script), policy=QUICK)

    assert report.error == "the tool does not answer"
    assert 0 < len(waits) <= QUICK.attempts
    assert waits == sorted(waits) or max(waits) <= QUICK.longest_wait
    assert cursor_of(store) == 1
    status = statuses(store)[0]
    assert (status.last_error, status.last_success) == ("the tool does not answer", None)


def test_patience_ends_before_the_first_page_only(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        if cursor is None and full:
            yield Pulled(items("a"), 1)
        raise Unreachable("the tool does not answer")

    impatient = Policy(patience=0.2, sleep=waits.append)
    waits.clear()
    full = False
    silent = ingest(store, Scripted(script), policy=impatient)
    assert silent.error == "the tool does not answer" and not waits

    full = True
    broken = ingest(store, Scripted(script), policy=impatient)
    assert broken.error and len(waits) == impatient.attempts - 1


def test_a_failure_leaves_the_counts_of_the_last_success(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        if cursor is None:
            yield Pulled(items("a", "b"), 1)
        else:
            raise Unreachable("the tool does not answer")

    ingest(store, Scripted(script), policy=QUICK)
    ingest(store, Scripted(script), policy=QUICK)

    (status,) = statuses(store)
    assert status.counts["items"] == 2 and status.last_error == "the tool does not answer"


@pytest.mark.parametrize(
    "problem", [Refused("it refuses the token in TOKEN"), Unreachable("busy", retry_after=86_400)]
)
def test_some_failures_are_not_worth_waiting_for(store: SqliteStore, problem: Exception) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        raise problem
        yield

    waits.clear()
    source = Scripted(script)

    assert ingest(store, source, policy=QUICK).error == str(problem)
    assert (waits, len(source.cursors)) == ([], 1)


def test_a_bug_in_a_source_is_reported_without_its_secrets(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        raise ZeroDivisionError("while reading https://ada:hunter2hunter2@tool/api")
        yield

    error = ingest(store, Scripted(script)).error

    assert error is not None and "ZeroDivisionError" in error and "hunter2" not in error


def test_a_source_that_repeats_a_page_is_stopped(store: SqliteStore) -> None:
    pages: list[int] = []

    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        while True:
            pages.append(1)
            yield Pulled(items("a", "b"), 1)

    report = ingest(store, Scripted(script))

    assert report.error is not None and "same page again" in report.error
    assert len(pages) == 2


def test_a_pull_stops_when_it_is_asked_to_and_goes_on_later(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        for number in range(cursor or 0, 5):
            yield Pulled(items(f"r{number}"), number + 1)

    asked = iter([False, False, True])
    stopped = ingest(store, Scripted(script), should_stop=lambda: next(asked, True))
    held = len(runs(store))
    resumed = ingest(store, Scripted(script))

    assert stopped.stopped and 0 < held < 5
    assert resumed.new == 5 - held
    assert len(runs(store)) == 5


def test_large_pages_are_written_in_short_transactions(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items(*(f"r{number}" for number in range(5_000))), 1)

    before = store.counts().revision
    ingest(store, Scripted(script), policy=Policy(lock=0.01))

    assert store.counts().revision - before > 5
