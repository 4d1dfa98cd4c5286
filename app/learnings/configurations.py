"""Which configurations are alike, and what differs between them: pure, over flat settings.

*Alike*: two runs agree on settings; agreement on a rare value tells more than on one that all runs have, and
on a setting that is another in every run (a seed, a path) it tells nothing. Each agreement weighs
``steady × (1 + ln(N / n))``: ``N`` runs, ``n`` with this value, ``steady`` how still the setting is held.
Numbers agree in part, by the factor between them. Similarity is the cosine of these weights.

*What differs* is ordered by how surprising it is among the successful runs that are most alike: a value
that none of them has, outside of their range, in a setting that they hold still, comes first.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice
from math import log, log2, log10
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from app.learnings.scalars import APART, Scalar, Settings, as_key, closeness, is_number, same, tells_apart

#: Alike successful runs that say what is usual.
USUAL = 20
#: Configurations whose numbers are compared, of those that agree on most values.
_COMPARED = 100
#: How still a setting is held at least that is another in every run.
_SWEPT = 0.3
#: The same where what differs is ordered; what a value that none has counts for, beside how far out it is.
_LEAST_HELD, _UNSEEN = 0.1, 0.5


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is compared. ``worked``: how it ended, None where it is not known. ``created`` in
    microseconds."""

    id: int
    settings: dict[str, Scalar]
    worked: bool | None
    created: int = 0


class Alike(msgspec.Struct, frozen=True):
    """A run and how alike it is, 0 to 1."""

    run: Run
    similarity: float


class Differing(msgspec.Struct, frozen=True):
    """A setting on both sides (None: not there). ``weight``, 0 to 1: how surprising the left value is."""

    path: str
    left: Scalar
    right: Scalar
    weight: float


