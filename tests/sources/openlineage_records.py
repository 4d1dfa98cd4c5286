"""From events of OpenLineage, recorded or made up, to records in a store, as pushes are consumed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from graph_schema.claims import Record
from graph_schema.redaction import Redactor
from graph_schema.store import GraphStore, Source
from ingestors import joins
from ingestors.registry import described
from ingestors.sanitise import clean_item
from ingestors.source import Delivery, Item
from ingestors.source import Source as Ingestor
from ingestors.sources.mlflow import MLflowConfig, MLflowSource
from ingestors.sources.openlineage import OpenLineageConfig, OpenLineageSource

PIPELINES = OpenLineageSource(OpenLineageConfig(type="openlineage", name="pipelines"))
TRACKING = MLflowSource(
    MLflowConfig(type="mlflow", name="tracking", tracking_uri="http://mlflow.example.com:5000")
)
_REDACTOR = Redactor(b"tests")

Batch = tuple[Source, Sequence[Record]]


def pushed(event: Any, source: Ingestor = PIPELINES) -> list[Record]:
    """The records of one request."""
    return [record(source, item) for item in source.receive(Delivery({}, json.dumps(event).encode(), 0))]


def record(source: Ingestor, item: Item) -> Record:
    """One item, cleaned and redacted, as claims."""
    item = clean_item(item)
    item = msgspec.structs.replace(item, data=_REDACTOR.value(item.data))
    return Record(item.key, item.type, item.version, tuple(source.to_claims(item)))


def events_as_records(events: Sequence[Any]) -> list[Batch]:
    """A batch per request."""
    return [(described(PIPELINES), pushed(event)) for event in events]


def pull_as_records(items: Sequence[Any]) -> Batch:
    """A whole pull of MLflow."""
    made = [record(TRACKING, msgspec.convert(item, Item)) for item in items]
    return described(TRACKING), made


def write(store: GraphStore, batches: Sequence[Batch]) -> None:
    """Write these in one transaction, in their order."""

    def work(tx: Any) -> None:
        for source, records in batches:
            joins.apply(tx, source, records)

    store.transact(work)


def transactions(batches: Sequence[Batch], dice: random.Random, most: int) -> Iterator[Sequence[Batch]]:
    """The batches in their order, some of them together in one transaction."""
    start = 0
    while start < len(batches):
        end = start + dice.randint(1, most)
        yield batches[start:end]
        start = end


def run_event(
    run: str,
    kind: str,
    at: str,
    inputs: Sequence[str] = (),
    outputs: Sequence[str] = (),
    job: str = "etl.load",
    namespace: str = "airflow-prod",
    **facets: Mapping[str, Any],
) -> dict[str, Any]:
    """An event made up: tables are named in the namespace ``pg``; ``facets`` are those of the run."""
    tables = [[{"namespace": "pg", "name": name} for name in names] for names in (inputs, outputs)]
    return {
        "eventType": kind,
        "eventTime": at,
        "run": {"runId": run, "facets": facets},
        "job": {"namespace": namespace, "name": job},
        "inputs": tables[0],
        "outputs": tables[1],
    }
