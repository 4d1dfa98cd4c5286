"""Runs with an alike configuration: what was already tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import strawberry

from app.api.fields import Context
from app.api.inputs import JSON
from app.api.types import Difference, Node, described, field
from app.learnings.experiments import experiments
from app.lineage.lookup import find_one
from graph_schema.errors import BadInput

Info = strawberry.Info[Context, None]


@described
class AlikeRun:
    """A run with an alike configuration. differs: left is what was asked about, right this run."""

    node: Node
    similarity: float = field("0 to 1; agreement on what is rare counts more.")
    outcome: str = field("worked, failed or unknown.")
    same: bool = field("Whether nothing differs but what only tells runs apart, such as a seed.")
    differs: list[Difference] = field("The most surprising among runs that worked comes first.")
    shared: list[str] = field("Of runs that failed alike: the settings in which both left what works.")


@described
class Experiments:
    """What was tried of a configuration."""

    alike: list[AlikeRun] = field("Most alike first, however they ended.")
    successful: list[AlikeRun] = field("The nearest that worked, with the difference.")
    failed_alike: list[AlikeRun] = field("Of a run that failed: those that failed in the same way.")
    already_tried: bool = field("Whether a run has this very configuration.")
    summary: str


def _resolve(
    info: Info,
    id: strawberry.ID | None = strawberry.UNSET,
    config: JSON | None = strawberry.UNSET,
    first: int | None = 5,
) -> Any:
    """``Query.experiments``."""
    ask = info.context.of(info.path)
    planned = None if config is strawberry.UNSET or config is None else cast(object, config)
    if planned is not None and not isinstance(planned, Mapping):
        raise BadInput('the configuration is an object, such as {"lr": 0.1, "optimizer": {"name": "adam"}}')
    handle = find_one(ask.store, id, spaces=ask.spaces) if id else None
    most = 5 if first is None else first
    return experiments(ask.store, handle=handle, config=planned, first=most, spaces=ask.spaces)


@strawberry.type
class ExperimentQueries:
    """Questions about what was tried."""

    experiments: Experiments = field(
        "Runs with a configuration like that of a run, or like a planned one: what was tried, how it\n"
        "ended, and what differs. config is an object of settings; first is at most 50.",
        resolver=_resolve,
    )
