"""The loop: what it remembers, tells and keeps out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import Fenced
from graph_schema.times import Micros
from graph_schema.values import Fence
from ingestors.loop import ingest
from ingestors.report import HISTORY, Report
from ingestors.source import Pulled
from tests.unit.ingestors.scripted import Scripted, items, listing, runs


def test_what_a_first_ingestion_brings_is_silent(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from ingestors import joins

    silent: list[bool] = []
    apply = joins.apply

    def watching(tx: Any, source: Any, records: Any) -> Any:
        silent.extend(record.silent for record in records)
        return apply(tx, source, records)

    monkeypatch.setattr(joins, "apply", watching)

    ingest(store, Scripted(listing("a")))
    ingest(store, Scripted(listing("a", "b")))

    assert silent == [True, False], "what is as it was is not written again"


def test_what_the_source_calls_deleted_is_gone_and_stays_so(store: SqliteStore) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items("a", "b", now=now), now, gone={"run": frozenset({"a", "c"})})

    first, second = ingest(store, Scripted(script)), ingest(store, Scripted(script))

    assert (first.retired, second.retired, second.returned) == (1, 0, 0)
    assert {name: node.gone_at is not None for name, node in runs(store).items()} == {"a": True, "b": False}
    assert ingest(store, Scripted(listing("a", "b"))).returned == 1
    assert runs(store)["a"].gone_at is None


def test_secrets_never_reach_the_store(store: SqliteStore, tmp_path: Any) -> None:
    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        params = {"db_password": "correct-horse-1", "url": "postgres://ada:correct-horse-1@db/x"}
        yield Pulled(items("a", params=params), 1)

    ingest(store, Scripted(script))

    held = runs(store)["a"].properties["params"]
    mark = held["db_password"]
    assert mark.startswith("[redacted:") and held["url"] == f"postgres://ada:{mark}@db/x"
    store.close()
    assert all(b"correct-horse" not in file.read_bytes() for file in tmp_path.iterdir() if file.is_file())


def test_a_hundred_ingestions_are_remembered(store: SqliteStore) -> None:
    for _ in range(103):
        ingest(store, Scripted(listing("a")))

    history = store.service(HISTORY, prefix="tool/")

    assert len(history) == 100
    assert history == sorted(history)
    assert history[-1][1]["unchanged"] == 1


def test_progress_is_told(store: SqliteStore) -> None:
    told: list[tuple[str, int, int | None]] = []

    class Watcher:
        def update(self, source: str, done: int, total: int | None, text: str) -> None:
            told.append((source, done, total))

    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items("a"), 1, 2)
        yield Pulled(items("b"), 2, 2)

    ingest(store, Scripted(script), progress=Watcher())

    assert told == [("tool", 1, 2), ("tool", 2, 2)]


def test_a_lost_lease_ends_it(store: SqliteStore) -> None:
    with pytest.raises(Fenced):
        ingest(store, Scripted(listing("a")), fence=Fence("ingest/tool", 3))

    assert runs(store) == {}


def test_the_report_reads_well() -> None:
    report = Report(
        source="tool", type="scripted", items=1_304, new=1_300, nodes=1, dead_letters=4, error="it broke"
    )
    report.warn("one"), report.warn("one")

    lines = report.lines()

    assert lines == [
        "tool: 1,304 items in 0.0 s: 1,300 new, 0 changed, 0 unchanged, 4 refused; "
        "1 node and 0 edges added, 0 edges withdrawn",
        "4 items were refused and kept as dead letters (kinlore sources tool)",
        "warning: one",
        "error: it broke",
    ]


def test_a_report_of_a_source_that_gave_nothing_is_its_error() -> None:
    assert Report(source="tool", type="scripted", error="it broke").lines() == ["error: it broke"]
    older = Report(source="tool", type="scripted", items=2, stale=1, unchanged=1, retired=1).lines()
    assert "1 unchanged, 1 older than what is held;" in older[0]
    overtaken = Report(source="tool", type="scripted", items=5, new=2, unchanged=1).lines()
    assert "2 new, 0 changed, 1 unchanged, 2 overtaken by a later state;" in overtaken[0]
    halted = Report(source="tool", type="scripted", items=5, new=2, stopped=True).lines()
    assert "overtaken" not in halted[0]
    assert older[1] == "1 record is gone at the source, 0 came back"
