"""The model registry between two pulls: which alias moved, which model was renamed. Pure.

MLflow keeps no history of either, and no time changes: what earlier pulls saw is all there is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from graph_schema.times import Micros
from ingestors.sources.mlflow.runs import moment
from ingestors.sources.mlflow.state import ModelState, Stay

Data = Mapping[str, Any]


class Rename(msgspec.Struct, frozen=True):
    """A model that vanished, the one that took its place, and the versions that both had."""

    old: str
    new: str
    versions: tuple[str, ...]


def fingerprint(version: Data) -> str:
    """A digest of what stays the same in a version when its model is renamed."""
    parts = (version["version"], version["run"], version["source"], version["created"])
    return hashlib.blake2b(repr(parts).encode(), digest_size=6).hexdigest()


def numbered(versions: Iterable[Data]) -> list[Data]:
    """In the order of their numbers."""
    return sorted(versions, key=lambda v: (len(v["version"]), v["version"]))


def version_data(versions: Sequence[Data], aliases: Mapping[str, str]) -> list[dict[str, Any]]:
    """Versions of one model, with what only the whole tells: aliases, and the version before each."""
    found: list[dict[str, Any]] = []
    previous = None
    for version in numbered(versions):
        mine = sorted(alias for alias, number in aliases.items() if number == version["version"])
        found.append({**version, "aliases": mine, "previous": previous})
        previous = version["version"]
    return found


def renames(before: Mapping[str, ModelState], now: Mapping[str, Mapping[str, str]]) -> list[Rename]:
    """Models of ``before`` that are missing in ``now`` (name → version → fingerprint) and stand there under
    another, new name: with every version that they had. Two candidates mean that nobody knows."""
    found = []
    fresh = {name: versions for name, versions in now.items() if name not in before}
    for old, state in before.items():
        if old in now or not state.versions:
            continue
        heirs = [
            name
            for name, versions in fresh.items()
            if all(versions.get(number) == mark for number, mark in state.versions.items())
        ]
        if len(heirs) == 1:
            found.append(Rename(old, heirs[0], tuple(sorted(state.versions, key=lambda n: (len(n), n)))))
    return found


def alias_stays(
    name: str,
    aliases: Mapping[str, str],
    created: Mapping[str, int | None],
    held: ModelState,
    last: Micros | None,
    now: Micros,
) -> list[dict[str, Any]]:
    """Data of the alias records of a model that are new or have ended; brings ``held`` up to date.

    ``last`` is when the registry was last seen (None: never), ``created`` the creation times of versions
    in milliseconds: an alias cannot have moved to a version before there was one.
    """
    changed = []
    for alias, stay in list(held.aliases.items()):
        if aliases.get(alias) != stay.version:
            changed.append(_data(name, alias, stay, until=last))
            held.past.append((alias, stay.version, stay.seen_at))
            del held.aliases[alias]
    for alias, version in sorted(aliases.items()):
        if alias not in held.aliases:
            bounds = [t for t in (last, moment(created.get(version))) if t is not None]
            # Clocks differ: a bound after the moment of looking bounds nothing.
            bound = max((t for t in bounds if t < now), default=None)
            stay = Stay(version, now, bound)
            held.aliases[alias] = stay
            changed.append(_data(name, alias, stay, until=None))
    return changed


def carried_stays(name: str, held: ModelState) -> list[dict[str, Any]]:
    """Data of the stays that a renamed model brings along under its new name."""
    return [_data(name, alias, stay, until=None) for alias, stay in sorted(held.aliases.items())]


def _data(name: str, alias: str, stay: Stay, until: Micros | None) -> dict[str, Any]:
    return {
        "name": name,
        "alias": alias,
        "version": stay.version,
        "seenAt": stay.seen_at,
        "notBefore": stay.not_before,
        "until": until,
    }


def alias_key(name: str, version: str, alias: str, seen_at: Micros) -> str:
    """The key of the record of a stay."""
    return f"alias/{name}/{version}/{alias}/{seen_at}"
