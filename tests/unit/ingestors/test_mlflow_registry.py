"""What the source mlflow remembers between pulls: aliases, renames, questions, the cursor itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingestors.sources.mlflow import state as module
from ingestors.sources.mlflow.registry import (
    alias_stays,
    fingerprint,
    renames,
    version_data,
)
from ingestors.sources.mlflow.state import ModelState, Questions, State, Stay

T1, T2, T3 = 10_000_000, 20_000_000, 30_000_000


def seen(held: ModelState, aliases: dict[str, str], last: int | None, now: int) -> list[tuple[Any, ...]]:
    stays = alias_stays("churn", aliases, {"1": 5_000, "2": 15_000}, held, last, now)
    return [(s["alias"], s["version"], s["notBefore"], s["seenAt"], s["until"]) for s in stays]


def test_an_alias_first_seen_came_after_its_version() -> None:
    assert seen(ModelState(), {"prod": "1"}, None, T1) == [("prod", "1", 5_000_000, T1, None)]


def test_an_alias_that_stays_says_nothing_new() -> None:
    held = ModelState(aliases={"prod": Stay("1", T1, None)})

    assert seen(held, {"prod": "1"}, T1, T2) == []


def test_a_moved_alias_ends_one_stay_and_begins_another() -> None:
    held = ModelState(aliases={"prod": Stay("1", T1, None)})

    found = seen(held, {"prod": "2"}, T2, T3)

    assert found == [("prod", "1", None, T1, T2), ("prod", "2", T2, T3, None)]
    assert held.past == [("prod", "1", T1)]
    assert held.aliases == {"prod": Stay("2", T3, T2)}


def test_a_removed_alias_ends_and_may_come_back() -> None:
    held = ModelState(aliases={"prod": Stay("1", T1, None)})

    removed = seen(held, {}, T1, T2)
    back = seen(held, {"prod": "1"}, T2, T3)

    assert removed == [("prod", "1", None, T1, T1)]
    assert back == [("prod", "1", T2, T3, None)]


def test_a_bound_in_the_future_of_a_slow_clock_bounds_nothing() -> None:
    assert seen(ModelState(), {"prod": "2"}, None, T1) == [("prod", "2", None, T1, None)]


def test_a_renamed_model_has_every_version_that_the_old_one_had() -> None:
    before = {"old": ModelState(versions={"1": "a", "2": "b"}), "kept": ModelState(versions={"1": "c"})}

    found = renames(before, {"kept": {"1": "c"}, "new": {"1": "a", "2": "b", "3": "d"}})

    assert [(r.old, r.new, r.versions) for r in found] == [("old", "new", ("1", "2"))]


@pytest.mark.parametrize(
    "now",
    [
        {"new": {"1": "a"}},
        {"new": {"1": "a", "2": "other"}},
        {"old": {"1": "a", "2": "b"}, "new": {"1": "a", "2": "b"}},
        {"new": {"1": "a", "2": "b"}, "newer": {"1": "a", "2": "b"}},
        {},
    ],
    ids=["lacks a version", "another version", "a copy", "two candidates", "deleted"],
)
def test_what_is_no_rename(now: dict[str, dict[str, str]]) -> None:
    assert renames({"old": ModelState(versions={"1": "a", "2": "b"})}, now) == []


def test_a_model_without_versions_leaves_no_trace_to_follow() -> None:
    assert renames({"old": ModelState()}, {"new": {}}) == []


def test_a_fingerprint_ignores_the_name_and_what_changes() -> None:
    version = {"version": "1", "run": "r", "source": "s", "created": 1, "name": "a", "tags": {}}

    assert fingerprint(version) == fingerprint({**version, "name": "b", "tags": {"x": "y"}})
    assert fingerprint(version) != fingerprint({**version, "run": "q"})


def test_versions_follow_each_other_by_number_not_by_text() -> None:
    versions = [{"version": number} for number in ("10", "2", "9")]

    found = version_data(versions, {"champion": "10", "prod": "10"})

    assert [(v["version"], v["previous"], v["aliases"]) for v in found] == [
        ("2", None, []),
        ("9", "2", []),
        ("10", "9", ["champion", "prod"]),
    ]


def test_a_question_is_asked_once() -> None:
    questions = Questions()
    questions.want("a", 1)
    questions.want("a", 1)
    questions.want("b", 2)
    waiting = list(questions.waiting)

    questions.answer("b")
    questions.answer("a", final=False)
    questions.want("b", 2)
    questions.want("a", 1)

    assert waiting == [["a", 1], ["b", 2]]
    assert questions.waiting == [["a", 1]]


def test_a_forgotten_answer_is_asked_again() -> None:
    questions = Questions()
    questions.answer("a")
    questions.answer("b")

    questions.forget("a")

    assert (questions.answered("a"), questions.answered("b")) == (False, True)
    assert len(questions.asked) == 8


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    monkeypatch.setattr(module, "_WAITING", 2)
    questions = Questions()

    for name in "abcde":
        questions.answer(name)
        questions.want(f"{name}?")

    assert len(questions.asked) == 3 * 8
    assert [entry[0] for entry in questions.waiting] == ["a?", "b?"]


def test_the_cursor_survives_json_and_a_foreign_one_starts_anew() -> None:
    state = State(pulled=T1, swept=T1, mark=7, outputs={"m": "r"})
    state.models["churn"] = ModelState(5, {"prod": Stay("1", T1, None)}, {"1": "f"}, [("a", "1", T1)])
    state.errors.answer("x")
    state.environments.want("y", "run", None)

    read = State.read(json.loads(json.dumps(state.cursor())))

    assert read == state
    assert read.errors.answered("x")
    for foreign in (None, 7, {}, {"format": 2}, {"format": 1, "models": 3}):
        assert State.read(foreign) == State()


def test_a_full_pull_keeps_what_only_earlier_pulls_have_seen() -> None:
    state = State(pulled=T1, swept=T1, registry_at=T1, mark=7, runs=9)
    state.models["churn"] = ModelState(aliases={"prod": Stay("1", T1, None)})
    state.errors.answer("x")

    restarted = state.restarted()

    assert (restarted.models, restarted.registry_at) == (state.models, T1)
    assert (restarted.pulled, restarted.swept, restarted.mark) == (None, None, 0)
    assert not restarted.errors.answered("x")
