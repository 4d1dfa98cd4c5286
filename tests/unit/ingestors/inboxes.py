"""What tests of the inbox do again and again: put, apply, look at what was refused."""

from __future__ import annotations

from typing import Any

from app.store.sqlite.store import SqliteStore
from ingestors.inbox import Answer, Inbox
from ingestors.pushed import Pushed
from ingestors.report import DEAD_LETTERS, Report
from ingestors.source import Item, Source
from tests.bell import BellConfig, BellSource


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
