"""What a walk answers: hops, limits, stubs, and the honesty about what it left out."""

from __future__ import annotations

import random

import pytest

from app.lineage.walk import lineage
from graph_schema.errors import BadInput
from graph_schema.kinds import NodeKind
from graph_schema.values import Direction, Moment, Subgraph
from tests.unit.lineage.graphs import Draw, word_of

CHAIN = "1 > 2, 2 > 3, 3 > 4, 4 > 5"


def hops(answer: Subgraph) -> dict[int | str, int]:
    return {word_of(label.id): hop for label, hop in zip(answer.labels, answer.hops, strict=True)}


def edges(answer: Subgraph) -> set[tuple[int | str, int | str]]:
    names = {label.handle: word_of(label.id) for label in answer.labels}
    return {(names[step.src], names[step.dst]) for step in answer.steps}


def hidden(counts: dict[int, int], answer: Subgraph) -> dict[int | str, int]:
    names = {label.handle: word_of(label.id) for label in answer.labels}
    return {names[handle]: count for handle, count in counts.items()}


def test_upstream_hops_are_negative_and_both_is_the_union_of_two_walks(draw: Draw) -> None:
    graph = draw(CHAIN + ", 1 > 6, 7 > 5")

    answer = lineage(graph, graph.handle(3), max_hops=10)

    assert hops(answer) == {3: 0, 2: -1, 4: 1, 1: -2, 5: 2}, "no zig-zag to 6 or 7"
    assert edges(answer) == {(1, 2), (2, 3), (3, 4), (4, 5)}
    assert answer.complete and answer.truncated_because is None and answer.total == 5
    assert hidden(answer.hidden_downstream, answer) == {1: 1}
    assert hidden(answer.hidden_upstream, answer) == {5: 1}


def test_same_as_costs_no_hop_in_either_direction(draw: Draw) -> None:
    graph = draw("1 > 2, 2 = 3, 4 = 3, 4 > 5, 5 = 6")

    down = lineage(graph, graph.handle(1), Direction.DOWNSTREAM, 2)
    up = lineage(graph, graph.handle(6), Direction.UPSTREAM, 2)

    assert hops(down) == {1: 0, 2: 1, 3: 1, 4: 1, 5: 2, 6: 2}
    assert hops(up) == {6: 0, 5: 0, 4: -1, 3: -1, 2: -1, 1: -2}
    assert edges(down) == {(1, 2), (2, 3), (4, 3), (4, 5), (5, 6)}
    assert down.complete and up.complete


def test_the_root_of_no_hops_comes_with_what_is_the_same(draw: Draw) -> None:
    graph = draw("1 = 2, 2 > 3, 3 = 4")

    answer = lineage(graph, graph.handle(1), max_hops=0)

    assert hops(answer) == {1: 0, 2: 0}
    assert edges(answer) == {(1, 2)}
    assert not answer.complete and "1 more node lies one hop further" in str(answer.truncated_because)


def test_the_root_comes_first_and_is_always_shown(draw: Draw) -> None:
    graph = draw("1 = 2, 2 > 3")

    answer = lineage(graph, graph.handle(2), first=1)

    assert list(hops(answer)) == [2] and answer.total == 3


def test_a_cycle_ends_and_keeps_the_nearer_side(draw: Draw) -> None:
    graph = draw("1 > 2, 2 > 3, 3 > 1")

    answer = lineage(graph, graph.handle(1), max_hops=10)

    assert hops(answer) == {1: 0, 3: -1, 2: 1}
    assert edges(answer) == {(1, 2), (2, 3), (3, 1)}
    assert len(answer.steps) == 3 and answer.complete


def test_stopping_at_the_hops_says_how_many_lie_beyond(draw: Draw) -> None:
    graph = draw(CHAIN + ", 3 > 6, 3 > 7")

    answer = lineage(graph, graph.handle(1), Direction.DOWNSTREAM, 2)

    assert hops(answer) == {1: 0, 2: 1, 3: 2}
    assert not answer.complete
    assert answer.truncated_because == "stopped at 2 hops: 3 more nodes lie one hop further: raise maxHops"
    assert hidden(answer.hidden_downstream, answer) == {3: 3}


def test_a_hub_is_cut_by_id_and_the_answer_tells_the_total(draw: Draw) -> None:
    numbers = list(range(10, 1_214))
    random.Random(5).shuffle(numbers)
    graph = draw(", ".join(f"1 > {n}" for n in numbers) + ", 1213 > 5000")

    answer = lineage(graph, graph.handle(1), Direction.DOWNSTREAM, 9, first=300)

    assert list(hops(answer)) == [1, *range(10, 309)]
    assert answer.total == 1_205 and len(answer.steps) == 299
    assert answer.truncated_because == (
        "stopped at 300 nodes of at least 1,205: raise first or narrow with kinds"
    )
    assert hidden(answer.hidden_downstream, answer) == {1: 905}


def test_a_total_is_exact_where_both_walks_came_to_their_ends(draw: Draw) -> None:
    graph = draw("2 > 1, 3 > 1, 1 > 4, 1 > 5")

    answer = lineage(graph, graph.handle(1), max_hops=9, first=3)

    assert hops(answer) == {1: 0, 2: -1, 3: -1}
    assert answer.truncated_because == "stopped at 3 nodes of 5: raise first or narrow with kinds"
    assert hidden(answer.hidden_downstream, answer) == {1: 2}


def test_kinds_filter_what_is_shown_and_not_what_is_walked(draw: Draw) -> None:
    graph = draw("1 > 2, 2 > r3, r3 > 4, 4 > r5, r5 > 6")

    answer = lineage(graph, graph.handle(1), Direction.DOWNSTREAM, 9, kinds=[NodeKind.DATASET_VERSION])

    assert hops(answer) == {1: 0, 2: 1, 4: 3, 6: 5}
    assert edges(answer) == {(1, 2)}
    assert answer.complete and answer.total == 4 and not answer.hidden_downstream


def test_one_expansion_a_hop_and_one_beyond_per_direction(draw: Draw) -> None:
    graph = draw(CHAIN)
    root = graph.handle(3)
    graph.calls.clear()

    lineage(graph, root, max_hops=1)

    assert graph.calls.count("expand") == 2 + 2
    assert graph.calls.count("labels") == 1


def test_what_may_not_be_read_is_counted_and_not_named(draw: Draw) -> None:
    graph = draw("1 > 2, 2 > 3")
    graph.draw("2 > 8, 2 > 9, 9 > 10", space="secret")

    answer = lineage(graph, graph.handle(1), max_hops=9, spaces=frozenset({"default"}))

    assert hops(answer) == {1: 0, 2: 1, 3: 2}
    assert hidden(answer.hidden_downstream, answer) == {2: 2}
    assert answer.truncated_because == "2 neighbours lie in spaces that you may not read"
    assert lineage(graph, graph.handle(1), max_hops=9).total == 6


def test_as_of_a_time_filters_edges_and_not_nodes(draw: Draw) -> None:
    graph = draw("1 > 2, 2 > 3, 3 > 4")

    answer = lineage(graph, graph.handle(1), max_hops=9, moment=Moment(as_of=1))

    assert hops(answer) == {1: 0, 2: 1, 3: 2} and answer.complete


@pytest.mark.parametrize(("max_hops", "first"), [(-1, 10), (1_001, 10), (3, 0)])
def test_limits_without_sense_are_refused(draw: Draw, max_hops: int, first: int) -> None:
    graph = draw("1 > 2")
    with pytest.raises(BadInput, match=r"maxHops is|first is"):
        lineage(graph, graph.handle(1), max_hops=max_hops, first=first)
