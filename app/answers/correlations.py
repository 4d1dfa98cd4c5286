"""What goes with failure: facts over-represented among failures, with exact tests corrected for their number.

Pure over values. Nothing here is a cause: what merely comes with the cause is found as well. Each finding
says how often it did *not* go with failure, and what else was found of which nothing is left beside it.

The test is Fisher's exact test, one-sided: with ``N`` subjects of which ``K`` failed and ``n`` bear the fact,
the probability of at least ``k`` failures among these is the upper tail of the hypergeometric distribution
(R. A. Fisher, The Logic of Inductive Inference, 1935). Adjusted values are those of Y. Benjamini and
D. Yekutieli, The control of the false discovery rate in multiple testing under dependency, Annals of
Statistics 29 (2001): they hold however the tests depend on each other, and here they all do.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

#: Expected share of false findings among all that are shown, at most.
LEVEL = 0.05
#: A fact that chance explains as well as this, beside a clearer one, is confounded with it.
_LEFT = 0.05
#: Probabilities that add up to nothing that counts.
_NOTHING = 1e-15
#: Subjects that must bear a fact before it is tested: of fewer nothing can be said.
LEAST = 5
#: Examples and counter-examples that are named; all are counted.
NAMED = 3


class Fact(NamedTuple):
    """Something that a subject bears: the parameter ``lr`` is ``> 0.5``, the data of ``raw.csv`` is
    ``raw.csv@25a07ff``.

    ``handle`` is the node that it is, where it is one. Facts of one kind and name with a ``cut`` (a
    threshold on a number) say nearly the same: of those that are found, the clearest stands for all."""

    kind: str
    name: str
    value: str
    handle: int | None = None
    cut: bool = False

    @property
    def text(self) -> str:
        """``lr > 0.5``, ``data raw.csv@25a07ff``, ``runtime numpy = 2.0.0``."""
        if self.kind == "parameter":
            return f"{self.name} {self.value}"
        if self.handle is not None:
            return f"{self.kind} {self.value}"
        return f"{self.kind} {self.name} {self.value}"


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that goes with failure. ``failed`` of ``total`` that bear it failed, ``others_failed`` of
    ``others_total`` that do not.

    ``facts`` begins with it; those that follow are borne by exactly the same subjects, and nothing tells
    them apart. ``lift`` is the share of failures among those that bear it, over the share among all. ``p`` is
    the exact one-sided probability, ``q`` the same adjusted for all tests. ``examples`` failed and
    ``counterexamples`` did not, as the subjects are called. ``confounded`` were found too, but not among
    subjects that are alike in this fact: these subjects do not tell which of them matters."""

    facts: tuple[Fact, ...]
    failed: int
    total: int
    others_failed: int
    others_total: int
    lift: float
    p: float
    q: float
    examples: tuple[int, ...]
    counterexamples: tuple[int, ...]
    confounded: tuple[Correlation, ...] = ()

    @property
    def fact(self) -> Fact:
        """What it is told by."""
        return self.facts[0]

    @property
    def kind(self) -> str:
        """``parameter``, ``data``, …"""
        return self.fact.kind

    @property
    def name(self) -> str:
        """``lr``; of data the data set's."""
        return self.fact.name

    @property
    def value(self) -> str:
        """``> 0.5``; of data the version's name."""
        return self.fact.value

    @property
    def what(self) -> str:
        """The fact in words."""
        return self.fact.text

    @property
    def also(self) -> list[str]:
        """What exactly the same subjects bear."""
        return [fact.text for fact in self.facts[1:]]

    @property
    def text(self) -> str:
        """The finding in a sentence that claims no more than was found."""
        with_it = f"{self.failed:,} of {self.total:,}" if self.failed < self.total else f"all {self.total:,}"
        return (
            f"{self.what} goes with failure: {with_it} failed, of the others "
            f"{self.others_failed:,} of {self.others_total:,} (lift {self.lift:.1f}, q = {self.q:.2g})"
        )


class Found(msgspec.Struct, frozen=True):
    """``findings``, the clearest first; ``tested`` is the number of tests that they are corrected for."""

    findings: list[Correlation]
    tested: int


