"""From GitLab's JSON to items: the same item whether it was asked for or pushed. Pure.

The REST API and the webhooks spell the same thing differently: times, labels, links, who wrote it. What only
one of the two says is left out, or asked for before it is written.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from graph_schema.errors import BadInput
from graph_schema.times import Micros, format_time, parse_time
from ingestors.source import Item

Json = Mapping[str, Any]

#: How long after a change no other change can bear its time, clocks that differ included.
SETTLED = 60_000_000
_SECOND = 1_000_000
_LONGEST_TEXT = 65_536
_SHA = re.compile(r"/commit/([0-9a-f]{40,64})(?:[/?#]|$)")


class Seen:
    """When a state was seen: pushed at that time, or asked for at that time."""

    def __init__(self, at: Micros, asked: bool) -> None:
        self.at = at
        self.asked = asked

    def version(self, updated: Any) -> int:
        """What orders the states of a record: webhooks tell its time to the second, and so does this. What
        was asked for a while after that second is its last state, and counts as of its end."""
        if not isinstance(updated, str):
            return self.at
        said = _micros(updated) // _SECOND * _SECOND
        settled = self.asked and said + SETTLED <= self.at
        return said + _SECOND - 1 if settled else said


def time(value: Any) -> str | None:
    """A time in one spelling, to the second: the API sends ``2026-01-31T10:00:00.123Z``, webhooks
    ``2026-01-31 10:00:00 UTC`` or ``2026-01-31 11:00:00 +0100``."""
    return format_time(_micros(value) // _SECOND * _SECOND) if isinstance(value, str) and value else None


def _micros(value: str) -> Micros:
    text = value.strip().replace(" UTC", "Z")
    return parse_time(re.sub(r"^(\S+) (\d\S*?) ?([+-]\d\d:?\d\d|Z)?$", r"\1T\2\3", text))


def project(raw: Json, seen: Seen) -> Item:
    """``GET /projects/…``."""
    data = {
        "path": raw["path_with_namespace"],
        "url": raw.get("web_url"),
        "description": raw.get("description") or None,
        "defaultBranch": raw.get("default_branch"),
        "topics": sorted(raw.get("topics") or ()),
        "archived": bool(raw.get("archived")),
        "visibility": raw.get("visibility"),
        "created": time(raw.get("created_at")),
        "ciFile": raw.get("ci_config_path") or None,
    }
    return Item("repository", "repository", seen.version(raw.get("updated_at")), data)


def merge_request(raw: Json, seen: Seen) -> Item:
    """A merge request, as the API sends it."""
    state = str(raw.get("state") or "opened")
    merged = raw.get("merged_at") if state == "merged" else None
    data = {
        "number": _number(raw),
        "title": raw.get("title") or "",
        "body": _text(raw.get("description")),
        "state": {"merged": "MERGED", "closed": "CLOSED", "locked": "OPEN"}.get(state, "OPEN"),
        "draft": bool(raw.get("draft", raw.get("work_in_progress"))),
        "author": _username(raw.get("author")),
        "labels": _labels(raw),
        "target": raw.get("target_branch"),
        "source": raw.get("source_branch"),
        "headSha": raw.get("sha"),
        "mergeShas": [
            sha for sha in (raw.get("merge_commit_sha"), raw.get("squash_commit_sha")) if sha and merged
        ],
        "created": time(raw.get("created_at")),
        "updated": time(raw.get("updated_at")),
        "merged": time(merged),
        "closed": time(raw.get("closed_at")),
        "url": raw.get("web_url"),
    }
    version = seen.version(raw.get("updated_at"))
    return Item(f"merge_request/{data['number']}", "merge_request", version, data)


def commits(of: Item, raws: Sequence[Json]) -> Item:
    """The commits of a merge request."""
    data = {
        "number": of.data["number"],
        "commits": [
            {
                "sha": raw["id"],
                "message": str(raw.get("message") or raw.get("title") or "")[:20_000],
                "name": raw.get("author_name"),
                "email": raw.get("author_email"),
                "authored": time(raw.get("authored_date")),
                "committed": time(raw.get("committed_date") or raw.get("created_at")),
                "url": raw.get("web_url"),
            }
            for raw in raws
        ],
    }
    return Item(f"{of.key}/commits", "commits", of.version, data)


def issue(raw: Json, seen: Seen) -> Item:
    """An issue, as the API sends it."""
    number = _number(raw)
    data = {
        "number": number,
        "title": raw.get("title") or "",
        "body": _text(raw.get("description")),
        "state": "closed" if raw.get("state") == "closed" else "opened",
        "type": str(raw.get("issue_type") or "issue").lower(),
        "severity": _severity(raw.get("severity")),
        "author": _username(raw.get("author")),
        "assignees": sorted(filter(None, (_username(each) for each in raw.get("assignees") or ()))),
        "labels": _labels(raw),
        "created": time(raw.get("created_at")),
        "closed": time(raw.get("closed_at")),
        "url": raw.get("web_url"),
        "movedTo": raw.get("moved_to_id"),
    }
    return Item(f"issue/{number}", "issue", seen.version(raw.get("updated_at")), data)


def release(raw: Json, seen: Seen) -> Item:
    """A release, as the API sends it."""
    tag = str(raw["tag_name"])
    data = {
        "tag": tag,
        "name": raw.get("name") or tag,
        "body": _text(raw.get("description")),
        "author": _username(raw.get("author")),
        "created": time(raw.get("created_at")),
        "released": time(raw.get("released_at")),
        "sha": (raw.get("commit") or {}).get("id"),
        "url": (raw.get("_links") or {}).get("self"),
        "upcoming": bool(raw.get("upcoming_release")),
        "assets": sorted(
            str(each.get("name")) for each in (raw.get("assets") or {}).get("links") or () if each.get("name")
        ),
    }
    # Releases have no time of their last change.
    return Item(f"release/{tag}", "release", seen.at, data)


def deployment(raw: Json, seen: Seen) -> list[Item]:
    """A deployment and the state it is in, as the API sends it."""
    updated = raw.get("updated_at") or raw.get("created_at")
    environment = raw.get("environment") or {}
    item = _deployment(
        raw["id"],
        str(environment.get("name") or ""),
        raw.get("sha"),
        raw.get("ref"),
        _username(raw.get("user")),
    )
    return [item, _state(item, str(raw.get("status")), time(raw.get("finished_at") or updated))]


def deployment_event(body: Json) -> list[Item]:
    """A deployment and its state, as a webhook sends it: the full commit id only stands in an address."""
    found = _SHA.search(str(body.get("commit_url") or ""))
    item = _deployment(
        body["deployment_id"],
        str(body.get("environment") or ""),
        found[1] if found else None,
        body.get("ref"),
        _username(body.get("user")),
    )
    return [item, _state(item, str(body.get("status")), time(body.get("status_changed_at")))]


def _deployment(number: Any, environment: str, sha: Any, ref: Any, author: str | None) -> Item:
    if not isinstance(number, int) or not environment:
        raise BadInput("a deployment without an id or an environment")
    data = {"id": number, "environment": environment, "sha": sha, "author": author}
    # What does not change; the branch is left out, which old webhooks do not say.
    return Item(f"deployment/{number}", "deployment", number, data)


def _state(of: Item, status: str, at: str | None) -> Item:
    if at is None:
        raise BadInput(f"{of.key} does not say since when it is {status!r}")
    data = {"status": status, "at": at, "id": of.data["id"], "environment": of.data["environment"]}
    return Item(f"{of.key}/{status}", "deployment_state", parse_time(at), data)


def pipeline(raw: Json, seen: Seen) -> Item:
    """A pipeline, as the API sends it."""
    return _pipeline(raw, seen, raw.get("updated_at"), raw.get("web_url"))


def _pipeline(raw: Json, seen: Seen, updated: Any, url: Any) -> Item:
    data = {
        "id": raw["id"],
        "name": raw.get("name"),
        "ref": raw.get("ref"),
        "sha": raw.get("sha"),
        "source": raw.get("source"),
        "status": raw.get("status"),
        "created": time(raw.get("created_at")),
        "started": time(raw.get("started_at")),
        "finished": time(raw.get("finished_at")),
        "url": url,
    }
    return Item(f"pipeline/{data['id']}", "pipeline", seen.version(updated), data)


def job(raw: Json, seen: Seen) -> Item:
    """A job of a pipeline, as the API sends it."""
    of = raw.get("pipeline") or {}
    data = {
        "id": raw["id"],
        "pipeline": of.get("id"),
        "name": raw.get("name") or "",
        "stage": raw.get("stage"),
        "status": raw.get("status"),
        "reason": raw.get("failure_reason"),
        "sha": of.get("sha") or (raw.get("commit") or {}).get("id"),
        "created": time(raw.get("created_at")),
        "started": time(raw.get("started_at")),
        "finished": time(raw.get("finished_at")),
        "url": raw.get("web_url"),
    }
    # A job runs once; each of its times comes after the one before.
    latest = next((data[key] for key in ("finished", "started", "created") if data[key]), None)
    return Item(f"job/{data['id']}", "job", seen.version(latest), data)


def owners(path: str | None, text: str, version: int) -> Item:
    """CODEOWNERS of the default branch; empty where there is none."""
    return Item("codeowners", "codeowners", version, {"path": path, "text": text})


def host_of(url: str) -> str:
    """Host and port of an address."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()


def _number(raw: Json) -> int:
    number = raw.get("iid")
    if not isinstance(number, int):
        raise BadInput(f"an issue or merge request without a number: {str(raw)[:120]}")
    return number


def _username(user: Any) -> str | None:
    name = user.get("username") if isinstance(user, Mapping) else None
    return name if isinstance(name, str) and name and name != "ghost" else None


def _labels(raw: Json) -> list[str]:
    named = (each.get("title") if isinstance(each, Mapping) else each for each in raw.get("labels") or ())
    return sorted({name for name in named if isinstance(name, str)})


def _severity(value: Any) -> str | None:
    said = str(value or "").lower()
    return None if said in ("", "unknown") else said


def _text(value: Any) -> str:
    return str(value or "")[:_LONGEST_TEXT]
