"""Asks a graph by GraphQL: the server that KINLORE_URL names, else the store of the settings, in process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from app import settings
from app.errors import NoGraphYet, RemoteError, ServerUnreachable
from app.settings import Remote

#: Seconds that a server may take to answer.
_PATIENCE = 60.0


class Client(Protocol):
    """Answers queries."""

    def ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The data. Raises RemoteError with the code that the answer gave, ServerUnreachable, StoreError."""

    def wait_for_model(self, seconds: float) -> None:
        """Let the model that compares meanings be loaded for so many seconds; a server has done so."""


@contextmanager
def connected(config: str | None) -> Iterator[Client]:
    """A client, closed at the end. Raises ConfigError, StoreError, ServerUnreachable."""
    remote = settings.remote()
    if remote is not None:
        yield _Server(remote)
        return
    from app.container import Container

    loaded = settings.load(config)
    with Container(loaded) as container:
        yield _Local(container, elsewhere=loaded.file is None)


class _Local:
    def __init__(self, container: Any, *, elsewhere: bool) -> None:
        self._container = container
        # Opened first: what is wrong with it is then said as it is, and not as an answer to a query.
        try:
            self._container.store.service("source", limit=1)
        except NoGraphYet as problem:
            if not elsewhere:
                raise
            hint = "no kinlore.toml is here either: name one with --config, or a server with KINLORE_URL"
            raise NoGraphYet(f"{problem}; {hint}") from None

    def ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        from app.api.fields import Ask
        from app.api.graphql import Request, answer
        from app.api.status import source_statuses

        container = self._container
        stalled_after = settings.seconds(container.settings.runs.stalled_after)
        return _data(
            answer(
                Request(query, dict(variables)),
                lambda: Ask(
                    container.store,
                    None,
                    lambda: source_statuses(container),
                    None,
                    stalled_after,
                    production=container.settings.environments.production,
                    critical=container.settings.impact.critical,
                    held=container.adjacencies,
                    model=container.model,
                ),
            )
        )

    def wait_for_model(self, seconds: float) -> None:
        if seconds > 0:
            self._container.model.wait(seconds)


class _Server:
    def __init__(self, remote: Remote) -> None:
        self._remote = remote

    def wait_for_model(self, seconds: float) -> None:
        # It has one, or says why not.
        return

    def ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        import msgspec

        from ingestors.spool import send

        token = self._remote.token
        asked = msgspec.json.encode({"query": query, "variables": dict(variables)})
        try:
            status, answer = send(
                f"{self._remote.url}/graphql",
                asked,
                None if token is None else token.get_secret_value(),
                _PATIENCE,
            )
        except (OSError, ValueError) as problem:
            said = str(getattr(problem, "reason", "") or problem) or type(problem).__name__
            raise ServerUnreachable(
                f"no Kinlore answers at {self._remote.url} (KINLORE_URL): {said}"
            ) from None
        if status == 401:
            raise RemoteError(f"{self._remote.url} wants a token: set KINLORE_TOKEN", "FORBIDDEN")
        try:
            body = msgspec.json.decode(answer)
        except msgspec.DecodeError:
            body = None
        if not isinstance(body, dict):
            raise ServerUnreachable(f"{self._remote.url} (KINLORE_URL) does not answer as Kinlore does")
        return _data(body)


def _data(body: Mapping[str, Any]) -> dict[str, Any]:
    errors = body.get("errors")
    if errors:
        first = errors[0]
        extensions = first.get("extensions") or {}
        raise RemoteError(
            str(first.get("message")),
            str(extensions.get("code", "INTERNAL")),
            tuple(extensions.get("candidates") or ()),
        )
    data: dict[str, Any] = body.get("data") or {}
    return data
