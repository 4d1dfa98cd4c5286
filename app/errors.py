"""Errors of the service itself; those of the graph are in :mod:`graph_schema.errors`."""

from __future__ import annotations

from graph_schema.errors import BadInput, KinloreError, StoreUnavailable


class ConfigError(BadInput):
    """A setting is wrong. The message is one line that names where it stands and what is allowed."""


class Forbidden(KinloreError):
    """The caller may not do this."""

    code = "FORBIDDEN"


class TooCostly(KinloreError):
    """The query would cost more than a query may. Nothing was executed."""

    code = "TOO_COSTLY"


class ServerUnreachable(KinloreError):
    """The server named by KINLORE_URL does not answer as a Kinlore server does."""

    code = "STORE_UNAVAILABLE"


class NoGraphYet(StoreUnavailable):
    """Nothing was ingested yet: the file that the settings name is not there."""


class Failed(KinloreError):
    """An operation failed for a reason that the message tells in one line."""

    code = "FAILED"


class RemoteError(KinloreError):
    """A server answered with an error; ``code`` is the one it gave."""

    def __init__(self, message: str, code: str, candidates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.candidates = candidates
