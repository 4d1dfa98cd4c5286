"""Sources by type. A module is imported when its type is first used, so that the command line stays fast."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from graph_schema import store
from graph_schema.errors import BadInput
from graph_schema.times import parse_time
from ingestors.every import parse_every
from ingestors.problems import first_of, in_words
from ingestors.source import Source, SourceConfig

#: Other distributions add sources here: the name is the type, the object a subclass of Source.
ENTRY_POINTS = "kinlore.ingestors"

#: Built-in sources: where the class of each type is.
BUILT_IN: MappingProxyType[str, str] = MappingProxyType(
    {
        "git": "ingestors.sources.git:GitSource",
        "dvc": "ingestors.sources.dvc:DvcSource",
        "mlflow": "ingestors.sources.mlflow:MLflowSource",
        "capture": "ingestors.sources.capture:CaptureSource",
        "bentoml": "ingestors.sources.bentoml:BentoMLSource",
        "oci": "ingestors.sources.oci:OciSource",
        "kubernetes": "ingestors.sources.kubernetes:KubernetesSource",
        "events": "ingestors.sources.events:EventsSource",
        "github": "ingestors.sources.github:GitHubSource",
        "gitlab": "ingestors.sources.gitlab:GitLabSource",
        "backstage": "ingestors.sources.backstage:BackstageSource",
        "openlineage": "ingestors.sources.openlineage:OpenLineageSource",
        "alertmanager": "ingestors.sources.alertmanager:AlertmanagerSource",
        "pagerduty": "ingestors.sources.pagerduty:PagerDutySource",
        "great_expectations": "ingestors.sources.great_expectations:GreatExpectationsSource",
        "evidently": "ingestors.sources.evidently:EvidentlySource",
        "whylogs": "ingestors.sources.whylogs:WhylogsSource",
    }
)


def known_types() -> list[str]:
    """Every type that can be configured, built in or added by another distribution."""
    return sorted({*BUILT_IN, *(point.name for point in _added())})


def _added() -> list[EntryPoint]:
    return list(entry_points(group=ENTRY_POINTS))


def source_class(type_name: str) -> type[Source]:
    """The class behind a type. Raises BadInput, in one line, for an unknown or broken one."""
    place = BUILT_IN.get(type_name)
    if place is None:
        for point in _added():
            if point.name == type_name:
                place = point.value
                break
        else:
            raise BadInput(f"unknown source type {type_name!r}; known are {', '.join(known_types())}")
    module, _, name = place.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as problem:
        raise BadInput(f"the source type {type_name!r} ({place}) cannot be loaded: {problem}") from problem
    if not (isinstance(found, type) and issubclass(found, Source)):
        raise BadInput(f"the source type {type_name!r}: {place} is not a subclass of ingestors.source.Source")
    return found


def disabled_because(type_name: str, config: SourceConfig | None = None) -> str | None:
    """Why a type, or a source with this config, cannot be used in this installation, or None where it can.
    Raises BadInput if the type is unknown."""
    found = source_class(type_name)
    extra = found.extra if config is None else found.extra_for(config)
    if extra is None or importlib.util.find_spec(extra[1]) is not None:
        return None
    what = f"the source type {type_name!r}" if found.extra is not None else f"this {type_name} source"
    return f"{what} needs the extra {extra[0]!r}: pip install 'kinlore[{extra[0]}]'"


def checked(config: Mapping[str, Any], base_dir: Path) -> SourceConfig:
    """One ``[[sources]]`` table, checked. Relative paths are taken against ``base_dir``, the folder of
    kinlore.toml. Raises BadInput with one line naming the source, the key and what is allowed."""
    type_name = config.get("type")
    if not isinstance(type_name, str):
        raise BadInput(f"a source needs a type; known are {', '.join(known_types())}")
    where = _where(config)
    try:
        found = source_class(type_name)
    except BadInput as problem:
        raise BadInput(f"{where}: {problem}") from problem
    try:
        model = found.config_model.model_validate(dict(config), context={"base_dir": base_dir})
        if model.since is not None:
            parse_time(model.since)
    except ValidationError as problem:
        raise BadInput(f"{where}: {_first_error(problem, found)}") from None
    except BadInput as problem:
        raise BadInput(f"{where}: since: {problem}") from None
    if model.every is not None:
        if not found.pulls:
            raise BadInput(
                f"{where}: every: a source of type {type_name!r} is pushed to, and there is nothing to pull; "
                "take every out"
            )
        try:
            parse_every(model.every)
        except BadInput as problem:
            raise BadInput(f"{where}: every: {problem}") from None
    return model


def build(config: Mapping[str, Any], base_dir: Path) -> Source:
    """A source from one ``[[sources]]`` table, as :func:`checked` reads it. Raises BadInput for what is wrong
    in it, and where an extra is missing."""
    model = checked(config, base_dir)
    if (reason := disabled_because(model.type, model)) is not None:
        raise BadInput(f"{_where(config)}: {reason}")
    return source_class(model.type)(model)


def _where(config: Mapping[str, Any]) -> str:
    name = config.get("name")
    return f"source {name!r}" if isinstance(name, str) else f"a source of type {config.get('type')!r}"


def _first_error(problem: ValidationError, source: type[Source]) -> str:
    first = first_of(problem)
    key = ".".join(str(part) for part in first["loc"])
    allowed = ", ".join(sorted(source.config_model.model_fields))
    if first["type"] == "extra_forbidden":
        return f"unknown key {key!r}; allowed are {allowed}"
    if first["type"] == "missing":
        return f"the key {key!r} is missing"
    message = in_words(first)
    shown = repr(first["input"])
    if not key:
        return message
    return f"{key}: {message}" + (f"; got {shown[:80]}" if len(shown) < 200 else "")


def described(source: Source) -> store.Source:
    """Who writes, as the store wants to know it."""
    return store.Source(source.config.name, source.type, source.config.space)
