"""A GitLab by contract: no GitLab can be had from the package registries.

Its answers have the fields of GitLab's published documentation, read 2026-11: "REST API" v4 (projects, merge
requests, issues, releases, deployments, pipelines, jobs, repository files) and "Webhook events" (doc/user/
project/integrations/webhook_events.md). The values are a story of our own; nothing of this was recorded.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import httpx

from graph_schema.times import parse_time
from ingestors.source import Delivery

PATH = "acme/ml/churn"
URL = "https://gitlab.example"
SHA = "279484c09fbe69ededfced8c1bb6e6d24616b468"
MERGE = "da1560886d4f094c3e6c9ef40349f7d38b5d27d7"
ADA = {"id": 1, "username": "ada", "name": "Ada", "state": "active", "web_url": f"{URL}/ada"}
PROJECT = {
    "id": 30,
    "name": "churn",
    "web_url": f"{URL}/{PATH}",
    "path_with_namespace": PATH,
    "default_branch": "main",
}


def at(minute: int, second: int = 0) -> str:
    """A time of the story, as the API spells it."""
    return f"2026-03-01T10:{minute:02d}:{second:02d}.123Z"


class GitLab:
    """The story, and a transport that answers for it. ``asked`` are the paths that were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.page = 100
        self.files = {"docs/CODEOWNERS": "* @ada\n[Data] @acme/data\n/data/\n"}
        self.merge_requests = [self.merge_request(1)]
        self.issues = [
            self.issue(9, ["incident", "severity::high", "deployment:churn"]),
            self.issue(10, ["question"]),
        ]
        self.releases = [
            {"tag_name": "v1", "name": "First", "description": "All of it", "author": ADA,
             "created_at": at(5), "released_at": at(5), "upcoming_release": False,
             "commit": {"id": SHA, "short_id": SHA[:8]},
             "_links": {"self": f"{URL}/{PATH}/-/releases/v1"},
             "assets": {"count": 1, "links": [{"name": "model.pkl"}]}}
        ]  # fmt: skip
        self.deployments = [self.deployment(15, "success")]
        self.pipelines = [self.pipeline(31, "success")]
        self.jobs = {31: [self.job(377, "train", "success"), self.job(378, "test", "failed")]}

    def merge_request(self, number: int, **more: Any) -> dict[str, Any]:
        """As ``GET /projects/:id/merge_requests`` lists it."""
        return {
            "id": 100 + number, "iid": number, "project_id": 30, "title": "Repair the scaler",
            "description": "Closes #9", "state": "opened", "created_at": at(1), "updated_at": at(1),
            "merged_at": None, "closed_at": None, "target_branch": "main", "source_branch": "repair",
            "author": ADA, "labels": ["ml"], "draft": False, "work_in_progress": False, "sha": SHA,
            "merge_commit_sha": None, "squash_commit_sha": None,
            "web_url": f"{URL}/{PATH}/-/merge_requests/{number}", **more,
        }  # fmt: skip

    def issue(self, number: int, labels: list[str], **more: Any) -> dict[str, Any]:
        """As ``GET /projects/:id/issues`` lists it."""
        return {
            "id": 300 + number, "iid": number, "project_id": 30, "title": "Churn is wrong",
            "description": "environment: production", "state": "opened", "created_at": at(20),
            "updated_at": at(20), "closed_at": None, "labels": labels, "author": ADA, "assignees": [ADA],
            "issue_type": "issue", "severity": "UNKNOWN", "moved_to_id": None,
            "web_url": f"{URL}/{PATH}/-/issues/{number}", **more,
        }  # fmt: skip

    def deployment(self, number: int, status: str, minute: int = 10) -> dict[str, Any]:
        """As ``GET /projects/:id/deployments`` lists it."""
        return {
            "id": number, "iid": number, "ref": "main", "sha": SHA, "status": status, "user": ADA,
            "created_at": at(minute - 1), "updated_at": at(minute), "deployable": None,
            "environment": {"id": 9, "name": "production"},
        }  # fmt: skip

    def pipeline(self, number: int, status: str) -> dict[str, Any]:
        """As ``GET /projects/:id/pipelines/:id`` answers; the list leaves the times out."""
        return {
            "id": number, "iid": 3, "project_id": 30, "name": "Nightly", "sha": SHA, "ref": "main",
            "status": status, "source": "push", "created_at": at(2), "updated_at": at(4), "started_at": at(3),
            "finished_at": at(4), "duration": 60, "user": ADA,
            "web_url": f"{URL}/{PATH}/-/pipelines/{number}",
        }  # fmt: skip

    def job(self, number: int, name: str, status: str) -> dict[str, Any]:
        """As ``GET /projects/:id/pipelines/:id/jobs`` lists it."""
        return {
            "id": number, "name": name, "stage": "test", "status": status, "created_at": at(2),
            "started_at": at(3), "finished_at": at(4), "failure_reason": None, "commit": {"id": SHA},
            "pipeline": {"id": 31, "sha": SHA, "ref": "main"}, "web_url": f"{URL}/{PATH}/-/jobs/{number}",
        }  # fmt: skip

    def transport(self) -> httpx.MockTransport:
        """What the source talks to instead of the network."""
        return httpx.MockTransport(self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        raw = request.url.raw_path.decode().partition("?")[0]
        head = "/api/v4/projects/acme%2Fml%2Fchurn"
        assert raw.startswith(head), raw
        path, params = raw.removeprefix(head), dict(request.url.params)
        self.asked.append(path)
        parts = [unquote(part) for part in path.strip("/").split("/") if part]
        if not parts:
            more = {
                "description": "",
                "topics": [],
                "created_at": at(0),
                "updated_at": at(0),
                "visibility": "private",
            }
            return httpx.Response(200, json={**PROJECT, **more})
        if parts[0] == "repository":
            text = self.files.get(parts[2])
            return (
                httpx.Response(404, json={"message": "404 File Not Found"})
                if text is None
                else httpx.Response(200, text=text)
            )
        if parts[0] == "merge_requests" and parts[-1] == "commits":
            commit = {
                "id": SHA, "title": "Work", "message": "Work\n", "author_name": "Ada", "created_at": at(0),
                "author_email": "ada@example.com", "authored_date": at(0), "committed_date": at(0),
            }  # fmt: skip
            return httpx.Response(200, json=[commit])
        if parts[0] == "pipelines" and parts[-1] == "jobs":
            return httpx.Response(200, json=self.jobs.get(int(parts[1]), []))
        held: list[dict[str, Any]] = getattr(self, parts[0])
        if len(parts) == 2:
            found = [
                e
                for e in held
                if str(e.get("tag_name") or e.get("iid" if "title" in e else "id")) == parts[1]
            ]
            return (
                httpx.Response(200, json=found[0])
                if found
                else httpx.Response(404, json={"message": "404 Not found"})
            )
        return httpx.Response(200, json=self._listed(held, params))

    def _listed(self, held: list[dict[str, Any]], params: dict[str, str]) -> list[dict[str, Any]]:
        if "updated_after" in params:
            assert (params["order_by"], params["sort"]) == ("updated_at", "asc")
            after = parse_time(params["updated_after"])
            held = [each for each in held if parse_time(each["updated_at"]) >= after]
            held = sorted(held, key=lambda each: parse_time(each["updated_at"]))
        size, number = min(int(params["per_page"]), self.page), int(params["page"])
        return held[(number - 1) * size : number * size]


def delivery(event: str, body: dict[str, Any], **headers: str) -> Delivery:
    """A delivery of a webhook."""
    known = {"x-gitlab-event": event, "x-gitlab-token": "shared", "idempotency-key": "k1", **headers}
    return Delivery(known, json.dumps(body).encode(), parse_time("2026-03-01T11:00:00Z"))


def deployment_hook(number: int, status: str, changed: str) -> Delivery:
    """As documented under "Deployment events": only ``commit_url`` has the full commit id."""
    body = {
        "object_kind": "deployment", "status": status, "status_changed_at": changed, "deployment_id": number,
        "deployable_id": 796, "deployable_url": f"{URL}/{PATH}/-/jobs/796", "environment": "production",
        "environment_tier": "production", "environment_slug": "production", "project": PROJECT,
        "short_sha": SHA[:8], "user": {**ADA, "email": "[REDACTED]"}, "user_url": f"{URL}/ada",
        "commit_url": f"{URL}/{PATH}/-/commit/{SHA}", "commit_title": "Add new file",
    }  # fmt: skip
    return delivery("Deployment Hook", body)
