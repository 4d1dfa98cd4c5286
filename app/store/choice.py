"""Which of the records that arrive are to be written: newer than what is held, and different from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from app.store.record_digest import record_digest
from app.store.rows import RecordRow
from graph_schema.claims import Record
from graph_schema.store import Written


class Choice(NamedTuple):
    """``work``: records to write, with their digests, by key. ``versions`` and ``restamped``: by record id,
    what is newer without saying anything else, and what was made from something else. ``returned``: keys
    that were gone."""

    work: dict[str, tuple[Record, bytes]]
    versions: dict[int, int]
    restamped: dict[int, tuple[RecordRow, bytes]]
    returned: list[str]


def choose(records: Sequence[Record], held: Mapping[str, RecordRow], written: Written) -> Choice:
    """Sort records by what they change. Counts those that change nothing in ``written``.

    Of two states of a record the one with the greater (version, digest) stands, whatever came first.
    """
    choice = Choice({}, {}, {}, [])
    for record in records:
        digest = record_digest(record)
        before = held.get(record.key)
        state = (before.version, before.digest) if before is not None else None
        if record.key in choice.work:
            chosen, chosen_digest = choice.work[record.key]
            state = (chosen.version, chosen_digest)
        elif before is not None and before.rid in choice.versions:
            state = (choice.versions[before.rid], before.digest)
        if state is not None and (record.version, digest) <= state:
            if digest == state[1]:
                written.unchanged += 1
            else:
                written.stale += 1
            continue
        if before is None:
            choice.work[record.key] = (record, digest)
            continue
        if before.gone_at is not None:
            choice.returned.append(record.key)
        if digest == before.digest:
            choice.work.pop(record.key, None)
            choice.versions[before.rid] = record.version
            if record.stamp:
                choice.restamped[before.rid] = (before, record.stamp)
            written.unchanged += 1
        else:
            choice.versions.pop(before.rid, None)
            choice.restamped.pop(before.rid, None)
            choice.work[record.key] = (record, digest)
    return choice
