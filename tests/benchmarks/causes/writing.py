"""A generated organisation, written into a store as its tools would tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from graph_schema.claims import Record
from graph_schema.store import GraphStore, Source
from ingestors import joins
from tests.benchmarks.causes.things import Organisation, Thing
from tests.benchmarks.causes.world import claims_of

_AT_ONCE = 500
_TYPES = {
    "code": "git",
    "data": "dvc",
    "pipelines": "openlineage",
    "tracking": "mlflow",
    "registry": "oci",
    "releases": "events",
    "alerts": "alertmanager",
    "quality": "great_expectations",
}


def load(store: GraphStore, made: Organisation) -> None:
    """Write everything, in the order in which it happened."""
    for name, things in _batches(made.things):
        records = [
            Record(f"{each.kind}/{each.id}", each.kind.scope_name, each.at, tuple(claims_of(each)))
            for each in things
        ]
        source = Source(name, _TYPES[name])
        store.transact(lambda tx, s=source, r=records: joins.apply(tx, s, r))  # type: ignore[misc]


def _batches(things: list[Thing]) -> Iterator[tuple[str, list[Thing]]]:
    """Stretches of things, each with those of one source together."""
    for start in range(0, len(things), _AT_ONCE):
        part = sorted(things[start : start + _AT_ONCE], key=lambda each: each.source)
        for source, of in groupby(part, key=lambda each: each.source):
            yield source, list(of)
