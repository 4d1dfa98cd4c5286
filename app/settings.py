"""Settings: ``kinlore.toml``, overridden by ``KINLORE_*`` variables, overridden by flags.

The only place that reads the environment. Whatever is wrong is one line naming where it stands and what is
allowed. Secrets come from variables only and are never in the file.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from app.errors import ConfigError
from graph_schema.errors import BadInput
from ingestors.every import duration
from ingestors.problems import first_of, in_words

FILE_NAME = "kinlore.toml"
STORE_SCHEMES = ("sqlite", "neo4j", "neo4j+s", "neo4j+ssc", "bolt", "bolt+s", "bolt+ssc")
#: Secrets by section and key: taken from the environment and refused anywhere else.
_SECRETS = {("store", "password"): "KINLORE_STORE__PASSWORD", ("server", "token"): "KINLORE_SERVER__TOKEN"}


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(_Section):
    """``[store]``: where the graph is kept. The password is read from KINLORE_STORE__PASSWORD."""

    url: str = "sqlite:///kinlore.db"
    password: SecretStr | None = None

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            secret = parts.password
        except ValueError as problem:
            raise ValueError(f"not a URL: {problem}") from None
        if parts.scheme not in STORE_SCHEMES:
            raise ValueError(f"allowed are sqlite:///file.db and {', '.join(STORE_SCHEMES[1:])}://host:port")
        if secret:
            raise ValueError("the password does not belong into the URL: set KINLORE_STORE__PASSWORD")
        if parts.scheme == "sqlite" and (parts.netloc or len(parts.path) < 2):
            raise ValueError("write sqlite:///file.db, or sqlite:////folder/file.db for an absolute path")
        if parts.scheme != "sqlite" and not parts.hostname:
            raise ValueError(f"the host is missing: write {parts.scheme}://user@host:7687")
        return url


class ServerSettings(_Section):
    """``[server]``: where it listens, and for whom. The token is read from KINLORE_SERVER__TOKEN."""

    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8420, ge=1, le=65535)
    public_url: str | None = None
    auth: Literal["auto", "required"] = "auto"
    token: SecretStr | None = None

    @field_validator("public_url")
    @classmethod
    def _web_address(cls, url: str | None) -> str | None:
        if url is not None and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
            raise ValueError("an address such as https://kinlore.example.com")
        return None if url is None else url.rstrip("/")

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < 16:
            raise ValueError("a token needs at least 16 characters, for example from `openssl rand -hex 32`")
        return token


PRODUCTION = ("prod", "production")
CRITICAL = ("critical", "business-critical", "tier-1")


class EnvironmentSettings(_Section):
    """``[environments]``: the names that mean production."""

    production: tuple[str, ...] = PRODUCTION


class ImpactSettings(_Section):
    """``[impact]``: the labels that mark what is critical."""

    critical: tuple[str, ...] = CRITICAL


class ModelSettings(_Section):
    """``[models]``: the aliases that mark the version in use."""

    champion: tuple[str, ...] = ("champion", "production", "prod")


class JobSettings(_Section):
    """``[jobs]``: how a server pulls the sources. ``lease``: how long one that falls silent keeps a source;
    ``share``: of the time, how much may be spent in pulling a source before its interval is stretched."""

    lease: str = "15s"
    share: float = Field(0.5, gt=0, le=1)

    @field_validator("lease")
    @classmethod
    def _some_time(cls, text: str) -> str:
        seconds(text, least=2)
        return text


class EmbeddingSettings(_Section):
    """``[embeddings]``: the model that compares meanings, by name or folder; empty for none. ``nodes``: of
    how many nodes search knows the meaning, the newest first."""

    model: str = "all-MiniLM-L6-v2"
    nodes: int = Field(100_000, ge=0)


class RunSettings(_Section):
    """``[runs]``: after how long a run that is still RUNNING and not heard of counts as stalled."""

    stalled_after: str = "24h"

    @field_validator("stalled_after")
    @classmethod
    def _some_time(cls, text: str) -> str:
        seconds(text)
        return text


def seconds(text: str, least: float = 1) -> float:
    """Seconds of a duration such as 30s. Raises ValueError, as pydantic wants it."""
    try:
        return duration(text, least)
    except BadInput as problem:
        raise ValueError(str(problem)) from None


class BoundSettings(_Section):
    """``[[bounds]]``: what a metric may be, without any tool; see docs/checks.md."""

    name: str | None = Field(None, min_length=1, max_length=100)
    model: str | None = None
    experiment: str | None = None
    check: str | None = None
    metric: str | None = Field(None, min_length=1)
    min: float | None = None
    max: float | None = None
    tolerance: float | None = Field(None, ge=0)
    against: Literal["last_good", "champion"] = "last_good"
    better: Literal["higher", "lower"] = "higher"
    kind: Literal["data_quality", "data_drift", "model_quality", "bias", "attribution_drift"] | None = None
    severity: Literal["info", "warning", "critical"] = "critical"
    incident: bool = False

    @property
    def called(self) -> str:
        """What its results are called: its name, else what it is set on."""
        return self.name or " ".join(
            each for each in (self.model or self.experiment or self.check, self.metric) if each
        )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if sum(each is not None for each in (self.model, self.experiment, self.check)) != 1:
            raise ValueError("a bound is on one of model, experiment and check: write one of these keys")
        if self.metric is None and self.check is None:
            raise ValueError("a bound needs a metric")
        if self.metric is None and not self.incident:
            raise ValueError("a bound on a check without a metric needs incident = true, or it does nothing")
        limits = (self.min, self.max, self.tolerance)
        if (self.metric is None) != all(limit is None for limit in limits):
            raise ValueError("a bound on a metric needs min, max or tolerance; without one it takes none")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min is {self.min:g} and max is {self.max:g}: nothing lies in between")
        if self.against == "champion" and (self.model is None or self.tolerance is None):
            raise ValueError("against = champion is for a bound on a model, with a tolerance")
        return self


class NotifySettings(BaseModel):
    """``[[notify]]``: a channel. Its other keys are its own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str
    name: str