class Configurations:
    """Runs that can be asked for those alike. Adding one costs its own length. Not for several threads."""

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._runs: list[Run | None] = []
        self._places: dict[int, int] = {}
        self._having: dict[tuple[str, Any], array[int]] = {}
        self._totals: Counter[str] = Counter()
        self._weights: dict[tuple[str, Any], float] = {}
        self._norms: dict[int, float] = {}
        self._values: dict[str, Counter[Any]] = {}
        self._suspects: dict[int, list[Differing]] = {}
        for run in runs:
            self.add(run)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, id: int) -> bool:
        return id in self._places

    def get(self, id: int) -> Run | None:
        """The run of this id."""
        place = self._places.get(id)
        return None if place is None else self._runs[place]

    def add(self, run: Run) -> None:
        """Add a run, or replace the one of its id."""
        self.remove(run.id)
        place = len(self._runs)
        self._runs.append(run)
        self._places[run.id] = place
        for key, value in run.settings.items():
            token = as_key(value)
            self._having.setdefault((key, token), array("i")).append(place)
            self._totals[key] += 1
            self._values.setdefault(key, Counter())[token] += 1
        self._forget()

    def remove(self, id: int) -> None:
        """Take a run out, if it is there."""
        place = self._places.pop(id, None)
        if place is None:
            return
        run = self._runs[place]
        self._runs[place] = None
        for key, value in run.settings.items() if run is not None else ():
            token = as_key(value)
            self._having[key, token].remove(place)
            self._totals[key] -= 1
            self._values[key][token] -= 1
            if not self._values[key][token]:
                del self._values[key][token]
        self._forget()

    def _forget(self) -> None:
        """What was worked out of all runs holds no more."""
        self._suspects.clear()
        self._weights.clear()
        self._norms.clear()

    # --- alike -----------------------------------------------------------------------------------------

    def alike(
        self,
        settings: Settings,
        *,
        first: int = 10,
        worked: bool | None = None,
        without: int | None = None,
        before: int | None = None,
        allowed: frozenset[int] | None = None,
    ) -> list[Alike]:
        """Runs with alike settings, most alike first; the newer first of equals. ``worked``: only those that
        ended so; ``without``: not this run; ``before``: created before (microseconds); ``allowed``: ids."""
        scores = self._shared(settings)
        own = self._norm(settings)
        if own == 0:
            return []
        places = np.flatnonzero(scores)
        runs = (
            run
            for place in places[np.argsort(-scores[places], kind="stable")].tolist()
            if (run := self._runs[place]) is not None
            and run.id != without
            and (worked is None or run.worked is worked)
            and (before is None or run.created < before)
            and (allowed is None or run.id in allowed)
        )
        near = islice(runs, max(_COMPARED, first))
        found = [Alike(run, self._similarity(settings, own, run)) for run in near]
        found.sort(key=lambda each: (-round(each.similarity, 9), -each.run.created, each.run.id))
        return [each for each in found if each.similarity > 0][:first]

    def weight(self, key: str, value: Scalar) -> float:
        """What agreement on this value is worth."""
        place = key, as_key(value)
        known = self._weights.get(place)
        if known is None:
            holding = self._having.get(place)
            n = 0 if holding is None else len(holding)
            known = self.steady(key) * (1 + log((len(self) + 1) / (n + 1))) if key in self._totals else 1.0
            self._weights[place] = known
        return known

    def steady(self, key: str) -> float:
        """How still a setting is held, 0 to 1: the share of runs with it whose value is not theirs alone.
        What only tells runs apart, a seed or a path, is not held at all; of what is swept, some remains."""
        if tells_apart(key):
            return 0.0
        return max(_SWEPT, self._shared_by(key))

    def _shared_by(self, key: str) -> float:
        """The share of runs with a setting whose value is not theirs alone; 0 for what tells runs apart."""
        values, total = self._values.get(key), self._totals[key]
        if tells_apart(key):
            return 0.0
        return 1.0 if values is None or total < 2 else 1 - (len(values) - 1) / (total - 1)

    def _shared(self, settings: Settings) -> NDArray[np.float64]:
        scores = np.zeros(len(self._runs))
        for key, value in settings.items():
            places = self._having.get((key, as_key(value)))
            if places:
                scores[np.frombuffer(places, dtype=np.int32)] += self.weight(key, value)
        return scores

    def _norm(self, settings: Settings) -> float:
        return float(sum(self.weight(key, value) for key, value in settings.items()) ** 0.5)

    def _norm_of(self, run: Run) -> float:
        known = self._norms.get(run.id)
        if known is None:
            known = self._norms[run.id] = self._norm(run.settings)
        return known

    def _similarity(self, settings: Settings, own: float, run: Run) -> float:
        shared = 0.0
        for key, value in settings.items():
            if key in run.settings:
                other = run.settings[key]
                close = closeness(value, other)
                if close:
                    shared += close * min(self.weight(key, value), self.weight(key, other))
        theirs = self._norm_of(run)
        return min(1.0, shared / (own * theirs)) if theirs else 0.0

    # --- what differs ----------------------------------------------------------------------------------

    def differences(self, settings: Settings, run: Run, usual: Sequence[Run]) -> list[Differing]:
        """What differs from a run, most surprising first. ``usual``: successful runs that are alike."""
        found = [
            Differing(
                key,
                settings.get(key),
                run.settings.get(key),
                self._surprise(key, key in settings, settings.get(key), usual),
            )
            for key in sorted(settings.keys() | run.settings.keys())
            if not same(settings.get(key), run.settings.get(key))
            or (key in settings) is not (key in run.settings)
        ]
        return sorted(found, key=lambda each: (-each.weight, each.path))

    def _surprise(self, key: str, there: bool, value: Scalar, usual: Sequence[Run]) -> float:
        having = [run.settings[key] for run in usual if key in run.settings]
        n, c = len(having), sum(same(value, each) for each in having) if there else 0
        if tells_apart(key):
            return 0.0
        held = max(_LEAST_HELD, self._shared_by(key))
        if isinstance(value, str):
            # Of many words one more is no surprise: places, owners, machines.
            held /= 1 + log10(max(1, len(self._values.get(key, ()))))
        if not there:
            # That a setting is missing is as surprising as it is usual.
            return 0.6 * held * (n / len(usual) if usual else 0.0)
        if n == 0:
            return 0.3 * held
        distinct = len({as_key(each) for each in having})
        still = (1 - (distinct - 1) / (n - 1) if n > 1 else 0.5) * held
        unseen = (n - c) / (n + 1)
        return min(1.0, still * (_UNSEEN * unseen + (1 - _UNSEEN) * _outside(value, having)))

    def suspects(self, run: Run, first: int = 5) -> list[Differing]:
        """What a failed run may have failed of: how it differs from the nearest that did not fail."""
        known = self._suspects.get(run.id)
        if known is None:
            near = self.alike(run.settings, first=USUAL, worked=True, without=run.id)
            usual = [each.run for each in near]
            known = self.differences(run.settings, usual[0], usual)[:_SUSPECTS] if usual else []
            self._suspects[run.id] = known
        return known[:first]

    def twins(
        self, run: Run, *, first: int = 5, before: int | None = None, allowed: frozenset[int] | None = None
    ) -> list[tuple[Alike, list[str]]]:
        """Failed runs that differ from what works in the same way, with the settings that both got wrong.
        The score is half the cosine of what is suspected, and half how alike the configurations are."""
        suspected = {each.path: each for each in self.suspects(run, _SUSPECTS) if each.weight > _IGNORED}
        near = self.alike(
            run.settings, first=_TWINS, worked=False, without=run.id, before=before, allowed=allowed
        )
        found: list[tuple[Alike, list[str]]] = []
        for each in near:
            theirs = {d.path: d for d in self.suspects(each.run, _SUSPECTS) if d.weight > _IGNORED}
            shared = {
                path: suspected[path].weight * theirs[path].weight * _alike_way(suspected[path], theirs[path])
                for path in suspected.keys() & theirs.keys()
            }
            norm = _length(suspected.values()) * _length(theirs.values())
            same_fault = sum(shared.values()) / norm if norm else 0.0
            told = sorted(
                (path for path in shared if shared[path] > 0 and same_fault >= _SAME),
                key=lambda path: -shared[path],
            )
            found.append((Alike(each.run, 0.5 * same_fault + 0.5 * each.similarity), told))
        found.sort(key=lambda pair: (-round(pair[0].similarity, 9), -pair[0].run.created, pair[0].run.id))
        return found[:first]


