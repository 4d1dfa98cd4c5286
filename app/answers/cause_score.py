"""How probable it is that a change caused a failure: log-odds, added up, each with its sentence. Pure.

Each signal is a likelihood ratio: how much more often it is seen where the change is at fault than where it
is not. Ratios multiply, so their logarithms add (naive Bayes; I. J. Good, *Probability and the Weighing of
Evidence*, 1950). The scores of one answer are the softmax of the sums, with one share for a cause that no
tool told of. docs/causes.md gives every number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

HOUR = 3_600.0
DAY = 24 * HOUR

#: Prior log-odds of a change by what it is: rarely made changes are the riskier ones.
PRIORS = {
    "Commit": 0.0,
    "DatasetVersion": -0.3,
    "derived": -0.8,
    "Runtime": 0.5,
    "ModelVersion": 1.3,
    "Artifact": -1.5,
    "Run": -0.3,
    "Deployment": -0.5,
    "JobRun": -0.5,
}
#: The share of what no tool told of, as log-odds against a change with nothing for or against it.
UNTOLD = 0.0
#: That a bad thing shows at all in one deployment that carries it; incidents a day of one that is well.
_SHOWS, _RATE = 0.7, 1 / 40
#: That a release fails whatever it carries; how far the fates of other deployments count.
_RELEASE, _FAILED_TOO, _WENT_WELL = 0.08, 0.4, 0.6
#: The delay of an incident: mostly hours, sometimes days (two exponential distributions: share and mean).
_DELAYS = ((0.7, 8 * HOUR), (0.3, 3 * DAY))
#: That offline metrics show a bad thing at all; that one run shows it then.
_VISIBLE, _RUN_SHOWS = 0.6, 0.85
#: How much many runs of one group count, as a power of their number.
_RUNS_COUNT = 0.6
#: That a check of a bad thing itself fails, and one of what was made from it.
_CHECK_FAILS, _LATER_FAILS = 0.7, 0.4
#: That the size of bad data is out of line, and of good data.
_SIZE_BAD, _SIZE_GOOD = 0.35, 0.03
_UNCHANGED, _BROUGHT, _TRIVIAL = -2.0, -1.0, -2.0
_NAMED, _AGE, _UNCOMPARED = 1.5, 0.3, -1.5
_MOST = 6.0


class Exposure(msgspec.Struct, frozen=True):
    """A deployment that carried the change. ``seconds``: from when it carried it to its first incident after
    that, else to the end of its time there. ``failed``: whether that incident came. ``age``: seconds from its
    release to then; every release is a risk of its own."""

    seconds: float
    failed: bool
    age: float | None = None


class RunSeen(msgspec.Struct, frozen=True):
    """A run downstream of the change. ``usual``: how often runs of its group are bad anyway, 0 to 1; runs of
    one group share most of what is good or bad about them."""

    bad: bool
    usual: float
    group: int = 0


class CheckSeen(msgspec.Struct, frozen=True):
    """A check downstream of the change; ``direct``: of the thing itself. ``usual``: how often checks of that
    name fail."""

    name: str
    failed: bool
    direct: bool
    usual: float


class Setting(msgspec.Struct, frozen=True):
    """A parameter or configuration value that changed. ``seen``: whether this value was used before;
    ``steady``: whether the last few before the change all had the same."""

    path: str
    before: object
    after: object
    seen: bool
    steady: bool = False


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one change. ``sort`` is a key of :data:`PRIORS`; ``changed``: whether the last good
    state did without it (None: there is none to compare with); ``own``: the exposures of the very things
    that failed, ``others``: all others'. ``size`` is the factor to the size usual before, ``spread`` the
    factor that is usual. ``lift``: how much more often such changes were confirmed for such failures."""

    sort: str
    certainty: float = 1.0
    changed: bool | None = None
    own: Sequence[Exposure] = ()
    others: Sequence[Exposure] = ()
    runs: Sequence[RunSeen] = ()
    checks: Sequence[CheckSeen] = ()
    size: float | None = None
    spread: float = 1.1
    settings: Sequence[Setting] | None = None
    brought: bool = False
    confirmed_kin: int = 0
    lift: float = 1.0
    symptom: float = 0.0
    symptom_text: str = ""
    trivial: bool = False
    age: float = 0.0
    named: bool = False


class Weight(NamedTuple):
    """A contribution in log-odds: its sort, how much, and the sentence that says why."""

    kind: str
    log_odds: float
    text: str