def correlate(
    failed: Sequence[bool],
    facts: Mapping[Fact, Collection[int]],
    subjects: Sequence[int] | None = None,
    *,
    level: float = LEVEL,
    least: int = LEAST,
    any_dependence: bool = True,
) -> Found:
    """Facts that go with failure more often than chance explains, at the level asked for.

    ``failed`` has one entry a subject; ``facts`` says which subjects (positions) bear each fact; ``subjects``
    is what they are called in what is found, without it their positions. A fact is
    tested if at least ``least`` subjects bear it, not all do, and it could be found at all: whether it is
    tested depends on how many bear it and how many failed, never on who. Facts of exactly the same subjects
    are one test. ``any_dependence`` chooses the correction, see :func:`adjusted`.
    """
    outcome = np.asarray(failed, dtype=bool)
    everyone, bad = len(outcome), int(outcome.sum())
    if not 0 < bad < everyone:
        return Found([], 0)
    tail = Tail(everyone, bad)
    groups: dict[tuple[int, ...], list[Fact]] = defaultdict(list)
    for fact in sorted(facts, key=_fact_order):
        members = tuple(sorted(set(facts[fact])))
        if least <= len(members) < everyone and tail.of(min(len(members), bad), len(members)) <= level:
            groups[members].append(fact)
    if not groups:
        return Found([], 0)
    tests = list(groups.items())
    hits = [int(outcome[list(members)].sum()) for members, _ in tests]
    p = np.array([tail.of(hit, len(members)) for hit, (members, _) in zip(hits, tests, strict=True)])
    q = adjusted(p, any_dependence=any_dependence)
    called = range(everyone) if subjects is None else subjects
    found = {
        _finding(outcome, members, called, same, hit, float(p[number]), float(q[number])): members
        for number, (hit, (members, same)) in enumerate(zip(hits, tests, strict=True))
        if q[number] <= level
    }
    return Found(_grouped(_clearest(found), found, outcome, tail), len(tests))


class Tail:
    """Upper tails of the hypergeometric distribution for one number of subjects and failures."""

    def __init__(self, everyone: int, bad: int) -> None:
        self._everyone, self._bad = everyone, bad
        self._logs: NDArray[np.float64] = np.concatenate(
            ([0.0], np.cumsum(np.log(np.arange(1, everyone + 1, dtype=np.float64))))
        )
        self._known: dict[tuple[int, int], float] = {}

    def of(self, hit: int, drawn: int) -> float:
        """The probability of at least ``hit`` failures among ``drawn`` subjects."""
        key = (hit, drawn)
        if key not in self._known:
            lowest = max(0, drawn - (self._everyone - self._bad))
            if hit <= lowest:
                self._known[key] = 1.0
            else:
                x = np.arange(hit, min(drawn, self._bad) + 1)
                good = self._everyone - self._bad
                logs = self._choose(self._bad, x) + self._choose(good, drawn - x)
                total = self._choose(self._everyone, np.array([drawn]))
                self._known[key] = min(1.0, float(np.exp(logs - total).sum()))
        return self._known[key]

    def chances(self, everyone: int, bad: int, drawn: int) -> tuple[int, NDArray[np.float64]]:
        """The least number of failures that ``drawn`` of so many subjects may have, and the probability of
        that and of each that follows; ``everyone`` is at most that of these tails."""
        least = max(0, drawn - (everyone - bad))
        x = np.arange(least, min(drawn, bad) + 1)
        ways = self._choose(bad, x) + self._choose(everyone - bad, drawn - x)
        chances: NDArray[np.float64] = np.exp(ways - self._choose(everyone, np.array([drawn])))
        counts = np.flatnonzero(chances > _NOTHING)
        return least + int(counts[0]), chances[counts[0] : counts[-1] + 1]

    def _choose(self, n: int, k: NDArray[Any]) -> NDArray[np.float64]:
        chosen: NDArray[np.float64] = self._logs[n] - self._logs[k] - self._logs[n - k]
        return chosen


def beside(
    outcome: NDArray[np.bool_], fact: NDArray[np.bool_], other: NDArray[np.bool_], tail: Tail
) -> float:
    """How probable it is that ``fact`` goes with failure as often as it does by chance alone, among subjects
    that are alike in the ``other`` fact.

    The exact test of several two-by-two tables, one-sided: failures are counted over both strata, where they
    are independent and hypergeometric each (M. W. Birch, The Detection of Partial Association, I: the 2 × 2
    Case, Journal of the Royal Statistical Society B 26, 1964).
    """
    hits, least, chances = 0, 0, np.ones(1)
    for stratum in (other, ~other):
        everyone, bad = int(stratum.sum()), int(outcome[stratum].sum())
        bearers = fact & stratum
        hits += int(outcome[bearers].sum())
        first, more = tail.chances(everyone, bad, int(bearers.sum()))
        least, chances = least + first, np.convolve(chances, more)
    return min(1.0, float(chances[max(0, hits - least) :].sum()))


