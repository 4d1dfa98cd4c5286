"""What speaks for an answer."""

from __future__ import annotations

import msgspec

from graph_schema.values import Node


class Evidence(msgspec.Struct, frozen=True):
    """Something that speaks for an answer: its sort (``path``, ``time``, ``signature``, …), a sentence, its
    share of the score, and the node that it is about, if it is about one."""

    kind: str
    text: str
    weight: float
    node: Node | None = None
