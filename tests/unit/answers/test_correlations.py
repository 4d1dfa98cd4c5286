"""What goes with failure: exact probabilities, corrected; chance is not taken for more."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import combinations
from math import comb

import numpy as np
import pytest

from app.answers.correlations import LEVEL, Fact, Tail, adjusted, beside, correlate, facts_of_values
from tests.benchmarks.correlations import fooled, found, runs

SHUFFLES = 400


def lr(value: str) -> Fact:
    return Fact("parameter", "lr", value)


# the test ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("everyone", "bad"), [(1, 0), (7, 3), (20, 20), (60, 9)])
def test_tails_are_exact(everyone: int, bad: int) -> None:
    tail = Tail(everyone, bad)
    for drawn in range(everyone + 1):
        for hit in range(drawn + 2):
            ways = sum(comb(bad, x) * comb(everyone - bad, drawn - x) for x in range(hit, drawn + 1))
            exact = Fraction(ways, comb(everyone, drawn))
            if hit <= min(drawn, bad):
                assert tail.of(hit, drawn) == pytest.approx(float(exact), rel=1e-9)


def test_a_large_table() -> None:
    exact = Fraction(sum(comb(300, x) * comb(4_700, 200 - x) for x in range(40, 201)), comb(5_000, 200))

    assert Tail(5_000, 300).of(40, 200) == pytest.approx(float(exact), rel=1e-6)


def test_adjusted_for_the_number_of_tests() -> None:
    p = np.array([0.04, 0.001, 0.03])

    independent = adjusted(p, any_dependence=False)
    any_way = adjusted(p)

    assert independent.tolist() == pytest.approx([0.04, 0.003, 0.04])
    assert any_way.tolist() == pytest.approx([0.04 * 11 / 6, 0.003 * 11 / 6, 0.04 * 11 / 6])
    assert adjusted(np.array([])).size == 0


# findings ----------------------------------------------------------------------------------------------


def test_what_goes_with_failure_is_found_with_its_counterexamples() -> None:
    failed = [run < 14 for run in range(100)]
    bears = [*range(12), 50, 60]

    (found,) = correlate(failed, {lr("= 1"): bears, lr("= 2"): range(20, 50)}).findings

    assert found.fact == lr("= 1")
    assert (found.failed, found.total, found.others_failed, found.others_total) == (12, 14, 2, 86)
    assert found.lift == pytest.approx((12 / 14) / 0.14)
    assert found.counterexamples == (50, 60) and found.examples == (0, 1, 2)
    assert found.p < found.q < 1e-6
    assert found.text.startswith(
        "lr = 1 goes with failure: 12 of 14 failed, of the others 2 of 86 (lift 6.1,"
    )
    assert "cause" not in found.text


def test_facts_of_the_same_runs_are_one_test_and_one_finding() -> None:
    failed = [run < 10 for run in range(60)]
    facts = {
        Fact("commit", "", "c0f0add", 7): range(10),
        lr("= 1"): range(10),
        Fact("data", "d", "d@1", 8): range(10),
    }

    found = correlate(failed, facts)

    (one,) = found.findings
    assert found.tested == 1
    assert [fact.kind for fact in one.facts] == ["parameter", "data", "commit"]
    assert one.also == ["data d@1", "commit c0f0add"]


def test_what_merely_comes_with_a_clearer_fact_is_confounded_with_it() -> None:
    failed = [run < 20 for run in range(100)]
    facts = {lr("= 1"): range(24), Fact("data", "d", "d@1", 8): [*range(2, 24), *range(60, 64)]}

    found = correlate(failed, facts)

    (one,) = found.findings
    assert found.tested == 2
    assert one.fact == lr("= 1") and [each.fact.text for each in one.confounded] == ["data d@1"]
    assert one.confounded[0].q <= LEVEL


def test_what_goes_with_other_failures_stands_for_itself() -> None:
    failed = [run < 20 for run in range(100)]
    facts = {lr("= 1"): range(12), lr("= 2"): range(12, 20), Fact("data", "d", "d@1", 8): range(4, 16)}

    found = correlate(failed, facts).findings

    assert [each.fact.text for each in found] == ["lr = 1", "data d@1", "lr = 2"]
    assert not any(each.confounded for each in found)


def test_what_is_left_of_a_fact_beside_another_is_exact() -> None:
    outcome = np.array([1, 1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0], dtype=bool)
    fact = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 0, 1, 0], dtype=bool)
    other = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    hits = int((outcome & fact).sum())
    ways = as_often = 0
    for first in combinations(range(6), 3):
        for second in combinations(range(6, 12), 2):
            ways += 1
            as_often += int(fact[[*first, *second]].sum()) >= hits

    assert beside(outcome, fact, other, Tail(12, 5)) == pytest.approx(as_often / ways)
    assert beside(outcome, other, other, Tail(12, 5)) == 1.0


def test_of_thresholds_only_the_clearest() -> None:
    values = {run: float(run) for run in range(80)}

    found = correlate([run >= 60 for run in range(80)], facts_of_values("parameter", "lr", values)).findings

    assert [each.fact.text for each in found] == ["lr > 59"]


def test_too_few_are_not_tested() -> None:
    failed = [run < 4 for run in range(40)]
    rare, everyone = {lr("= 1"): range(4)}, {lr("= 2"): range(40)}

    assert correlate(failed, rare).tested == 0
    assert correlate(failed, everyone).tested == 0
    assert correlate([False] * 40, {lr("= 1"): range(20)}).tested == 0
    assert correlate([], {}).findings == []


def test_which_tests_are_made_does_not_depend_on_who_failed() -> None:
    facts, chance = runs(120, 3), random.Random(4)
    failed = [run < 20 for run in range(120)]
    tested = set()
    for _ in range(20):
        chance.shuffle(failed)
        tested.add(correlate(failed, facts).tested)

    assert len(tested) == 1


@pytest.mark.parametrize(("number", "bad"), [(60, 12), (200, 60), (400, 30)])
def test_shuffled_outcomes_find_next_to_nothing(number: int, bad: int) -> None:
    """Of many shuffles at most one in twenty may find anything: then no fact goes with any outcome."""
    facts, failed = runs(number, number), [run < bad for run in range(number)]

    assert correlate(failed, facts).tested > 40
    assert fooled(facts, failed, SHUFFLES, bad) <= LEVEL * SHUFFLES


def test_a_planted_failure_is_found_among_them() -> None:
    assert found(200, 0.7, times=50, seed=5) >= 48


# numbers -----------------------------------------------------------------------------------------------


def test_few_numbers_are_taken_one_by_one() -> None:
    facts = facts_of_values("parameter", "epochs", {0: "3", 1: 3, 2: 3.0, 3: 10, 4: "10"})

    assert {fact.value: members for fact, members in facts.items()} == {"= 3": [0, 1, 2], "= 10": [3, 4]}


def test_many_numbers_are_cut_at_their_quartiles() -> None:
    facts = facts_of_values("parameter", "lr", {run: str(run / 10) for run in range(21)})

    assert {fact.value: len(members) for fact, members in facts.items()} == {
        "≤ 0.5": 6, "> 0.5": 15, "≤ 1": 11, "> 1": 10, "≤ 1.5": 16, "> 1.5": 5,
    }  # fmt: skip


def test_texts_truth_values_and_lists_are_values() -> None:
    facts = facts_of_values("parameter", "x", {0: True, 1: "adam", 2: [1, 2], 3: float("nan"), 4: False})

    assert sorted(fact.value for fact in facts) == ["= [1,2]", "= adam", "= false", "= nan", "= true"]
