"""From GitHub's JSON to items: the same item whether it was asked for or pushed. Pure.

GitHub's times have a resolution of a second, so two states may bear one time. What was asked for a while
after that second is its last state: it counts as of the second's end, after everything pushed within it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graph_schema.errors import BadInput
from graph_schema.times import Micros, parse_time
from ingestors.source import Item

Json = Mapping[str, Any]

#: How long after a change no other change can bear its time, clocks that differ included.
SETTLED = 60_000_000
_LONGEST_TEXT = 65_536
_SECOND = 1_000_000


class Seen:
    """When a state was seen: pushed at that time, or asked for at that time."""

    def __init__(self, at: Micros, asked: bool) -> None:
        self.at = at
        self.asked = asked

    def version(self, updated: Any) -> int:
        """What orders the states of a record whose source says when it was updated."""
        if not isinstance(updated, str):
            return self.at
        said = parse_time(updated)
        if not self.asked or said + SETTLED > self.at:
            return said
        return said + (999 if "." in updated else _SECOND - 1)

    def after(self, updated: Any) -> int:
        """Later than every state that bears this time: what is said of a thing when it goes."""
        return parse_time(updated) + _SECOND if isinstance(updated, str) else self.at


def repository(raw: Json, seen: Seen) -> Item:
    """``GET /repos/…``, or ``repository`` of a delivery."""
    data = {
        "path": raw["full_name"],
        "url": raw.get("html_url"),
        "description": raw.get("description"),
        "defaultBranch": raw.get("default_branch"),
        "topics": sorted(raw.get("topics") or ()),
        "archived": bool(raw.get("archived")),
        "visibility": raw.get("visibility") or ("private" if raw.get("private") else "public"),
        "created": _time(raw.get("created_at")),
    }
    # A push event spells its times in seconds.
    updated = raw.get("updated_at")
    return Item("repository", "repository", seen.version(updated), data)


def pull(raw: Json, seen: Seen) -> Item:
    """A pull request, from a list or a delivery."""
    merged = raw.get("merged_at")
    data = {
        "number": _number(raw),
        "title": raw.get("title") or "",
        "body": _text(raw.get("body")),
        "state": "MERGED" if merged else "CLOSED" if raw.get("state") == "closed" else "OPEN",
        "draft": bool(raw.get("draft")),
        "author": _login(raw.get("user")),
        "labels": _labels(raw),
        "base": (raw.get("base") or {}).get("ref"),
        "baseSha": (raw.get("base") or {}).get("sha"),
        "head": (raw.get("head") or {}).get("ref"),
        "headSha": (raw.get("head") or {}).get("sha"),
        # Until it is merged, this is a trial merge that nobody has.
        "mergeSha": raw.get("merge_commit_sha") if merged else None,
        "created": raw.get("created_at"),
        "updated": raw.get("updated_at"),
        "merged": merged,
        "closed": raw.get("closed_at"),
        "url": raw.get("html_url"),
    }
    return Item(f"pull/{data['number']}", "pull", seen.version(raw.get("updated_at")), data)


def pull_commits(request: Item, commits: Sequence[Json] | None) -> Item:
    """The commits of a pull request; None while nobody has asked for them."""
    number = request.data["number"]
    data: dict[str, Any] = {"number": number, "asked": commits is not None}
    if commits is not None:
        base = request.data["baseSha"]
        data |= {"commits": [_commit(each) for each in commits if each.get("sha") != base]}
        data |= {"at": request.data["created"]}
    else:
        data |= {"baseSha": request.data["baseSha"], "created": request.data["created"]}
    return Item(f"pull/{number}/commits", "pull_commits", request.version, data)


def _commit(raw: Json) -> dict[str, Any]:
    commit = raw.get("commit") or {}
    author = commit.get("author") or {}
    return {
        "sha": raw["sha"],
        "message": str(commit.get("message") or "")[:20_000],
        "name": author.get("name"),
        "email": author.get("email"),
        "login": _login(raw.get("author")),
        "authored": author.get("date"),
        "committed": (commit.get("committer") or {}).get("date"),
        "url": raw.get("html_url"),
    }


def issue(raw: Json, seen: Seen) -> Item:
    """An issue, from a list or a delivery."""
    number = _number(raw)
    data = {
        "number": number,
        "title": raw.get("title") or "",
        "body": _text(raw.get("body")),
        "state": raw.get("state") or "open",
        "reason": raw.get("state_reason"),
        "author": _login(raw.get("user")),
        "assignees": sorted(filter(None, (_login(each) for each in raw.get("assignees") or ()))),
        "labels": _labels(raw),
        "created": raw.get("created_at"),
        "closed": raw.get("closed_at"),
        "url": raw.get("html_url"),
    }
    return Item(f"issue/{number}", "issue", seen.version(raw.get("updated_at")), data)


def gone_issue(raw: Json, seen: Seen, moved_to: str | None) -> Item:
    """An issue that was deleted, or moved to ``owner/name#7``. Nothing is said of it after this."""
    item = issue(raw, seen)
    data = {**item.data, "deleted": moved_to is None, "movedTo": moved_to}
    return Item(item.key, item.type, seen.after(raw.get("updated_at")), data)


