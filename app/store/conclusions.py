"""What rules conclude, held as records of the sources that it rests on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from app.store.engine import Engine
from app.store.record_digest import record_digest
from app.store.rows import RecordRow, SourceRow
from graph_schema.claims import Claim, Record
from graph_schema.store import RuleKey

# Which sources ever concluded anything: the others need not be asked for a record that they cannot have.
COLLECTION, SOURCES = "conclusions", "sources"


class Conclusions:
    """Finds out which records a conclusion changes. Its keys begin with ``=``, which no item's does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def restated(
        self, sources: Mapping[str, SourceRow], found: Mapping[RuleKey, Mapping[str, Sequence[Claim]]]
    ) -> dict[str, list[Record]]:
        """The records to write, by the names of their sources. ``sources``: all that are known, by name.

        A conclusion has no time of its own: each state of it is newer than the one before, so that of two
        in one transaction the last stands.
        """
        if not found:
            return {}
        known = set(self._engine.service_get(COLLECTION, SOURCES) or ())
        self._remember(known, {name for said in found.values() for name, claims in said.items() if claims})
        restated: dict[str, list[Record]] = {}
        for name in sorted(known & sources.keys()):
            records = [
                Record(f"={rule}/{key}", f"={rule}", 0, tuple(said.get(name, ())))
                for (rule, key), said in found.items()
            ]
            held = self._engine.records(sources[name].sid, [record.key for record in records])
            if changed := [new for record in records if (new := _newer(record, held.get(record.key)))]:
                restated[name] = changed
        return restated

    def _remember(self, known: set[str], names: Collection[str]) -> None:
        if not known.issuperset(names):
            known.update(names)
            self._engine.service_put(COLLECTION, SOURCES, sorted(known))


def _newer(record: Record, held: RecordRow | None) -> Record | None:
    """The record as it is to be written; None where it is held already, or says nothing and never did."""
    if held is None:
        return record if record.claims else None
    if held.digest == record_digest(record):
        return None
    return msgspec.structs.replace(record, version=held.version + 1)
