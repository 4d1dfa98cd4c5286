"""What a check reads off the environment of GitHub Actions and GitLab CI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.gate.ci import Head, Pull, surroundings
from app.gate.report import Thresholds, Verdict

BASE, HEAD, ZEROS = "a" * 40, "b" * 40, "0" * 40


def github(folder: Path, event: Any, **more: str) -> dict[str, str]:
    file = folder / "event.json"
    file.write_text(event if isinstance(event, str) else json.dumps(event), encoding="utf-8")
    return {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_PATH": str(file),
        "GITHUB_REPOSITORY": "acme/churn",
        "GITHUB_API_URL": "https://api.github.com/",
        **more,
    }


def test_a_pull_request_on_github(tmp_path: Path) -> None:
    event = {"pull_request": {"number": 7, "base": {"sha": BASE}}, "repository": {"default_branch": "main"}}
    files = {"GITHUB_STEP_SUMMARY": "/tmp/s", "GITHUB_OUTPUT": "/tmp/o"}

    around = surroundings(github(tmp_path, event, GITHUB_BASE_REF="release", **files))

    assert [each.revision for each in around.bases][:3] == [
        "refs/remotes/origin/release",
        BASE,
        "refs/remotes/origin/main",
    ]
    assert around.pull == Pull("github", "acme/churn", "https://api.github.com", 7)
    assert (around.summary, around.outputs) == (Path("/tmp/s"), Path("/tmp/o"))


def test_a_push_to_github_is_compared_with_what_was_there(tmp_path: Path) -> None:
    around = surroundings(github(tmp_path, {"before": BASE}))

    assert (around.bases[0].revision, around.bases[0].fork) == (BASE, False)
    assert around.pull is None


def test_a_new_branch_on_github_has_nothing_before_it(tmp_path: Path) -> None:
    around = surroundings(github(tmp_path, {"before": ZEROS}))

    assert ZEROS not in [each.revision for each in around.bases]


def test_a_second_workflow_on_github_knows_the_head(tmp_path: Path) -> None:
    run = {
        "event": "pull_request",
        "head_branch": "data",
        "head_sha": HEAD,
        "head_repository": {"owner": {"login": "fork"}},
    }

    around = surroundings(github(tmp_path, {"workflow_run": run}))

    assert around.pull == Pull(
        "github", "acme/churn", "https://api.github.com", head=Head("fork", "data", HEAD)
    )


@pytest.mark.parametrize("event", ["", "no JSON", "[]", "[" * 100_000, '{"pull_request": 7, "before": {}}'])
def test_an_odd_event_is_as_none(tmp_path: Path, event: str) -> None:
    around = surroundings(github(tmp_path, event, GITHUB_REPOSITORY="no repository"))

    assert around.pull is None
    assert around.bases[0].revision == "refs/remotes/origin/HEAD"


def test_a_merge_request_on_gitlab() -> None:
    around = surroundings(
        {
            "GITLAB_CI": "true",
            "CI_MERGE_REQUEST_DIFF_BASE_SHA": BASE,
            "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_MERGE_REQUEST_IID": "7",
            "CI_PROJECT_ID": "12",
            "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
            "CI_COMMIT_BEFORE_SHA": ZEROS,
        }
    )

    assert [each.revision for each in around.bases][:2] == [BASE, "refs/remotes/origin/main"]
    assert around.pull == Pull("gitlab", "12", "https://gitlab.example.com/api/v4", 7)


def test_on_a_machine_of_ones_own_it_is_the_default_branch() -> None:
    around = surroundings({})

    assert around.where == "here"
    assert around.bases[0].revision == "refs/remotes/origin/HEAD"


@pytest.mark.parametrize(
    ("warn", "fail", "score", "verdict"),
    [
        (0.0, None, 0.0, Verdict.QUIET),
        (0.0, None, 0.1, Verdict.WARN),
        (30.0, None, 30.0, Verdict.QUIET),
        (0.0, 60.0, 60.0, Verdict.WARN),
        (0.0, 60.0, 60.1, Verdict.FAIL),
        (None, None, 100.0, Verdict.QUIET),
        (None, 60.0, 61.0, Verdict.FAIL),
        (80.0, 60.0, 70.0, Verdict.FAIL),
    ],
)
def test_a_score_is_judged_by_thresholds(
    warn: float | None, fail: float | None, score: float, verdict: Verdict
) -> None:
    assert Thresholds(warn, fail).judge(score) is verdict