def release(raw: Json, seen: Seen, *, sha: str | None = None, deleted: bool = False) -> Item:
    """A release; ``sha`` is the commit that its tag stands on."""
    data = {
        "id": raw["id"],
        "tag": raw.get("tag_name") or "",
        "name": raw.get("name") or raw.get("tag_name") or "",
        "body": _text(raw.get("body")),
        "draft": bool(raw.get("draft")),
        "prerelease": bool(raw.get("prerelease")),
        "author": _login(raw.get("author")),
        "created": raw.get("created_at"),
        "published": raw.get("published_at"),
        "url": raw.get("html_url"),
        "assets": [
            {"name": each.get("name"), "size": each.get("size"), "digest": each.get("digest"),
             "url": each.get("browser_download_url")}
            for each in sorted(raw.get("assets") or (), key=lambda each: str(each.get("name")))
        ],
        "sha": sha,
        "deleted": deleted,
    }  # fmt: skip
    updated = raw.get("updated_at")
    version = (seen.after(updated) if deleted else seen.version(updated)) if updated else seen.at
    return Item(f"release/{data['id']}", "release", version, data)


def deployment(raw: Json, seen: Seen) -> Item:
    """A deployment, as it was asked for; how it went is in its statuses."""
    payload = raw.get("payload")
    data = {
        "id": raw["id"],
        "sha": raw.get("sha"),
        "ref": raw.get("ref"),
        "task": raw.get("task") or "deploy",
        "payload": payload if isinstance(payload, Mapping) else {},
        # "environment" may be changed later by a status.
        "environment": raw.get("original_environment") or raw.get("environment") or "",
        "description": raw.get("description"),
        "author": _login(raw.get("creator")),
        "created": raw.get("created_at"),
    }
    # What is shaped here never changes; only updated_at does, with each status.
    return Item(f"deployment/{data['id']}", "deployment", parse_time(raw["created_at"]), data)


def deployment_status(raw: Json, of: Item, seen: Seen) -> Item:
    """One status of a deployment."""
    data = {
        "id": raw["id"],
        "state": raw.get("state") or "",
        "description": raw.get("description"),
        "author": _login(raw.get("creator")),
        "at": raw.get("created_at"),
        "url": raw.get("environment_url") or None,
        "log": raw.get("log_url") or raw.get("target_url") or None,
        "deployment": {key: of.data[key] for key in ("id", "environment", "task", "payload")},
    }
    return Item(f"{of.key}/{data['id']}", "deployment_status", parse_time(raw["created_at"]), data)


def workflow_run(raw: Json, seen: Seen, workflow: Json | None = None) -> Item:
    """A run of a workflow; ``workflow`` comes with it in a delivery."""
    path = raw.get("path") or (workflow or {}).get("path")
    data = {
        "id": raw["id"],
        # A reusable workflow's path ends in @ and its branch.
        "path": path.partition("@")[0] if path else None,
        "name": raw.get("name") or "",
        "title": raw.get("display_title"),
        "number": raw.get("run_number"),
        "attempt": raw.get("run_attempt"),
        "event": raw.get("event"),
        "branch": raw.get("head_branch"),
        "sha": raw.get("head_sha"),
        "status": raw.get("status"),
        "conclusion": raw.get("conclusion"),
        "author": _login(raw.get("actor")),
        "created": raw.get("created_at"),
        "started": raw.get("run_started_at") or raw.get("created_at"),
        "updated": raw.get("updated_at"),
        "url": raw.get("html_url"),
    }
    return Item(f"workflow_run/{data['id']}", "workflow_run", seen.version(raw.get("updated_at")), data)


def owners(path: str | None, text: str, version: int, *, asked: bool = True) -> Item:
    """CODEOWNERS of the default branch; empty where there is none, not ``asked`` while it has to be read."""
    return Item("codeowners", "codeowners", version, {"path": path, "text": text, "asked": asked})


def _number(raw: Json) -> int:
    number = raw.get("number")
    if not isinstance(number, int):
        raise BadInput(f"an issue or pull request without a number: {str(raw)[:120]}")
    return number


def _login(user: Any) -> str | None:
    login = user.get("login") if isinstance(user, Mapping) else None
    # Whoever deleted their account is shown as ghost.
    return login if isinstance(login, str) and login and login != "ghost" else None


def _labels(raw: Json) -> list[str]:
    named = (each.get("name") if isinstance(each, Mapping) else each for each in raw.get("labels") or ())
    return sorted({name for name in named if isinstance(name, str)})


def _text(value: Any) -> str:
    return str(value or "")[:_LONGEST_TEXT]


def _time(value: Any) -> Any:
    return value if isinstance(value, str) else None
