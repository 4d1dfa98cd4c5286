"""GitHub's issue comments and GitLab's notes over real HTTP, by contract: paths, fields, pages and refusals
of their REST documentation (GitHub 2022-11-28, GitLab v4). Nothing of this was recorded."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

TOKEN = "tok-0123456789abcdef"
BOT = {"id": 41898282, "login": "github-actions[bot]", "type": "Bot"}
GITLAB_BOT = {"id": 77, "username": "project_12_bot", "name": "kinlore"}
SOMEBODY = {"id": 5, "login": "mallory", "type": "User", "username": "mallory"}


class Forges:
    """One pull request (``acme/churn#7``, ``12!7``) on each forge, with its comments.

    ``broken`` is a list of statuses that the next requests get, ``may_ask_who`` whether the token may ask
    GitHub who it is (a workflow's may not).
    """

    def __init__(self) -> None:
        self.comments: list[dict[str, Any]] = []
        self.pulls: list[dict[str, Any]] = []
        self.broken: list[int] = []
        self.may_ask_who = False
        self.asked: list[str] = []
        self._next = 100
        forges = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                size = int(self.headers.get("content-length") or 0)
                body = json.loads(self.rfile.read(size)) if size else None
                status, answer = forges.answer(self.command, self.path, self.headers, body)
                raw = b"" if answer is None else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve

            def log_message(self, format: str, *args: Any) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """What GITHUB_API_URL or CI_API_V4_URL is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def texts(self) -> list[str]:
        return [comment["body"] for comment in self.comments]

    def add(self, author: Mapping[str, Any], body: str) -> dict[str, Any]:
        """A comment that somebody wrote before."""
        self._next += 1
        comment = {"id": self._next, "user": author, "author": author, "body": body, "system": False}
        self.comments.append(comment)
        return comment

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: Any
    ) -> tuple[int, dict[str, Any] | list[Any] | None]:
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        self.asked.append(f"{method} {path}")
        if self.broken:
            return self.broken.pop(0), {"message": "Server Error"}
        github = headers.get("authorization") == f"Bearer {TOKEN}"
        gitlab = headers.get("private-token") == TOKEN
        if not github and not gitlab:
            return 401, {"message": "Bad credentials"}
        if path == "/user":
            if gitlab:
                return 200, GITLAB_BOT
            return (200, BOT) if self.may_ask_who else (403, {"message": "Resource not accessible"})
        if github and path == "/repos/acme/churn/pulls":
            wanted = query["head"][0]
            return 200, _page([p for p in self.pulls if p["head"]["label"] == wanted], query)
        lists = (
            ("/repos/acme/churn/issues/7/comments",) if github else ("/projects/12/merge_requests/7/notes",)
        )
        if path in lists:
            if method == "GET":
                return 200, _page(self.comments, query)
            return 201, self.add(BOT if github else GITLAB_BOT, body["body"])
        one = "/repos/acme/churn/issues/comments/" if github else f"{lists[0]}/"
        match = re.fullmatch(rf"{re.escape(one)}(\d+)", path)
        held = [c for c in self.comments if match and c["id"] == int(match[1])]
        if not held:
            return 404, {"message": "Not Found"}
        if method == "DELETE":
            self.comments.remove(held[0])
            return 204, None
        if method != ("PATCH" if github else "PUT"):
            return 404, {"message": "Not Found"}
        held[0]["body"] = body["body"]
        return 200, held[0]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _page(held: list[Any], query: Mapping[str, list[str]]) -> list[Any]:
    size, number = int(query.get("per_page", ["30"])[0]), int(query.get("page", ["1"])[0])
    return held[(number - 1) * size : number * size]
