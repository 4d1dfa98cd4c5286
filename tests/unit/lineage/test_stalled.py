"""Runs that say they run and are not heard of any more."""

from __future__ import annotations

from typing import Any

import pytest

from app.lineage.stalled import mark
from graph_schema.kinds import NodeKind
from graph_schema.values import Node

HOUR = 3_600_000_000
NOW = 1_795_000_000_000_000


def run(kind: NodeKind = NodeKind.RUN, gone_at: int | None = None, **properties: Any) -> Node:
    return Node(id="mlflow.run_id=a", kind=kind, name="a", identifiers=(), properties=properties,
                gone_at=gone_at)  # fmt: skip


@pytest.mark.parametrize("kind", [NodeKind.RUN, NodeKind.JOB_RUN])
def test_silent_for_a_day(kind: NodeKind) -> None:
    node = run(kind, status="RUNNING", user="ada")

    assert mark(node, NOW - 23 * HOUR, NOW) is node
    assert mark(node, NOW - 24 * HOUR, NOW).properties == {
        "status": "RUNNING",
        "user": "ada",
        "stalled": True,
    }
    assert mark(node, NOW - 2 * HOUR, NOW, after=3_600).properties["stalled"]
    assert "stalled" not in node.properties


@pytest.mark.parametrize(
    "node",
    [
        run(status="FINISHED"),
        run(status="FAILED"),
        run(),
        run(status="RUNNING", gone_at=NOW),
        run(NodeKind.DEPLOYMENT, status="RUNNING"),
    ],
    ids=["finished", "failed", "unknown", "gone", "deployment"],
)
def test_nothing_else_stalls(node: Node) -> None:
    assert mark(node, NOW - 1_000 * HOUR, NOW) is node


def test_of_what_was_never_heard_silence_says_nothing() -> None:
    node = run(status="RUNNING")

    assert mark(node, None, NOW) is node
