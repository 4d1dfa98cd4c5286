"""Log-odds of causes: pure, explained, and no more sure than what they rest on."""

from __future__ import annotations

import math

import pytest

from app.answers.cause_score import (
    DAY,
    HOUR,
    CheckSeen,
    Exposure,
    RunSeen,
    Setting,
    Signals,
    exposure,
    lasting,
    scores,
    shares,
    weigh,
)


def total(**signals: object) -> float:
    return sum(each.log_odds for each in weigh(Signals(sort="Commit", **signals)))  # type: ignore[arg-type]


def test_scores_are_shares_of_one_with_what_nobody_told() -> None:
    weighed = [weigh(Signals(sort="Commit")), weigh(Signals(sort="Runtime", changed=True))]

    found = scores(weighed)

    assert 0 < found[0] < found[1] < sum(found) < 1


def test_what_speaks_for_it_sums_to_the_score() -> None:
    weights = weigh(Signals(sort="Commit", changed=True, own=[Exposure(HOUR, True)], trivial=True))

    found = shares(weights, 0.4)

    assert sum(share for share in found if share > 0) == pytest.approx(0.4)
    assert any(share < 0 for share in found)


def test_a_failure_soon_after_speaks_more_than_one_late() -> None:
    soon, late, well = Exposure(HOUR, True), Exposure(5 * DAY, True), Exposure(5 * DAY, False)

    assert exposure(soon) > exposure(late) > 0 > exposure(well)
    assert exposure(well) > math.log(0.3) - 1e-9, "not every bad thing shows"


def test_a_release_is_a_risk_of_its_own() -> None:
    assert exposure(Exposure(HOUR, True, age=HOUR)) < exposure(Exposure(HOUR, True, age=9 * DAY))


def test_what_the_last_good_state_had_is_less_probable() -> None:
    assert total(changed=True) > total(changed=None) > total(changed=False)


def test_a_check_that_always_fails_says_little() -> None:
    rare = total(checks=[CheckSeen("ranges", True, True, 0.02)])
    usual = total(checks=[CheckSeen("ranges", True, True, 0.6)])

    assert rare > usual + 2
    assert total(checks=[CheckSeen("ranges", False, True, 0.02)]) < total()


def test_good_runs_never_acquit_wholly_as_metrics_may_be_blind() -> None:
    good = total(runs=[RunSeen(False, 0.05, group) for group in range(20)])
    bad = total(runs=[RunSeen(True, 0.05, group) for group in range(3)])

    assert bad > 0 > good > -2


def test_a_value_that_never_changed_before_speaks_more() -> None:
    steady, moved = (
        total(settings=[Setting("lr", 0.1, 10, seen=False, steady=steady)]) for steady in (True, False)
    )

    assert steady > moved > total(settings=[Setting("lr", 0.1, 10, seen=True)])
    assert total(settings=[]) < -2, "nothing that is set differs"


def test_strange_sizes_are_told() -> None:
    texts = [each.text for each in weigh(Signals(sort="DatasetVersion", size=0.5))]

    assert "its size is 0.50 times the usual" in texts


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(40, "40 seconds"), (660, "11 minutes"), (4 * HOUR, "4 hours"), (3 * DAY, "3 days")],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert lasting(seconds) == words
