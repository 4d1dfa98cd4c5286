"""Working on the emulated GitHub as a team does, and catching what it pushes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import httpx

from graph_schema.claims import Record
from graph_schema.redaction import Redactor
from graph_schema.store import GraphStore, Written
from ingestors import joins
from ingestors.registry import described
from ingestors.sanitise import clean_item
from ingestors.source import Delivery, Item, Source
from tests.npm_tools import GitHubServer
from tests.receiver import Receiver

SECRET = b"it is signed with this"
SEED: dict[str, Any] = {
    "tokens": {
        "ada-token": {"login": "ada", "scopes": ["repo", "user", "admin:repo_hook"]},
        "bob-token": {"login": "bob", "scopes": ["repo", "user"]},
    },
    "github": {
        "users": [
            {"login": "ada", "name": "Ada", "email": "ada@example.com"},
            {"login": "bob", "name": "Bob", "email": "bob@example.com"},
        ],
        "repos": [],
    },
}


class Forge:
    """A repository ``ada/<name>`` of its own on the emulated GitHub."""

    def __init__(self, server: GitHubServer, name: str) -> None:
        self.server = server
        self.path = f"ada/{name}"
        self._client = httpx.Client(base_url=server.url, headers={"Authorization": "token ada-token"})
        self.ask("POST", "/user/repos", {"name": name, "auto_init": True})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """A request to the API; what it answers."""
        answer = self._client.request(method, path, json=body or (None if method == "GET" else {}))
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def of(self, method: str, path: str, body: Any = None) -> Any:
        """A request about the repository."""
        return self.ask(method, f"/repos/{self.path}{path}", body)

    def put(self, file: str, text: str, branch: str = "main", message: str = "Change") -> str:
        """Commit a file; the commit's id."""
        held = self._client.get(f"/repos/{self.path}/contents/{file}", params={"ref": branch})
        body = {"message": message, "content": base64.b64encode(text.encode()).decode(), "branch": branch}
        if held.status_code == 200:
            body["sha"] = held.json()["sha"]
        return str(self.of("PUT", f"/contents/{file}", body)["commit"]["sha"])

    def branch(self, name: str) -> None:
        """A branch from the tip of main."""
        tip = self.of("GET", "/git/ref/heads/main")["object"]["sha"]
        self.of("POST", "/git/refs", {"ref": f"refs/heads/{name}", "sha": tip})

    def pull(self, title: str, body: str = "", branch: str = "work") -> int:
        """A pull request with one commit of its own; its number."""
        self.branch(branch)
        self.put(f"{branch}.py", title, branch, f"Work on {branch}")
        made = self.of("POST", "/pulls", {"title": title, "body": body, "head": branch, "base": "main"})
        return int(made["number"])

    def issue(self, title: str, body: str = "", labels: Sequence[str] = ()) -> int:
        """An issue; its number."""
        for label in labels:
            self._client.post(f"/repos/{self.path}/labels", json={"name": label, "color": "ff0000"})
        made = self.of("POST", "/issues", {"title": title, "body": body, "labels": list(labels)})
        return int(made["number"])

    def watch(self, url: str) -> None:
        """Push everything to an address, signed."""
        config = {"url": url, "content_type": "json", "secret": SECRET.decode()}
        self.of("POST", "/hooks", {"name": "web", "active": True, "events": ["*"], "config": config})

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def came(receiver: Receiver, **wanted: int) -> list[Delivery]:
    """All deliveries, once so many of each event have come."""

    def enough(deliveries: list[Delivery]) -> bool:
        events = [each.headers.get("x-github-event") for each in deliveries]
        return all(events.count(event) >= count for event, count in wanted.items())

    return receiver.wait_until(enough)


def write(store: GraphStore, source: Source, items: Sequence[Item]) -> Written:
    """Write items as the consumer of pushes does: redacted, as claims, with all that is derived."""
    redactor = Redactor(b"test")
    records = []
    for item in items:
        clean = clean_item(item)
        done = Item(clean.key, clean.type, clean.version, redactor.value(clean.data))
        records.append(Record(done.key, done.type, done.version, tuple(source.to_claims(done))))
    return store.transact(lambda tx: joins.apply(tx, described(source), records))


def push(store: GraphStore, source: Source, delivery: Delivery, secret: bytes | None = SECRET) -> Written:
    """A delivery, from its signature to the graph."""
    if secret is not None:
        source.verify(delivery, secret)
    return write(store, source, source.enrich(source.receive(delivery)))