def adjusted(p: NDArray[np.float64], *, any_dependence: bool = True) -> NDArray[np.float64]:
    """Values adjusted for their number: Benjamini and Yekutieli's, or without ``any_dependence`` those of
    Benjamini and Hochberg (1995), which hold for tests that are independent or positively dependent."""
    tests = len(p)
    if not tests:
        return p
    harmonic = float((1.0 / np.arange(1, tests + 1)).sum()) if any_dependence else 1.0
    order = np.argsort(p, kind="stable")
    raised = p[order] * tests * harmonic / np.arange(1, tests + 1)
    least = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    result = np.empty_like(p)
    result[order] = least
    return result


def _finding(
    outcome: NDArray[np.bool_],
    members: tuple[int, ...],
    called: Sequence[int],
    facts: Sequence[Fact],
    hit: int,
    p: float,
    q: float,
) -> Correlation:
    everyone, bad = len(outcome), int(outcome.sum())
    return Correlation(
        facts=tuple(facts),
        failed=hit,
        total=len(members),
        others_failed=bad - hit,
        others_total=everyone - len(members),
        lift=(hit / len(members)) / (bad / everyone),
        p=p,
        q=q,
        examples=tuple(called[m] for m in members if outcome[m])[:NAMED],
        counterexamples=tuple(called[m] for m in members if not outcome[m])[:NAMED],
    )


def _grouped(
    found: Sequence[Correlation],
    members: Mapping[Correlation, Sequence[int]],
    outcome: NDArray[np.bool_],
    tail: Tail,
) -> list[Correlation]:
    """Each finding with those that are confounded with it: less clear, and nothing left of them beside it."""
    borne = {}
    for each in found:
        borne[each] = np.zeros(len(outcome), dtype=bool)
        borne[each][list(members[each])] = True
    groups: dict[Correlation, list[Correlation]] = {}
    for each in found:
        for clearer in groups:
            if beside(outcome, borne[each], borne[clearer], tail) > _LEFT:
                groups[clearer].append(each)
                break
        else:
            groups[each] = []
    return [msgspec.structs.replace(each, confounded=tuple(rest)) for each, rest in groups.items()]


def _clearest(found: Iterable[Correlation]) -> list[Correlation]:
    """In order; of thresholds on one number only the clearest."""
    kept: list[Correlation] = []
    cuts: set[tuple[str, str]] = set()
    for each in sorted(found, key=lambda c: (c.p, -c.lift, _fact_order(c.fact))):
        thresholds = {(fact.kind, fact.name) for fact in each.facts if fact.cut}
        if each.fact.cut and thresholds & cuts:
            continue
        cuts |= thresholds
        kept.append(each)
    return kept


#: Of facts that nothing tells apart, what somebody chose comes before what came along.
_KINDS = ("parameter", "data", "model", "runtime", "setting", "job", "experiment", "commit")


def _fact_order(fact: Fact) -> tuple[int, bool, str, str]:
    place = _KINDS.index(fact.kind) if fact.kind in _KINDS else len(_KINDS)
    return (place, fact.cut, fact.name, fact.value)


# --- numbers ---------------------------------------------------------------------------------------------

#: More different numbers than this are cut at their quartiles; fewer are taken one by one.
FEW = 8


def facts_of_values(kind: str, name: str, values: Mapping[int, Any]) -> dict[Fact, list[int]]:
    """Facts from one setting's values, by subject (position): each value, or thresholds at the quartiles of
    the values where there are more than eight different numbers. Outcomes play no part in where they lie."""
    numbers = {subject: number for subject, value in values.items() if (number := _number(value)) is not None}
    if len(set(numbers.values())) > FEW and len(numbers) >= 0.9 * len(values):
        return _cuts(kind, name, numbers)
    facts: dict[Fact, list[int]] = defaultdict(list)
    for subject, value in values.items():
        number = numbers.get(subject)
        facts[Fact(kind, name, f"= {_shown(value if number is None else number)}")].append(subject)
    return facts


def _cuts(kind: str, name: str, numbers: Mapping[int, float]) -> dict[Fact, list[int]]:
    facts: dict[Fact, list[int]] = {}
    values = np.array(list(numbers.values()))
    # "lower" picks a value that occurs, so that a threshold reads as somebody wrote it.
    for cut in sorted({float(np.quantile(values, q, method="lower")) for q in (0.25, 0.5, 0.75)}):
        facts[Fact(kind, name, f"≤ {_shown(cut)}", None, True)] = [s for s, v in numbers.items() if v <= cut]
        facts[Fact(kind, name, f"> {_shown(cut)}", None, True)] = [s for s, v in numbers.items() if v > cut]
    return facts


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
