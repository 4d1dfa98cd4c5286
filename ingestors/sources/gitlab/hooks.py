"""From a delivery of GitLab's webhooks to items. Pure.

GitLab's webhooks tell that something changed rather than what it is now: who wrote it, when it was merged and
how many commits it has stand in the API only. So most deliveries become notices, which are asked about before
they are written; what is written is then what a pull writes. A deployment's delivery says all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from graph_schema.errors import BadInput
from graph_schema.times import Micros
from ingestors.source import Delivery, Item
from ingestors.sources.gitlab import shape

Json = Mapping[str, Any]

_OWNERS_FILES = frozenset({"CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS"})


def items_of(delivery: Delivery, project: str) -> list[Item]:
    """What a delivery says of a project; nothing for another project or an event of no interest. Raises
    BadInput for what is no delivery of GitLab's."""
    if "x-gitlab-event" not in delivery.headers:
        raise BadInput("the header X-Gitlab-Event is missing; is this a webhook of GitLab's?")
    try:
        body = msgspec.json.decode(delivery.body)
    except (msgspec.DecodeError, RecursionError) as problem:
        raise BadInput(f"the body is no JSON: {problem}") from None
    if not isinstance(body, dict):
        raise BadInput("the body is no JSON object")
    kind = str(body.get("object_kind"))
    read = _EVENTS.get(kind)
    if read is None:
        return []
    about = body.get("project")
    if not isinstance(about, Mapping):
        raise BadInput(f"a delivery of {kind!r} that names no project")
    if str(about.get("path_with_namespace")).casefold() != project.casefold():
        return []
    try:
        return read(body, delivery.at)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise BadInput(f"a delivery of {kind!r} that is not as GitLab sends it: {problem!r:.200}") from None


def _notice(type: str, name: Any, at: Micros) -> Item:
    return Item(f"{type}/{name}", type, at, {"ask": name})


def _merge_request(body: Json, at: Micros) -> list[Item]:
    return [_notice("merge_request", int(body["object_attributes"]["iid"]), at)]


def _issue(body: Json, at: Micros) -> list[Item]:
    about = body["object_attributes"]
    if str(about.get("type") or "Issue").lower() not in ("issue", "incident"):
        return []
    return [_notice("issue", int(about["iid"]), at)]


def _pipeline(body: Json, at: Micros) -> list[Item]:
    return [_notice("pipeline", int(body["object_attributes"]["id"]), at)]


def _build(body: Json, at: Micros) -> list[Item]:
    return [_notice("pipeline", int(body["pipeline_id"]), at)]


def _release(body: Json, at: Micros) -> list[Item]:
    if body.get("action") != "delete":
        return [_notice("release", str(body["tag"]), at)]
    raw = {
        "tag_name": body["tag"],
        "name": body.get("name"),
        "description": body.get("description"),
        "created_at": body.get("created_at"),
        "released_at": body.get("released_at"),
        "commit": body.get("commit"),
        "_links": {"self": body.get("url")},
    }
    item = shape.release(raw, shape.Seen(at, asked=False))
    return [Item(item.key, item.type, item.version, {**item.data, "deleted": True})]


def _deployment(body: Json, at: Micros) -> list[Item]:
    return shape.deployment_event(body)


def _push(body: Json, at: Micros) -> list[Item]:
    if body.get("ref") != f"refs/heads/{body['project'].get('default_branch')}":
        return []
    files: set[Any] = set()
    for commit in body.get("commits") or ():
        for change in ("added", "modified", "removed"):
            files.update(commit.get(change) or ())
    # Of a large push only the newest commits are told.
    cut = int(body.get("total_commits_count") or 0) > len(body.get("commits") or ())
    return [Item("codeowners", "codeowners", at, {"ask": "HEAD"})] if cut or files & _OWNERS_FILES else []


_EVENTS: MappingProxyType[str, Callable[[Json, Micros], list[Item]]] = MappingProxyType(
    {
        "merge_request": _merge_request,
        "issue": _issue,
        "work_item": _issue,
        "pipeline": _pipeline,
        "build": _build,
        "release": _release,
        "deployment": _deployment,
        "push": _push,
    }
)
