"""From the inbox into the graph: applied with what it says, put aside with its reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.kinds import NodeKind
from ingestors.inbox import Inbox, waiting
from ingestors.loop import ingest
from ingestors.pushed import Pushed
from ingestors.report import HISTORY, STATUS, Status
from ingestors.source import Item, SourceError, Unreachable
from tests.bell import BellConfig, BellSource
from tests.unit.ingestors.inboxes import applied, bell, item, letters, put
from tests.unit.ingestors.scripted import Scripted, listing, runs


def test_a_row_leaves_with_what_it_says(store: SqliteStore, inbox: Inbox) -> None:
    put(inbox, item("a"), item("b"))
    put(inbox, item("a", 2, status="FINISHED"))

    report = applied(store)

    assert (report.items, report.deliveries, report.new, waiting(store, "bell")) == (3, 2, 2, 0)
    assert runs(store)["a"].properties == {"status": "FINISHED"}
    status = Status.read(dict(store.service(STATUS))["bell"])
    assert status.counts["items"] == 3 and status.last_error is None
    assert status.last_delivery is not None
    (line,) = store.service(HISTORY)
    assert line[1]["deliveries"] == 2 and line[1]["source"] == "bell"


def test_poison_is_put_aside_and_the_rest_goes_on(store: SqliteStore, inbox: Inbox) -> None:
    put(inbox, item("a"), item("b", broken=True))
    put(inbox, item("c", refused=True), item("d"))

    report = applied(store)

    assert set(runs(store)) == {"a", "d"} and waiting(store, "bell") == 0
    assert set(letters(store)) == {"bell/run/b", "bell/run/c"}
    assert "KeyError" in letters(store)["bell/run/b"]
    assert (report.dead_letters, report.error) == (2, None)


def test_a_dead_letter_goes_when_its_record_comes(store: SqliteStore, inbox: Inbox) -> None:
    put(inbox, item("a", broken=True))
    applied(store)
    assert set(letters(store)) == {"bell/run/a"}

    put(inbox, item("a", 2))
    applied(store)

    assert letters(store) == {} and set(runs(store)) == {"a"}
    assert Status.read(dict(store.service(STATUS))["bell"]).dead_letters == 0


def test_a_rule_that_stumbles_over_one_record_leaves_the_others_alone(
    store: SqliteStore, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ingestors import joins

    for key in ("a", "bad", "c"):
        put(inbox, item(key))
    apply = joins.apply

    def stumbling(tx: Any, source: Any, records: Any) -> Any:
        if any(record.key == "bad" for record in records):
            raise ZeroDivisionError("a rule's mistake")
        return apply(tx, source, records)

    monkeypatch.setattr(joins, "apply", stumbling)
    applied(store)

    assert set(runs(store)) == {"a", "c"} and waiting(store, "bell") == 0
    assert letters(store) == {"bell/run/bad": "ZeroDivisionError: a rule's mistake"}


Asked = Callable[[Sequence[Item]], Sequence[Item]]


def asking(asked: Asked) -> BellSource:
    source = type("Asking", (BellSource,), {"asked": staticmethod(asked)})
    made: BellSource = source(BellConfig(type="bell", name="bell"))
    return made


def test_what_is_asked_for_is_cleaned_and_redacted_too(store: SqliteStore, inbox: Inbox) -> None:
    put(inbox, item("a"), item("b"))

    def asked(items: Sequence[Item]) -> list[Item]:
        found = {"commit": "c\0", "db_password": "hunter2hunter2", "rate": float("nan")}
        return [item(each.key, 1, **found) for each in items]

    applied(store, asking(asked))

    said = runs(store)["a"].properties
    assert said["commit"] == "c\ufffd" and said["rate"] == "NaN"
    assert "hunter2" not in str(said)


def test_a_source_that_cannot_be_asked_waits(store: SqliteStore, inbox: Inbox) -> None:
    put(inbox, item("a"))
    away = True

    def asked(items: Sequence[Item]) -> Sequence[Item]:
        if away:
            raise Unreachable("the registry does not answer")
        return items

    pushed = Pushed(store, asking(asked))
    problems = []
    for _ in range(20):
        with pytest.raises(Unreachable) as caught:
            pushed.apply()
        problems.append(pushed.finish(caught.value))
    told = Status.read(dict(store.service(STATUS))["bell"]).last_error
    waited, away = waiting(store, "bell"), False
    pushed.apply()
    pushed.finish()

    assert told == "the registry does not answer" and waited == 1
    assert [problem is not None for problem in problems] == [True] + [False] * 19, "said once"
    assert set(runs(store)) == {"a"} and waiting(store, "bell") == 0
    assert Status.read(dict(store.service(STATUS))["bell"]).last_error is None


def test_one_that_cannot_be_asked_for_holds_up_no_other_and_is_put_aside_in_the_end(
    store: SqliteStore, inbox: Inbox
) -> None:
    for key in ("a", "gone", "c"):
        put(inbox, item(key))

    def asked(items: Sequence[Item]) -> Sequence[Item]:
        if any(each.key == "gone" for each in items):
            raise SourceError("the registry has no such thing")
        return items

    pushed = Pushed(store, asking(asked))
    tries = 0
    with pytest.raises(SourceError):
        pushed.apply()
    there, left = set(runs(store)), waiting(store, "bell")
    while waiting(store, "bell"):
        tries += 1
        try:
            pushed.apply()
        except SourceError:
            continue

    assert (there, left) == ({"a", "c"}, 1)
    assert tries < 20 and letters(store) == {"bell/run/gone": "SourceError: the registry has no such thing"}


def test_a_mistake_in_asking_puts_aside_what_was_asked_for(store: SqliteStore, inbox: Inbox) -> None:
    for key in ("a", "odd"):
        put(inbox, item(key))

    def asked(items: Sequence[Item]) -> Sequence[Item]:
        return [each for each in items if 1 / (each.key != "odd")]

    applied(store, asking(asked))

    assert set(runs(store)) == {"a"} and "ZeroDivisionError" in letters(store)["bell/run/odd"]


def test_stopped_in_the_middle_the_rows_stay_and_nothing_is_lost(store: SqliteStore, inbox: Inbox) -> None:
    many = [item(f"r{number:04d}") for number in range(2_500)]
    put(inbox, *many)
    pushed = Pushed(store, bell(), should_stop=lambda: True)

    pushed.apply()
    left = waiting(store, "bell")
    applied(store)

    assert left == 50
    assert store.counts().records == 2_500 and waiting(store, "bell") == 0


def test_a_delivery_is_no_substitute_for_a_pull(store: SqliteStore, inbox: Inbox) -> None:
    class Both(Scripted):
        accepts = True

    source = Both(listing("a", "b"), name="tool")
    inbox.put("tool", [Item("c", "run", 5, {"name": "c"})]).result(10)

    applied(store, source)
    before = Status.read(dict(store.service(STATUS))["tool"])
    report = ingest(store, source)
    after = Status.read(dict(store.service(STATUS))["tool"])

    assert (before.last_success, before.last_started, before.counts) == (None, None, {})
    assert before.last_delivery is not None and after.last_delivery == before.last_delivery
    assert report.first and report.new == 2
    assert {node.name for node in store.find(NodeKind.RUN).items} == {"a", "b", "c"}
