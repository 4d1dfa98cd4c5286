"""The source ``openlineage``: it takes what OpenLineage's clients push to ``/api/v1/lineage``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graph_schema.claims import Claim
from ingestors.source import Delivery, Item, PushedConfig, Source
from ingestors.sources.openlineage.claims import (
    dataset_claims,
    dataset_facet_claims,
    event_claims,
    job_claims,
    job_facet_claims,
)
from ingestors.sources.openlineage.events import read


class OpenLineageConfig(PushedConfig):
    """Keys of an ``openlineage`` source."""


_CLAIMS: dict[str, Callable[[Mapping[str, Any]], Sequence[Claim]]] = {
    "event": event_claims,
    "job": job_claims,
    "job_facet": job_facet_claims,
    "dataset": dataset_claims,
    "dataset_facet": dataset_facet_claims,
}


class OpenLineageSource(Source):
    """Takes run events, job events and data set events of OpenLineage 1 and 2, one or a list of them.

    The key of an event is its run, type and time, so that a second delivery of it is the same record. What
    an event says of a job or a data set whatever the run (owners, schema) is a record of its own.
    """

    type = "openlineage"
    config_model = OpenLineageConfig
    pulls = False
    accepts = True

    def receive(self, delivery: Delivery) -> Sequence[Item]:
        return read(delivery.body)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        return _CLAIMS[item.type](item.data)
