"""What an engine does for the writer inside one transaction: bulk reads of rows, and applying changes.

The writer (:mod:`app.store.writer`) holds all the rules; an engine holds none. Everything is asked for in
bulk, so that an engine across a network answers a page of records in a handful of round trips.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from app.store.rows import (
    BeliefRow,
    Changes,
    IdentRow,
    JoinRow,
    KeyedRow,
    Marks,
    NodeRow,
    RecordRow,
    SourceRow,
)
from graph_schema.claims import Record
from graph_schema.times import Micros


class Engine(Protocol):
    """One open transaction, under the writer lock."""

    def sources(self) -> list[SourceRow]:
        """All sources that have ever written."""

    def put_source(self, row: SourceRow) -> None:
        """Insert a source, or update its type and space."""

    def origins(self) -> dict[tuple[int, ...], int]:
        """Sets of sources (ascending sids) that beliefs come from, by the set."""

    def put_origin(self, oid: int, sids: tuple[int, ...]) -> None:
        """Insert an origin."""

    def counters(self) -> dict[str, int]:
        """Last ids given out, by row type: ``record``, ``ident`` (idents and nodes), ``belief``, ``join``,
        ``keyed``, ``source``, ``origin``. Missing means none yet."""

    def put_counters(self, counters: dict[str, int]) -> None:
        """Write the counters back."""

    def expect(self, sid: int, records: Sequence[Record]) -> None:
        """These are about to be written for a source: what is held of them, and of what they name, will be
        asked for. Like :meth:`recall` and :meth:`ahead` without an effect on answers: what is far away may
        be read at once."""

    def recall(self, marks: Collection[Marks]) -> None:
        """What these say was made will be asked for, and the nodes that they speak of."""

    def records(self, sid: int, keys: Collection[str]) -> dict[str, RecordRow]:
        """Records of a source by key."""

    def held(self, sid: int, type: str, after: str, limit: int) -> list[tuple[str, Micros | None]]:
        """(key, gone_at) of records of one type with key > after, by key."""

    def idents(self, texts: Collection[str]) -> dict[str, IdentRow]:
        """Identifiers by text, dead ones too."""

    def idents_by_id(self, iids: Collection[int]) -> dict[int, IdentRow]:
        """Identifiers by id."""

    def matching(self, scheme: str, value: str) -> list[IdentRow]:
        """Live identifiers whose text is ``scheme=value`` or ``scheme@<any scope>=value``."""

    def members(self, nids: Collection[int]) -> list[IdentRow]:
        """All identifiers, dead ones too, that name these nodes."""

    def nodes(self, nids: Collection[int]) -> dict[int, NodeRow]:
        """Node rows by id."""

    def beliefs(self, links: Collection[tuple[int, int, int, int]]) -> list[BeliefRow]:
        """Current beliefs by (edge code, source ident, target ident, belief id), as in ``Marks.links``."""

    def touching(
        self, nids: Collection[int], iids: Collection[int]
    ) -> tuple[list[BeliefRow], list[KeyedRow]]:
        """Beliefs with an end in these nodes, current and past; keyed claims that name these identifiers as
        ``ref`` or ``by``."""

    def derived(self, anchors: Collection[int]) -> list[BeliefRow]:
        """Current beliefs with these anchors, but not those that stand for a join row."""

    def joins(self, jids: Collection[int]) -> list[JoinRow]:
        """Join rows by id."""

    def joins_anchored(self, anchors: Collection[int]) -> list[JoinRow]:
        """Join rows with these anchors."""

    def joins_touching(self, iids: Collection[int]) -> list[JoinRow]:
        """Join rows with an end in these identifiers."""

    def keyed_rows(self, kids: Collection[int]) -> list[KeyedRow]:
        """Keyed claims by id."""

    def keyed_keys(self, rule: str, keys: Collection[str]) -> set[str]:
        """Which of these keys have claims of this rule."""

    def keyed(
        self,
        rule: str,
        key: str,
        role: str | None,
        since: Micros | None,
        until: Micros | None,
        descending: bool,
        limit: int | None,
    ) -> list[tuple[KeyedRow, IdentRow | None, IdentRow | None]]:
        """Keyed claims in a window ``since ≤ at < until`` by (at, ref text, anchor), with the identifiers
        of ``ref`` and ``by``. A claim without a time lies before all others."""

    def ahead(self, keys: Collection[tuple[str, str]]) -> None:
        """These (rule, key) will be asked for by :meth:`keyed` soon; what is far away may be read at once."""

    def used(self, idents: Collection[IdentRow]) -> set[int]:
        """Of these identifiers, those that a current belief, join or keyed claim of a record still names.

        What is derived (it has an anchor) keeps nothing alive, or it would keep itself."""

    def apply(self, changes: Changes) -> None:
        """Write all changes, in the order of the fields of :class:`Changes`."""

    def service_get(self, collection: str, key: str) -> Any | None:
        """A service record or None."""

    def service_put(self, collection: str, key: str, value: Any) -> None:
        """Write a service record."""

    def service_delete(self, collection: str, key: str) -> None:
        """Remove a service record."""

    def service_list(self, collection: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, Any]]:
        """Service records whose key has the prefix and is > after, by key."""
