"""Changes that nothing tells apart."""

from __future__ import annotations

from app.answers.cause_code import Touch
from app.answers.cause_evidence import DAY, Signals
from app.answers.cause_ties import text_of, ties


def test_age_alone_does_not_tell_changes_apart() -> None:
    same = [Signals(sort="Commit", changed=True, age=days * DAY) for days in (1, 2, 3)]
    other = Signals(sort="Commit", changed=True, age=DAY, touch=Touch.OWN)

    assert ties([same[0], other, *same[1:]]) == [[0, 2, 3]]
    assert ties([same[0], other]) == []


def test_of_many_a_few_are_named() -> None:
    assert text_of(["a", "b"]) == "nothing tells 2 changes apart: a, b; a run or a check between them would"
    assert "a, b, c, d and 2 more;" in text_of(["a", "b", "c", "d", "e", "f"])
