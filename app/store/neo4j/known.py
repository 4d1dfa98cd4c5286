"""What a transaction has read, as long as it stands: nobody else writes meanwhile, so until it writes itself.

Rows are kept as the server sent them, and made anew for whoever asks: the writer changes what it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.store.neo4j import codec
from app.store.rows import BeliefRow, Changes, IdentRow, JoinRow, NodeRow, RecordRow

Row = Sequence[Any]


class Known:
    """Rows by what they are asked for by; None, or no rows, where there is nothing.

    ``places`` and ``arrows`` are Neo4j's own ids of items and of relationships, good within the transaction:
    by them an edge costs a third of what it costs by an index, which is locked for each look.
    """

    def __init__(self) -> None:
        self.rkeys: dict[int, str] = {}
        self.places: dict[int, int] = {}
        self.arrows: dict[int, int] = {}
        self.records: dict[str, Row | None] = {}
        self.idents: dict[int, Row] = {}
        self.texts: dict[str, int | None] = {}
        self.nodes: dict[int, Row | None] = {}
        self.members: dict[int, list[int]] = {}
        self.joins: dict[int, Row] = {}
        self.touching: dict[int, list[Row]] = {}
        self.anchored: dict[int, list[Row]] = {}
        self.beliefs: dict[int, Row] = {}
        self.keyed: dict[int, Row] = {}
        self.occupied: dict[str, bool] = {}

    # what was read -------------------------------------------------------------------------------------

    def take_records(self, rkeys: Iterable[str], rows: Iterable[Row]) -> None:
        """Records by their keys in the store."""
        self.records.update(dict.fromkeys(rkeys))
        for row in rows:
            self.rkeys[row[0]] = row[1]
            self.records[row[1]] = row

    def take_idents(self, rows: Iterable[Row], texts: Iterable[str] = ()) -> None:
        """Identifiers; ``texts``: those that were asked for."""
        for text in texts:
            self.texts.setdefault(text, None)
        for row in rows:
            self.idents[row[0]] = row
            self.texts[row[1]] = row[0]
            self.places[row[0]] = row[6]

    def take_nodes(self, rows: Iterable[Row], nids: Iterable[int] = ()) -> None:
        """Nodes; ``nids``: those that were asked for."""
        self.nodes.update(dict.fromkeys(nids))
        self.nodes.update((row[0], row) for row in rows)

    def take_beliefs(self, rows: Iterable[Row]) -> list[BeliefRow]:
        """Beliefs, with Neo4j's own id of each behind its columns; a belief that came twice is there once."""
        found = {row[0]: row for row in rows}
        self.arrows.update((bid, row[14]) for bid, row in found.items())
        return [codec.belief_row(row) for row in found.values()]

    def take_cluster(self, nids: Iterable[int], idents: Sequence[Row], joins: Iterable[Row]) -> None:
        """All identifiers of some nodes, and all claims on the identity of these identifiers."""
        self.take_idents(idents)
        for nid in nids:
            self.members[nid] = []
        for row in idents:
            self.members[row[3]].append(row[0])
            self.touching[row[0]] = []
        for join in joins:
            for end in {join[1], join[2]}:
                if end in self.touching:
                    self.touching[end].append(join)

    def take_occupied(self, asked: Iterable[str], found: Iterable[Row]) -> None:
        """Which of these places of keyed claims have any."""
        self.occupied.update(dict.fromkeys(asked, False))
        self.occupied.update((row[0], True) for row in found)

    def take_anchored(self, anchors: Iterable[int], joins: Iterable[Row]) -> None:
        """Claims on identity by the anchor that they are derived under."""
        self.anchored.update((anchor, []) for anchor in anchors)
        for row in joins:
            self.anchored[row[6]].append(row)

    # what is asked for ---------------------------------------------------------------------------------

    def record_rows(self, sid: int, asked: Mapping[str, str]) -> dict[str, RecordRow]:
        """Records by key; ``asked``: the keys, by those in the store."""
        found: dict[str, RecordRow] = {}
        for rkey, key in asked.items():
            if (row := self.records[rkey]) is not None:
                rid, _, type_, version, digest, marks, gone_at = row
                found[key] = RecordRow(rid, sid, key, type_, version, bytes(digest), bytes(marks), gone_at)
        return found

    def ident_rows(self, iids: Iterable[int]) -> dict[int, IdentRow]:
        """Identifiers that are there, by id."""
        return {iid: codec.ident_row(row) for iid in iids if (row := self.idents.get(iid)) is not None}

    def node_rows(self, nids: Iterable[int]) -> dict[int, NodeRow]:
        """Nodes that are there, by id."""
        return {nid: codec.node_row(row) for nid in nids if (row := self.nodes[nid]) is not None}

    def joins_of(self, iids: Iterable[int]) -> list[JoinRow]:
        """Claims on the identity of these identifiers."""
        found = {row[0]: row for iid in iids for row in self.touching[iid]}
        return [codec.join_row(row) for row in found.values()]

    # what was written ----------------------------------------------------------------------------------

    def forget(self, c: Changes) -> None:
        """What these changes, which have been written, make untrue; what they say of identifiers is known."""
        for record in (*c.new_records, *c.records):
            self.records.pop(codec.record_key(record.sid, record.key), None)
        for rid, _ in c.versions:
            self.records.pop(self.rkeys[rid], None)
        for ident in (*c.new_idents, *c.idents.values()):
            self.idents[ident.iid] = codec.ident_columns(ident)
            self.texts[ident.text] = ident.iid
        for nid in (*c.new_nodes, *c.nodes):
            self.nodes.pop(nid, None)
        if c.new_idents or c.idents:
            self.members.clear()
            self.touching.clear()
        if c.joins or c.new_joins or c.gone_joins:
            self.touching.clear()
            self.anchored.clear()
            self.joins.clear()
        if c.moved or c.retired:
            self.beliefs.clear()
        if c.gone_keyed:
            self.keyed.clear()
            self.occupied.clear()
        for claim in c.new_keyed:
            self.occupied[codec.place_of(claim.rule, claim.key)] = True
