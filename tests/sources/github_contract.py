"""A GitHub by contract, for what emulate lacks: answers with the fields of GitHub's REST documentation
(2022-11-28), tags of representations, pages. Nothing of this was recorded."""

from __future__ import annotations

import json
from typing import Any

import httpx

from graph_schema.times import parse_time
from ingestors.source import Delivery
from ingestors.sources.github import GitHubConfig, GitHubSource

AT = parse_time("2026-03-01T12:00:00Z")
SHA = "f95f852bd8fca8fcc58a9a2d6c842781e32a215e"


def delivery(event: str, body: Any, **headers: str) -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery({"x-github-event": event, "x-github-delivery": "1", **headers}, raw, AT)


class GitHub:
    """Lists by path, with tags and a count of what was asked."""

    def __init__(self, **lists: Any) -> None:
        self.lists = {path.replace("__", "/"): held for path, held in lists.items()}
        self.asked: list[tuple[str, int]] = []
        self.refuse: httpx.Response | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/repos/acme/churn").strip("/")
        answer = self.refuse or self._answer(path, request)
        self.asked.append((path, answer.status_code))
        return answer

    def _answer(self, path: str, request: httpx.Request) -> httpx.Response:
        if path not in self.lists:
            return httpx.Response(404, json={"message": "Not Found"})
        held = self.lists[path]
        etag = f'W/"{hash(json.dumps(held, default=str))}"'
        if request.headers.get("if-none-match") == etag:
            return httpx.Response(304, headers={"etag": etag})
        headers = {"etag": etag}
        if isinstance(held, list):
            size, number = int(request.url.params.get("per_page", 30)), int(request.url.params.get("page", 1))
            if len(held) > number * size:
                # As GitHub spells it, and to a place that nobody may be sent to.
                there = f"https://evil.example/repositories/1/{path}?per_page={size}&page={number + 1}"
                headers["link"] = f'<{there}>; rel="next"'
            held = held[(number - 1) * size : number * size]
        return httpx.Response(200, json=held, headers=headers)

    def source(self, **keys: Any) -> GitHubSource:
        config = {"type": "github", "name": "forge", "repository": "acme/churn", **keys}
        return GitHubSource(GitHubConfig.model_validate(config), transport=httpx.MockTransport(self))


REPOSITORY = {
    "full_name": "acme/churn",
    "default_branch": "main",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "html_url": "https://github.com/acme/churn",
}
