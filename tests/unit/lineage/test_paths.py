"""Paths between two nodes: the shortest first, their number, and what was left out."""

from __future__ import annotations

import pytest

from app.lineage.paths import Paths, paths
from graph_schema.errors import BadInput
from tests.unit.lineage.graphs import Draw, word_of


def ways(answer: Paths) -> list[list[tuple[int | str, int | str]]]:
    return [[(word_of(edge.src), word_of(edge.dst)) for edge in path] for path in answer.paths]


def find(draw: Draw, drawing: str, start: int, end: int, **limits: int) -> Paths:
    graph = draw(drawing)
    return paths(graph, graph.handle(start), graph.handle(end), **limits)


def ladder(rungs: int) -> str:
    """Two ways at each of the rungs: 2 ** rungs paths from 0 to the end."""
    lines = []
    for n in range(rungs):
        a, left, right, b = 3 * n, 3 * n + 1, 3 * n + 2, 3 * n + 3
        lines += [f"{a} > {left}", f"{a} > {right}", f"{left} > {b}", f"{right} > {b}"]
    return ", ".join(lines)


def test_shortest_first_then_by_id(draw: Draw) -> None:
    answer = find(draw, "1 > 5, 1 > 4, 5 > 9, 4 > 9, 1 > 2, 2 > 3, 3 > 9", 1, 9)

    assert ways(answer) == [[(1, 4), (4, 9)], [(1, 5), (5, 9)], [(1, 2), (2, 3), (3, 9)]]
    assert (answer.total, answer.total_is_exact, answer.complete) == (3, True, True)


def test_upstream_paths_begin_at_the_node_asked_from(draw: Draw) -> None:
    answer = find(draw, "1 > 2, 2 > 3", 3, 1)

    assert ways(answer) == [[(2, 3), (1, 2)]]
    assert answer.total == 1 and answer.complete


def test_the_number_of_paths_is_counted_and_not_listed(draw: Draw) -> None:
    answer = find(draw, ladder(20), 0, 60, max_hops=40)

    assert (len(answer.paths), answer.total, answer.total_is_exact) == (3, 2**20, True)
    assert answer.truncated_because == "3 of 1,048,576 paths shown: raise first"


def test_longer_paths_than_asked_for_are_owned_up_to(draw: Draw) -> None:
    drawing = "1 > 9, 1 > 2, 2 > 9, 2 > 3, 3 > 9"

    answer = find(draw, drawing, 1, 9, max_hops=2)
    counted = find(draw, drawing, 1, 9, max_hops=2, first=1)

    assert ways(answer) == [[(1, 9)], [(1, 2), (2, 9)]]
    assert (answer.total, answer.total_is_exact, answer.complete) == (2, False, False)
    assert "longer than 2 hops" in str(answer.truncated_because)
    assert counted.total == 2 and "1 of at least 2" in str(counted.truncated_because)


def test_a_path_of_exactly_the_hops_asked_for_is_found(draw: Draw) -> None:
    chain = ", ".join(f"{n} > {n + 1}" for n in range(10))

    assert find(draw, chain, 0, 10, max_hops=10).total == 1
    short = find(draw, chain, 0, 10, max_hops=9)
    assert short.total == 0 and not short.complete and not short.total_is_exact


def test_same_as_is_part_of_a_path_and_costs_no_hop(draw: Draw) -> None:
    answer = find(draw, "1 = 2, 2 > 3, 4 = 3, 4 > 5, 5 = 6", 1, 6, max_hops=2)

    assert ways(answer) == [[(1, 2), (2, 3), (4, 3), (4, 5), (5, 6)]]
    assert answer.total == 1 and answer.total_is_exact


def test_two_names_of_one_thing_are_joined_by_what_says_so(draw: Draw) -> None:
    answer = find(draw, "1 = 2, 3 = 2", 1, 3)

    assert ways(answer) == [[(1, 2), (3, 2)]]
    assert answer.total == 1


def test_with_a_cycle_between_the_number_is_unknown_unless_all_are_shown(draw: Draw) -> None:
    drawing = "1 > 2, 2 > 3, 3 > 2, 3 > 4, 2 > 4"

    everything, one = find(draw, drawing, 1, 4), find(draw, drawing, 1, 4, first=1)

    assert ways(everything) == [[(1, 2), (2, 4)], [(1, 2), (2, 3), (3, 4)]]
    assert (everything.total, everything.total_is_exact, everything.complete) == (2, True, True)
    assert (one.total, one.total_is_exact, one.complete) == (None, False, False)


def test_none_where_there_is_none(draw: Draw) -> None:
    answer = find(draw, "1 > 2, 3 > 2", 1, 3)

    assert (answer.paths, answer.total, answer.total_is_exact, answer.complete) == ([], 0, True, True)


@pytest.mark.parametrize("limits", [{"max_hops": -1}, {"first": 0}, {"first": 101}])
def test_limits_without_sense_are_refused(draw: Draw, limits: dict[str, int]) -> None:
    with pytest.raises(BadInput, match="allowed are"):
        find(draw, "1 > 2", 1, 2, **limits)
