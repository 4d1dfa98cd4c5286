"""Records that are recognised by their stamp, without their claims being made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.store.engine import Engine
from app.store.rows import Changes, RecordRow, pack, unpack_marks


def settled(engine: Engine, sid: int, stamps: Sequence[tuple[str, int, bytes]]) -> set[str]:
    """See :meth:`graph_schema.store.Transaction.settled`."""
    held = engine.records(sid, [key for key, _, _ in stamps])
    found: set[str] = set()
    changes = Changes()
    for key, version, stamp in stamps:
        record = held.get(key)
        if record is None or record.gone_at is not None or unpack_marks(record.marks).stamp != stamp:
            continue
        found.add(key)
        if version > record.version:
            changes.versions.append((record.rid, version))
    if changes.versions:
        engine.apply(changes)
    return found


def restamp(engine: Engine, rows: Sequence[tuple[RecordRow, bytes]], versions: Mapping[int, int]) -> None:
    """The same claims were made from something else: note from what, so that it is known next time."""
    changes = Changes()
    for row, stamp in rows:
        marks = unpack_marks(row.marks)
        if marks.stamp != stamp:
            marks.stamp = stamp
            row.marks, row.version = pack(marks), versions.get(row.rid, row.version)
            changes.records.append(row)
    if changes.records:
        engine.apply(changes)