class Settings(_Section):
    """Everything that can be set. ``sources`` are the raw tables, checked by the sources' own models."""

    store: StoreSettings = StoreSettings()
    server: ServerSettings = ServerSettings()
    sources: tuple[dict[str, Any], ...] = ()
    environments: EnvironmentSettings = EnvironmentSettings()
    models: ModelSettings = ModelSettings()
    impact: ImpactSettings = ImpactSettings()
    jobs: JobSettings = JobSettings()
    runs: RunSettings = RunSettings()
    embeddings: EmbeddingSettings = EmbeddingSettings()
    bounds: tuple[BoundSettings, ...] = ()
    notify: tuple[NotifySettings, ...] = ()


class Loaded(BaseModel):
    """Settings and where they came from. ``folder`` is what relative paths are relative to."""

    model_config = ConfigDict(frozen=True)

    settings: Settings
    file: Path | None
    folder: Path

    @property
    def where(self) -> str:
        """How messages call the file."""
        return self.file.name if self.file is not None else "the defaults"


class Remote(BaseModel):
    """The server that the commands ask, from KINLORE_URL and KINLORE_TOKEN."""

    url: str
    token: SecretStr | None


def environment() -> dict[str, str]:
    """A copy of the process's environment, for sources that look up credentials by name."""
    return dict(os.environ)


def remote(environ: Mapping[str, str] | None = None) -> Remote | None:
    """The server to ask instead of opening a store, if the environment names one."""
    environ = os.environ if environ is None else environ
    url = environ.get("KINLORE_URL", "").strip()
    if not url:
        return None
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(f"KINLORE_URL is {url!r}; allowed is an address such as http://127.0.0.1:8420")
    token = environ.get("KINLORE_TOKEN")
    return Remote(url=url.rstrip("/"), token=SecretStr(token) if token else None)


