"""The source ``mlflow``: experiments, runs, logged and registered models of a tracking server or store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from graph_schema.claims import Claim
from graph_schema.errors import BadInput
from graph_schema.times import Micros
from graph_schema.wording import counted
from ingestors import signatures
from ingestors.http import HttpClient, HttpConfig, shown
from ingestors.source import Delivery, Discovered, Item, Pulled, PushedConfig, Source
from ingestors.sources.mlflow.api import Api, Server, entries
from ingestors.sources.mlflow.models import (
    alias_claims,
    logged_model_claims,
    model_claims,
    rename_claims,
    version_claims,
)
from ingestors.sources.mlflow.names import Names, is_local
from ingestors.sources.mlflow.pulling import Pull
from ingestors.sources.mlflow.runs import (
    environment_claims,
    error_claims,
    experiment_claims,
    model_input_claims,
    run_claims,
)
from ingestors.sources.mlflow.state import State
from ingestors.sources.mlflow.webhooks import DELIVERY_ID, move_claims, received

if TYPE_CHECKING:
    import httpx

#: Runs counted by ``check``; beyond, it says "more than".
_COUNTED = 2_000
#: What addresses of stores without a server begin with, but for a driver (``postgresql+psycopg2``).
_LOCAL = ("sqlite", "postgresql", "mysql", "mssql", "file")


class MLflowConfig(HttpConfig, PushedConfig):
    """Keys of an ``mlflow`` source. ``include`` and ``exclude`` are globs on names of experiments; ``since``
    leaves out runs and logged models that began before. ``secret_env`` names the secret of its webhooks."""

    tracking_uri: str = Field(
        min_length=1, description="http(s)://…; or sqlite:///… and a folder, with the extra mlflow"
    )

    @field_validator("tracking_uri")
    @classmethod
    def _reachable(cls, value: str, info: ValidationInfo) -> str:
        value = value.strip()
        scheme = urlsplit(value).scheme
        if not is_local(value):
            if not urlsplit(value).hostname:
                raise ValueError("write it as http(s)://host:port")
            if urlsplit(value).username is not None:
                raise ValueError(
                    "keep user and password out of the address: name them with user_env, password_env"
                )
            return value.rstrip("/")
        if scheme.startswith("databricks"):
            raise ValueError("Databricks is not supported; write http(s)://…, sqlite:///… or a folder")
        if scheme and scheme.partition("+")[0] not in _LOCAL:
            raise ValueError(
                f"{scheme}:// is nothing that MLflow reads; write http(s)://…, sqlite:///…, another database "
                "or a folder"
            )
        base = Path((info.context or {}).get("base_dir") or Path.cwd())
        if value.startswith("sqlite:///"):
            return f"sqlite:///{base / value.removeprefix('sqlite:///')}"
        return value if scheme else str(base / Path(value).expanduser())


class MLflowSource(Source):
    """Reads MLflow, and never writes to it. ``transport`` replaces the network, for recordings."""

    type = "mlflow"
    config_model = MLflowConfig
    accepts = True
    retirable = (
        "experiment", "run", "run_error", "model_inputs", "logged_model", "environment", "model",
        "model_version", "alias",
    )  # fmt: skip

    def __init__(
        self,
        config: MLflowConfig,
        *,
        transport: httpx.BaseTransport | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(config)
        self._transport = transport
        self._environ = environ
        self._api: Api | None = None
        names = Names(config.scope, config.tracking_uri)
        self._claims: dict[str, Callable[[Mapping[str, Any]], list[Claim]]] = {
            "experiment": lambda data: experiment_claims(data, names),
            "run": lambda data: run_claims(data, names),
            "run_error": error_claims,
            "model_inputs": model_input_claims,
            "logged_model": lambda data: logged_model_claims(data, names),
            "environment": environment_claims,
            "model": lambda data: model_claims(data, names),
            "model_version": lambda data: version_claims(data, names),
            "alias": lambda data: alias_claims(data, names),
            "rename": lambda data: rename_claims(data, names),
            "alias_move": lambda data: move_claims(data, names),
        }

    @classmethod
    def extra_for(cls, config: MLflowConfig) -> tuple[str, str] | None:
        """A store without a server is read with the package, a server without it."""
        return ("mlflow", "mlflow") if is_local(config.tracking_uri) else None

    def api(self) -> Api:
        """The server, or the store behind it, opened when first asked."""
        if self._api is None:
            config: MLflowConfig = self.config
            if is_local(config.tracking_uri):
                from ingestors.sources.mlflow.local import Local

                self._api = Local(config.tracking_uri)
            else:
                client = HttpClient(
                    config.tracking_uri, config, transport=self._transport, environ=self._environ
                )
                self._api = Server(client)
        return self._api

    def pull(self, cursor: Any | None, *, now: Micros) -> Iterator[Pulled]:
        return Pull(self.api(), self.config, cursor, now).pages()

    def verify(self, delivery: Delivery, secret: bytes) -> None:
        signatures.standard(delivery, secret)

    def delivery_id(self, delivery: Delivery) -> str | None:
        return delivery.headers.get(DELIVERY_ID)

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        return received(delivery)

    def restart(self, cursor: Any | None) -> Any | None:
        """What was seen of aliases and of models before a rename stays."""
        return State.read(cursor).restarted().cursor()

    def to_claims(self, item: Item) -> Sequence[Claim]:
        if "broken" in item.data:
            raise BadInput(str(item.data["broken"]))
        return self._claims[item.type](item.data)

    def get(self, type: str, keys: Sequence[str]) -> frozenset[str] | None:
        """Deleted runs and experiments count as gone, although MLflow still shows them."""
        return frozenset(key for key in keys if self._exists(type, key.partition("/")[2]))

    def _exists(self, type_name: str, name: str) -> bool:
        api = self.api()
        if type_name in ("run", "run_error", "model_inputs"):
            run = api.run(name)
            return run is not None and run["info"].get("lifecycle_stage") != "deleted"
        if type_name == "environment":
            return api.exists("logged_model", name)
        if type_name == "model_version":
            model, _, version = name.rpartition("/")
            return api.exists("model_version", model, version)
        if type_name == "alias":
            model, version, _, _ = name.rsplit("/", 3)
            return api.exists("model_version", model, version)
        return api.exists(type_name, name)

    def check(self) -> str:
        api = self.api()
        version = ".".join(api.version().split(".")[:2])
        ids = [
            str(e["experiment_id"])
            for page in entries(api, "experiments", {"view_type": "ALL"})
            for e in page
        ]
        runs = 0
        for page in self._run_pages(ids):
            runs += len(page)
            if runs > _COUNTED:
                break
        many = f"more than {_COUNTED:,} runs" if runs > _COUNTED else counted(runs, "run")
        where = shown(self.config.tracking_uri)
        return f"MLflow {version} at {where}: {counted(len(ids), 'experiment')}, {many}"

    def _run_pages(self, experiments: list[str]) -> Iterator[list[Any]]:
        for start in range(0, len(experiments), 100):
            body = {"experiment_ids": experiments[start : start + 100], "filter": "", "run_view_type": "ALL"}
            yield from entries(self.api(), "runs", body)

    def close(self) -> None:
        if self._api is not None:
            self._api.close()
            self._api = None

    @classmethod
    def discover(cls, folder: Path, environ: Mapping[str, str]) -> list[Discovered]:
        found = []
        if uri := environ.get("MLFLOW_TRACKING_URI", "").strip():
            found.append(_from_environment(uri, environ))
        if (folder / "mlflow.db").is_file():
            found.append(Discovered({"tracking_uri": "sqlite:///mlflow.db"}, "mlflow.db lies in this folder"))
        if any((folder / "mlruns").glob("*/meta.yaml")):
            # Beside a database or a server, mlruns holds artifacts only, without descriptions.
            found.append(Discovered({"tracking_uri": "mlruns"}, "the folder mlruns holds experiments"))
        return found


def _from_environment(uri: str, environ: Mapping[str, str]) -> Discovered:
    config = {"tracking_uri": uri}
    because = "MLFLOW_TRACKING_URI is set"
    parts = urlsplit(uri)
    if not is_local(uri) and parts.username is not None:
        config["tracking_uri"] = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        because += " (its user and password were left out: name variables with user_env and password_env)"
    if environ.get("MLFLOW_TRACKING_TOKEN"):
        config["token_env"] = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - the name of a variable
    elif environ.get("MLFLOW_TRACKING_USERNAME") and environ.get("MLFLOW_TRACKING_PASSWORD"):
        config |= {"user_env": "MLFLOW_TRACKING_USERNAME", "password_env": "MLFLOW_TRACKING_PASSWORD"}
    return Discovered(config, because)
