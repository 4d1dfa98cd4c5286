"""Where a check runs: on a person's machine, in GitHub Actions or in GitLab CI, read off the environment.

Nothing here is a secret; tokens are read only where a comment is written (:mod:`app.gate.comments`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

_MAX_EVENT = 25_000_000
_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


class Candidate(msgspec.Struct, frozen=True):
    """What a change may be compared with. ``fork``: with the commit in which both histories last met;
    otherwise with the very commit."""

    revision: str
    because: str
    fork: bool = True


class Head(msgspec.Struct, frozen=True):
    """The tip of a pull request, as the event that started a second workflow tells it."""

    owner: str
    branch: str
    sha: str


class Pull(msgspec.Struct, frozen=True):
    """A pull or merge request: its number, or, where only its tip is known, that."""

    forge: Literal["github", "gitlab"]
    project: str
    api: str
    number: int | None = None
    head: Head | None = None


class Surroundings(msgspec.Struct, frozen=True):
    """``where`` it runs, what the change may be compared with (the first that the clone has), the pull
    request that it belongs to, and files that take a summary and named outputs."""

    where: Literal["github", "gitlab", "here"] = "here"
    bases: tuple[Candidate, ...] = ()
    pull: Pull | None = None
    summary: Path | None = None
    outputs: Path | None = None


_USUAL = tuple(
    Candidate(revision, "the default branch")
    for revision in ("refs/remotes/origin/HEAD", *(
        f"{prefix}{name}" for prefix in ("refs/remotes/origin/", "refs/heads/") for name in ("main", "master")
    ))
)  # fmt: skip


def surroundings(environ: Mapping[str, str]) -> Surroundings:
    """What the environment tells. Variables that are missing or odd are as if they were not there."""
    if environ.get("GITHUB_ACTIONS") == "true":
        return _github(environ)
    if environ.get("GITLAB_CI") == "true":
        return _gitlab(environ)
    return Surroundings(bases=_USUAL)


def _github(environ: Mapping[str, str]) -> Surroundings:
    event = _event(environ.get("GITHUB_EVENT_PATH"))
    pull = _map(event.get("pull_request"))
    bases: list[Candidate] = []
    if branch := environ.get("GITHUB_BASE_REF", ""):
        bases.append(Candidate(f"refs/remotes/origin/{branch}", f"{branch}, which the pull request is for"))
    if sha := _sha(_map(pull.get("base")).get("sha")):
        bases.append(Candidate(sha, "the base of the pull request"))
    elif before := _sha(event.get("before")):
        bases.append(Candidate(before, "what was there before the push", fork=False))
    default = _map(event.get("repository")).get("default_branch")
    if isinstance(default, str) and default:
        bases.append(Candidate(f"refs/remotes/origin/{default}", "the default branch"))
    return Surroundings(
        where="github",
        bases=(*bases, *_USUAL),
        pull=_github_pull(environ, event),
        summary=_path(environ.get("GITHUB_STEP_SUMMARY")),
        outputs=_path(environ.get("GITHUB_OUTPUT")),
    )


def _github_pull(environ: Mapping[str, str], event: Mapping[str, Any]) -> Pull | None:
    project = environ.get("GITHUB_REPOSITORY", "")
    api = environ.get("GITHUB_API_URL", "").rstrip("/") or "https://api.github.com"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", project):
        return None
    number = _map(event.get("pull_request")).get("number")
    named = re.fullmatch(r"refs/pull/(\d{1,9})/\w+", environ.get("GITHUB_REF", ""))
    if isinstance(number, int):
        return Pull("github", project, api, number)
    if named:
        return Pull("github", project, api, int(named[1]))
    # A second workflow: GitHub itself says whose branch the first one ran for.
    run = _map(event.get("workflow_run"))
    owner = _map(_map(run.get("head_repository")).get("owner")).get("login")
    branch, sha = run.get("head_branch"), _sha(run.get("head_sha"))
    if run.get("event") == "pull_request" and isinstance(owner, str) and isinstance(branch, str) and sha:
        return Pull("github", project, api, head=Head(owner, branch, sha))
    return None


def _gitlab(environ: Mapping[str, str]) -> Surroundings:
    bases: list[Candidate] = []
    if sha := _sha(environ.get("CI_MERGE_REQUEST_DIFF_BASE_SHA")):
        bases.append(Candidate(sha, "the base of the merge request"))
    if branch := environ.get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", ""):
        bases.append(Candidate(f"refs/remotes/origin/{branch}", f"{branch}, which the merge request is for"))
    elif sha := _sha(environ.get("CI_COMMIT_BEFORE_SHA")):
        bases.append(Candidate(sha, "what was there before the push", fork=False))
    if default := environ.get("CI_DEFAULT_BRANCH", ""):
        bases.append(Candidate(f"refs/remotes/origin/{default}", "the default branch"))
    number, project = environ.get("CI_MERGE_REQUEST_IID", ""), environ.get("CI_PROJECT_ID", "")
    api = environ.get("CI_API_V4_URL", "").rstrip("/")
    pull = None
    if re.fullmatch(r"\d{1,9}", number) and re.fullmatch(r"\d{1,12}", project) and api:
        pull = Pull("gitlab", project, api, int(number))
    return Surroundings(where="gitlab", bases=(*bases, *_USUAL), pull=pull)


def _event(name: str | None) -> Mapping[str, Any]:
    try:
        file = Path(name or "")
        if not name or file.stat().st_size > _MAX_EVENT:
            return {}
        return _map(json.loads(file.read_bytes()))
    except (OSError, ValueError, RecursionError):
        return {}


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _sha(value: Any) -> str | None:
    """A commit's id; zeros stand for none."""
    return value if isinstance(value, str) and _SHA.fullmatch(value) and value.strip("0") else None


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None