def load(
    path: str | Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Settings from the file, the environment and flags (``{"server.port": 9000}``), later ones winning.

    Without ``path``: the file that KINLORE_CONFIG names, else ``kinlore.toml`` here, else the defaults.
    Raises ConfigError.
    """
    environ = os.environ if environ is None else environ
    file = _locate(path, environ)
    tables = {} if file is None else _read(file)
    name = file.name if file is not None else FILE_NAME
    origins: dict[tuple[str, str], str] = {}
    _refuse_secrets(name, tables)
    for section, key, value, variable in _variables(environ):
        _put(tables, section, key, value, name)
        origins[section, key] = variable
    for dotted, value in (flags or {}).items():
        if value is not None:
            section, _, key = dotted.partition(".")
            _put(tables, section, key, value, name)
            origins[section, key] = f"--{key.replace('_', '-')}"
    try:
        settings = Settings.model_validate(tables)
    except ValidationError as problem:
        raise ConfigError(_one_line(problem, name, origins)) from None
    _check_names(settings, name)
    return Loaded(settings=settings, file=file, folder=(file.parent if file else Path.cwd()).resolve())


def _locate(path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    named = path or environ.get("KINLORE_CONFIG")
    if named:
        file = Path(named)
        if not file.is_file():
            by = "--config" if path else "KINLORE_CONFIG"
            raise ConfigError(f"{by} names {str(named)!r}, which is no file; `kinlore init` writes one")
        return file
    file = Path(FILE_NAME)
    return file if file.is_file() else None


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError(f"{file.name} is not valid TOML: {problem}") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{file.name} cannot be read: {problem}") from None


def _refuse_secrets(name: str, tables: Mapping[str, Any]) -> None:
    for (section, key), variable in _SECRETS.items():
        table = tables.get(section)
        if isinstance(table, dict) and key in table:
            raise ConfigError(f"{name}: {section}.{key}: secrets are not kept in the file; set {variable}")


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str, str]]:
    """``KINLORE_SERVER__PORT=9000`` as (section, key, value, variable)."""
    for variable in sorted(environ):
        rest = variable.removeprefix("KINLORE_")
        if rest != variable and "__" in rest and not rest.startswith("TEST_"):
            section, _, key = rest.lower().partition("__")
            allowed = _keys(section)
            if allowed is None or key not in allowed:
                known = [
                    f"KINLORE_{s.upper()}__{k.upper()}" for s in Settings.model_fields for k in _keys(s) or ()
                ]
                raise ConfigError(f"{variable} is no setting{_meant(variable, known)}")
            if section in ("environments", "impact", "models"):
                yield section, key, [part.strip() for part in environ[variable].split(",")], variable  # type: ignore[misc]
            else:
                yield section, key, environ[variable], variable


def _keys(section: str) -> list[str] | None:
    """The keys of a section, None where the section is unknown or a list of tables."""
    field = Settings.model_fields.get(section)
    model = field.annotation if field is not None else None
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, _Section) else None


def _put(tables: dict[str, Any], section: str, key: str, value: Any, name: str) -> None:
    table = tables.setdefault(section, {})
    if not isinstance(table, dict):
        raise ConfigError(f"{name}: {section} is a section: write [{section}] and its keys below")
    table[key] = value


def _check_names(settings: Settings, name: str) -> None:
    seen: set[str] = set()
    for source in settings.sources:
        own = source.get("name")
        if isinstance(own, str):
            if own in seen:
                raise ConfigError(f"{name}: two sources are named {own!r}; every name may stand once")
            seen.add(own)
    called: set[str] = set()
    for bound in settings.bounds:
        if bound.called in called:
            raise ConfigError(f"{name}: two bounds are called {bound.called!r}; give each a name of its own")
        called.add(bound.called)


def _one_line(problem: ValidationError, name: str, origins: Mapping[tuple[str, str], str]) -> str:
    first = first_of(problem)
    loc = first["loc"]
    key = ".".join(str(part) for part in loc)
    where = f"{name}: {key}"
    if len(loc) >= 2 and (str(loc[0]), str(loc[1])) in origins:
        where = origins[str(loc[0]), str(loc[1])]
    if first["type"] == "extra_forbidden":
        allowed = list(Settings.model_fields) if len(loc) == 1 else _keys(str(loc[0])) or []
        if loc[0] == "bounds" and len(loc) > 1:
            allowed = list(BoundSettings.model_fields)
        allowed = [word for word in allowed if (str(loc[0]), word) not in _SECRETS]
        return f"{where} is no setting{_meant(str(loc[-1]), allowed)}"
    if loc == ("sources",) or loc == ("bounds",) or loc == ("notify",):
        return f"{where}: there may be several, so write [[{key}]], with two brackets on each side"
    message = in_words(first)
    shown = "" if (str(loc[0]), str(loc[-1])) in _SECRETS else f" (it is {str(first['input'])[:80]!r})"
    if str(loc[-1]) == "url":
        # What was wrong may be a password in it.
        shown = ""
    if first["type"] == "missing":
        # What was given is all that stands around it.
        shown = ""
    return f"{where}: {message}{shown}"


def _meant(wrong: str, allowed: list[str]) -> str:
    near = get_close_matches(wrong, allowed, n=1)
    listed = f"; allowed are {', '.join(allowed)}"
    return f"; did you mean {near[0]}?" + (listed if len(allowed) < 12 else "") if near else listed
