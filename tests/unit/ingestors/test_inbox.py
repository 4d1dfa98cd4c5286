"""The inbox: what is answered, what is kept, and how it gets from there into the graph."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import StoreBusy, StoreUnavailable
from graph_schema.kinds import NodeKind
from ingestors import inbox as module
from ingestors.inbox import DELIVERIES, INBOX, Answer, Inbox, forget_deliveries, rows, waiting
from ingestors.loop import ingest
from ingestors.pushed import Pushed
from ingestors.report import DEAD_LETTERS, HISTORY, STATUS, Report, Status
from ingestors.source import Item, Source, SourceError, Unreachable
from tests.bell import BellConfig, BellSource
from tests.unit.ingestors.scripted import Scripted, listing, runs


@pytest.fixture
def inbox(store: SqliteStore) -> Iterator[Inbox]:
    inbox = Inbox(store)
    yield inbox
    inbox.close()


def item(key: str, version: int = 1, **data: Any) -> Item:
    return Item(key, "run", version, {"key": key, **data})


def bell() -> BellSource:
    return BellSource(BellConfig(type="bell", name="bell"))


def put(inbox: Inbox, *items: Item, delivery: str | None = None) -> Answer:
    return inbox.put("bell", items, delivery=delivery).result(timeout=10)


def applied(store: SqliteStore, source: Source | None = None) -> Report:
    pushed = Pushed(store, source or bell())
    while pushed.apply():
        pass
    report = pushed.finish()
    assert report is not None
    return report


def letters(store: SqliteStore) -> dict[str, str]:
    return {key: value["reason"] for key, value in store.service(DEAD_LETTERS)}


class Gate:
    """Holds every transaction of a store back until it is opened; counts them."""

    def __init__(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.count = 0
        transact = store.transact

        def held(work: Any, fence: Any = None) -> Any:
            self.count += 1
            assert self.open.wait(10)
            return transact(work, fence)

        monkeypatch.setattr(store, "transact", held)


@pytest.fixture
def gate(store: SqliteStore, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Gate:
    inbox.redactor()
    return Gate(store, monkeypatch)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# --- storing -------------------------------------------------------------------------------------------


def test_what_is_answered_is_stored(store: SqliteStore, inbox: Inbox) -> None:
    assert put(inbox, item("a"), item("b")) == Answer(2, 0)

    (row,) = rows(store, "bell", 10)
    assert [each.key for each in row.items] == ["a", "b"] and row.last and row.at > 0


def test_rows_are_in_the_order_of_arrival(store: SqliteStore, inbox: Inbox) -> None:
    for number in range(30):
        put(inbox, item(f"r{number}"))

    assert [row.items[0].key for row in rows(store, "bell", 100)] == [f"r{number}" for number in range(30)]
    assert waiting(store, "bell") == 30 and waiting(store, "bel") == 0


def test_what_waits_is_stored_in_one_transaction(store: SqliteStore, inbox: Inbox, gate: Gate) -> None:
    first = inbox.put("bell", [item("first")])
    until(lambda: gate.count == 1)
    others = [inbox.put("bell", [item(f"r{number}")]) for number in range(40)]
    gate.open.set()

    answers = [each.result(10) for each in (first, *others)]

    assert answers == [Answer(1, 0)] * 41
    assert gate.count == 2
    assert waiting(store, "bell") == 41


def test_a_large_delivery_is_stored_in_several_and_answered_after_the_last(
    store: SqliteStore, inbox: Inbox
) -> None:
    many = [item(f"r{number:04d}", text="some words " * 40) for number in range(2_000)]

    assert put(inbox, *many, delivery="1") == Answer(2_000, 0)

    held = rows(store, "bell", 1_000)
    assert [each.key for row in held for each in row.items] == [each.key for each in many]
    assert [row.last for row in held] == [False] * (len(held) - 1) + [True]
    assert len({row.at for row in held}) > 1, "several transactions"
    assert applied(store).deliveries == 1


def test_a_known_delivery_is_answered_as_before_and_kept_once(store: SqliteStore, inbox: Inbox) -> None:
    answers = [put(inbox, item("a"), delivery="7") for _ in range(10)]
    put(inbox, item("b"), delivery="8")

    assert answers == [Answer(1, 0)] * 10
    assert waiting(store, "bell") == 2 and len(store.service(DELIVERIES)) == 2


def test_the_same_delivery_twice_in_one_transaction(store: SqliteStore, inbox: Inbox, gate: Gate) -> None:
    first = inbox.put("bell", [item("first")])
    until(lambda: gate.count == 1)
    twins = [inbox.put("bell", [item("a")], delivery="7") for _ in range(2)]
    gate.open.set()

    assert [each.result(10) for each in (first, *twins)] == [Answer(1, 0)] * 3
    assert waiting(store, "bell") == 2


def test_a_delivery_is_known_after_a_restart(store: SqliteStore, inbox: Inbox) -> None:
    first = put(inbox, item("a"), item("late", 2**70), delivery="7")
    inbox.close()

    again = Inbox(store)
    answers = [put(again, item("a"), item("late", 2**70), delivery="7"), put(again, item("b"), delivery="8")]
    again.close()

    assert answers == [first, Answer(1, 0)] and first == Answer(1, 1)
    assert waiting(store, "bell") == 2


def test_only_so_many_ids_are_remembered(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_KNOWN", 3)

    for number in range(10):
        put(inbox, item("a"), delivery=str(number))

    assert len(inbox._known) == 3


def test_one_id_names_two_deliveries_at_two_sources(store: SqliteStore, inbox: Inbox) -> None:
    for source in ("bell", "horn"):
        inbox.put(source, [item("a")], delivery="7").result(10)

    assert [waiting(store, "bell"), waiting(store, "horn")] == [1, 1]


def test_old_deliveries_are_forgotten(store: SqliteStore, inbox: Inbox) -> None:
    put(inbox, item("a"), delivery="7")
    then = rows(store, "bell", 1)[0].at
    put(inbox, item("b"), delivery="8")

    assert forget_deliveries(store, then + 1) == 1
    assert forget_deliveries(store, then + 1) == 0
    put(inbox, item("a"), delivery="7")
    assert waiting(store, "bell") == 3


def test_what_cannot_be_kept_is_put_aside_and_the_rest_goes_on(store: SqliteStore, inbox: Inbox) -> None:
    deep: Any = "x"
    for _ in range(3_000):
        deep = [deep]

    answer = put(inbox, item("a"), item("deep", value=deep), Item("", "run", 1, {}), item("late", 2**70))

    assert answer == Answer(1, 3)
    assert applied(store).new == 1
    assert set(runs(store)) == {"a"}
    assert "nested deeper" in letters(store)["bell/run/deep"]
    assert store.service(STATUS)[0][1]["dead_letters"] == 3


def test_only_what_is_refused_is_counted_too(store: SqliteStore, inbox: Inbox) -> None:
    assert put(inbox, item("late", 2**70)) == Answer(0, 1)

    assert applied(store).deliveries == 1
    assert store.service(STATUS)[0][1]["dead_letters"] == 1


def test_secrets_are_taken_out_before(store: SqliteStore, inbox: Inbox) -> None:
    put(inbox, item("a", params={"api_key": "hunter2hunter2"}), item("b", 2**70, password="hunter2hunter2"))

    held = str(store.service(INBOX)) + str(store.service(DEAD_LETTERS))
    assert "hunter2" not in held and held.count("[redacted:") == 2


def test_a_store_that_fails_fails_those_that_wait_and_not_those_after(
    store: SqliteStore, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.redactor()
    with monkeypatch.context() as patched:
        patched.setattr(store, "transact", lambda *args: (_ for _ in ()).throw(StoreUnavailable("away")))
        with pytest.raises(StoreUnavailable):
            put(inbox, *[item(f"r{number}", text="x" * 5_000) for number in range(200)])

    assert put(inbox, item("after")) == Answer(1, 0)
    assert [row.items[0].key for row in rows(store, "bell", 9)] == ["after"]


def test_one_delivery_that_the_store_stumbles_over_fails_alone(
    store: SqliteStore, inbox: Inbox, gate: Gate
) -> None:
    first = inbox.put("bell", [item("first")])
    until(lambda: gate.count == 1)
    good = inbox.put("bell", [item("good")])
    bad = inbox.put("bell", [item("bad")])
    # What no cleaning lets through, to be sure.
    inbox._queue[1].parts[0].items = [object()]
    gate.open.set()

    assert (first.result(10), good.result(10)) == (Answer(1, 0), Answer(1, 0))
    with pytest.raises(TypeError):
        bad.result(10)
    assert waiting(store, "bell") == 2


def test_whoever_gave_up_waiting_is_left_out(store: SqliteStore, inbox: Inbox, gate: Gate) -> None:
    first = inbox.put("bell", [item("first")])
    until(lambda: gate.count == 1)
    gone = inbox.put("bell", [item("gone")])
    assert gone.cancel() and not first.cancel()
    gate.open.set()

    assert put(inbox, item("after")) == Answer(1, 0)
    with pytest.raises(CancelledError):
        gone.result(10)
    assert [row.items[0].key for row in rows(store, "bell", 9)] == ["first", "after"]


def test_more_than_may_wait_are_turned_away(
    inbox: Inbox, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 2)
    inbox.put("bell", [item("first")])
    until(lambda: gate.count == 1)
    taken = [inbox.put("bell", [item(f"r{number}")]) for number in range(2)]

    with pytest.raises(StoreBusy):
        inbox.put("bell", [item("third")])
    gate.open.set()

    assert [each.result(10) for each in taken] == [Answer(1, 0)] * 2


def test_a_store_that_hangs_is_known_to_hang(
    inbox: Inbox, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_STUCK", 0.01)
    first = inbox.put("bell", [item("first")])
    until(lambda: gate.count == 1)
    time.sleep(0.02)

    with pytest.raises(StoreUnavailable):
        inbox.put("bell", [item("second")])
    gate.open.set()

    assert first.result(10) == Answer(1, 0)
    assert put(inbox, item("second")) == Answer(1, 0)


def test_closing_stores_what_waits(store: SqliteStore, inbox: Inbox, gate: Gate) -> None:
    first = inbox.put("bell", [item("first")])
    until(lambda: gate.count == 1)
    others = [inbox.put("bell", [item(f"r{number}")]) for number in range(5)]
    gate.open.set()

    inbox.close()

    assert all(each.done() for each in (first, *others)) and waiting(store, "bell") == 6
    with pytest.raises(StoreUnavailable):
        inbox.put("bell", [item("late")])


# --- applying ------------------------------------------------------------------------------------------


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
    many = [item(f"r{number:03d}") for number in range(500)]
    put(inbox, *many)
    pushed = Pushed(store, bell(), should_stop=lambda: True)

    pushed.apply()
    left = waiting(store, "bell")
    applied(store)

    assert left == 10
    assert len(runs(store)) == 500 and waiting(store, "bell") == 0


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
