"""The inbox: what is answered, and what is kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from graph_schema.errors import StoreBusy, StoreUnavailable
from ingestors import inbox as module
from ingestors.inbox import DELIVERIES, INBOX, Answer, Inbox, forget_deliveries, rows, waiting
from ingestors.report import DEAD_LETTERS, STATUS
from ingestors.source import Item
from tests.unit.ingestors.inboxes import applied, item, letters, put
from tests.unit.ingestors.scripted import runs
from tests.waiting import soon


class Gate:
    """Holds every transaction of a store back until it is opened; counts them."""

    def __init__(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = threading.Event()
        self.count = 0
        for name in ("transact", "deposit"):
            monkeypatch.setattr(store, name, partial(self.held, getattr(store, name)))

    def held(self, work: Callable[..., Any], *arguments: Any) -> Any:
        self.count += 1
        assert self.open.wait(10)
        return work(*arguments)


@pytest.fixture
def gate(store: SqliteStore, inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> Gate:
    inbox.redactor()
    return Gate(store, monkeypatch)


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
    soon(lambda: gate.count == 1)
    others = [inbox.put("bell", [item(f"r{number}")]) for number in range(40)]
    gate.open.set()

    answers = [each.result(10) for each in (first, *others)]

    assert answers == [Answer(1, 0)] * 41
    assert gate.count == 2
    assert waiting(store, "bell") == 41


def test_while_a_store_asks_to_be_left_alone_more_is_gathered(
    store: SqliteStore, inbox: Inbox, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    deposit = store.deposit
    monkeypatch.setattr(store, "deposit", lambda rows: deposit(rows) + 0.5)
    first = inbox.put("bell", [item("first")])
    soon(lambda: gate.count == 1)
    waiting_already = inbox.put("bell", [item("second")])
    gate.open.set()
    first.result(10)

    others = [inbox.put("bell", [item(f"r{number}")]) for number in range(5)]

    assert [each.result(10) for each in (waiting_already, *others)] == [Answer(1, 0)] * 6
    assert gate.count == 2


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
    soon(lambda: gate.count == 1)
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
        patched.setattr(store, "deposit", lambda *args: (_ for _ in ()).throw(StoreUnavailable("away")))
        with pytest.raises(StoreUnavailable):
            put(inbox, *[item(f"r{number}", text="x" * 5_000) for number in range(200)])

    assert put(inbox, item("after")) == Answer(1, 0)
    assert [row.items[0].key for row in rows(store, "bell", 9)] == ["after"]


def test_one_delivery_that_the_store_stumbles_over_fails_alone(
    store: SqliteStore, inbox: Inbox, gate: Gate
) -> None:
    first = inbox.put("bell", [item("first")])
    soon(lambda: gate.count == 1)
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
    soon(lambda: gate.count == 1)
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
    soon(lambda: gate.count == 1)
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
    soon(lambda: gate.count == 1)
    time.sleep(0.02)

    with pytest.raises(StoreUnavailable):
        inbox.put("bell", [item("second")])
    gate.open.set()

    assert first.result(10) == Answer(1, 0)
    assert put(inbox, item("second")) == Answer(1, 0)


def test_closing_stores_what_waits(store: SqliteStore, inbox: Inbox, gate: Gate) -> None:
    first = inbox.put("bell", [item("first")])
    soon(lambda: gate.count == 1)
    others = [inbox.put("bell", [item(f"r{number}")]) for number in range(5)]
    gate.open.set()

    inbox.close()

    assert all(each.done() for each in (first, *others)) and waiting(store, "bell") == 6
    with pytest.raises(StoreUnavailable):
        inbox.put("bell", [item("late")])
