"""What the source remembers between pulls: its cursor."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from graph_schema.times import Micros

#: How many answered questions and open ones are remembered of each sort.
_REMEMBERED, _WAITING = 50_000, 20_000
_MARK = 8


class Stay(msgspec.Struct, array_like=True):
    """An alias at a version; see :func:`ingestors.sources.mlflow.models.alias_claims`."""

    version: str
    seen_at: Micros
    not_before: Micros | None


class ModelState(msgspec.Struct):
    """A registered model when it was last seen: ``versions`` holds a digest of what never changes in each,
    ``past`` earlier stays of its aliases as (alias, version, seen at)."""

    updated: int = 0
    aliases: dict[str, Stay] = {}
    versions: dict[str, str] = {}
    past: list[tuple[str, str, Micros]] = []


class Questions(msgspec.Struct, dict=True):
    """Questions that cost a request each (the files of a run or a model): asked once, some per pull.

    ``asked`` holds the beginnings of digests, eight characters each, of what has its answer.
    """

    asked: str = ""
    waiting: list[list[Any]] = []

    def __post_init__(self) -> None:
        self._marks = {self.asked[i : i + _MARK] for i in range(0, len(self.asked), _MARK)}
        self._open = {entry[0] for entry in self.waiting}

    def want(self, name: str, *about: Any) -> None:
        """Ask about this, unless it has been asked."""
        if name not in self._open and not self.answered(name) and len(self.waiting) < _WAITING:
            self._open.add(name)
            self.waiting.append([name, *about])

    def answered(self, name: str) -> bool:
        """Whether this has its answer."""
        return _mark(name) in self._marks

    def answer(self, name: str, *, final: bool = True) -> None:
        """This was asked; ``final``: it need not be asked again."""
        if name in self._open:
            self._open.discard(name)
            if self.waiting[0][0] == name:
                del self.waiting[0]
            else:
                self.waiting = [entry for entry in self.waiting if entry[0] != name]
        mark = _mark(name)
        if final and mark not in self._marks:
            self._marks.add(mark)
            self.asked = (self.asked + mark)[-_REMEMBERED * _MARK :]

    def forget(self, name: str) -> None:
        """Ask again when this comes up again."""
        mark = _mark(name)
        if mark in self._marks:
            self._marks.discard(mark)
            kept = [self.asked[i : i + _MARK] for i in range(0, len(self.asked), _MARK)]
            self.asked = "".join(each for each in kept if each != mark)


class State(msgspec.Struct):
    """The cursor. Times in microseconds, ``mark`` in milliseconds: the latest time that any run has shown.

    ``pulled`` and ``swept`` are the starts of the last pull and the last sweep that ended, ``runs`` the
    number of runs in it. ``outputs``: the run that logged a model, where the model itself does not say.
    """

    format: int = 1
    pulled: Micros | None = None
    registry_at: Micros | None = None
    swept: Micros | None = None
    mark: int = 0
    runs: int = 0
    models: dict[str, ModelState] = {}
    outputs: dict[str, str] = {}
    errors: Questions = msgspec.field(default_factory=Questions)
    environments: Questions = msgspec.field(default_factory=Questions)
    inputs: Questions = msgspec.field(default_factory=Questions)

    @classmethod
    def read(cls, cursor: Any | None) -> State:
        """From a cursor; one of another format starts anew."""
        if isinstance(cursor, dict) and cursor.get("format") == 1:
            try:
                return msgspec.convert(cursor, cls)
            except msgspec.ValidationError:
                pass
        return cls()

    def cursor(self) -> Any:
        """As JSON."""
        return msgspec.to_builtins(self)

    def restarted(self) -> State:
        """For a full pull: everything is read again; what only earlier pulls have seen stays."""
        return State(registry_at=self.registry_at, models=self.models, outputs=self.outputs)


def _mark(name: str) -> str:
    return hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
