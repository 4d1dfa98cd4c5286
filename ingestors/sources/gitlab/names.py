"""What things of a project are called in the graph."""

from __future__ import annotations

from urllib.parse import urlsplit

from graph_schema.identifiers import identifier


class Names:
    """Identifiers of one project's things. ``project`` is its full path, ``group/project``."""

    def __init__(self, project: str, url: str, scope: str) -> None:
        self.path = project
        self.url = url
        self.scope = scope
        parts = urlsplit(url)
        # Where GitLab lives below a path, that is no part of the addresses of its repositories over ssh.
        self._site = parts.netloc.rpartition("@")[2].lower() + parts.path.rstrip("/")

    @property
    def repository(self) -> str:
        """The project's repository, by its address."""
        return self.remote(self.path)

    def remote(self, path: str) -> str:
        """A repository of this GitLab."""
        return identifier("git.remote", f"{self._site}/{path}")

    def merge_request(self, number: int) -> str:
        """A merge request, by its number in the project."""
        return identifier("gitlab.merge_request", f"{self.path}!{number}")

    def issue(self, number: int) -> str:
        """An issue, by its number in the project."""
        return identifier("gitlab.issue", f"{self.path}#{number}")

    def release(self, tag: str) -> str:
        """A release, by its tag."""
        return identifier("gitlab.release", f"{self.path}@{tag}")

    def job_name(self, name: str) -> str:
        """A job of the CI configuration, or the configuration itself, by its file."""
        return identifier("gitlab.job_name", f"{self.path}@{name}")

    def pipeline(self, number: int) -> str:
        """A pipeline, by its id."""
        return identifier("gitlab.pipeline", f"{self.path}#{number}")

    def job(self, number: int) -> str:
        """A job of a pipeline, by its id."""
        return identifier("gitlab.job", f"{self.path}#{number}")

    def deployment(self, environment: str, name: str, number: int) -> str:
        """A deployment, by where it goes and its id."""
        return identifier("deployment", f"{environment}/{name}@{number}", self.scope)
