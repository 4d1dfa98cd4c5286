"""Fields that are not plain attributes: resolved for all objects of a level, in a fixed number of calls."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from itertools import count
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from graphql.pyutils import Path

from app.embeddings.background import Model
from app.lineage.aliases import Stay, moves_of, stays
from app.lineage.closure import classes
from app.lineage.stalled import STALLED_AFTER, marked
from app.settings import CRITICAL, PRODUCTION
from graph_schema.edges import EdgeKind
from graph_schema.identifiers import head_of
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import NOW, Direction, Edge, Label, Moment, Node, Spaces, Step, Subgraph

if TYPE_CHECKING:
    from app.answers.adjacencies import Adjacencies

Link = tuple[Edge, Node]
"""An edge and the node at its other end."""


class Jobs(Protocol):
    """What pulls the sources where it is asked to; only a server that runs them has one."""

    def ask(self, name: str, *, full: bool = False, accept_retirement: bool = False) -> int:
        """Ingest a source now; the number of the run. Raises StoreBusy."""


class Ask:
    """One root field's view of the graph: the store, who asks, and the moment they ask about.

    ``production``: names of environments; ``critical``: labels of what is; ``held``: the graph in memory;
    ``model``: what compares meanings.
    """

    def __init__(
        self,
        store: GraphStore,
        spaces: Spaces,
        sources: Callable[[], Sequence[Any]],
        jobs: Jobs | None = None,
        stalled_after: float = STALLED_AFTER,
        *,
        production: Collection[str] = PRODUCTION,
        critical: Collection[str] = CRITICAL,
        held: Adjacencies | None = None,
        model: Model | None = None,
    ) -> None:
        self.store = store
        self.production = production
        self.critical = critical
        self.held = held
        self.model = Model(None) if model is None else model
        self.jobs = jobs
        self.stalled_after = stalled_after
        self.spaces = spaces
        self.sources = sources
        self.moment: Moment = NOW
        self._noted: set[int] = set()
        self._links: dict[EdgeKind, dict[int, list[Link]]] = {}

    def nodes(self, handles: Sequence[int]) -> list[Node | None]:
        """Nodes by handle at the moment asked about."""
        return self.marked(self.store.get(handles, known_at=self.moment.known_at, spaces=self.spaces))

    def marked(self, nodes: Sequence[Node | None]) -> list[Node | None]:
        """Nodes of the moment asked about, with what is worked out of them when they are read."""
        return marked(self.store, nodes, self.stalled_after, self.moment.known_at)

    def note(self, values: Sequence[Node | Label]) -> None:
        """These are on one level: what one of them is asked for, the others will be too."""
        self._noted.update(value.handle for value in values)

    def links(self, handles: Sequence[int], kind: EdgeKind) -> list[list[Link]]:
        """Edges of a kind from nodes, with the nodes at their other ends; read for a whole level at once."""
        known = self._links.setdefault(kind, {})
        if not known.keys() >= set(handles):
            known.update(_linked(self, sorted(self._noted.union(handles).difference(known)), kind))
        return [known[handle] for handle in handles]

    def readable(self, handles: Sequence[int]) -> dict[int, Node]:
        """The nodes that are there and may be read, by handle."""
        found = self.nodes(handles)
        return {handle: node for handle, node in zip(handles, found, strict=True) if node is not None}


class Context:
    """What a request brings to its resolvers: a number, and an Ask for each of its root fields."""

    def __init__(self, make: Callable[[], Ask]) -> None:
        self.number = uuid.uuid4().hex[:12]
        self._make = make
        self._asks: dict[str | int, Ask] = {}

    def of(self, path: Path) -> Ask:
        """The Ask of the root field that a path begins with."""
        while path.prev is not None:
            path = path.prev
        if path.key not in self._asks:
            self._asks[path.key] = self._make()
        return self._asks[path.key]


class IdentifierView(NamedTuple):
    """An identifier taken apart."""

    id: str
    scheme: str
    scope: str | None
    value: str


class Ownership(NamedTuple):
    """Who owns a node, in which role."""

    owner: Node
    role: str | None


class Tagging(NamedTuple):
    """A label on a node, and who or what put it there."""

    tag: Node
    by: str
    evidence: str | None


class Arrow(NamedTuple):
    """An edge of which only the ends and the kind are asked for."""

    src: str
    dst: str
    kind: EdgeKind


class LineageNode(NamedTuple):
    """A node of a walk. Hops are negative upstream."""

    node: Node | Label
    hops: int
    direction: Direction
    hidden_upstream: int
    hidden_downstream: int


class LineageAnswer(NamedTuple):
    """A walk, and whether nodes and edges are wanted in full or as labels and arrows."""

    graph: Subgraph
    full_nodes: bool
    full_edges: bool

    @property
    def total_nodes(self) -> int:
        """Nodes found before the cut."""
        return self.graph.total

    @property
    def complete(self) -> bool:
        """Whether nothing was left out."""
        return self.graph.complete

    @property
    def truncated_because(self) -> str | None:
        """Why something was left out."""
        return self.graph.truncated_because


def identifiers(ask: Ask, parents: list[Node]) -> list[list[IdentifierView]]:
    """``Node.identifiers``."""
    return [[_identifier(text) for text in node.identifiers] for node in parents]


def _identifier(text: str) -> IdentifierView:
    head, _, value = text.partition("=")
    read = head_of(head)
    return IdentifierView(text, read.scheme.name, read.scope, value)


def _linked(ask: Ask, handles: Sequence[int], kind: EdgeKind) -> dict[int, list[Link]]:
    """By node, its edges of a kind and those of what is the same thing."""
    found = ask.store.expand(handles, Direction.DOWNSTREAM, (kind,), ask.moment, ask.spaces)
    if not found.steps:
        return {handle: [] for handle in handles}
    edges = ask.store.edges([step.belief for step in found.steps], known_at=ask.moment.known_at)
    others = ask.readable(sorted({step.dst for step in found.steps}))
    leader = classes({*handles, *(step.src for step in found.steps)}, found.same)
    links: dict[int, list[Link]] = {}
    for step, edge in zip(found.steps, edges, strict=True):
        if step.dst in others:
            links.setdefault(leader[step.src], []).append((edge, others[step.dst]))
    for group in links.values():
        group.sort(key=lambda link: (link[1].id, link[0].source))
    return {handle: links.get(leader[handle], []) for handle in handles}


def owners(ask: Ask, parents: list[Node]) -> list[list[Ownership]]:
    """``Node.owners``, from the edges ``OWNED_BY``; once, where several sources say the same."""
    found = []
    for links in ask.links([node.handle for node in parents], EdgeKind.OWNED_BY):
        said = {
            (node.handle, edge.properties.get("role")): Ownership(node, edge.properties.get("role"))
            for edge, node in links
        }
        found.append(list(said.values()))
    return found


def tags(ask: Ask, parents: list[Node]) -> list[list[Tagging]]:
    """``Node.tags``, from the edges ``TAGGED``."""
    return [
        [Tagging(node, str(edge.properties.get("by") or edge.source), edge.evidence) for edge, node in links]
        for links in ask.links([node.handle for node in parents], EdgeKind.TAGGED)
    ]


def aliases(ask: Ask, parents: list[Node]) -> list[list[Stay]]:
    """``ModelVersion.aliases``, earliest first."""
    handles = sorted({node.handle for node in parents})
    found = ask.store.expand(handles, Direction.UPSTREAM, (EdgeKind.HAS,), ask.moment, ask.spaces)
    models = ask.readable(sorted({step.src for step in found.steps}))
    named: dict[int, list[Node]] = {}
    for step in found.steps:
        if step.src in models:
            named.setdefault(step.dst, []).append(models[step.src])
    return [stays(node, moves_of(named.get(node.handle, ()))) for node in parents]


def lineage_root(ask: Ask, parents: list[LineageAnswer]) -> list[Any]:
    """``Lineage.root``."""
    if parents[0].full_nodes:
        return ask.nodes([answer.graph.root for answer in parents])
    return [answer.graph.labels[0] for answer in parents]


def lineage_nodes(ask: Ask, parents: list[LineageAnswer]) -> list[list[LineageNode]]:
    """``Lineage.nodes``."""
    return [_lineage_nodes(ask, answer) for answer in parents]


def _lineage_nodes(ask: Ask, answer: LineageAnswer) -> list[LineageNode]:
    graph = answer.graph
    things: Sequence[Any] = graph.labels
    if answer.full_nodes:
        things = ask.nodes([label.handle for label in graph.labels])
    up, down, both = Direction.UPSTREAM, Direction.DOWNSTREAM, Direction.BOTH
    above, below = graph.hidden_upstream.get, graph.hidden_downstream.get
    return [
        LineageNode(
            thing,
            hops,
            up if hops < 0 else down if hops else both,
            above(label.handle, 0),
            below(label.handle, 0),
        )
        for thing, hops, label in zip(things, graph.hops, graph.labels, strict=True)
    ]


def lineage_edges(ask: Ask, parents: list[LineageAnswer]) -> list[Sequence[Any]]:
    """``Lineage.edges``."""
    answers: list[Sequence[Any]] = []
    for answer in parents:
        steps: Sequence[Step] = answer.graph.steps
        if answer.full_edges:
            beliefs = [step.belief for step in steps]
            edges: list[Any] = list(ask.store.edges(beliefs, known_at=ask.moment.known_at))
        else:
            ids = {label.handle: label.id for label in answer.graph.labels}
            edges = [Arrow(ids[step.src], ids[step.dst], step.kind) for step in steps]
        # Engines hand steps over in orders of their own; an answer has one.
        answers.append(sorted(edges, key=_ORDER))
    return answers


def lineage_table(ask: Ask, parents: list[LineageAnswer]) -> list[dict[str, Any]]:
    """``Lineage.table``: nodes and edges in columns."""
    return [table(answer.graph) for answer in parents]


def table(graph: Subgraph) -> dict[str, Any]:
    """A walk in columns; see the scalar ``LineageTable``."""
    # Whole columns at a time: the steps of a large answer are many.
    handles, ids, kinds, names = zip(*graph.labels, strict=True)
    sources, targets, edge_kinds, _ = zip(*graph.steps, strict=True) if graph.steps else ((), (), (), ())
    place = dict(zip(handles, count(), strict=False)).__getitem__
    return {
        "ids": list(ids),
        "kinds": list(map(KIND_NAMES.__getitem__, kinds)),
        "names": list(names),
        "hops": graph.hops,
        "from": list(map(place, sources)),
        "to": list(map(place, targets)),
        "edgeKinds": list(edge_kinds),
    }


_ORDER = attrgetter("src", "dst", "kind")

#: ``.name`` of an enum member is slow to ask for a thousand times.
KIND_NAMES = {kind: kind.name for kind in NodeKind}
