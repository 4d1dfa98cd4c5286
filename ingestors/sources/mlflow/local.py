"""A tracking store without a server: a database or a folder, read through the ``mlflow`` package itself.

The package turns its entities into the same JSON that its server sends. Imported when first needed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ingestors.source import SourceError

Json = Mapping[str, Any]


def database_file(uri: str) -> Path | None:
    """The file of a ``sqlite:///`` address; None for other databases."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(unquote(uri.removeprefix("sqlite:///").partition("?")[0]))


def folder(uri: str) -> Path | None:
    """The folder of a ``file:`` address or a plain path; None for a database."""
    scheme = urlsplit(uri).scheme
    if scheme == "file":
        return Path(unquote(urlsplit(uri).path))
    return Path(uri) if not scheme else None


class Local:
    """The stores behind a tracking URI. Raises SourceError where there is nothing: reading makes nothing."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        file, place = database_file(uri), folder(uri)
        if file is not None and not file.is_file():
            raise SourceError(f"{uri}: there is no such file")
        if place is not None and not place.is_dir():
            raise SourceError(f"{uri}: there is no such folder")
        # MLflow creates the folder for artifacts of new experiments; pointed to what is there, it makes none.
        artifacts = str((file.parent if file is not None else place or Path.cwd()).absolute())
        self._tracking: Any
        self._registry: Any
        try:
            self._open(place, artifacts)
        except ImportError as problem:
            raise SourceError(
                f"{uri} needs the package mlflow: pip install 'kinlore[mlflow]' ({problem})"
            ) from None
        except Exception as problem:
            raise SourceError(f"{uri} cannot be opened: {_line(problem)}") from problem

    def _open(self, place: Path | None, artifacts: str) -> None:
        if place is not None:
            # MLflow 3 refuses folders unless told otherwise; they are only read here.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
            from mlflow.store.model_registry.file_store import FileStore as Registry
            from mlflow.store.tracking.file_store import FileStore

            self._tracking = FileStore(str(place), artifacts)
            self._registry = Registry(str(place))
            return
        from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as Registry
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        self._tracking = SqlAlchemyStore(self._uri, artifacts)
        self._registry = Registry(self._uri)

    def version(self) -> str:
        from mlflow.version import VERSION

        return str(VERSION)

    def search(self, what: str, body: Json) -> Json:
        found: Json = self._asked(lambda: _SEARCHES[what](self._tracking, self._registry, body))
        return found

    def run(self, run_id: str) -> Json | None:
        found = self._found(lambda: self._tracking.get_run(run_id))
        return None if found is None else _json(found)

    def exists(self, what: str, *names: str) -> bool:
        if what == "experiment":
            found = self._found(lambda: self._tracking.get_experiment(names[0]))
            return found is not None and found.lifecycle_stage != "deleted"
        if what == "model":
            return self._found(lambda: self._registry.get_registered_model(names[0])) is not None
        if what == "model_version":
            return self._found(lambda: self._registry.get_model_version(names[0], names[1])) is not None
        return self._found(lambda: self._tracking.get_logged_model(names[0])) is not None

    def artifacts(self, run_id: str) -> list[str]:
        run = self._found(lambda: self._tracking.get_run(run_id))
        if run is None:
            return []
        files = self._asked(lambda: _repository(run.info.artifact_uri).list_artifacts())
        return [file.path for file in files if not file.is_dir]

    def run_file(self, run_id: str, path: str, max_bytes: int) -> str | None:
        run = self._found(lambda: self._tracking.get_run(run_id))
        return None if run is None else self._text(run.info.artifact_uri, path, max_bytes)

    def model_file(self, model_id: str, path: str, max_bytes: int) -> str | None:
        model = self._found(lambda: self._tracking.get_logged_model(model_id))
        return None if model is None else self._text(model.artifact_location, path, max_bytes)

    def close(self) -> None:
        engine = getattr(self._tracking, "engine", None)
        if engine is not None:
            engine.dispose()

    def _text(self, root: str, path: str, max_bytes: int) -> str | None:
        def read() -> str | None:
            import tempfile

            repository = _repository(root)
            if path not in {file.path for file in repository.list_artifacts()}:
                return None
            with tempfile.TemporaryDirectory() as there:
                content = Path(repository.download_artifacts(path, there)).read_bytes()
            return content[:max_bytes].decode(errors="replace")

        found: str | None = self._asked(read)
        return found

    def _found(self, ask: Callable[[], Any]) -> Any:
        from mlflow.exceptions import MlflowException

        try:
            return ask()
        except MlflowException as problem:
            if problem.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise SourceError(f"{self._uri}: {_line(problem)}") from problem

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as problem:
            raise SourceError(f"{self._uri}: {_line(problem)}") from problem


def _repository(root: str) -> Any:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(root)


def _line(problem: Exception) -> str:
    return (str(problem).strip() or type(problem).__name__).partition("\n")[0][:300]


def _json(entity: Any) -> Json:
    """As the server sends it."""
    import json

    from mlflow.utils.proto_json_utils import message_to_json

    found: Json = json.loads(message_to_json(entity.to_proto()))
    return found


def _page(key: str, found: Any) -> Json:
    page = {key: [_json(each) for each in found]}
    return {**page, "next_page_token": found.token} if found.token else page


def _experiments(tracking: Any, registry: Any, body: Json) -> Json:
    from mlflow.entities import ViewType

    found = tracking.search_experiments(
        view_type=ViewType.ALL, max_results=body["max_results"], page_token=body.get("page_token")
    )
    return _page("experiments", found)


def _runs(tracking: Any, registry: Any, body: Json) -> Json:
    from mlflow.entities import ViewType

    found = tracking.search_runs(
        experiment_ids=body["experiment_ids"],
        filter_string=body["filter"],
        run_view_type=ViewType.ALL,
        max_results=body["max_results"],
        page_token=body.get("page_token"),
    )
    return _page("runs", found)


def _models(tracking: Any, registry: Any, body: Json) -> Json:
    found = registry.search_registered_models(
        max_results=body["max_results"], page_token=body.get("page_token")
    )
    return _page("registered_models", found)


def _versions(tracking: Any, registry: Any, body: Json) -> Json:
    found = registry.search_model_versions(
        filter_string=body.get("filter"), max_results=body["max_results"], page_token=body.get("page_token")
    )
    return _page("model_versions", found)


def _logged_models(tracking: Any, registry: Any, body: Json) -> Json:
    found = tracking.search_logged_models(
        experiment_ids=body["experiment_ids"],
        filter_string=body["filter"] or None,
        max_results=body["max_results"],
        page_token=body.get("page_token"),
    )
    return _page("models", found)


_SEARCHES: Mapping[str, Callable[[Any, Any, Json], Json]] = {
    "experiments": _experiments,
    "runs": _runs,
    "registered-models": _models,
    "model-versions": _versions,
    "logged-models": _logged_models,
}
