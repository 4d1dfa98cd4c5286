"""The fields of Query: read the arguments, call, hand over. Nothing is worked out here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import strawberry
from msgspec import structs
from strawberry.types.nodes import SelectedField

from app.api.fields import Ask, Context, LineageAnswer
from app.api.inputs import DateTime, NodeOrder, PropertyFilter
from app.api.searching import Place, place_of, ranking
from app.lineage.compare import Comparison
from app.lineage.compare import compare as comparison
from app.lineage.lookup import find_one
from app.lineage.paths import Paths
from app.lineage.paths import paths as find_paths
from app.lineage.walk import lineage as walk
from app.store.answers import encode_cursor
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.values import Direction, Filter, Moment, Node, Ordering

MAX_IDS = 200
MAX_FIND = 500
MAX_SEARCH = 100
MAX_TYPED = 2_000
MAX_TABLE = 50_000
_MAX_INT = 2**31 - 1

Info = strawberry.Info[Context, None]

#: What a walk knows of nodes and edges without asking for them one by one.
_LABEL = {"id", "kind", "name", "__typename"}
_ARROW = {"from", "to", "kind", "__typename"}


class PageInfo(NamedTuple):
    """Whether there is more, and where to go on."""

    has_next_page: bool
    end_cursor: str | None


class NodeEdge(NamedTuple):
    """A node of a page, and where to go on after it."""

    cursor: str
    node: Node


class NodeConnection(NamedTuple):
    """A page of nodes."""

    edges: list[NodeEdge]
    page_info: PageInfo

    @property
    def nodes(self) -> list[Node]:
        """The nodes without their cursors."""
        return [edge.node for edge in self.edges]


def _bounded(value: int | None, default: int, most: int) -> int:
    if value is None:
        return default
    if not 1 <= value <= most:
        raise BadInput(f"first is {value}; allowed are 1 to {most:,}")
    return value


def _ask(
    info: Info, as_of: DateTime | None = strawberry.UNSET, known_at: DateTime | None = strawberry.UNSET
) -> Ask:
    """This field's view of the graph, at the moment asked about; what hangs below is read as of it too."""
    ask = info.context.of(info.path)
    times = {"as_of": as_of, "known_at": known_at}
    ask.moment = Moment(**{name: time for name, time in times.items() if time is not strawberry.UNSET})
    return ask


def _below(info: Info) -> set[str]:
    """What is selected below a field, as dotted paths of field names."""
    found: set[str] = set()

    def visit(prefix: str, selections: list[Any]) -> None:
        for each in selections:
            said = each.directives
            if said.get("skip", {}).get("if") or not said.get("include", {}).get("if", True):
                continue
            if isinstance(each, SelectedField):
                found.add(prefix + each.name)
                visit(f"{prefix}{each.name}.", each.selections)
            else:
                visit(prefix, each.selections)

    for each in info.selected_fields:
        visit("", each.selections)
    return found


def _wants_more(below: set[str], things: tuple[str, ...], known: set[str]) -> bool:
    """Whether of such things more is selected than is known of them."""
    return any(
        path.startswith(thing) and path.removeprefix(thing) not in known for thing in things for path in below
    )


def node(info: Info, id: strawberry.ID, known_at: DateTime | None = strawberry.UNSET) -> Node:
    """``Query.node``."""
    ask = _ask(info, known_at=known_at)
    handle = find_one(ask.store, id, known_at=ask.moment.known_at, spaces=ask.spaces)
    found = ask.nodes([handle])[0]
    if found is None:
        raise NotFound(f"no node is named {id[:200]!r} at that time")
    return found


def nodes(
    info: Info, ids: list[strawberry.ID], known_at: DateTime | None = strawberry.UNSET
) -> list[Node | None]:
    """``Query.nodes``."""
    if len(ids) > MAX_IDS:
        raise BadInput(f"{len(ids)} ids; allowed are up to {MAX_IDS} at once")
    ask = _ask(info, known_at=known_at)
    handles: list[int | None] = []
    for text in ids:
        try:
            handles.append(find_one(ask.store, text, known_at=ask.moment.known_at, spaces=ask.spaces))
        except NotFound:
            handles.append(None)
    found = ask.readable(sorted({handle for handle in handles if handle is not None}))
    return [None if handle is None else found.get(handle) for handle in handles]


def resolve(info: Info, scheme: str, value: str) -> list[Node]:
    """``Query.resolve``."""
    ask = _ask(info)
    handles = ask.store.resolve(f"{scheme}={value}", spaces=ask.spaces)
    return sorted(ask.readable(handles).values(), key=lambda found: found.id)


