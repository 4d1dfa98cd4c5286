"""Records of remediations, and what is learned from feedback: pure."""

from __future__ import annotations

import random

import pytest

from app.learnings.feedback import Impression, Judgement, Shown
from app.learnings.learning import LEAST, Example, adjusted, contributions, examples, learn, score
from app.learnings.remediations import TrackRecord, because, outcome_of, track_record, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "bound"), [(0, 0, 0.0), (1, 1, 0.27), (2, 3, 0.254), (8, 10, 0.541), (0, 5, 0.0)]
)
def test_the_lower_bound_is_wilson_s(successes: int, trials: int, bound: float) -> None:
    assert wilson(successes, trials) == pytest.approx(bound, abs=0.001)


def test_one_failure_more_never_helps() -> None:
    for worked in range(6):
        bounds = [wilson(worked, worked + failed) for failed in range(6)]
        assert bounds == sorted(bounds, reverse=True)


def test_what_recurred_failed_and_what_nobody_confirmed_does_not_count() -> None:
    record = track_record(
        [
            {"outcome": "worked"},
            {"outcome": "worked", "recurred": True},
            {"outcome": "failed"},
            {"outcome": "unknown"},
            {"outcome": "worked", "state": "suggested"},
            {"outcome": "worked", "state": "rejected"},
            {},
        ]
    )

    assert record == TrackRecord(worked=1, failed=2, unknown=2, recurred=1, suggested=1)
    assert record.tried == 5
    assert record.lower_bound == wilson(1, 3)
    told = because(record, {"outcome": "failed"})
    assert "tried 5×, worked 1×, failed 2×, of these 1 recurred" in told
    assert told.endswith("1 inferred and not confirmed, it did not help there")


CLOSED = {"outcome": "worked", "origin": "change", "closedBy": "github"}


def test_what_only_a_forge_closed_is_said_to_be_so_and_weighs_half() -> None:
    closed, seen = track_record([CLOSED]), track_record([{"outcome": "worked", "origin": "recorded"}])

    assert (closed.tried, closed.worked, closed.closed) == (1, 1, 1)
    assert 0 < closed.lower_bound == wilson(0.5, 0.5) < seen.lower_bound
    assert because(closed, CLOSED) == (
        "tried 1×, worked 1×, closed by the forge, not confirmed by a person, "
        "github closed the incident with it there"
    )
    both = track_record([CLOSED, {"outcome": "worked"}])
    assert "worked 2×, 1 of these closed by the forge" in because(both, {"outcome": "worked", "by": "ada"})


def test_a_person_s_word_makes_it_a_whole_one() -> None:
    confirmed = {**CLOSED, "state": "confirmed", "verifiedBy": "ada"}

    record = track_record([confirmed])

    assert record == TrackRecord(worked=1)
    assert because(record, confirmed) == "tried 1×, worked 1×, it worked there, as ada says"
    assert (outcome_of(confirmed), outcome_of(CLOSED)) == ("worked", "closed")
    assert outcome_of({**CLOSED, "outcome": "unknown"}) == "unknown"
    assert track_record([{**CLOSED, "recurred": True}]) == TrackRecord(failed=1, recurred=1)


def judged(count: int, seed: int, telling: str) -> list[Example]:
    """Judgements in which one of two signals tells and the other is noise."""
    rng = random.Random(seed)
    found = []
    for number in range(count):
        signals = {"text": rng.gauss(0, 1), "recency": rng.gauss(0, 1)}
        relevant = signals[telling] + rng.gauss(0, 0.3) > 0 if telling else rng.random() < 0.5
        found.append(Example(f"q{number // 5}", number, signals, relevant))
    return found


def test_little_is_not_learned_from() -> None:
    made = learn(judged(LEAST - 1, 1, "text"))

    assert (made.factors, made.promoted) == ({}, False)
    assert f"fewer than {LEAST}" in made.because


def test_a_signal_that_tells_is_believed_more() -> None:
    made = learn(judged(400, 1, "text"))

    assert made.promoted and made.loss is not None and made.loss[1] < made.loss[0]
    assert made.factors["text"] > 1 > made.factors["recency"] > 0
    assert score({"text": 2.0, "other": 1.0}, made.factors) == pytest.approx(2 * made.factors["text"] + 1)


def test_what_does_not_hold_later_is_not_promoted() -> None:
    misleading = [*judged(140, 2, "text"), *judged(60, 3, "recency")]
    later = [
        Example(each.question, 1_000 + n, each.signals, each.relevant) for n, each in enumerate(misleading)
    ]

    made = learn(later)

    assert not made.promoted and made.factors == {}
    assert made.loss is not None and made.loss[1] >= made.loss[0]


def test_judgements_meet_what_was_shown() -> None:
    shown = [
        Impression("run", 1, (Shown("a", 0.9, {"text": 1.0}), Shown("b", 0.8))),
        Impression("run", 2, (Shown("a", 0.7, {"text": 0.5}),)),
    ]
    said = [
        Judgement(question="run", thing="a", relevant=True, at=9),
        Judgement(question="run", thing="a", applied=True, at=5),
        Judgement(question="run", thing="b", relevant=False, at=3),
    ]

    assert examples(shown, said) == [Example("run", 9, {"text": 0.5}, True)]


def test_factors_move_a_probability_by_what_the_signal_contributed() -> None:
    signals = contributions(0.7, {"text": 3.0, "recency": 1.0, "nothing": 0.0})

    assert set(signals) == {"text", "recency"}
    assert signals["text"] == pytest.approx(3 * signals["recency"])
    assert adjusted(0.7, signals, {}) == 0.7
    assert adjusted(0.7, signals, {"text": 0.5}) < 0.7 < adjusted(0.7, signals, {"recency": 2.0})
    assert contributions(0.7, {}) == {}
