"""Identifiers and addresses of what a tracking server holds. Made once per source: claims need many."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, urlsplit, urlunsplit

from graph_schema.errors import BadIdentifier
from graph_schema.identifiers import identifier

_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,250}")
_LOGGED = re.compile(r"(?:^models:/|^|/models/)(m-[0-9a-f]{32})(?:/|$)")
_VERSION = re.compile(r"models:/([^/@]+)/(\d+)")


class Names:
    """How the things of one server are named. ``web`` is the address of its pages, None without a server."""

    def __init__(self, scope: str, tracking_uri: str) -> None:
        self._experiment = identifier("mlflow.experiment_id", "x", scope)[:-1]
        self._model = identifier("mlflow.model", "x", scope)[:-1]
        self._version = identifier("mlflow.model_version", "x/1", scope)[:-3]
        self.scope = scope
        self.web = web_address(tracking_uri)

    def experiment(self, value: str) -> str:
        """Raises BadIdentifier, as all of these do, for what MLflow would never send."""
        return self._experiment + plain("mlflow.experiment_id", value)

    def model(self, name: str) -> str:
        return self._model + plain("mlflow.model", name)

    def version(self, name: str, number: str) -> str:
        return f"{self._version}{plain('mlflow.model', name)}/{plain('mlflow.model', number)}"

    def source_version(self, source: str) -> str | None:
        """The model version that a source or a tag such as ``models:/churn/3`` or ``models:/m-…`` names."""
        if logged := logged_in(source):
            return logged_model(logged)
        if match := _VERSION.fullmatch(source.strip()):
            return self.version(match[1], str(int(match[2])))
        return None

    def page(self, *parts: str) -> str | None:
        """The page of something in MLflow's own web interface."""
        if self.web is None:
            return None
        return (
            f"{self.web}/#/{'/'.join(part if _PLAIN.fullmatch(part) else quote(part, '') for part in parts)}"
        )


def plain(scheme: str, value: str) -> str:
    """The value in its normal form. Most are letters and digits and need no closer look."""
    return value if _PLAIN.fullmatch(value) else identifier(scheme, value).partition("=")[2]


def run(value: str) -> str:
    """Raises BadIdentifier for what MLflow would never send."""
    return f"mlflow.run_id={plain('mlflow.run_id', value)}"


def logged_model(value: str) -> str:
    """Raises BadIdentifier for what MLflow would never send."""
    return f"mlflow.logged_model={plain('mlflow.logged_model', value)}"


def logged_in(source: str) -> str | None:
    """The logged model that ``models:/m-…`` or an address of its files names."""
    found = _LOGGED.search(source)
    return found[1] if found else None


def is_local(tracking_uri: str) -> bool:
    """Whether a tracking URI is a database or a folder, read without a server."""
    return urlsplit(tracking_uri).scheme not in ("http", "https")


def web_address(tracking_uri: str) -> str | None:
    """The server's address without user and password; None for a database or a folder."""
    if is_local(tracking_uri):
        return None
    parts = urlsplit(tracking_uri)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))


@lru_cache(maxsize=4096)
def tidy(scheme: str, value: str) -> str | None:
    """An identifier out of what people write into tags; None where it is not one."""
    try:
        return identifier(scheme, value)
    except BadIdentifier:
        return None
