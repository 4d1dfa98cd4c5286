"""The source ``github``: pull requests, incidents, releases, deployments, workflow runs, owners."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, field_validator

from graph_schema.claims import Claim
from graph_schema.times import Micros, parse_time
from ingestors import signatures
from ingestors.git_objects import GitRepository
from ingestors.http import HttpClient, HttpConfig, NotThere
from ingestors.source import (
    Delivery,
    Discovered,
    Item,
    Pulled,
    PushedConfig,
    Refused,
    Source,
    SourceError,
)
from ingestors.sources.github import shape
from ingestors.sources.github.api import Api
from ingestors.sources.github.claims import claims_of
from ingestors.sources.github.hooks import items_of
from ingestors.sources.github.names import Names
from ingestors.sources.github.pulling import Pull

if TYPE_CHECKING:
    import httpx

Part = Literal["pulls", "issues", "releases", "deployments", "workflows", "codeowners"]
_ALL: tuple[Part, ...] = ("codeowners", "pulls", "issues", "releases", "deployments", "workflows")
_TOKENS = ("GITHUB_TOKEN", "GH_TOKEN")
#: Where a record can be asked for by its key.
_PATHS = {
    "pull": "/pulls/",
    "issue": "/issues/",
    "release": "/releases/",
    "deployment": "/deployments/",
    "workflow_run": "/actions/runs/",
}
#: The part that a type of record belongs to; others are always read.
_PART_OF: dict[str, Part] = {
    "pull": "pulls",
    "pull_commits": "pulls",
    "issue": "issues",
    "release": "releases",
    "deployment": "deployments",
    "deployment_status": "deployments",
    "workflow_run": "workflows",
    "codeowners": "codeowners",
}


class GitHubConfig(HttpConfig, PushedConfig):
    """Keys of a ``github`` source. ``since`` leaves out what was last changed (deployments and workflow runs:
    created) before."""

    repository: str = Field(description="owner/name")
    api_url: str = Field(default="https://api.github.com", description="address of the REST API")
    parts: tuple[Part, ...] = Field(default=_ALL, description="what to read; default: everything")
    incident_labels: tuple[str, ...] = Field(
        default=("incident",), description="an issue with one of these labels is an incident"
    )

    @field_validator("repository")
    @classmethod
    def _named(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+", value) or ".." in value:
            raise ValueError("write it as owner/name")
        return value

    @field_validator("api_url")
    @classmethod
    def _address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("write it as https://host, for GitHub Enterprise https://host/api/v3")
        if parts.username is not None:
            raise ValueError("keep the token out of the address: name its variable with token_env")
        return value.rstrip("/")


class GitHubSource(Source):
    """One repository on GitHub, by its REST API and its webhooks. ``transport`` replaces the network."""

    type = "github"
    config_model = GitHubConfig
    accepts = True
    retirable = tuple(_PATHS)
    config: GitHubConfig

    def __init__(self, config: GitHubConfig, *, transport: httpx.BaseTransport | None = None) -> None:
        super().__init__(config)
        self._client = HttpClient(config.api_url, config, transport=transport)
        self._api = Api(self._client, config.repository)
        self._names = Names(config.repository, config.api_url, config)
        self._incident_labels = frozenset(label.casefold() for label in config.incident_labels)

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        config = self.config
        choice = [
            config.repository.lower(),
            config.since,
            sorted(self._incident_labels),
            sorted(config.parts),
        ]
        since = None if config.since is None else parse_time(config.since)
        return Pull(self._api, config.parts, cursor, now=now, since=since, choice=choice).pages()

    def to_claims(self, item: Item) -> Sequence[Claim]:
        return claims_of(item, self._names, self._incident_labels)

    def verify(self, delivery: Delivery, secret: bytes) -> None:
        signatures.github(delivery, secret)

    def delivery_id(self, delivery: Delivery) -> str | None:
        return delivery.headers.get("x-github-delivery")

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        items = items_of(delivery, self.config.repository)
        return [item for item in items if _PART_OF.get(item.type) in (None, *self.config.parts)]

    def enrich(self, items: Sequence[Item]) -> Sequence[Item]:
        return [done for item in items if (done := self._enriched(item)) is not None]

    def _enriched(self, item: Item) -> Item | None:
        """What GitHub's delivery leaves out. Where the token may not read it, the next pull will say so."""
        try:
            if item.type == "pull_commits" and not item.data["asked"]:
                return shape.pull_commits(item, self._api.commits(item.data["number"]))
            if item.type == "codeowners" and not item.data["asked"]:
                held = self._api.owners()
                return None if held is None else shape.owners(held.path, held.text, item.version)
            if item.type == "release" and item.data["sha"] is None and not item.data["draft"]:
                sha = self._api.commit_of(item.data["tag"]) if item.data["tag"] else None
                return msgspec.structs.replace(item, data={**item.data, "sha": sha})
        except (Refused, NotThere):
            return item if item.type == "release" else None
        return item

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        place = _PATHS[type]
        return frozenset(key for key in keys if self._api.there(place + key.rpartition("/")[2]))

    def check(self) -> str:
        raw = self._api.get("")
        said = [f"{raw.get('full_name')}, default branch {raw.get('default_branch')}"]
        for part, path in (("deployments", "/deployments"), ("workflows", "/actions/runs")):
            if part in self.config.parts:
                try:
                    self._api.page(
                        path, {"per_page": "1"}, key="workflow_runs" if part == "workflows" else None
                    )
                except NotThere:
                    said.append(f"no {part} there")
        return "; ".join(said)

    def close(self) -> None:
        self._client.close()

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        token = next((name for name in _TOKENS if environ.get(name)), None)
        if token is None:
            return []
        try:
            remote = GitRepository(folder).remote()
        except SourceError:
            return []
        host, _, path = remote.partition("/")
        if host != "github.com" or path.count("/") != 1:
            return []
        config = {
            "type": cls.type,
            "name": f"{path.rpartition('/')[2]}-github",
            "repository": path,
            "token_env": token,
        }
        return [Discovered(config, f"the remote is {remote}, and {token} is set")]
