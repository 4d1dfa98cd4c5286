"""Log-odds of causes: pure, explained, and no more sure than what they rest on."""

from __future__ import annotations

import math

import pytest

from app.answers.cause_code import Touch
from app.answers.cause_delays import exposure, shown
from app.answers.cause_evidence import (
    DAY,
    HOUR,
    CheckSeen,
    Exposure,
    RunSeen,
    Setting,
    Signals,
    lasting,
)
from app.answers.cause_score import scores, shares, weigh


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
    assert total(changed=False) > total(changed=False, dated=False), "it may be no change at all"


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


def test_what_stops_a_service_shows_sooner_than_what_makes_its_answers_worse() -> None:
    minutes, hours = Exposure(600, True), Exposure(4 * HOUR, True)

    assert exposure(minutes, serving=True) > exposure(minutes)
    assert exposure(hours) > exposure(hours, serving=True)
    assert shown(HOUR, serving=True) > shown(HOUR)


def test_deployments_of_one_place_share_their_fate() -> None:
    def of(places: list[str]) -> float:
        return total(others=[Exposure(DAY, False, DAY, place) for place in places])

    assert of(["a", "b", "c"]) < of(["a", "a", "a"]) < 0


def test_what_was_touched_tells() -> None:
    by = {touch: total(touch=touch) for touch in Touch}

    assert by[Touch.OWN] > by[Touch.SHARED] > total() > by[Touch.INSTALLED] > by[Touch.ASIDE]
    assert total(mended=True) < total(touch=Touch.ASIDE) + 1 < total(familiar=True)


def test_a_major_upgrade_is_the_riskier() -> None:
    major, minor, patch = (total(upgrade=step) for step in (2, 1, 0))

    assert major > minor > patch


def test_the_run_that_led_here_says_whether_metrics_see_it() -> None:
    others = [RunSeen(True, 0.05, group) for group in range(3)]
    worse, well = (total(runs=[*others, RunSeen(bad, 0.05, 9, own=True)]) for bad in (True, False))
    tried = total(runs=[RunSeen(False, 0.05, 1), RunSeen(True, 0.05, 9, own=True)])

    assert worse > 0 > well, "what did not show in that run is not what showed in others"
    assert tried < total(runs=[RunSeen(True, 0.05, 9, own=True)]), "it was tried before, and went well"


def test_similar_failures_with_such_a_cause_speak_for_it() -> None:
    assert total(alike=1.5) > total(alike=0.3) > total()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(40, "40 seconds"), (660, "11 minutes"), (4 * HOUR, "4 hours"), (3 * DAY, "3 days")],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert lasting(seconds) == words


# runs that failed --------------------------------------------------------------------------------------


def crashed(*runs: RunSeen, **signals: object) -> float:
    return total(crashed=True, runs=runs, **signals)


def test_what_breaks_a_run_breaks_it_at_once() -> None:
    assert crashed(changed=True) > total(changed=True) > 0
    assert crashed(changed=False) < total(changed=False) < 0
    assert crashed(after="train of Monday") < crashed()


def test_runs_that_failed_the_same_way_speak_for_it_and_others_against() -> None:
    same, other = RunSeen(True, 0.1, kin=True), RunSeen(False, 0.1, kin=True)

    assert crashed(same, same) > crashed(same) > crashed() > crashed(other) > crashed(other, other)
    onset, again = RunSeen(True, 0.1, before=False), RunSeen(True, 0.1, before=True)
    assert crashed(onset) > crashed(again), "it failed so before the change came"
    assert crashed(RunSeen(False, 0.1, group=7)) > crashed(other), "others may bear it"


def test_settings_break_a_run_less_often_than_they_make_it_worse() -> None:
    moved = [Setting("lr", 0.01, 0.1, False, True)]

    assert total(settings=moved) > crashed(settings=moved) > crashed()


def test_deployments_say_nothing_of_a_run_that_failed() -> None:
    others = [Exposure(HOUR, True, place="a"), Exposure(9 * DAY, False, place="b")]

    assert crashed(others=others) == crashed()
    assert total(others=others) != total()
