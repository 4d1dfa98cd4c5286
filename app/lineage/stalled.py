"""Runs that say they are running and are not heard of any more. Worked out when somebody asks, and never
stored: it is the silence that tells, and silence sends nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from graph_schema.kinds import NodeKind
from graph_schema.store import GraphStore
from graph_schema.times import Micros
from graph_schema.values import Node

#: Seconds of silence after which a run counts as stalled, unless the settings say otherwise.
STALLED_AFTER = 86_400.0
_KINDS = frozenset({NodeKind.RUN, NodeKind.JOB_RUN})


def says_it_runs(node: Node) -> bool:
    """Whether it is a run that has not come to an end as far as its sources say."""
    return node.kind in _KINDS and node.properties.get("status") == "RUNNING" and node.gone_at is None


def mark(node: Node, last_word: Micros | None, now: Micros, after: float = STALLED_AFTER) -> Node:
    """The node, with the property ``stalled`` (true) where it says that it runs and its sources have said
    nothing new of it for ``after`` seconds before ``now``; both times in microseconds."""
    if last_word is None or not says_it_runs(node) or now - last_word < after * 1_000_000:
        return node
    return msgspec.structs.replace(node, properties={**node.properties, "stalled": True})


def marked(
    store: GraphStore, nodes: Sequence[Node | None], after: float, known_at: Micros | None = None
) -> list[Node | None]:
    """Nodes as they were read, as of ``known_at`` (None: now), the stalled ones marked. Asks the store once,
    and only if something runs."""
    running = [node.handle for node in nodes if node is not None and says_it_runs(node)]
    if not running:
        return list(nodes)
    words = dict(zip(running, store.heard(running, known_at=known_at), strict=True))
    now = time.time_ns() // 1000 if known_at is None else known_at
    return [
        node if node is None or node.handle not in words else mark(node, words[node.handle], now, after)
        for node in nodes
    ]
