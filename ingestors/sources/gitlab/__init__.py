"""The source ``gitlab``: merge requests, incidents, releases, deployments, pipelines, owners."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlsplit

from pydantic import Field, field_validator

from graph_schema.claims import Claim
from graph_schema.times import Micros, parse_time
from ingestors import signatures
from ingestors.http import HttpClient, HttpConfig, NotThere
from ingestors.source import Delivery, Item, Pulled, PushedConfig, Refused, Source
from ingestors.sources.gitlab import shape
from ingestors.sources.gitlab.api import Api
from ingestors.sources.gitlab.claims import claims_of
from ingestors.sources.gitlab.hooks import items_of
from ingestors.sources.gitlab.names import Names
from ingestors.sources.gitlab.shape import Json, Seen

if TYPE_CHECKING:
    import httpx

Part = Literal["codeowners", "merge_requests", "issues", "releases", "deployments", "pipelines"]
_ALL: tuple[Part, ...] = ("codeowners", "merge_requests", "issues", "releases", "deployments", "pipelines")
#: What was changed within this time before the newest change seen is asked for again.
OVERLAP = 120_000_000
_CHUNK = 25
_PATHS = {
    "merge_request": "/merge_requests/",
    "issue": "/issues/",
    "release": "/releases/",
    "deployment": "/deployments/",
    "pipeline": "/pipelines/",
}
_PART_OF: dict[str, Part] = {
    "merge_request": "merge_requests",
    "issue": "issues",
    "release": "releases",
    "deployment": "deployments",
    "deployment_state": "deployments",
    "pipeline": "pipelines",
    "codeowners": "codeowners",
}
_PARAMS = {"merge_requests": {"state": "all", "scope": "all"}, "issues": {"state": "all", "scope": "all"}}


class GitLabConfig(HttpConfig, PushedConfig):
    """Keys of a ``gitlab`` source. ``since`` leaves out what was last changed before."""

    project: str = Field(description="the project's full path, group/project")
    url: str = Field(default="https://gitlab.com", description="address of GitLab")
    parts: tuple[Part, ...] = Field(default=_ALL, description="what to read; default: everything")
    incident_labels: tuple[str, ...] = Field(
        default=("incident",), description="an issue with one of these labels is an incident"
    )

    @field_validator("project")
    @classmethod
    def _named(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+", value):
            raise ValueError("write it as group/project")
        return value

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write it as https://host")
        if parts.username is not None:
            raise ValueError("keep the token out of the address: name its variable with token_env")
        return value.rstrip("/").removesuffix("/api/v4")


class GitLabSource(Source):
    """One project on GitLab, by its REST API and its webhooks. ``transport`` replaces the network."""

    type = "gitlab"
    config_model = GitLabConfig
    accepts = True
    retirable = tuple(_PATHS)
    config: GitLabConfig

    def __init__(self, config: GitLabConfig, *, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(config)
        self._client = HttpClient(f"{config.url}/api/v4", config, transport=transport)
        self._api = Api(self._client, config.project)
        self._names = Names(config.project, config.url, config.scope)
        self._incident_labels = frozenset(label.casefold() for label in config.incident_labels)

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        config = self.config
        choice = [config.project.lower(), config.since, sorted(self._incident_labels), sorted(config.parts)]
        kept = cursor if isinstance(cursor, dict) and cursor.get("choice") == choice else {}
        high: dict[str, Micros] = dict(kept.get("high") or {})
        seen = Seen(now, asked=True)
        items = [shape.project(self._api.one(""), seen)]
        if "codeowners" in config.parts:
            items.append(shape.owners(*self._api.owners(), now))
        complete: dict[str, frozenset[str]] = {}
        if "releases" in config.parts:
            releases = [shape.release(raw, seen) for raw in self._api.all("/releases", {})]
            items += releases
            complete["release"] = frozenset(item.key for item in releases)
        yield Pulled(items, {"choice": choice, "high": dict(high)})
        readers: dict[str, Callable[[Json, Seen], list[Item]]] = {
            "merge_requests": self._merge_request,
            "issues": lambda raw, seen: [shape.issue(raw, seen)],
            "deployments": shape.deployment,
            "pipelines": self._pipeline,
        }
        for part, read in readers.items():
            if part not in config.parts:
                continue
            for made, newest, present in self._changed(part, high.get(part), read, seen):
                high[part] = newest
                yield Pulled(made, {"choice": choice, "high": dict(high)})
                if present is not None:
                    complete[part.removesuffix("s")] = present
        if complete:
            yield Pulled([], {"choice": choice, "high": dict(high)}, None, complete)

    def _changed(
        self, part: str, high: Micros | None, read: Callable[[Json, Seen], list[Item]], seen: Seen
    ) -> Iterator[tuple[list[Item], Micros, frozenset[str] | None]]:
        """Items of a list by last change; at the end of one that was read from its beginning, all keys."""
        since = None if self.config.since is None else parse_time(self.config.since)
        floor = max(high - OVERLAP if high is not None else 0, since or 0)
        present: set[str] | None = set() if high is None and since is None else None
        params = _PARAMS.get(part, {})
        newest = high or 0
        for batch in self._api.changed(f"/{part}", params, floor):
            for start in range(0, len(batch.items), _CHUNK):
                items = [item for raw in batch.items[start : start + _CHUNK] for item in read(raw, seen)]
                if present is not None:
                    present.update(item.key for item in items if item.type in _PATHS)
                done = start + _CHUNK >= len(batch.items)
                newest = max(newest, batch.newest) if done else newest
                yield items, newest, None
        if present is not None:
            yield [], newest, frozenset(present)

    def _merge_request(self, raw: Json, seen: Seen) -> list[Item]:
        item = shape.merge_request(raw, seen)
        listed = self._api.all(f"/merge_requests/{item.data['number']}/commits", {})
        return [item, shape.commits(item, listed)]

    def _pipeline(self, raw: Json, seen: Seen) -> list[Item]:
        # The list does not say when a pipeline began and ended.
        whole = self._api.one(f"/pipelines/{raw['id']}")
        jobs = self._api.all(f"/pipelines/{raw['id']}/jobs", {"include_retried": "true"})
        return [shape.pipeline(whole, seen), *(shape.job(job, seen) for job in jobs)]

    def to_claims(self, item: Item) -> Sequence[Claim]:
        return claims_of(item, self._names, self._incident_labels)

    def verify(self, delivery: Delivery, secret: bytes) -> None:
        signatures.gitlab(delivery, secret)

    def delivery_id(self, delivery: Delivery) -> str | None:
        return delivery.headers.get("webhook-id") or delivery.headers.get("idempotency-key")

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        items = items_of(delivery, self.config.project)
        return [item for item in items if _PART_OF.get(item.type) in self.config.parts]

    def enrich(self, items: Sequence[Item]) -> Sequence[Item]:
        # Of several notices about one thing, one question.
        done: dict[str, list[Item]] = {}
        for item in items:
            if "ask" not in item.data:
                done.setdefault(f"{item.key} {item.version}", []).append(item)
            elif item.key not in done:
                try:
                    done[item.key] = self._asked(item)
                except (NotThere, Refused):
                    # Gone meanwhile, or not for this token: the next pull will say so.
                    done[item.key] = []
        return [item for made in done.values() for item in made]

    def _asked(self, item: Item) -> list[Item]:
        seen = Seen(item.version, asked=False)
        if item.type == "codeowners":
            return [shape.owners(*self._api.owners(), item.version)]
        raw = self._api.one(_PATHS[item.type] + quote(str(item.data["ask"]), safe=""))
        if item.type == "merge_request":
            return self._merge_request(raw, seen)
        if item.type == "pipeline":
            return self._pipeline(raw, seen)
        return [shape.issue(raw, seen) if item.type == "issue" else shape.release(raw, seen)]

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        place = _PATHS[type]
        return frozenset(
            key for key in keys if self._api.there(place + quote(key.partition("/")[2], safe=""))
        )

    def check(self) -> str:
        raw = self._api.one("")
        return f"{raw.get('path_with_namespace')}, default branch {raw.get('default_branch')}"

    def close(self) -> None:
        self._client.close()
