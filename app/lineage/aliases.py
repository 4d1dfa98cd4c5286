"""Who held an alias, and when: what pulls have seen of it, with the moves that were announced as they
happened filled in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from graph_schema.times import Micros
from graph_schema.values import Node


class Stay(NamedTuple):
    """A stay of an alias at a version: it moved here in (not_before, seen_at]. Times in microseconds."""

    name: str
    not_before: Micros | None
    seen_at: Micros
    until: Micros | None

    @property
    def current(self) -> bool:
        """Whether it was still here when last looked at."""
        return self.until is None


class Move(NamedTuple):
    """An alias was set to a version (its number as text), or removed (None), at that time."""

    at: Micros
    version: str | None


Moves = Mapping[str, list[Move]]
"""By alias, in the order in which they happened."""


def moves_of(models: Iterable[Node]) -> Moves:
    """The moves that were announced for a model, under all of its names."""
    found: dict[str, set[Move]] = defaultdict(set)
    for model in models:
        for move in model.properties.get("aliasMoves", {}).values():
            version = move.get("version")
            found[move["alias"]].add(Move(move["at"], None if version is None else str(version)))
    return {alias: sorted(moves, key=lambda m: (m.at, m.version or "")) for alias, moves in found.items()}


def stays(version: Node, moves: Moves) -> list[Stay]:
    """The stays of aliases at a version, by (seen_at, name).

    A move that was announced says exactly what a pull only finds between two looks: where both speak of one
    stay, the announcement stands; where it tells that an alias left, the stay ended then.
    """
    number = str(version.properties.get("version", ""))
    seen = [
        Stay(stay["name"], stay.get("notBefore"), stay["seenAt"], stay.get("until"))
        for stay in version.properties.get("aliasHistory", {}).values()
    ]
    told = [
        Stay(alias, move.at, move.at, _left(listed, move.at, number))
        for alias, listed in moves.items()
        for move in listed
        if move.version == number and not _was_here(listed, move, number)
    ]
    fresh = [
        stay for stay in told if not any(_repeats(stay, other, moves[stay.name], number) for other in seen)
    ]
    kept = [stay for stay in seen if not any(_within(stay, other) for other in fresh)]
    ended = [stay._replace(until=_end(stay, moves.get(stay.name, []), number)) for stay in kept]
    return sorted([*ended, *fresh], key=lambda stay: (stay.seen_at, stay.name))


def _was_here(listed: list[Move], move: Move, number: str) -> bool:
    """Whether the alias was set to this version again while it was there."""
    before = [other for other in listed if other.at < move.at]
    return bool(before) and before[-1].version == number


def _left(listed: list[Move], after: Micros, number: str) -> Micros | None:
    return next((move.at for move in listed if move.at > after and move.version != number), None)


def _within(seen: Stay, told: Stay) -> bool:
    """Whether what a pull saw lies in a stay that was announced from its begin."""
    return (
        seen.name == told.name
        and told.seen_at <= seen.seen_at
        and (told.until is None or seen.seen_at < told.until)
    )


def _repeats(told: Stay, seen: Stay, listed: list[Move], number: str) -> bool:
    """Whether an alias was set to where a pull had seen it, and where it still was."""
    if seen.name != told.name or seen.seen_at >= told.seen_at:
        return False
    left = _left(listed, seen.seen_at, number)
    there = seen.until is None or seen.until >= told.seen_at
    return there and (left is None or left > told.seen_at)


def _end(stay: Stay, listed: list[Move], number: str) -> Micros | None:
    left = _left(listed, stay.seen_at, number)
    return left if left is not None else stay.until
