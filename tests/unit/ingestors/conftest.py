"""What tests of the loop share: a real store, and a source that does as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.store.sqlite.store import SqliteStore
from ingestors.inbox import Inbox


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "kinlore.db")
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def inbox(store: SqliteStore) -> Iterator[Inbox]:
    inbox = Inbox(store)
    yield inbox
    inbox.close()
