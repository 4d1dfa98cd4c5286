"""The source ``openlineage``: it takes what OpenLineage's clients push to ``/api/v1/lineage``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from graph_schema.claims import Claim
from graph_schema.times import parse_time
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
    """Keys of an ``openlineage`` source. ``include`` and ``exclude`` are globs on jobs, ``namespace/name``;
    ``since`` leaves out events from before."""


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
        since = None if self.config.since is None else parse_time(self.config.since)
        return [
            item
            for item in read(delivery.body)
            if since is None or item.version >= since
            if self._is_wanted(item.data)
        ]

    def _is_wanted(self, data: Mapping[str, Any]) -> bool:
        """What an event says of its data sets comes with its job."""
        job, config = data.get("jobId"), self.config
        if job is None:
            return True
        if config.include and not any(fnmatchcase(job, glob) for glob in config.include):
            return False
        return not any(fnmatchcase(job, glob) for glob in config.exclude)

    def to_claims(self, item: Item) -> Sequence[Claim]:
        return _CLAIMS[item.type](item.data)
