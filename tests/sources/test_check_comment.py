"""The comment of ``kinlore check`` on the emulated GitHub: its own REST, two users, one mark."""

from __future__ import annotations

import uuid

import httpx

from app.gate.ci import Pull
from app.gate.comments import MARK, forge_of, put
from tests.npm_tools import GitHubServer


def test_one_comment_of_ours_beside_one_that_copies_it(github_server: GitHubServer) -> None:
    name = f"check-{uuid.uuid4().hex[:8]}"
    ada, bob = (
        httpx.Client(base_url=github_server.url, headers={"Authorization": f"token {who}-token"})
        for who in ("ada", "bob")
    )
    ada.post("/user/repos", json={"name": name}).raise_for_status()
    number = ada.post(f"/repos/ada/{name}/issues", json={"title": "New data"}).json()["number"]
    comments = f"/repos/ada/{name}/issues/{number}/comments"
    bob.post(comments, json={"body": f"{MARK}\nall is well"}).raise_for_status()
    forge = forge_of(Pull("github", f"ada/{name}", github_server.url, number), {"GITHUB_TOKEN": "ada-token"})

    done = [put(forge, f"{MARK}\n{text}") for text in ("first", "first", "second")]
    held = {each["user"]["login"]: each["body"] for each in ada.get(comments).json()}
    done.append(put(forge, None))
    left = [each["user"]["login"] for each in ada.get(comments).json()]

    assert done == ["written", "unchanged", "updated", "removed"]
    assert held == {"bob": f"{MARK}\nall is well", "ada": f"{MARK}\nsecond"}
    assert left == ["bob"]
