"""Retirement by absence: what a complete pull no longer shows is gone at the source.

Only after a complete pull, per source and record type, and never on little evidence: missing records are
asked for by id, or must miss twice; too many at once stop it until somebody accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import msgspec

from graph_schema import store as contract
from graph_schema.store import Transaction
from graph_schema.times import Micros
from ingestors.report import DEAD_LETTERS, GONE, MISSING
from ingestors.source import Source

T = TypeVar("T")


class Transact(Protocol):
    """``GraphStore.transact`` with its fence given."""

    def __call__(self, work: Callable[[Transaction], T]) -> T: ...


GUARD_SHARE = 0.25
GUARD_COUNT = 10
_PAGE = 10_000
_CHUNK = 1_000


class Outcome(msgspec.Struct):
    """What retirement did: records retired and returned, lines for the report."""

    retired: int = 0
    returned: int = 0
    warnings: list[str] = msgspec.field(default_factory=list)


def reconcile(
    transact: Transact,
    source: Source,
    ref: contract.Source,
    complete: Mapping[str, frozenset[str]],
    *,
    at: Micros,
    accept: bool,
) -> Outcome:
    """Mark what is held and absent as gone since ``at``, and what is back as back. ``accept`` lifts the guard
    and the second look. Raises SourceError when the source cannot be asked."""
    outcome = Outcome()
    for type_name in source.retirable:
        present = complete.get(type_name)
        if present is not None:
            _one_type(transact, source, ref, type_name, present, at, accept, outcome)
    return outcome


def _one_type(
    transact: Transact,
    source: Source,
    ref: contract.Source,
    type_name: str,
    present: frozenset[str],
    at: Micros,
    accept: bool,
    outcome: Outcome,
) -> None:
    live, gone = _held(transact, ref, type_name)
    absent = sorted(live - present)
    back = sorted(gone & present)
    if not accept and _suspicious(len(absent), len(live), len(present)):
        outcome.warnings.append(
            f"{len(absent):,} of {len(live):,} {type_name} records are missing at {ref.name}; nothing was "
            f"retired. If they are really gone: kinlore ingest {ref.name} --accept-retirement"
        )
        absent = []
        suspects: list[str] | None = None
    elif accept or not absent:
        suspects = []
    else:
        absent, suspects = _confirmed(transact, source, ref, type_name, absent)
    for start in range(0, len(absent), _CHUNK):
        keys = absent[start : start + _CHUNK]
        outcome.retired += transact(_retiring(ref, keys, at))
    for start in range(0, len(back), _CHUNK):
        keys = back[start : start + _CHUNK]
        outcome.returned += transact(_retiring(ref, keys, None))
    still_gone = sorted((gone | set(absent)) - set(back))

    def note(tx: Transaction) -> None:
        key = f"{ref.name}/{type_name}"
        if suspects is not None and (tx.service_get(MISSING, key) or []) != suspects:
            tx.service_put(MISSING, key, suspects)
        if (tx.service_get(GONE, key) or []) != still_gone:
            tx.service_put(GONE, key, still_gone)
        # Nobody will send again what is not there any more.
        letters = tx.service_list(DEAD_LETTERS, prefix=f"{key}/", limit=_PAGE)
        for letter, _ in letters:
            if letter[len(key) + 1 :] not in present:
                tx.service_delete(DEAD_LETTERS, letter)

    transact(note)


def _held(transact: Transact, ref: contract.Source, type_name: str) -> tuple[set[str], set[str]]:
    live: set[str] = set()
    gone: set[str] = set()
    after = ""
    while True:
        page = transact(_reading(ref, type_name, after))
        for held in page:
            (live if held.gone_at is None else gone).add(held.key)
        if len(page) < _PAGE:
            return live, gone
        after = page[-1].key


def _reading(
    ref: contract.Source, type_name: str, after: str
) -> Callable[[Transaction], list[contract.Held]]:
    return lambda tx: tx.held(ref, type_name, after, _PAGE)


def _retiring(ref: contract.Source, keys: Sequence[str], at: Micros | None) -> Callable[[Transaction], int]:
    return lambda tx: tx.retire(ref, keys, at)


def _suspicious(absent: int, live: int, present: int) -> bool:
    if absent and not present:
        return True
    return absent > GUARD_COUNT and absent > GUARD_SHARE * live


def _confirmed(
    transact: Transact, source: Source, ref: contract.Source, type_name: str, absent: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Which of the absent are gone for certain, and which are to be looked for again."""
    existing = source.get(type_name, absent)
    if existing is not None:
        return [key for key in absent if key not in existing], []
    before = set(transact(lambda tx: tx.service_get(MISSING, f"{ref.name}/{type_name}")) or ())
    return [key for key in absent if key in before], [key for key in absent if key not in before]