def weigh(signals: Signals) -> list[Weight]:
    """Every contribution, the prior first; those that say nothing are left out."""
    found = [Weight("kind", PRIORS[signals.sort], _prior_text(signals.sort))]
    found += _path(signals)
    found += _difference(signals)
    found += _time(signals)
    if signals.named:
        found.append(Weight("path", _NAMED, "the failure names it itself"))
    found += _elsewhere(signals)
    found += _runs(signals.runs)
    found += _checks(signals.checks)
    found += _size(signals)
    found += _settings(signals)
    if signals.brought:
        found.append(Weight("change", _BROUGHT, "it brought in data that is named by itself"))
    if signals.trivial:
        found.append(Weight("change", _TRIVIAL, "its message speaks of documents or spelling only"))
    if signals.confirmed_kin:
        text = f"confirmed as a cause before: {signals.confirmed_kin} of the same line"
        found.append(Weight("earlier", 0.7 * math.log1p(signals.confirmed_kin), text))
    if abs(math.log(signals.lift)) > 0.05:
        often = "more" if signals.lift > 1 else "less"
        text = f"such changes were confirmed {often} often for such failures ({signals.lift:.1f}×)"
        found.append(Weight("earlier", math.log(signals.lift), text))
    if signals.symptom:
        found.append(Weight("symptom", signals.symptom, signals.symptom_text))
    return [each for each in found if abs(each.log_odds) >= 0.005 or each.kind == "kind"]


def scores(weighed: Sequence[Sequence[Weight]]) -> list[float]:
    """The probability of each candidate; together with that of what no tool told of they sum to 1."""
    sums = [sum(each.log_odds for each in one) for one in weighed]
    top = max([*sums, UNTOLD])
    powers = [math.exp(s - top) for s in sums]
    whole = sum(powers) + math.exp(UNTOLD - top)
    return [power / whole for power in powers]


def shares(weights: Sequence[Weight], score: float) -> list[float]:
    """The share of the score that each contribution has; what speaks against has a negative one."""
    whole = sum(each.log_odds for each in weights if each.log_odds > 0)
    return [score * each.log_odds / whole if whole > 0 else 0.0 for each in weights]


def _prior_text(sort: str) -> str:
    named = {"derived": "data made from other data"}.get(sort, sort)
    return f"how often a change of this kind ({named}) is at fault"


def _path(signals: Signals) -> list[Weight]:
    if signals.certainty >= 1:
        return []
    text = f"the path holds with a certainty of {signals.certainty:.0%}"
    return [Weight("path", math.log(signals.certainty), text)]


def _difference(signals: Signals) -> list[Weight]:
    if signals.changed is None:
        return []
    if signals.changed:
        return [Weight("change", 0.7, "the last good state did without it")]
    return [Weight("change", _UNCHANGED, "the last good state had it too")]


def shown(seconds: float) -> float:
    """That a failure which will come has come by then."""
    return 1 - sum(share * math.exp(-seconds / mean) for share, mean in _DELAYS)


def exposure(seen: Exposure) -> float:
    """Log of the likelihood ratio of one deployment's fate: bad against harmless."""
    if not seen.failed:
        usual = 0.0 if seen.age is None else _RELEASE * shown(seen.age)
        return math.log((1 - _SHOWS * shown(seen.seconds)) / (1 - usual))
    usual = _RATE / DAY + (0.0 if seen.age is None else _RELEASE * _density(seen.age))
    return math.log((_SHOWS * _density(seen.seconds) + usual) / usual)


def _density(seconds: float) -> float:
    """How probable it is, a second, that a failure which will come comes then."""
    return sum(share / mean * math.exp(-seconds / mean) for share, mean in _DELAYS)


def _time(signals: Signals) -> list[Weight]:
    found = []
    if signals.age > 0:
        text = f"it was made {lasting(signals.age)} before the failure"
        found.append(Weight("time", -_AGE * math.log1p(signals.age / DAY), text))
    failed = [each for each in signals.own if each.failed]
    if failed:
        latest = min(failed, key=lambda each: each.seconds)
        closeness = max(exposure(each) for each in failed)
        text = f"the failure began {lasting(latest.seconds)} after it took effect"
        found.append(Weight("time", _capped(closeness), text))
    well = [each for each in signals.own if not each.failed]
    if well:
        total = sum(each.seconds for each in well)
        text = f"it had been there for {lasting(total)} before without harm"
        found.append(Weight("time", _capped(sum(map(exposure, well))), text))
    return found


