"""What things of a repository are called in the graph, and where the site that people visit is."""

from __future__ import annotations

from urllib.parse import urlsplit

from graph_schema.identifiers import identifier
from ingestors.http import HttpConfig


def site(api_url: str) -> str:
    """``host[:port]`` of the web pages, from the address of the API: ``api.github.com`` is ``github.com``'s,
    ``ghe.example/api/v3`` that of ``ghe.example``."""
    host = urlsplit(api_url).netloc.rpartition("@")[2].lower()
    return host.removeprefix("api.")


class Names:
    """Identifiers of one repository's things. ``repository`` is ``owner/name``."""

    def __init__(self, repository: str, api_url: str, config: HttpConfig) -> None:
        self.path = repository
        self.site = site(api_url)
        self._scope = config.scope

    @property
    def repository(self) -> str:
        """The repository, by its address."""
        return self.remote(self.path)

    def remote(self, path: str) -> str:
        """A repository of this site."""
        return identifier("git.remote", f"{self.site}/{path}")

    def pull(self, number: int) -> str:
        """A pull request."""
        return identifier("github.pull_request", f"{self.path}#{number}")

    def issue(self, number: int) -> str:
        """An issue of this repository."""
        return self.issue_named(f"{self.path}#{number}")

    def issue_named(self, name: str) -> str:
        """An issue of any repository, ``owner/name#7``."""
        return identifier("github.issue", name)

    def release(self, tag: str) -> str:
        """A release, by its tag."""
        return identifier("github.release", f"{self.path}@{tag}")

    def workflow(self, path: str) -> str:
        """A workflow, by its file."""
        return identifier("github.workflow", f"{self.path}/{path}")

    def workflow_run(self, number: int) -> str:
        """A run of a workflow, by its id."""
        return identifier("github.workflow_run", f"{self.path}#{number}")

    def deployment(self, environment: str, name: str, number: int) -> str:
        """A deployment, by where it goes and its id."""
        return identifier("deployment", f"{environment}/{name}@{number}", self._scope)

    @property
    def scope(self) -> str:
        """The scope of what means something in this installation only."""
        return self._scope
