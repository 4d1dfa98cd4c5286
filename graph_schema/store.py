"""The contract of a graph store. Two engines keep it: SQLite and Neo4j; every test of it runs on both.

No method takes query text. Nodes are named by *handles* inside a process: small integers that a store
gives out (:meth:`GraphStore.resolve`) and that stay good while the store is open. Answers to people carry
identifiers, never handles.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from graph_schema.claims import Claim, Links, Record
from graph_schema.edges import EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.times import Micros
from graph_schema.values import (
    NOW,
    Ahead,
    Bond,
    Columns,
    Direction,
    Edge,
    Expansion,
    Fence,
    Filter,
    Hit,
    Label,
    Moment,
    Node,
    Ordering,
    Page,
    Spaces,
)

T = TypeVar("T")


class Source(msgspec.Struct, frozen=True):
    """Who writes: the configured name, the type (``git``, ``mlflow``, …) and the space it belongs to."""

    name: str
    type: str
    space: str = "default"


#: Sources of tags that were inferred, one for each space. They are no part of the state digest: they are
#: worked out beside ingestion, whenever there is time.
INFERRED = "kinlore.tags"


def is_inferred(source: str) -> bool:
    """Whether a source, by its name, says only what was inferred."""
    return source == INFERRED or source.startswith(f"{INFERRED}@")


RuleKey = tuple[str, str]
"""A rule, and the key of the claims that it reads."""


class Touch(msgspec.Struct, frozen=True):
    """A derivation that has to be run again: ``rule`` under ``key``, for claims at or after ``at``.

    ``anchor`` names the claim that changed or went; its derived edges must be restated, if only as none.
    """

    rule: str
    key: str
    at: Micros | None
    anchor: str


class KeyedClaim(msgspec.Struct, frozen=True):
    """A :class:`graph_schema.claims.Keyed` as it is held. ``node`` and ``by_node`` are the handles of the
    nodes that ``ref`` and ``by`` name now; ``anchor`` identifies the claim: what is derived from it is
    restated under that name."""

    anchor: str
    role: str
    ref: str | None
    node: int | None
    by: str | None
    by_node: int | None
    at: Micros | None
    until: Micros | None
    data: Mapping[str, Any]
    source: str


class Derived(msgspec.Struct, frozen=True):
    """An edge that a rule found, and the names of the sources whose claims it needs."""

    edge: Links
    sources: tuple[str, ...]


class Written(msgspec.Struct):
    """What a write did. Counts of records by outcome, and of graph elements by change."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    stale: int = 0
    nodes: int = 0
    edges: int = 0
    edges_retired: int = 0
    refused: list[str] = msgspec.field(default_factory=list)
    touched: list[Touch] = msgspec.field(default_factory=list)

    @property
    def changes(self) -> int:
        """Records and edges that differ from before."""
        return self.new + self.changed + self.edges + self.edges_retired

    def add(self, other: Written) -> None:
        """Count another write into this one."""
        self.new += other.new
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.stale += other.stale
        self.nodes += other.nodes
        self.edges += other.edges
        self.edges_retired += other.edges_retired
        self.refused.extend(other.refused)
        self.touched.extend(other.touched)


class Held(msgspec.Struct, frozen=True):
    """A record that the store holds: its key, and since when it is gone at the source (microseconds)."""

    key: str
    gone_at: Micros | None