#: What a failed run is suspected of at most, the weight below which that is nothing, and the failed runs that
#: are looked at for the same.
_SUSPECTS, _IGNORED, _TWINS = 8, 0.05, 100
#: Cosine of what two runs are suspected of, below which they did not fail in the same way.
_SAME = 0.5


def _alike_way(a: Differing, b: Differing) -> float:
    """1 where two runs left what is usual in the same way: the same value, or the same direction."""
    if same(a.left, b.left):
        return 1.0
    ways = [_way(each) for each in (a, b)]
    if None not in ways and ways[0] == ways[1]:
        return 0.8
    return 0.0 if None not in ways else 0.3


def _way(each: Differing) -> int | None:
    if is_number(each.left) and is_number(each.right):
        left, right = float(each.left), float(each.right)  # type: ignore[arg-type]
        return (left > right) - (left < right)
    return None


def _length(suspected: Iterable[Differing]) -> float:
    return float(sum(each.weight**2 for each in suspected) ** 0.5)


def _outside(value: Scalar, having: Sequence[Scalar]) -> float:
    """How far a number lies outside the range of others, 0 to 1 (a factor of 16); 1 for a value of another
    sort than all others, 0.5 for a word that none of them has."""
    numbers = [float(each) for each in having if is_number(each)]  # type: ignore[arg-type]
    if not is_number(value):
        return 0.0 if any(same(value, each) for each in having) else (1.0 if numbers else 0.5)
    if not numbers:
        return 1.0
    x, low, high = float(value), min(numbers), max(numbers)  # type: ignore[arg-type]
    if low <= x <= high:
        return 0.0
    edge = high if x > high else low
    if edge * x <= 0:
        return 1.0
    return min(1.0, abs(log2(x / edge)) / log2(APART))
