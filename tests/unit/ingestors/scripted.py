"""A source that does as it is told: pages, errors and what it is asked for are given by the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

from app.store.sqlite.store import SqliteStore
from graph_schema.claims import Claim, Names, States
from graph_schema.identifiers import identifier
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from graph_schema.values import Node
from ingestors.loop import Policy
from ingestors.report import CURSOR, DEAD_LETTERS
from ingestors.source import Item, Pulled, Source, SourceConfig

#: Never waits, and remembers what it would have waited.
waits: list[float] = []
QUICK = Policy(sleep=waits.append)

Script = Callable[[Any, Micros], Iterator[Pulled]]


class Scripted(Source):
    """``script(cursor, now)`` gives the pages; ``existing`` is what ``get`` finds (None: cannot be asked)."""

    type: ClassVar[str] = "scripted"
    config_model = SourceConfig
    retirable = ("run",)

    def __init__(self, script: Script, existing: frozenset[str] | None = None, name: str = "tool") -> None:
        super().__init__(SourceConfig(type="scripted", name=name))
        self.script = script
        self.existing = existing
        self.cursors: list[Any] = []
        self.asked: list[str] = []

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        self.cursors.append(cursor)
        return self.script(cursor, now)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        if item.data.get("broken"):
            raise KeyError("a field that is not there")
        run = identifier("mlflow.run_id", item.key)
        if item.data.get("refused"):
            # The store refuses a node of one kind under the name of another.
            return [States(NodeKind.DATASET, run, {"name": "x"})]
        return [Names(NodeKind.RUN, (run,)), States(NodeKind.RUN, run, dict(item.data))]

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        self.asked += keys
        return self.existing


def items(*keys: str, now: Micros = 1, **data: Any) -> list[Item]:
    """Runs with these keys and this data."""
    return [Item(key, "run", now, {"name": key, **data}) for key in keys]


def numbered(count: int, start: int = 0) -> list[str]:
    """``r000``, ``r001``, …"""
    return [f"r{number:03d}" for number in range(start, start + count)]


def listing(*keys: str) -> Script:
    """One complete page with these runs."""

    def script(cursor: Any, now: Micros) -> Iterator[Pulled]:
        yield Pulled(items(*keys, now=now), {"at": now}, len(keys), {"run": frozenset(keys)})

    return script


def runs(store: SqliteStore) -> dict[str, Node]:
    return {node.name: node for node in store.find(NodeKind.RUN, first=1_000).items}


def cursor_of(store: SqliteStore) -> Any:
    return dict(store.service(CURSOR)).get("tool")


def letters(store: SqliteStore) -> dict[str, Any]:
    return dict(store.service(DEAD_LETTERS))
