"""The fields of Query: read the arguments, call, hand over. Nothing is worked out here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, NamedTuple

from msgspec import structs

from app.api import fields
from app.api.execute import Selected, Wiring
from app.api.fields import Ask, LineageAnswer
from app.lineage.lookup import find_one
from app.lineage.paths import paths as find_paths
from app.lineage.walk import lineage as walk
from app.store.answers import encode_cursor
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.errors import BadInput, NotFound
from graph_schema.kinds import NodeKind
from graph_schema.times import parse_time
from graph_schema.values import Direction, Filter, FilterOp, Moment, Node, Order, Ordering

MAX_IDS = 200
MAX_FIND = 500
MAX_SEARCH = 100
MAX_SEARCHED = 1_000
MAX_TYPED = 2_000
MAX_TABLE = 50_000
_MAX_INT = 2**31 - 1

Arguments = dict[str, Any]
Below = Callable[[], Selected]

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


def _bounded(arguments: Arguments, default: int, most: int, name: str = "first") -> int:
    value = arguments.get(name)
    if value is None:
        return default
    if not 1 <= value <= most:
        raise BadInput(f"{name} is {value}; allowed are 1 to {most:,}")
    return int(value)


def _moment(ask: Ask, arguments: Arguments) -> Moment:
    """Note the moment asked about; what hangs below the field is read as of it too."""
    times = {}
    for name, field in (("asOf", "as_of"), ("knownAt", "known_at")):
        value = arguments.get(name)
        if value is not None:
            if not isinstance(value, str):
                raise BadInput(f"{name} is {value!r}; write a time as 2026-01-31T10:00:00Z")
            times[field] = parse_time(value)
    ask.moment = Moment(**times)
    return ask.moment


def _kinds(arguments: Arguments) -> list[NodeKind]:
    return [NodeKind[name] for name in arguments.get("kinds") or ()]


def node(ask: Ask, arguments: Arguments, below: Below) -> Node:
    """``Query.node``."""
    known_at = _moment(ask, arguments).known_at
    handle = find_one(ask.store, arguments["id"], known_at=known_at, spaces=ask.spaces)
    found = ask.nodes([handle])[0]
    if found is None:
        raise NotFound(f"no node is named {arguments['id'][:200]!r} at that time")
    return found


def nodes(ask: Ask, arguments: Arguments, below: Below) -> list[Node | None]:
    """``Query.nodes``."""
    ids = arguments["ids"]
    if len(ids) > MAX_IDS:
        raise BadInput(f"{len(ids)} ids; allowed are up to {MAX_IDS} at once")
    known_at = _moment(ask, arguments).known_at
    handles: list[int | None] = []
    for text in ids:
        try:
            handles.append(find_one(ask.store, text, known_at=known_at, spaces=ask.spaces))
        except NotFound:
            handles.append(None)
    found = ask.readable(sorted({handle for handle in handles if handle is not None}))
    return [None if handle is None else found.get(handle) for handle in handles]


def resolve(ask: Ask, arguments: Arguments, below: Below) -> list[Node]:
    """``Query.resolve``."""
    handles = ask.store.resolve(f"{arguments['scheme']}={arguments['value']}", spaces=ask.spaces)
    return sorted(ask.readable(handles).values(), key=lambda found: found.id)


def find(ask: Ask, arguments: Arguments, below: Below) -> NodeConnection:
    """``Query.find``."""
    known_at = _moment(ask, arguments).known_at
    where = [
        Filter(key=each["key"], op=FilterOp(each["op"]), value=each.get("value"))
        for each in arguments.get("where") or ()
    ]
    asked = arguments.get("orderBy") or {"by": "ID", "descending": False}
    ordering = Ordering(Order(asked["by"]), asked["descending"])
    page = ask.store.find(
        NodeKind[arguments["kind"]],
        where,
        ordering,
        _bounded(arguments, 50, MAX_FIND),
        arguments.get("after"),
        known_at=known_at,
        spaces=ask.spaces,
    )
    edges = [NodeEdge(encode_cursor(item, ordering), item) for item in page.items]
    return NodeConnection(edges, PageInfo(page.next is not None, edges[-1].cursor if edges else None))


def search(ask: Ask, arguments: Arguments, below: Below) -> NodeConnection:
    """``Query.search``. Its cursor is a place in the ranking."""
    first = _bounded(arguments, 20, MAX_SEARCH)
    start = _place(arguments.get("after"))
    hits = ask.store.search_text(arguments["text"], _kinds(arguments), start + first + 1, spaces=ask.spaces)
    shown = [hit.handle for hit in hits[start : start + first]]
    found = ask.readable(shown)
    edges = [
        NodeEdge(_cursor(start + place + 1), found[handle])
        for place, handle in enumerate(shown)
        if handle in found
    ]
    return NodeConnection(
        edges, PageInfo(len(hits) > start + first, _cursor(start + len(shown)) if shown else None)
    )


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"place {place}".encode()).decode()


def _place(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        place = int(number) if word == "place" else -1
    except (binascii.Error, ValueError):
        place = -1
    if place < 0:
        raise BadInput(f"{cursor[:80]!r} is no cursor of a search")
    if place > MAX_SEARCHED:
        raise BadInput(f"a search shows its best {MAX_SEARCHED:,}: make the text more exact")
    return place


def lineage(ask: Ask, arguments: Arguments, below: Below) -> LineageAnswer:
    """``Query.lineage``."""
    selected = below()
    typed = selected.get("Lineage", set()) & {"nodes", "edges"}
    moment = _moment(ask, arguments)
    first = _bounded(arguments, 300, MAX_TYPED if typed else MAX_TABLE)
    edge_kinds = arguments.get("edgeKinds")
    max_hops = arguments.get("maxHops")
    graph = walk(
        ask.store,
        find_one(ask.store, arguments["id"], known_at=moment.known_at, spaces=ask.spaces),
        Direction(arguments["direction"]),
        3 if max_hops is None else max_hops,
        kinds=frozenset(_kinds(arguments)),
        edge_kinds=FLOW_KINDS if edge_kinds is None else [EdgeKind(name) for name in edge_kinds],
        moment=moment,
        first=first,
        spaces=ask.spaces,
        stubs=bool(selected.get("LineageNode", set()) & {"hiddenUpstream", "hiddenDownstream"}),
    )
    return LineageAnswer(
        graph,
        full_nodes=bool(selected.get("Node", set()) - _LABEL),
        full_edges=bool(selected.get("Edge", set()) - _ARROW),
    )


def paths(ask: Ask, arguments: Arguments, below: Below) -> Any:
    """``Query.paths``."""
    moment = _moment(ask, arguments)
    start, end = (
        find_one(ask.store, arguments[which], known_at=moment.known_at, spaces=ask.spaces)
        for which in ("from", "to")
    )
    max_hops = arguments.get("maxHops")
    found = find_paths(
        ask.store,
        start,
        end,
        20 if max_hops is None else max_hops,
        _bounded(arguments, 3, 100),
        moment=moment,
        spaces=ask.spaces,
    )
    if found.total is None or found.total <= _MAX_INT:
        return found
    # GraphQL's Int ends here; how many more there are helps nobody.
    because = f"{len(found.paths)} of more than {_MAX_INT:,} paths shown: narrow with maxHops"
    return structs.replace(found, total=None, total_is_exact=False, truncated_because=because)


def sources(ask: Ask, arguments: Arguments, below: Below) -> Any:
    """``Query.sources``."""
    return ask.sources()


def _of_every_node(**resolvers: Any) -> dict[tuple[str, str], Any]:
    return {(kind, field): made for kind in NodeKind for field, made in resolvers.items()}


WIRING = Wiring(
    roots={
        "node": node,
        "nodes": nodes,
        "resolve": resolve,
        "find": find,
        "search": search,
        "lineage": lineage,
        "paths": paths,
        "sources": sources,
    },
    batches={
        **_of_every_node(identifiers=fields.identifiers, owners=fields.owners, tags=fields.tags),
        (NodeKind.MODEL_VERSION, "aliases"): fields.aliases,
        ("Lineage", "root"): fields.lineage_root,
        ("Lineage", "nodes"): fields.lineage_nodes,
        ("Lineage", "edges"): fields.lineage_edges,
        ("Lineage", "table"): fields.lineage_table,
    },
    attributes={
        **_of_every_node(createdAt="created_at", goneAt="gone_at"),
        ("Alias", "notBefore"): "not_before",
        ("Alias", "seenAt"): "seen_at",
        ("NodeConnection", "pageInfo"): "page_info",
        ("PageInfo", "hasNextPage"): "has_next_page",
        ("PageInfo", "endCursor"): "end_cursor",
        ("Lineage", "totalNodes"): "graph.total",
        ("Lineage", "complete"): "graph.complete",
        ("Lineage", "truncatedBecause"): "graph.truncated_because",
        ("LineageNode", "hiddenUpstream"): "hidden_upstream",
        ("LineageNode", "hiddenDownstream"): "hidden_downstream",
        ("Edge", "from"): "src",
        ("Edge", "to"): "dst",
        ("Edge", "validFrom"): "valid_from",
        ("Edge", "validTo"): "valid_to",
        ("PathResult", "totalIsExact"): "total_is_exact",
        ("PathResult", "truncatedBecause"): "truncated_because",
        ("SourceStatus", "disabledBecause"): "disabled_because",
        ("SourceStatus", "lastStarted"): "last_started",
        ("SourceStatus", "lastFinished"): "last_finished",
        ("SourceStatus", "lastSuccess"): "last_success",
        ("SourceStatus", "lastError"): "last_error",
        ("SourceStatus", "lastErrorAt"): "last_error_at",
        ("SourceStatus", "deadLetters"): "dead_letters",
    },
    type_of=lambda value: str(value.kind),
    level=Ask.note,
    leaves=fields.LEAVES,
)
