"""Retirement by absence: confirmed, guarded, accepted, undone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from ingestors.loop import ingest
from ingestors.report import Report
from ingestors.source import Pulled, Unreachable
from tests.unit.ingestors.scripted import QUICK, Scripted, items, listing, numbered


def pulled(
    store: SqliteStore, keys: list[str], existing: frozenset[str] | None = None, accept: bool = False
) -> Report:
    return ingest(store, Scripted(listing(*keys), existing), full=True, accept_retirement=accept)


def gone(store: SqliteStore) -> set[str]:
    return {node.name for node in store.find(NodeKind.RUN, first=1_000).items if node.gone_at is not None}


ALL = numbered(100)


def test_a_few_missing_records_are_asked_for_and_retired(store: SqliteStore) -> None:
    pulled(store, ALL)

    report = pulled(store, ALL[5:], existing=frozenset({"r001"}))

    # What the source still finds by its id was only missing from the list.
    assert report.retired == 4
    assert gone(store) == {"r000", "r002", "r003", "r004"}
    assert pulled(store, ALL[5:], existing=frozenset({"r001"})).retired == 0


def test_where_nobody_can_be_asked_they_must_miss_twice(store: SqliteStore) -> None:
    pulled(store, ALL)

    assert pulled(store, ALL[5:]).retired == 0
    assert pulled(store, ALL[4:]).retired == 4
    assert gone(store) == {"r000", "r001", "r002", "r003"}
    # r004 was back in between: it starts anew.
    assert pulled(store, ALL[5:]).retired == 0


def test_nothing_is_retired_by_an_incremental_pull(store: SqliteStore) -> None:
    pulled(store, ALL)

    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items("r000", now=now), now)

    ingest(store, Scripted(script, frozenset()))

    assert gone(store) == set()


@pytest.mark.parametrize("left", [10, 0])
def test_too_much_at_once_is_not_believed(store: SqliteStore, left: int) -> None:
    pulled(store, ALL)

    report = pulled(store, ALL[:left], existing=frozenset())

    assert report.retired == 0 and report.error is None
    assert gone(store) == set()
    (line,) = report.warnings
    assert f"{100 - left} of 100 run records are missing" in line
    assert "kinlore ingest tool --accept-retirement" in line


def test_an_empty_answer_is_not_believed_however_little_is_held(store: SqliteStore) -> None:
    pulled(store, ALL[:3])

    report = pulled(store, [], existing=frozenset())

    assert (report.retired, len(report.warnings)) == (0, 1)


def test_one_command_accepts_it(store: SqliteStore) -> None:
    pulled(store, ALL)

    report = pulled(store, ALL[:10], accept=True)

    assert (report.retired, report.warnings) == (90, [])
    assert gone(store) == set(ALL[10:])


def test_accepting_pulls_everything_even_where_nothing_is_new(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        if cursor is None:
            yield Pulled(items(*ALL[:10], now=now), now, 10, {"run": frozenset(ALL[:10])})

    pulled(store, ALL)

    assert ingest(store, Scripted(script)).retired == 0
    assert ingest(store, Scripted(script), accept_retirement=True).retired == 90


def test_what_comes_back_is_back(store: SqliteStore) -> None:
    pulled(store, ALL)
    pulled(store, ALL[5:], existing=frozenset())

    report = pulled(store, ALL)

    assert report.returned == 5
    assert gone(store) == set()


def test_what_comes_back_in_an_incremental_pull_is_back(store: SqliteStore) -> None:
    pulled(store, ALL)
    pulled(store, ALL[5:], existing=frozenset())

    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items("r000", now=now), now)

    report = ingest(store, Scripted(script))

    assert report.returned == 1
    assert gone(store) == {"r001", "r002", "r003", "r004"}
    # And is not brought back a second time.
    assert ingest(store, Scripted(script)).returned == 0


def test_the_cursor_waits_for_retirement(store: SqliteStore) -> None:
    pulled(store, ALL)
    before = store.service("cursor")

    class Silent(Scripted):
        def get(self, type: str, keys: Any) -> frozenset[str] | None:
            raise Unreachable("the tool does not answer")

    report = ingest(store, Silent(listing(*ALL[5:])), full=True, policy=QUICK)

    # Absence is told only once by some sources: a pull that could not act on it is repeated.
    assert report.error is not None
    assert store.service("cursor") == before
