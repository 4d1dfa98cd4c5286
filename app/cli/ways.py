"""Ways through the graph as lines: where one begins, and each edge with what it leads to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.cli.client import Client
from app.cli.console import clean
from graph_schema.wording import clipped

_NODES = "query($ids: [ID!]!) { nodes(ids: $ids) { id kind name } }"
#: Ids that one query may name; characters of a name.
_AT_ONCE, _NAME = 200, 50

Edges = Sequence[Mapping[str, Any]]


def on_the_way(client: Client, paths: Iterable[Edges]) -> dict[str, Mapping[str, Any]]:
    """The nodes on these ways, by id: their kinds and names."""
    return named(client, {edge[end] for path in paths for edge in path for end in ("from", "to")})


def named(client: Client, wanted: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """Nodes by the id that they are asked for by: id, kind and name. What is not known is left out."""
    ids = sorted(set(wanted))
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(ids), _AT_ONCE):
        nodes = client.ask(_NODES, {"ids": ids[start : start + _AT_ONCE]})["nodes"]
        found.update(
            {id: node for id, node in zip(ids[start : start + _AT_ONCE], nodes, strict=True) if node}
        )
    return found


def begins(path: Edges, end: str) -> str:
    """Where a way begins that ends there; ``SAME_AS`` may be walked either way."""
    for edge in reversed(path):
        end = edge["from"] if edge["to"] == end else edge["to"]
    return end


def starts(path: Edges, asked: str) -> str:
    """Which end of its first edge a way from ``asked`` starts at: the same thing may go by another id."""
    one, other = str(path[0]["from"]), str(path[0]["to"])
    if asked in (one, other):
        return asked
    return other if len(path) > 1 and one in (path[1]["from"], path[1]["to"]) else one


def lines(path: Edges, start: str, nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """``from Commit 3faf1c7 Tune``, ``─CODE_FOR→ Run run 0``; against the arrow ``←CODE_FOR─``."""
    yield f"from {called(start, nodes)}"
    at = start
    for edge in path:
        along = edge["from"] == at
        at = edge["to"] if along else edge["from"]
        arrow = f"─{edge['kind']}→" if along or edge["kind"] == "SAME_AS" else f"←{edge['kind']}─"
        said = edge.get("evidence")
        doubt = f"  ({clipped(clean(said), _NAME)})" if said else ""
        yield f"{arrow} {called(at, nodes)}{doubt}"


def called(id: str, nodes: Mapping[str, Mapping[str, Any]]) -> str:
    """``Run run 0``; the id of what is not known."""
    from app.cli.ids import spelled

    node = nodes.get(id)
    if node is None:
        return clipped(clean(id), _NAME)
    return f"{spelled(node['kind'])} {clipped(clean(node['name']), _NAME)}"