def _elsewhere(signals: Signals) -> list[Weight]:
    found = []
    bad = [each for each in signals.others if each.failed]
    good = [each for each in signals.others if not each.failed]
    sums = [sum(map(exposure, each)) for each in (bad, good)]
    weights = [_FAILED_TOO * sums[0], _WENT_WELL * sums[1]]
    # What speaks for and against is weighed as a whole, so that neither is lost in the limit.
    whole = sum(weights)
    scale = 1.0 if abs(whole) <= _MOST else _MOST / abs(whole)
    if bad:
        text = f"{_many(len(bad), 'other deployment')} with it failed too"
        found.append(Weight("elsewhere", scale * weights[0], text))
    if good:
        text = f"{_many(len(good), 'other deployment')} with it had no incident"
        found.append(Weight("elsewhere", scale * weights[1], text))
    return found


def _runs(runs: Sequence[RunSeen]) -> list[Weight]:
    """Bad things show in the metrics of every run, or in those of none."""
    if not runs:
        return []
    groups: dict[int, list[float]] = {}
    for each in runs:
        usual = min(0.7, max(0.02, each.usual))
        ratio = math.log(_RUN_SHOWS / usual if each.bad else (1 - _RUN_SHOWS) / (1 - usual))
        groups.setdefault(each.group, []).append(ratio)
    # Runs of one group are not independent: n of them count as n ** 0.6.
    seen = sum(sum(of) / len(of) * len(of) ** _RUNS_COUNT for of in groups.values())
    seen = min(seen, 50.0)
    ratio = math.log(_VISIBLE * math.exp(seen) + 1 - _VISIBLE)
    bad = sum(each.bad for each in runs)
    text = f"{bad} of {_many(len(runs), 'run')} with it failed or did worse than before"
    # What many runs say together is mostly one thing said often.
    return [Weight("metrics", math.log1p(ratio) if ratio > 0 else 1.5 * ratio, text)]


def _checks(checks: Sequence[CheckSeen]) -> list[Weight]:
    found = []
    for direct in (True, False):
        of = [each for each in checks if each.direct is direct]
        if not of:
            continue
        fails = _CHECK_FAILS if direct else _LATER_FAILS
        ratio = 0.0
        for each in of:
            usual = min(0.6, max(0.02, each.usual))
            ratio += math.log(fails / usual if each.failed else (1 - fails) / (1 - usual))
        bad = [each.name for each in of if each.failed]
        what = "of it" if direct else "on the way from it"
        text = f"failed check {what}: {bad[0]}" if bad else f"{_many(len(of), 'check')} {what} passed"
        if len(bad) > 1:
            text += f", and {len(bad) - 1} more"
        ratio = ratio if direct else 0.7 * ratio
        found.append(Weight("check", _capped(ratio, 4.0), text))
    return found


def _size(signals: Signals) -> list[Weight]:
    if signals.size is None or signals.size <= 0:
        return []
    strange = abs(math.log(signals.size)) > math.log(max(1.12, signals.spread))
    good = 1 - _SIZE_GOOD, 1 - _SIZE_BAD
    if not strange:
        return [Weight("size", math.log(good[1] / good[0]), "its size is as usual")]
    text = f"its size is {signals.size:.2f} times the usual"
    return [Weight("size", math.log(_SIZE_BAD / _SIZE_GOOD), text)]


def _settings(signals: Signals) -> list[Weight]:
    if signals.settings is None:
        text = "there is nothing to compare its configuration with"
        return [Weight("configuration", _UNCOMPARED, text)] if signals.sort == "Run" else []
    if not signals.settings:
        return [Weight("configuration", -3.0, "its configuration is that of the last good one")]
    total, texts = -0.7, []
    for each in signals.settings:
        new = (2.0 if each.steady else 1.0) + 0.6 * max(0.0, min(2.0, _leap(each)))
        total = max(total, -0.7 if each.seen else new)
        texts.append(f"{each.path}: {each.before} → {each.after}")
    more = f", and {len(texts) - 3} more" if len(texts) > 3 else ""
    return [Weight("configuration", total, "; ".join(texts[:3]) + more)]


def _leap(setting: Setting) -> float:
    """How far a value moved: the number of times it was halved or doubled; 1 where it is no number."""
    try:
        before, after = float(str(setting.before)), float(str(setting.after))
    except ValueError:
        return 1.0
    if before <= 0 or after <= 0:
        return 1.0
    return abs(math.log2(after / before)) - 1.0


def _capped(value: float, most: float = _MOST) -> float:
    return max(-most, min(most, value))


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def lasting(seconds: float) -> str:
    """A length of time in words: its one largest unit."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (60.0, "minute")):
        if seconds >= 1.5 * unit or (seconds >= unit and name == "minute"):
            return _many(round(seconds / unit), name)
    return _many(round(seconds), "second")
