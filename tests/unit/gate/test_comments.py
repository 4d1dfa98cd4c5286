"""One comment a pull request: written, brought up to date, taken away, and never somebody else's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.errors import Failed
from app.gate.ci import Head, Pull
from app.gate.comments import MARK, Forge, forge_of, put
from tests.forges import BOT, GITLAB_BOT, SOMEBODY, TOKEN, Forges

TEXT = f"{MARK}\n\n### Kinlore\n"
OURS = {"github": BOT, "gitlab": GITLAB_BOT}


@pytest.fixture
def forges() -> Iterator[Forges]:
    with Forges() as running:
        yield running


@pytest.fixture(params=["github", "gitlab"])
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def at(forges: Forges, name: str, **more: object) -> Forge:
    project = "acme/churn" if name == "github" else "12"
    pull = Pull(name, project, forges.url, **{"number": 7, **more})  # type: ignore[arg-type]
    return forge_of(pull, {"GITHUB_TOKEN": TOKEN, "GITLAB_TOKEN": TOKEN})


def test_it_is_written_once_and_then_brought_up_to_date(forges: Forges, name: str) -> None:
    forge = at(forges, name)

    done = [put(forge, TEXT), put(forge, TEXT), put(forge, TEXT + "more")]

    assert done == ["written", "unchanged", "updated"]
    assert forges.texts == [TEXT + "more"]


def test_it_is_found_behind_very_many_others(forges: Forges, name: str) -> None:
    for number in range(250):
        forges.add(SOMEBODY, f"comment {number}")
    forges.add(OURS[name], TEXT)

    assert put(at(forges, name), TEXT + "new") == "updated"
    assert len(forges.comments) == 251


def test_it_goes_when_there_is_nothing_to_say(forges: Forges, name: str) -> None:
    forge = at(forges, name)
    other = forges.add(SOMEBODY, "please merge")
    put(forge, TEXT)

    done = [put(forge, None), put(forge, None)]

    assert done == ["removed", "none"]
    assert forges.comments == [other]


def test_one_that_somebody_else_wrote_is_left_alone(forges: Forges, name: str) -> None:
    copied = forges.add(SOMEBODY, TEXT + "approved")
    quoted = forges.add(OURS[name], f"> {TEXT}")
    forge = at(forges, name)

    put(forge, TEXT)
    put(forge, None)

    assert forges.comments == [copied, quoted]
    assert copied["body"] == TEXT + "approved"


def test_a_token_that_may_ask_who_it_is_knows_its_own(forges: Forges) -> None:
    forges.may_ask_who = True
    robot = forges.add({**BOT, "id": 9, "login": "other[bot]"}, TEXT)

    put(at(forges, "github"), TEXT + "ours")

    assert forges.texts == [TEXT, TEXT + "ours"]
    assert robot["body"] == TEXT


def test_of_two_written_at_once_one_stays(forges: Forges, name: str) -> None:
    forges.add(OURS[name], TEXT)
    forges.add(OURS[name], TEXT)

    put(at(forges, name), TEXT + "new")

    assert forges.texts == [TEXT + "new"]


def test_what_breaks_for_a_moment_is_asked_again(forges: Forges, name: str) -> None:
    forges.broken = [502]

    assert put(at(forges, name), TEXT) == "written"
    assert forges.texts == [TEXT]


def test_a_refusal_is_said_in_one_line_without_the_token(forges: Forges, name: str) -> None:
    project = "acme/churn" if name == "github" else "12"
    wrong = "wrong-0123456789"
    forge = forge_of(
        Pull(name, project, forges.url, 7),  # type: ignore[arg-type]
        {"GITHUB_TOKEN": wrong, "GITLAB_TOKEN": wrong},
    )

    with pytest.raises(Failed) as caught:
        put(forge, TEXT)

    assert "401" in str(caught.value)
    assert wrong not in str(caught.value)


def test_without_a_token_it_says_which_variable(name: str) -> None:
    with pytest.raises(Failed, match=f"{name.upper()}_TOKEN"):
        forge_of(Pull(name, "acme/churn", "http://127.0.0.1:1", 7), {})  # type: ignore[arg-type]


SHA = "a" * 40


def test_a_second_workflow_finds_the_pull_request_by_its_head(forges: Forges) -> None:
    forges.pulls = [
        {"number": 6, "head": {"label": "fork:data", "sha": "b" * 40}},
        {"number": 7, "head": {"label": "fork:data", "sha": SHA}},
    ]

    put(at(forges, "github", number=None, head=Head("fork", "data", SHA)), TEXT)

    assert forges.texts == [TEXT]


def test_a_head_that_has_moved_on_gets_no_comment(forges: Forges) -> None:
    forges.pulls = [{"number": 7, "head": {"label": "fork:data", "sha": "b" * 40}}]

    with pytest.raises(Failed, match="no open pull request"):
        at(forges, "github", number=None, head=Head("fork", "data", SHA))