class Transaction(Protocol):
    """What can be done under the writer lock. All of it is committed together, or nothing."""

    @property
    def now(self) -> Micros:
        """The store's time at the start of the transaction; it never runs backwards."""

    @property
    def revision(self) -> int:
        """The number that this transaction gets if it changes the graph."""

    def write(self, source: Source, records: Sequence[Record]) -> Written:
        """Replace what these records claimed before. Raises BadClaim for a claim against the vocabulary."""

    def settled(self, source: Source, stamps: Sequence[tuple[str, int, bytes]]) -> set[str]:
        """Of these (key, version, stamp), the keys of records that are held with this very stamp and are not
        gone: writing them would change nothing. Their versions are brought up to date."""

    def keyed(
        self,
        rule: str,
        key: str,
        *,
        role: str | None = None,
        since: Micros | None = None,
        until: Micros | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[KeyedClaim]:
        """Current claims of a rule under a key with ``since ≤ at < until``, by (at, ref, anchor)."""

    def ahead(self, keys: Collection[tuple[str, str]]) -> None:
        """These (rule, key) will be asked for by :meth:`keyed` soon: a hint, without an effect on answers."""

    def matching(self, scheme: str, value: str) -> list[tuple[str, int]]:
        """All live identifiers with this scheme and value under any scope: (text, handle of the node)."""

    def derive(self, found: Mapping[RuleKey, Mapping[str, Sequence[Derived]]]) -> Written:
        """Restate, for each (rule, key), the edges derived under these anchors; anchors that are not named
        keep theirs.

        The ``touched`` of what comes back names derivations that this changed in turn."""

    def conclude(self, found: Mapping[RuleKey, Mapping[str, Sequence[Claim]]]) -> Written:
        """Restate what rules conclude under keys: claims, by the name of the source that they rest on.
        They are held as a record of that source, and are claims like any other: rules read them. Sources
        that are not named lose theirs. ``touched`` as in :meth:`derive`; records are not counted."""

    def held(self, source: Source, type: str, after: str = "", limit: int = 10_000) -> list[Held]:
        """Records of one type that the store holds for a source, by key, gone ones included."""

    def retire(self, source: Source, keys: Sequence[str], at: Micros | None) -> int:
        """Mark records as gone at the source (``at`` None: back again). Returns how many changed."""

    def service_get(self, collection: str, key: str) -> Any | None:
        """A service record (cursor, lease, dead letter, …), a JSON value, or None."""

    def service_put(self, collection: str, key: str, value: Any) -> None:
        """Write a service record."""

    def service_delete(self, collection: str, key: str) -> None:
        """Remove a service record, if it is there."""

    def service_list(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 1_000
    ) -> list[tuple[str, Any]]:
        """Service records of a collection by key, after a key."""


class Migration(msgspec.Struct, frozen=True):
    """What ``migrate`` did: the schema version before and after."""

    before: int
    after: int


class Counts(msgspec.Struct, frozen=True):
    """Size of the current graph: live nodes and current edges by kind, records held, and the revision."""

    nodes: dict[str, int]
    edges: dict[str, int]
    records: int
    revision: int


class GraphStore(Protocol):
    """A graph of claims. Reads see one consistent state per call and never wait for a writer."""

    def migrate(self) -> Migration:
        """Bring the schema to this version; resumable, and a no-op when it is there. Raises SchemaTooNew."""

    def prepare(self) -> None:
        """To be called once by a process that will write for long beside others, before it does: what would
        hold them up later is done now, as far as it can be."""

    def transact(self, work: Callable[[Transaction], T], fence: Fence | None = None) -> T:
        """Take the writer lock, run ``work`` (which may be repeated), commit. Raises Fenced, StoreBusy."""

    def deposit(self, rows: Sequence[tuple[str, str, Any]]) -> float:
        """Store service records, given as (collection, key, JSON value): all or none, and durable on return.
        Returns the seconds that the next one had better wait where more is arriving: fewer and larger ones
        leave the engine to others.

        For what comes in from outside and waits to be taken in: where the engine can, it waits neither for
        the writer lock nor for whoever holds it. No fence, no revision, and nothing is compared with what is
        held; keys are the depositor's own, and one that is held already is written over."""

    def resolve(self, text: str, *, known_at: Micros | None = None, spaces: Spaces = None) -> list[int]:
        """Handles of every node that ``scheme=value`` names: exactly, under any scope, by an unambiguous
        prefix of a commit, or by a look-up scheme: ``name``, or ``uri`` and the like, as of now.
        Raises BadIdentifier."""

    def get(
        self, handles: Sequence[int], *, known_at: Micros | None = None, spaces: Spaces = None
    ) -> list[Node | None]:
        """The nodes, in order; None where there is none at that time, or none the caller may read."""

    def labels(self, handles: Sequence[int], *, known_at: Micros | None = None) -> list[Label]:
        """Id, kind and name of nodes, in order. Handles come from this store, so none is missing."""

    def heard(self, handles: Sequence[int], *, known_at: Micros | None = None) -> list[Micros | None]:
        """When something new was last said of each node: by its source's own time where that gives one, else
        when it was recorded. None where there is none at that time."""

    def find(
        self,
        kind: NodeKind,
        where: Sequence[Filter] = (),
        ordering: Ordering = ...,
        first: int = 50,
        after: str | None = None,
        *,
        known_at: Micros | None = None,
        spaces: Spaces = None,
    ) -> Page[Node]:
        """Nodes of a kind that fulfil all conditions, a page at a time (keyset: stable under writes)."""

    def expand(
        self,
        handles: Sequence[int],
        direction: Direction,
        kinds: Sequence[EdgeKind],
        moment: Moment = NOW,
        spaces: Spaces = None,
        ahead: Ahead | None = None,
    ) -> Expansion:
        """One hop along edges of these kinds, closed over ``SAME_AS``; see :class:`Expansion`.
        ``direction`` is UPSTREAM or DOWNSTREAM. ``ahead``: what is to follow; one state may then answer
        several hops, so it belongs to one walk and is thrown away with it."""

    def edges(self, beliefs: Sequence[int], *, known_at: Micros | None = None) -> list[Edge]:
        """The edges behind steps, in order."""

    def search_text(
        self, text: str, kinds: Sequence[NodeKind] = (), first: int = 20, *, spaces: Spaces = None
    ) -> list[Hit]:
        """Full-text matches in names, identifiers and property texts, best first."""

    def put_vectors(self, model: str, rows: Sequence[tuple[int, str, Sequence[float]]]) -> None:
        """Store embeddings of nodes: (handle, hash of the embedded content, vector). One model, one size."""

    def vectors(self, model: str, handles: Sequence[int]) -> list[tuple[str, bytes] | None]:
        """Embeddings of nodes, in order: (hash of the embedded content, float32 numbers of a vector of length
        one, little-endian); None where this model has none of a node."""

    def search_vectors(
        self, model: str, vector: Sequence[float], kinds: Sequence[NodeKind] = (), first: int = 20
    ) -> list[Hit]:
        """Nodes whose embeddings are nearest by cosine, best first, whoever may read them."""

    def service(
        self, collection: str, *, prefix: str = "", after: str = "", limit: int = 1_000
    ) -> list[tuple[str, Any]]:
        """Service records, read outside a transaction, by key."""

    def counts(self) -> Counts:
        """Size of the current graph."""

    def columns(self, kinds: Sequence[EdgeKind]) -> Columns:
        """All live nodes and all current edges of these kinds, of one state: for keeping them in memory."""

    def bonds(self, handles: Sequence[int], *, spaces: Spaces = None) -> list[Bond]:
        """Current claims on the identity of these nodes and of all that such claims tie to them, sorted."""

    def refusals(self) -> list[str]:
        """Identity claims that are refused because they break an exclusive scheme or a person's ``apart``."""

    def open_references(self) -> list[str]:
        """Edges whose end does not say its scope and has no match, or several: ``source kind target``."""

    def digest(self) -> str:
        """State digest (hex): current beliefs and properties, the same for every order of arrival."""

    def backup_digest(self) -> str:
        """Digest of everything that is held, history and service records included."""

    def close(self) -> None:
        """Release connections. The store cannot be used afterwards."""
