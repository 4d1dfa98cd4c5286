"""The history of aliases: what pulls saw, and what was announced."""

from __future__ import annotations

from typing import Any

from app.lineage.aliases import Stay, moves_of, stays
from graph_schema.kinds import NodeKind
from graph_schema.values import Node


def version(number: str, *seen: tuple[int | None, int, int | None]) -> Node:
    history = {
        f"champion@{at}": {"name": "champion", "notBefore": since, "seenAt": at, "until": until}
        for since, at, until in seen
    }
    return node(NodeKind.MODEL_VERSION, {"version": int(number), "aliasHistory": history})


def model(*moves: tuple[int, str | None]) -> Node:
    told = {f"champion@{at}": {"alias": "champion", "version": to, "at": at} for at, to in moves}
    return node(NodeKind.MODEL, {"aliasMoves": told})


def node(kind: NodeKind, properties: dict[str, Any]) -> Node:
    return Node(
        handle=1, id="x", kind=kind, name="x", url=None, identifiers=("x",), properties=properties,
        created_at=None, gone_at=None, stub=False, sources=(),
    )  # fmt: skip


def champion(not_before: int | None, seen_at: int, until: int | None) -> Stay:
    return Stay("champion", not_before, seen_at, until)


def test_without_announcements_it_is_what_pulls_saw() -> None:
    assert stays(version("1", (5, 10, 20), (None, 2, 3)), {}) == [champion(None, 2, 3), champion(5, 10, 20)]


def test_an_announcement_is_exact_where_a_pull_only_knows_a_span() -> None:
    moves = moves_of([model((7, "1"), (23, "2"))])

    assert stays(version("1", (5, 10, 20)), moves) == [champion(7, 7, 23)]
    assert stays(version("2", (20, 30, None)), moves) == [champion(23, 23, None)]


def test_what_moved_twice_between_two_pulls_is_not_lost() -> None:
    moves = moves_of([model((10, "1"), (12, "2"), (14, "1"), (16, None))])

    assert stays(version("1", (5, 11, 11)), moves) == [champion(10, 10, 12), champion(14, 14, 16)]
    assert stays(version("2"), moves) == [champion(12, 12, 14)]


def test_announcements_that_began_later_end_what_pulls_saw_before() -> None:
    moves = moves_of([model((50, "2"))])

    assert stays(version("1", (5, 10, 40)), moves) == [champion(5, 10, 50)]
    assert stays(version("2", (40, 60, None)), moves) == [champion(50, 50, None)]


def test_an_alias_that_is_set_again_where_it_is_stays_there() -> None:
    again = moves_of([model((50, "1"), (60, "1"))])

    assert stays(version("1", (5, 10, None)), again) == [champion(5, 10, None)]
    assert stays(version("1"), again) == [champion(50, 50, None)]


def test_the_order_of_arrival_does_not_matter() -> None:
    first, second = model((10, "1"), (12, "2")), model((14, "1"))

    assert moves_of([first, second]) == moves_of([second, first])