def find(
    info: Info,
    kind: NodeKind,
    where: list[PropertyFilter] | None = strawberry.UNSET,
    order_by: NodeOrder | None = strawberry.UNSET,
    first: int | None = 50,
    after: str | None = strawberry.UNSET,
    known_at: DateTime | None = strawberry.UNSET,
) -> NodeConnection:
    """``Query.find``."""
    ask = _ask(info, known_at=known_at)
    filters = [
        Filter(key=each.key, op=each.op, value=None if each.value is strawberry.UNSET else each.value)
        for each in where or ()
    ]
    ordering = Ordering(order_by.by, order_by.descending) if order_by else Ordering()
    page = ask.store.find(
        kind,
        filters,
        ordering,
        _bounded(first, 50, MAX_FIND),
        after or None,
        known_at=ask.moment.known_at,
        spaces=ask.spaces,
    )
    shown = [item for item in ask.marked(page.items) if item is not None]
    edges = [NodeEdge(encode_cursor(item, ordering), item) for item in shown]
    return NodeConnection(edges, PageInfo(page.next is not None, edges[-1].cursor if edges else None))


def search(
    info: Info,
    text: str,
    kinds: list[NodeKind] | None = strawberry.UNSET,
    first: int | None = 20,
    after: str | None = strawberry.UNSET,
) -> NodeConnection:
    """``Query.search``. Its cursor is a place in the ranking."""
    ask = _ask(info)
    most = _bounded(first, 20, MAX_SEARCH)
    place = place_of(after or None, ask.model.now() is not None)
    ranked = ranking(ask, text, kinds or [], place, most + 1)
    shown = ranked[place.start : place.start + most]
    found = ask.readable(shown)
    edges = [
        NodeEdge(Place(number, place.by_meaning).cursor, found[handle])
        for number, handle in enumerate(shown, place.start + 1)
        if handle in found
    ]
    end = Place(place.start + len(shown), place.by_meaning)
    return NodeConnection(edges, PageInfo(len(ranked) > end.start, end.cursor if shown else None))


def lineage(
    info: Info,
    id: strawberry.ID,
    direction: Direction = Direction.BOTH,
    max_hops: int | None = 3,
    kinds: list[NodeKind] | None = strawberry.UNSET,
    edge_kinds: list[EdgeKind] | None = strawberry.UNSET,
    as_of: DateTime | None = strawberry.UNSET,
    known_at: DateTime | None = strawberry.UNSET,
    first: int | None = 300,
) -> LineageAnswer:
    """``Query.lineage``."""
    below = _below(info)
    ask = _ask(info, as_of, known_at)
    graph = walk(
        ask.store,
        find_one(ask.store, id, known_at=ask.moment.known_at, spaces=ask.spaces),
        direction,
        3 if max_hops is None else max_hops,
        kinds=frozenset(kinds or ()),
        edge_kinds=FLOW_KINDS if edge_kinds is None or edge_kinds is strawberry.UNSET else edge_kinds,
        moment=ask.moment,
        first=_bounded(first, 300, MAX_TYPED if below & {"nodes", "edges"} else MAX_TABLE),
        spaces=ask.spaces,
        stubs=bool(below & {"nodes.hiddenUpstream", "nodes.hiddenDownstream"}),
    )
    return LineageAnswer(
        graph,
        full_nodes=_wants_more(below, ("root.", "nodes.node."), _LABEL),
        full_edges=_wants_more(below, ("edges.",), _ARROW),
    )


def paths(
    info: Info,
    start: Annotated[strawberry.ID, strawberry.argument(name="from")],
    end: Annotated[strawberry.ID, strawberry.argument(name="to")],
    max_hops: int | None = 20,
    first: int | None = 3,
    as_of: DateTime | None = strawberry.UNSET,
    known_at: DateTime | None = strawberry.UNSET,
) -> Paths:
    """``Query.paths``."""
    ask = _ask(info, as_of, known_at)
    src, dst = (
        find_one(ask.store, name, known_at=ask.moment.known_at, spaces=ask.spaces) for name in (start, end)
    )
    found = find_paths(
        ask.store,
        src,
        dst,
        20 if max_hops is None else max_hops,
        _bounded(first, 3, 100),
        moment=ask.moment,
        spaces=ask.spaces,
    )
    if found.total is None or found.total <= _MAX_INT:
        return found
    # GraphQL's Int ends here; how many more there are helps nobody.
    because = f"{len(found.paths)} of more than {_MAX_INT:,} paths shown: narrow with maxHops"
    return structs.replace(found, total=None, total_is_exact=False, truncated_because=because)


def compare(
    info: Info,
    left: strawberry.ID,
    right: strawberry.ID,
    left_as_of: DateTime | None = strawberry.UNSET,
    right_as_of: DateTime | None = strawberry.UNSET,
    known_at: DateTime | None = strawberry.UNSET,
) -> Comparison:
    """``Query.compare``."""
    ask = _ask(info, known_at=known_at)
    handles = [
        find_one(ask.store, name, known_at=ask.moment.known_at, spaces=ask.spaces) for name in (left, right)
    ]
    return comparison(
        ask.store,
        *handles,
        left_as_of=None if left_as_of is strawberry.UNSET else left_as_of,
        right_as_of=None if right_as_of is strawberry.UNSET else right_as_of,
        known_at=ask.moment.known_at,
        spaces=ask.spaces,
    )


def sources(info: Info) -> Sequence[Any]:
    """``Query.sources``."""
    return _ask(info).sources()
