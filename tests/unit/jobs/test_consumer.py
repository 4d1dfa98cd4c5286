"""The consumer: one at a time across processes, a thread for each source, patient with what is away."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.jobs import consumer as module
from app.jobs.consumer import LEASE, Consumer
from app.jobs.leases import Leases
from app.store.sqlite.store import SqliteStore
from graph_schema.errors import StoreUnavailable
from graph_schema.kinds import NodeKind
from ingestors.inbox import DELIVERIES, Inbox, waiting
from ingestors.report import STATUS
from ingestors.source import Item, Source, Unreachable
from tests.bell import BellConfig, BellSource
from tests.waiting import soon


class Rooms:
    """A store, its inbox, and who takes requests."""

    def __init__(self, path: Path, sources: Sequence[Source]) -> None:
        self.store = SqliteStore(path)
        self.store.migrate()
        self.inbox = Inbox(self.store)
        self.receivers = sources

    def ring(self, source: str, key: str, **data: Any) -> None:
        item = Item(key, "run", 1, {"key": key, **data})
        self.inbox.put(source, [item], delivery=key).result(10)

    def runs(self) -> set[str]:
        return {node.name for node in self.store.find(NodeKind.RUN, first=500).items}

    def close(self) -> None:
        self.inbox.close()
        self.store.close()


Open = Callable[..., Rooms]


@pytest.fixture
def rooms(tmp_path: Path) -> Iterator[Open]:
    made: list[Rooms] = []

    def start(*sources: Source) -> Rooms:
        made.append(Rooms(tmp_path / "kinlore.db", sources or (bell(),)))
        return made[-1]

    yield start
    for each in made:
        each.close()


def bell(name: str = "bell", asked: Any = None) -> BellSource:
    kind: Any = BellSource
    if asked is not None:
        kind = type("Asking", (BellSource,), {"asked": staticmethod(asked)})
    made: BellSource = kind(BellConfig(type="bell", name=name))
    return made


def test_what_comes_is_applied_and_told(rooms: Open) -> None:
    house = rooms()
    consumer = Consumer(house)

    consumer.start()
    for number in range(20):
        house.ring("bell", f"r{number}")
    soon(lambda: len(house.runs()) == 20)
    consumer.stop()

    status = dict(house.store.service(STATUS))["bell"]
    assert status["counts"]["items"] == 20 and status["last_error"] is None
    assert waiting(house.store, "bell") == 0
    others = Leases(house.store)
    assert others.acquire(LEASE) is not None, "it was given back"
    others.close()


def test_a_burst_that_is_over_is_told_while_it_runs(rooms: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_QUIET", 0.05)
    house = rooms()
    consumer = Consumer(house)

    consumer.start()
    house.ring("bell", "a")
    soon(lambda: dict(house.store.service(STATUS)).get("bell", {}).get("last_success"))
    consumer.stop()

    assert house.runs() == {"a"}


def test_a_source_that_cannot_be_asked_holds_up_no_other(
    rooms: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAIT", 0.02)
    away = True
    tries = []

    def asked(items: Sequence[Item]) -> Sequence[Item]:
        tries.append(1)
        if away:
            raise Unreachable("the registry does not answer")
        return items

    house = rooms(bell("slow", asked), bell("bell"))
    consumer = Consumer(house)
    house.ring("slow", "s")
    consumer.start()
    soon(lambda: len(tries) > 1)
    house.ring("bell", "a")
    soon(lambda: house.runs() == {"a"})
    told = dict(house.store.service(STATUS))["slow"]["last_error"]
    away = False
    soon(lambda: house.runs() == {"a", "s"})
    consumer.stop()

    assert told == "the registry does not answer"
    assert dict(house.store.service(STATUS))["slow"]["last_error"] is None


def test_while_another_process_applies_this_one_waits_and_takes_over(
    rooms: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TRY", 0.05)
    house = rooms()
    others = Leases(house.store)
    held = others.acquire(LEASE)
    assert held is not None
    house.ring("bell", "a")
    consumer = Consumer(house)

    consumer.start()
    time.sleep(0.3)
    meanwhile = house.runs()
    others.release(held)
    soon(lambda: house.runs() == {"a"})
    consumer.stop()
    others.close()

    assert meanwhile == set()


def test_one_whose_lease_has_passed_writes_nothing_more(rooms: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TRY", 0.05)
    house = rooms()
    consumer = Consumer(house)
    consumer.start()
    soon(lambda: dict(house.store.service("lease")).get(LEASE))

    # Somebody else took it over, as after a long pause of this process.
    house.store.transact(
        lambda tx: tx.service_put("lease", LEASE, {"token": 99, "until": tx.now + 10**12, "lasts": 10**12})
    )
    house.ring("bell", "a")
    time.sleep(0.5)
    consumer.stop()

    assert house.runs() == set() and waiting(house.store, "bell") == 1


def test_a_store_that_fails_is_tried_again(rooms: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WAIT", 0.02)
    house = rooms()
    house.ring("bell", "a")
    consumer = Consumer(house)
    failures: list[int] = []
    service = house.store.service

    def failing(*args: Any, **kwargs: Any) -> Any:
        if len(failures) < 3:
            failures.append(1)
            raise StoreUnavailable("away")
        return service(*args, **kwargs)

    monkeypatch.setattr(house.store, "service", failing)
    consumer.start()
    soon(lambda: house.runs() == {"a"})
    consumer.stop()

    assert len(failures) == 3


def test_old_deliveries_are_forgotten(rooms: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN_DAYS", -1)
    house = rooms()
    house.ring("bell", "a")
    consumer = Consumer(house)

    consumer.start()
    soon(lambda: not house.store.service(DELIVERIES))
    consumer.stop()

    assert house.runs() <= {"a"}


def test_a_house_in_which_nobody_takes_requests_needs_no_consumer(tmp_path: Path) -> None:
    house = Rooms(tmp_path / "kinlore.db", ())
    consumer = Consumer(house)

    consumer.start()
    consumer.stop()

    assert house.store.service("lease") == []
    house.close()
