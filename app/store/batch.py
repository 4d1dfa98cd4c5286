"""One pass of the writer over the tables: identifiers, beliefs, joins, nodes; applied together at the end.

A pass collects :class:`Changes` in memory; ``app/store/finish.py`` settles identity, puts nodes together,
applies everything and finds out which identifiers nobody names any more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from app.store.changed import MOST, touched
from app.store.engine import Engine
from app.store.rows import (
    NODE_CODES,
    NODE_KINDS,
    BeliefRow,
    Changes,
    Fact,
    IdentRow,
    JoinRow,
    KeyedRow,
    to_json,
)
from graph_schema.edges import EDGE_CODES, EDGES, EdgeKind, check_ends
from graph_schema.errors import BadClaim
from graph_schema.identifiers import head_of, is_normal, parse
from graph_schema.kinds import NodeKind
from graph_schema.store import Touch, Written
from graph_schema.times import Micros
from graph_schema.wording import a_or_an

_ALLOWED = {(kind, NODE_CODES[a], NODE_CODES[b]) for kind, spec in EDGES.items() for a, b in spec.pairs}

SAME_AS = EDGE_CODES[EdgeKind.SAME_AS]


def open_key(text: str) -> str | None:
    """The key of references that do not say under which scope, and may mean this identifier that has one."""
    head, _, value = text.partition("=")
    scheme, scoped, _ = head.partition("@")
    return f"{scheme}={value}" if scoped else None


class Batch:
    """State of one pass. ``revision`` is the revision that everything new gets."""

    def __init__(
        self,
        engine: Engine,
        counters: dict[str, int],
        source_of: dict[int, tuple[str, str]],
        revision: int,
        written: Written,
        noted: set[int],
    ) -> None:
        self.engine = engine
        self.counters = counters
        self.source_of = source_of
        self.revision = revision
        self.written = written
        # Nodes that this transaction changed, or whose edges.
        self.noted = noted
        self.changes = Changes()
        self.by_text: dict[str, IdentRow] = {}
        self.by_iid: dict[int, IdentRow] = {}
        self.fresh: set[int] = set()
        self.fact_puts: dict[int, list[Fact]] = defaultdict(list)
        self.fact_drops: dict[int, set[int]] = defaultdict(set)
        # Identifiers whose join claims changed; whose claims went; that name another node than before.
        self.joined: set[int] = set()
        self.dropped: set[int] = set()
        self.restated: set[int] = set()
        # Node ids given out in this pass (no row yet), and nodes that gained or lost identifiers.
        self.given: set[int] = set()
        self.regrouped: set[int] = set()
        # Identifiers claimed again after they had died, with the node that they redirected to.
        self.revived: dict[int, int] = {}
        # Identifiers that this pass moved, with the node that they left; nodes that it made.
        self.left: dict[int, int] = {}
        self.made: set[int] = set()
        self._beliefs: dict[int, BeliefRow] = {}
        self._ends: dict[int, tuple[int, int]] = {}

    # identifiers ---------------------------------------------------------------------------------------

    def load(self, texts: Collection[str], kinds: Mapping[str, NodeKind | None]) -> None:
        """Have a row for every identifier. ``kinds`` settles what a scheme leaves open."""
        missing = [t for t in texts if t not in self.by_text]
        if not missing:
            return
        for row in self.engine.idents(missing).values():
            self.by_text[row.text] = row
            self.by_iid[row.iid] = row
        scoped: list[IdentRow] = []
        next_id = self.counters.get("ident", 0)
        for text in missing:
            held = self.by_text.get(text)
            head = head_of(text.partition("=")[0])
            kind = head.kind or kinds.get(text)
            if held is None:
                if kind is None:
                    raise BadClaim(f"nothing says what kind of thing {text} is")
                if not is_normal(text):
                    raise BadClaim(f"{text} is not in its normal form, which is {parse(text)}")
                next_id += 1
                held = IdentRow(next_id, text, NODE_CODES[kind], next_id, self.revision)
                self.by_text[text] = held
                self.by_iid[next_id] = held
                self.fresh.add(next_id)
                self.given.add(next_id)
                self.changes.new_idents.append(held)
            else:
                if kind is not None and NODE_KINDS[held.kind] is not kind:
                    raise BadClaim(
                        f"{text} is {a_or_an(NODE_KINDS[held.kind])}, it cannot be {a_or_an(kind)}"
                    )
                if held.live:
                    continue
                # A dead identifier only redirected; claimed again, it names a node of its own until joined.
                next_id += 1
                self.revived[held.iid] = held.nid
                held.nid, held.since, held.live = next_id, self.revision, True
                self.given.add(next_id)
                self.changes.idents[held.iid] = held
                self.restated.add(held.iid)
            if head.scope is not None:
                scoped.append(held)
        self.counters["ident"] = next_id
        self.touch_references(scoped)

    def rows(self, iids: Iterable[int]) -> None:
        """Have the rows of these identifiers at hand in ``by_iid``."""
        missing = [i for i in iids if i not in self.by_iid]
        if missing:
            for iid, row in self.engine.idents_by_id(missing).items():
                self.by_iid[iid] = row
                self.by_text[row.text] = row

    def touch_references(self, idents: Iterable[IdentRow]) -> None:
        """Run open references again that these scoped identifiers may answer."""
        keys = {key for row in idents if (key := open_key(row.text)) is not None}
        if keys:
            for key in sorted(self.engine.keyed_keys("open", keys)):
                self.written.touched.append(Touch("open", key, None, ""))

    # beliefs -------------------------------------------------------------------------------------------

    def check_edge(self, kind: EdgeKind, src: IdentRow, dst: IdentRow) -> None:
        """Raise BadClaim for an edge between kinds that it may not join."""
        if (kind, src.kind, dst.kind) in _ALLOWED:
            return
        why = check_ends(kind, NODE_KINDS[src.kind], NODE_KINDS[dst.kind])
        if why:
            raise BadClaim(f"{why} ({src.text} → {dst.text})")

    def open_belief(
        self,
        content: tuple[int, int, int, Micros | None, Micros | None, bytes | None],
        oid: int,
        rid: int,
        anchor: int | None,
    ) -> int:
        """A new belief; its node ids are filled in when identity has settled."""
        bid = self.counters.get("belief", 0) + 1
        self.counters["belief"] = bid
        kind, src, dst, since, until, data = content
        self.changes.new_beliefs.append(
            BeliefRow(bid, kind, src, dst, 0, 0, oid, rid, anchor, since, until, self.revision, None, data)
        )
        self.written.edges += 1
        return bid

    def known_belief(self, row: BeliefRow) -> BeliefRow:
        """The one object that stands for a held belief in this pass."""
        known = self._beliefs.setdefault(row.bid, row)
        self._ends.setdefault(row.bid, (known.src_nid, known.dst_nid))
        return known

    def retire_belief(self, row: BeliefRow) -> None:
        """Stop holding a belief; it stays visible to ``knownAt``."""
        row = self.known_belief(row)
        if row.retired is None:
            row.retired = self.revision
            self.dropped.update((row.src, row.dst))
            self.written.edges_retired += 1

    def retire_links(self, links: Collection[tuple[int, int, int, int]]) -> None:
        """Retire beliefs by what ``Marks`` says of them."""
        for row in self.engine.beliefs(links):
            self.retire_belief(row)

    def pack(self, properties: dict[str, Any] | None, evidence: str | None) -> bytes | None:
        """Properties and evidence of a belief as stored."""
        if not properties and evidence is None:
            return None
        return to_json([properties or {}, evidence])

    # joins and keyed -----------------------------------------------------------------------------------

    def add_join(self, row: JoinRow) -> None:
        """A new claim on identity."""
        self.changes.new_joins.append(row)
        self.joined.update((row.a, row.b))

    def drop_joins(self, rows: Iterable[JoinRow]) -> None:
        """Withdraw claims on identity."""
        for row in rows:
            self.changes.gone_joins.append(row.jid)
            self.joined.update((row.a, row.b))
            self.dropped.update((row.a, row.b))
            if row.belief is not None:
                self.retire_links([(SAME_AS, row.a, row.b, row.belief)])

    def add_keyed(self, row: KeyedRow) -> None:
        """A new keyed claim, and the derivation that it calls for."""
        self.changes.new_keyed.append(row)
        self.written.touched.append(Touch(row.rule, row.key, row.at, row.anchor))

    def drop_keyed(self, row: KeyedRow) -> None:
        """Withdraw a keyed claim."""
        self.changes.gone_keyed.append(row.kid)
        self.dropped.update(i for i in (row.ref, row.by) if i is not None)
        self.written.touched.append(Touch(row.rule, row.key, row.at, row.anchor))

    # the end of the pass -------------------------------------------------------------------------------

    def apply(self) -> None:
        """Write what was collected, and note which nodes it concerns."""
        if len(self.noted) <= MOST:
            self.noted.update(touched(self.changes))
        self.engine.apply(self.changes)
        self.changes = Changes()

    def node_of(self, iid: int) -> int:
        """The node that an identifier names, as settled so far."""
        return self.by_iid[iid].nid

    def move(self, moved: dict[int, int]) -> None:
        """Carry the beliefs of moved identifiers over. ``moved``: ident → node that it named before."""
        beliefs, claims = self.engine.touching(set(moved.values()), moved)
        for row in beliefs:
            row = self.known_belief(row)
            if row.src in moved:
                row.src_nid = self.node_of(row.src)
            if row.dst in moved:
                row.dst_nid = self.node_of(row.dst)
        for keyed in claims:
            self.written.touched.append(Touch(keyed.rule, keyed.key, keyed.at, keyed.anchor))
        self.touch_references(self.by_iid[i] for i in moved)

    def place_beliefs(self) -> None:
        """Give beliefs the node ids that identity has settled on, and collect those that moved or went."""
        by_iid = self.by_iid
        new = self.changes.new_beliefs
        self.rows({row.src for row in new} | {row.dst for row in new})
        for row in new:
            row.src_nid = by_iid[row.src].nid
            row.dst_nid = by_iid[row.dst].nid
        for bid, row in self._beliefs.items():
            before = self._ends[bid]
            if row.retired == self.revision:
                self.changes.retired.append((row, *before))
            elif (row.src_nid, row.dst_nid) != before:
                self.changes.moved.append((row, *before))
        self._beliefs.clear()
        self._ends.clear()
