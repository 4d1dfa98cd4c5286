"""From a delivery of GitHub's webhooks to items: the same that a pull makes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

import msgspec

from graph_schema.errors import BadInput
from ingestors.source import Delivery, Item
from ingestors.sources.github import shape
from ingestors.sources.github.shape import Json, Seen

#: After these the commits of a pull request may be others.
_NEW_COMMITS = frozenset({"opened", "synchronize", "reopened", "edited", "closed", "ready_for_review"})
#: Files of a push that say who owns what.
OWNERS_FILES = frozenset({".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"})


def items_of(delivery: Delivery, repository: str) -> list[Item]:
    """What a delivery says of ``owner/name``; nothing for another repository or an event of no interest.
    Raises BadInput for what is no delivery of GitHub's."""
    event = delivery.headers.get("x-github-event", "")
    if not event:
        raise BadInput("the header X-GitHub-Event is missing; is this a webhook of GitHub's?")
    body = _body(delivery)
    read = _EVENTS.get(event)
    if read is None:
        return []
    about = body.get("repository")
    if not isinstance(about, Mapping):
        raise BadInput(f"a delivery of {event!r} that names no repository")
    if not _is_about(body, str(about.get("full_name")), repository):
        return []
    try:
        return read(body, Seen(delivery.at, asked=False))
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise BadInput(f"a delivery of {event!r} that is not as GitHub sends it: {problem!r:.200}") from None


def renamed_from(body: Json) -> str | None:
    """What a repository was called before, ``owner/name``, where a delivery says that it was renamed or
    changed hands."""
    if body.get("action") not in ("renamed", "transferred"):
        return None
    owner, _, name = str(body["repository"]["full_name"]).partition("/")
    changes = body.get("changes") or {}
    before = ((changes.get("repository") or {}).get("name") or {}).get("from") or name
    was = (changes.get("owner") or {}).get("from") or {}
    login = next((was[kind]["login"] for kind in ("user", "organization") if was.get(kind)), owner)
    there = f"{login}/{before}"
    return None if there == f"{owner}/{name}" else there


def _body(delivery: Delivery) -> Json:
    raw: bytes | str = delivery.body
    if "x-www-form-urlencoded" in delivery.headers.get("content-type", ""):
        raw = parse_qs(delivery.body.decode(errors="replace")).get("payload", [""])[0]
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise BadInput(f"the body is no JSON: {problem}") from None
    if not isinstance(body, dict):
        raise BadInput("the body is no JSON object")
    return body


def _is_about(body: Json, full_name: str, repository: str) -> bool:
    wanted = repository.casefold()
    return wanted in (full_name.casefold(), str(renamed_from(body) or "").casefold())


def _repository(body: Json, seen: Seen) -> list[Item]:
    if body.get("action") == "deleted":
        return []
    items = [shape.repository(body["repository"], seen)]
    before = renamed_from(body)
    if before is not None:
        data = {"before": before, "path": body["repository"]["full_name"]}
        items.append(Item(f"renamed/{before.lower()}", "renamed", seen.at, data))
    return items


def _pull(body: Json, seen: Seen) -> list[Item]:
    item = shape.pull(body["pull_request"], seen)
    if body.get("action") not in _NEW_COMMITS:
        return [item]
    return [item, shape.pull_commits(item, None)]


def _issue(body: Json, seen: Seen) -> list[Item]:
    raw, action = body["issue"], body.get("action")
    if raw.get("pull_request"):
        return []
    if action not in ("deleted", "transferred"):
        return [shape.issue(raw, seen)]
    moved_to = None
    if action == "transferred":
        changes = body["changes"]
        moved_to = f"{changes['new_repository']['full_name']}#{changes['new_issue']['number']}"
    return [shape.gone_issue(raw, seen, moved_to)]


def _release(body: Json, seen: Seen) -> list[Item]:
    return [shape.release(body["release"], seen, deleted=body.get("action") == "deleted")]


def _deployment(body: Json, seen: Seen) -> list[Item]:
    return [shape.deployment(body["deployment"], seen)]


def _deployment_status(body: Json, seen: Seen) -> list[Item]:
    item = shape.deployment(body["deployment"], seen)
    return [item, shape.deployment_status(body["deployment_status"], item, seen)]


def _workflow_run(body: Json, seen: Seen) -> list[Item]:
    return [shape.workflow_run(body["workflow_run"], seen, body.get("workflow"))]


def _push(body: Json, seen: Seen) -> list[Item]:
    if body.get("ref") != f"refs/heads/{body['repository'].get('default_branch')}":
        return []
    files: set[Any] = set()
    for commit in body.get("commits") or ():
        for change in ("added", "modified", "removed"):
            files.update(commit.get(change) or ())
    # A forced push says nothing of what it took away.
    if files & OWNERS_FILES or body.get("forced"):
        return [shape.owners(None, "", seen.at, asked=False)]
    return []


_EVENTS: MappingProxyType[str, Callable[[Json, Seen], list[Item]]] = MappingProxyType(
    {
        "repository": _repository,
        "pull_request": _pull,
        "issues": _issue,
        "release": _release,
        "deployment": _deployment,
        "deployment_status": _deployment_status,
        "workflow_run": _workflow_run,
        "push": _push,
    }
)
