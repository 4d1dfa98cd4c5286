"""What rules conclude, held as records of the sources that it rests on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import msgspec

from app.store.engine import Engine
from app.store.record_digest import record_digest
from app.store.rows import SourceRow
from graph_schema.claims import Claim, Record

# Which sources ever concluded anything: the others need not be asked for a record that they cannot have.
_COLLECTION, _KEY = "conclusions", "sources"


class Conclusions:
    """Finds out which records a conclusion changes. Its keys begin with ``=``, which no item's does."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def restated(
        self, sources: Mapping[str, SourceRow], rule: str, key: str, found: Mapping[str, Sequence[Claim]]
    ) -> Iterator[tuple[str, Record]]:
        """The records to write, with the names of their sources. ``sources``: all that are known, by name.

        A conclusion has no time of its own: each state of it is newer than the one before, so that of two
        in one transaction the last stands.
        """
        known = set(self._engine.service_get(_COLLECTION, _KEY) or ())
        self._remember(known, [name for name, claims in found.items() if claims])
        for name in sorted(known & sources.keys()):
            record = Record(f"={rule}/{key}", f"={rule}", 0, tuple(found.get(name, ())))
            held = self._engine.records(sources[name].sid, [record.key]).get(record.key)
            if held is None and record.claims:
                yield name, record
            elif held is not None and held.digest != record_digest(record):
                yield name, msgspec.structs.replace(record, version=held.version + 1)

    def _remember(self, known: set[str], names: Collection[str]) -> None:
        if not known.issuperset(names):
            known.update(names)
            self._engine.service_put(_COLLECTION, _KEY, sorted(known))
