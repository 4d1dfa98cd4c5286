"""What the source asks of MLflow, over its REST API. Reading is all it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, Protocol

import msgspec

from ingestors.http import HttpClient, NotThere, shown
from ingestors.source import SourceError

Json = Mapping[str, Any]

#: Entries asked for at once. Runs are large, model versions small; the server's own bounds are higher.
PAGE = {
    "experiments": 1_000,
    "runs": 500,
    "registered-models": 1_000,
    "model-versions": 5_000,
    "logged-models": 100,
}
_LIST = {
    "experiments": "experiments",
    "runs": "runs",
    "registered-models": "registered_models",
    "model-versions": "model_versions",
    "logged-models": "models",
}
_ROOT = "/api/2.0/mlflow"


class Api(Protocol):
    """MLflow's answers as JSON, the same from a server and from a store without one."""

    def version(self) -> str:
        """MLflow's version."""

    def search(self, what: str, body: Json) -> Json:
        """A page of one of the lists that :data:`PAGE` names."""

    def run(self, run_id: str) -> Json | None:
        """A run with everything, or None where there is none (deleted ones still are)."""

    def exists(self, what: str, *names: str) -> bool:
        """Whether an ``experiment``, ``model``, ``model_version`` or ``logged_model`` is there, undeleted."""

    def artifacts(self, run_id: str) -> list[str]:
        """Names of the files at the top of a run's artifacts."""

    def run_file(self, run_id: str, path: str, max_bytes: int) -> str | None:
        """The text of one of a run's artifacts, cut after ``max_bytes``; None where there is none."""

    def model_file(self, model_id: str, path: str, max_bytes: int) -> str | None:
        """The same of a logged model."""

    def close(self) -> None:
        """Release connections."""


class Unsupported(SourceError):
    """The server is too old to know what it was asked for."""


class Server:
    """A tracking server."""

    def __init__(self, client: HttpClient) -> None:
        self._client = client

    def version(self) -> str:
        return self._client.text("/version", max_bytes=100).strip()

    def search(self, what: str, body: Json) -> Json:
        path = f"{_ROOT}/{what}/search"
        try:
            if what in ("registered-models", "model-versions"):
                return self._object(path, self._client.get(path, body))
            return self._object(path, self._client.post(path, body))
        except NotThere as problem:
            if what == "logged-models":
                raise Unsupported(str(problem)) from None
            raise

    def run(self, run_id: str) -> Json | None:
        answer = self._get("runs/get", {"run_id": run_id})
        return None if answer is None else answer["run"]

    def exists(self, what: str, *names: str) -> bool:
        if what == "experiment":
            answer = self._get("experiments/get", {"experiment_id": names[0]})
            return answer is not None and answer["experiment"].get("lifecycle_stage") != "deleted"
        if what == "model":
            return self._get("registered-models/get", {"name": names[0]}) is not None
        if what == "model_version":
            return self._get("model-versions/get", {"name": names[0], "version": names[1]}) is not None
        return self._get(f"logged-models/{names[0]}", {}) is not None

    def artifacts(self, run_id: str) -> list[str]:
        answer = self._get("artifacts/list", {"run_id": run_id}) or {}
        return [file["path"] for file in answer.get("files") or () if not file.get("is_dir")]

    def run_file(self, run_id: str, path: str, max_bytes: int) -> str | None:
        return self._text("/get-artifact", {"run_id": run_id, "path": path}, max_bytes)

    def model_file(self, model_id: str, path: str, max_bytes: int) -> str | None:
        where = f"/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/files"
        return self._text(where, {"artifact_file_path": path}, max_bytes)

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str, params: Json) -> Json | None:
        try:
            return self._object(path, self._client.get(f"{_ROOT}/{path}", params))
        except NotThere as problem:
            # A 404 of MLflow's own means that the thing is gone; any other, that the address is wrong.
            if "RESOURCE_DOES_NOT_EXIST" in problem.body:
                return None
            raise

    def _text(self, path: str, params: Json, max_bytes: int) -> str | None:
        try:
            return self._client.text(path, params, max_bytes)
        except NotThere:
            return None

    def _object(self, path: str, answer: Any) -> Json:
        if not isinstance(answer, dict):
            where = shown(self._client.base_url)
            raise SourceError(f"{where}{path} does not answer as MLflow does: no JSON object")
        return answer


def entries(api: Api, what: str, body: Json) -> Iterator[list[Json]]:
    """The lists of all pages. Raises SourceError where the pages would never end."""
    token, seen, pages = "", set[str](), set[bytes]()
    while True:
        asked = {**body, "max_results": PAGE[what], **({"page_token": token} if token else {})}
        answer = api.search(what, asked)
        found = answer.get(_LIST[what]) or []
        if not isinstance(found, list):
            raise SourceError(f"{what}/search does not answer as MLflow does: {_LIST[what]} is no list")
        if found:
            yield found
        token = answer.get("next_page_token") or ""
        if not token:
            return
        if token in seen:
            raise SourceError(f"{what}/search gives the same page token again and again; the pull was ended")
        seen.add(token)
        # Whatever the token: a page that came before, or nothing with more to come, would come for ever.
        page = blake2b(msgspec.json.encode(found), digest_size=16).digest()
        if page in pages:
            raise SourceError(f"{what}/search gives the same page again and again; the pull was ended")
        pages.add(page)
