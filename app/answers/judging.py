"""Confirming and rejecting causes: what people say is kept with the role in which the cause led there."""

from __future__ import annotations

from typing import Any

from app.answers.cause_graph import best_paths, nodes_of, read, way
from app.answers.cause_parts import failed_part
from app.answers.cause_pool import role_of
from app.answers.last_good import along, began
from graph_schema.edges import FLOW_KINDS, EdgeKind
from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.values import Direction, Node, Spaces
from ingestors import judgements
from ingestors.corrections import Correction

_LINES = (NodeKind.DATASET_VERSION, NodeKind.MODEL_VERSION)


def confirm_cause(
    store: GraphStore,
    failure: Node,
    cause: Node,
    *,
    rejected: bool = False,
    why: str | None = None,
    by: str | None = None,
    spaces: Spaces = None,
) -> Correction:
    """Keep that ``cause`` caused ``failure``, or did not. Raises BadInput for what is no failure."""
    # What is asked about is answered, and said, of the part that failed.
    failure = failed_part(store, failure, None, spaces)
    about = {} if rejected else _about(store, failure, cause, spaces)
    return judgements.judge_cause(store, failure, cause, rejected=rejected, about=about, why=why, by=by)


def _about(store: GraphStore, failure: Node, cause: Node, spaces: Spaces) -> dict[str, Any]:
    at = began(failure)
    found: dict[str, Any] = {}
    if at is not None:
        region = read(store, [failure.handle], Direction.UPSTREAM, FLOW_KINDS, until=at, spaces=spaces)
        paths = best_paths(region, failure.handle)
        if cause.handle in paths:
            links = way(paths, cause.handle)
            found["role"] = role_of(cause, links, nodes_of(store, [k.dst for k in links], None, spaces))
    if cause.kind in _LINES:
        above = along(store, [cause.handle], Direction.UPSTREAM, EdgeKind.HAS, None, spaces)
        found["lines"] = sorted({edge.src for _, edge in above})
    files = cause.properties.get("files")
    if cause.kind is NodeKind.COMMIT and isinstance(files, list):
        found["files"] = files
    return found
