"""How probable it is that a change caused a failure: log-odds, added up, each with its sentence. Pure.

Each signal is a likelihood ratio: how much more often it is seen where the change is at fault than where it
is not. Ratios multiply, so their logarithms add (naive Bayes; I. J. Good, *Probability and the Weighing of
Evidence*, 1950). The scores of one answer are the softmax of the sums, with one share for a cause that no
tool told of. docs/causes.md gives every number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.answers.cause_code import Touch
from app.answers.cause_delays import elsewhere, here
from app.answers.cause_evidence import (
    DAY,
    CheckSeen,
    DataSeen,
    Named,
    RunSeen,
    Setting,
    Signals,
    Weight,
    capped,
    damped,
    lasting,
)
from graph_schema.wording import counted

#: Prior log-odds of a change by what it is: rarely made changes are the riskier ones.
PRIORS = {
    "Commit": -0.2,
    "DatasetVersion": -0.2,
    "derived": -1.1,
    "Runtime": 0.8,
    "ModelVersion": 2.0,
    "Artifact": -1.5,
    "Run": -0.4,
    "Deployment": -0.8,
    "JobRun": -0.5,
}
#: The share of what no tool told of, as log-odds against a change with nothing for or against it.
UNTOLD = 0.0
_CHANGED, _UNCHANGED, _UNDATED, _BROUGHT, _TRIVIAL = 0.6, -1.7, -1.5, -1.0, -0.8
#: Of a runtime, where there is no state to compare with: most stay as they are for long.
_UNTOLD_CHANGE = -1.5
#: Of a run that failed: that the last good one did without it, and had it too; that another failed the same
#: way before it came. What breaks a run breaks it at once.
_NEW, _RAN_WITH_IT, _AFTER = 1.5, -5.0, -5.0
#: By how near what a commit touched is to what ran.
_TOUCHED = {
    Touch.ASIDE: -2.5,
    Touch.OTHERS: -4.0,
    Touch.DATA: -2.5,
    Touch.INSTALLED: -1.4,
    Touch.SHARED: 0.5,
    Touch.OWN: 0.9,
}
_FAMILIAR, _MENDED = 0.2, -2.5
#: By the greatest step of a version in what is installed: less than a minor one, minor, major.
_UPGRADED = (-0.6, 0.1, 1.1)
_NAMED, _AGE, _UNCOMPARED = 1.5, 0.3, -1.5
#: How much the delay counts, the time without harm, and what became of others.
_SOON, _WELL, _FAILED_TOO, _WENT_WELL = 1.4, 0.6, 0.4, 1.2
#: That offline metrics show a bad thing at all, and where those of a run that led to the failure do; that one
#: run shows it then; that a group of runs suffers from bad data, and from anything else.
_VISIBLE, _VISIBLE_HERE, _RUN_SHOWS, _DATA_HURTS, _HURTS = 0.75, 0.96, 0.92, 0.75, 0.95
_RUNS, _RUNS_POWER = 0.7, 0.75
#: That a run does worse where the one before it did not, where that one did, and with unlike settings,
#: whatever else changed.
_ONSET, _STAY, _UNLIKE = 0.08, 0.6, 0.7
#: Of what breaks a run: that it breaks another that has it, of the same kind and any; that a run fails the
#: same way whatever else changed, after one that did not and after one that did.
_BREAKS, _BREAKS_ALIKE, _BREAKS_OTHERS = 0.92, 0.98, 0.7
_FAILS, _FAILS_AGAIN, _CRASHES = 0.03, 0.6, 1.4
#: Where the run that led to the failure went well: what acts before it is the less probable.
_RAN_WELL = -0.6
#: That a check of a bad thing itself fails, and one of what was made from it; how much each counts.
_CHECK_FAILS, _LATER_FAILS, _DIRECT, _LATER = 0.75, 0.4, 0.8, 0.35
#: That statistics of bad data are out of line, and those of what was made from it; how often some are at
#: least, as much goes wrong at once; how much each counts.
_OUT, _LATER_OUT, _OUT_USUAL = 0.65, 0.5, 0.1
_OUT_DIRECT, _OUT_LATER = 0.8, 0.7
#: That the size of bad data is out of line, and of good data.
_SIZE_BAD, _SIZE_GOOD = 0.35, 0.03
#: A value that changed: after four that were the same, else; and each time it was halved or doubled; how much
#: that counts, and where a run failed: most such values make it worse, and do not break it.
_STEADY, _MOVED, _LEAP, _SETTINGS, _SETTINGS_BREAK = 1.4, 0.5, 0.9, 1.5, 0.9
#: That the failure names a change because it is at fault, on the first and the second level of ``Named``; how
#: much that counts.
_NAMES = {
    "files": (0.14, 0.28),
    "message": (0.0, 0.15),
    "data": (0.3, 0.5),
    "runtime": (0.0, 0.6),
    "setting": (0.0, 0.3),
}
_WORDS = 0.9
_KIN, _LIFT, _ALIKE = 0.8, 0.4, 0.4
_MOST = 6.0


def weigh(signals: Signals) -> list[Weight]:
    """Every contribution, the prior first; those that say nothing are left out."""
    found = [Weight("kind", PRIORS[signals.sort], _prior_text(signals.sort))]
    found += _path(signals)
    found += _difference(signals)
    if signals.age > 0:
        text = f"it was made {lasting(signals.age)} before the failure"
        found.append(Weight("time", -_AGE * math.log1p(signals.age / DAY), text))
    found += here(signals.own, signals.serving, _SOON, _WELL)
    if not signals.crashed:
        found += elsewhere(signals.others, signals.serving, _FAILED_TOO, _WENT_WELL)
    found += _runs(signals)
    found += _checks(signals.checks)
    found += _measured(signals.measured)
    found += _size(signals)
    found += _settings(signals)
    found += _code(signals)
    found += _earlier(signals)
    found += words(signals.words)
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
    found = []
    if signals.certainty < 1:
        text = f"the path holds with a certainty of {signals.certainty:.0%}"
        found.append(Weight("path", math.log(signals.certainty), text))
    if signals.named:
        found.append(Weight("path", _NAMED, "the failure names it itself"))
    return found


def _difference(signals: Signals) -> list[Weight]:
    found = []
    if signals.changed is not None:
        text = "the last good state did without it" if signals.changed else "the last good state had it too"
        new, had = (_NEW, _RAN_WITH_IT) if signals.crashed else (_CHANGED, _UNCHANGED)
        found.append(Weight("change", new if signals.changed else had, text))
    elif signals.sort == "Runtime":
        found.append(Weight("change", _UNTOLD_CHANGE, "nothing tells whether it changed"))
    if signals.after:
        found.append(Weight("change", _AFTER, f"{signals.after} failed the same way without it"))
    if signals.changed is False and not signals.dated:
        found.append(Weight("change", _UNDATED, "nobody says when it came to be: it may be no change at all"))
    if signals.brought:
        found.append(Weight("change", _BROUGHT, "it brought in data that is named by itself"))
    return found


def _code(signals: Signals) -> list[Weight]:
    """What a commit touched and says of itself, and which versions a runtime has."""
    found = []
    if signals.trivial:
        found.append(Weight("change", _TRIVIAL, "its message speaks of documents or spelling only"))
    if signals.touch is not None:
        text = {
            Touch.ASIDE: "it touched documents, tests or the like only",
            Touch.OTHERS: "it touched only what others start from",
            Touch.DATA: "it touched only what says which data there is, which is named by itself",
            Touch.INSTALLED: "it touched only what says which packages are installed",
            Touch.SHARED: "it touched code that may be used by all",
            Touch.OWN: "it touched the code of what failed",
        }[signals.touch]
        found.append(Weight("files", _TOUCHED[signals.touch], text))
    if signals.mended:
        found.append(Weight("change", _MENDED, "a later commit in what failed mends it"))
    if signals.familiar:
        found.append(Weight("files", _FAMILIAR, "it touched a file that a confirmed cause touched before"))
    if signals.upgrade is not None:
        text = f"the greatest step of a version in it is a {('small', 'minor', 'major')[signals.upgrade]} one"
        found.append(Weight("packages", _UPGRADED[signals.upgrade], text))
    return found


def words(named: Sequence[Named]) -> list[Weight]:
    """What the failure's own words name because of what is at fault, or as they would name it anyway."""
    found = []
    for each in named:
        names = _NAMES[each.sort]
        because, anyway = names[each.level - 1] if each.level else 0.0, 1 - sum(names)
        found.append(Weight("words", _WORDS * math.log(because / each.usual + anyway), each.text))
    return found


def _earlier(signals: Signals) -> list[Weight]:
    found = []
    if signals.confirmed_kin:
        text = f"confirmed as a cause before: {signals.confirmed_kin} of the same line"
        found.append(Weight("earlier", _KIN * math.log1p(signals.confirmed_kin), text))
    if abs(math.log(signals.lift)) > 0.05:
        often = "more" if signals.lift > 1 else "less"
        text = f"such changes were confirmed {often} often for such failures ({signals.lift:.1f}×)"
        found.append(Weight("earlier", _LIFT * math.log(signals.lift), text))
    if signals.alike > 0:
        text = "failures that are alike had such a cause"
        found.append(Weight("similar", _ALIKE * math.log1p(8 * signals.alike), text))
    return found


def _crashes(runs: Sequence[RunSeen]) -> list[Weight]:
    """What breaks one run breaks nearly every run of its kind, and many of others."""
    if not runs:
        return []
    groups: dict[int | None, float] = {}
    for each in runs:
        usual = _FAILS_AGAIN if each.before else _FAILS
        shows = _BREAKS + (1 - _BREAKS) * usual
        said = math.log(shows / usual if each.bad else (1 - shows) / (1 - usual))
        group = None if each.kin else each.group
        groups[group] = groups.get(group, 0.0) + said
    ratio = sum(
        math.log1p((_BREAKS_ALIKE if group is None else _BREAKS_OTHERS) * math.expm1(capped(said, 30.0)))
        for group, said in groups.items()
    )
    bad = sum(each.bad for each in runs)
    text = f"{bad} of {counted(len(runs), 'run')} with it failed the same way"
    return [Weight("runs", _CRASHES * damped(ratio, _RUNS_POWER), text)]


def _runs(signals: Signals) -> list[Weight]:
    """Bad things show in the metrics of every run that suffers from them, or in those of none. The run that
    led to the failure suffers, if it is what failed."""
    if signals.crashed:
        return _crashes(signals.runs)
    if not signals.runs:
        return []
    bad = sum(each.bad for each in signals.runs)
    text = f"{bad} of {counted(len(signals.runs), 'run')} with it failed or did worse than before"
    text += _onset(signals.runs)
    own = [each.bad for each in signals.runs if each.own]
    if own and not any(own):
        return [Weight("metrics", _RAN_WELL, "the run that led here did no worse than before")]
    hurts = _DATA_HURTS if signals.sort in ("DatasetVersion", "derived") else _HURTS
    groups: dict[int | None, float] = {}
    for each in signals.runs:
        group = None if each.own or (own and each.kin) else each.group
        groups[group] = groups.get(group, 0.0) + _seen(each)
    ratio = sum(
        math.log1p((0.99 if group is None else hurts) * math.expm1(capped(seen, 30.0)))
        for group, seen in groups.items()
    )
    visible = _VISIBLE_HERE if own else _VISIBLE
    ratio = math.log1p(visible * math.expm1(capped(ratio, 60.0)))
    return [Weight("metrics", _RUNS * (damped(ratio, _RUNS_POWER) if ratio > 0 else ratio), text)]


def _onset(runs: Sequence[RunSeen]) -> str:
    """With how many of the bad runs it began to be bad."""
    told = [each.before for each in runs if each.bad and each.before is not None and not each.unlike]
    began = sum(not before for before in told)
    return f", {began or 'none'} of them after one that went well" if told else ""


def _seen(run: RunSeen) -> float:
    """What one run says. Where runs did worse before the change came, it is less probably what made them."""
    usual = min(0.9, max(0.02, run.usual)) if run.before is None else _STAY if run.before else _ONSET
    if run.unlike:
        usual = _UNLIKE
    shows = _RUN_SHOWS + (1 - _RUN_SHOWS) * usual
    return math.log(shows / usual if run.bad else (1 - shows) / (1 - usual))


def _checks(checks: Sequence[CheckSeen]) -> list[Weight]:
    found = []
    for direct in (True, False):
        # In an order of their own: stores give them in any, and sums of floats depend on it.
        of = sorted(
            (each for each in checks if each.direct is direct), key=lambda each: (each.name, each.failed)
        )
        if not of:
            continue
        fails = _CHECK_FAILS if direct else _LATER_FAILS
        ratio = 0.0
        for each in of:
            usual = min(0.6, max(0.02, each.usual))
            ratio += _told(each.failed, fails, usual)
        bad = [each.name for each in of if each.failed]
        what = "of it" if direct else "on the way from it"
        text = f"failed check {what}: {bad[0]}" if bad else f"{counted(len(of), 'check')} {what} passed"
        if len(bad) > 1:
            text += f", and {len(bad) - 1} more"
        found.append(Weight("check", (_DIRECT if direct else _LATER) * capped(ratio, _MOST), text))
    return found


def _told(bad: bool, shows: float, usual: float) -> float:
    """What one finding says: bad things have it so often (``shows``), all else as often as is usual."""
    return math.log((shows + (1 - shows) * usual) / usual if bad else 1 - shows)


def _measured(measured: Sequence[DataSeen]) -> list[Weight]:
    """What statistics of the data itself say, and those of what was made from it."""
    found = []
    for direct in (True, False):
        kept = (each for each in measured if each.direct is direct)
        of = sorted(kept, key=lambda each: (each.name, each.out))
        if not of:
            continue
        shows = _OUT if direct else _LATER_OUT
        ratio = 0.0
        for each in of:
            usual = min(0.6, max(_OUT_USUAL, each.usual))
            ratio += _told(bool(each.out), shows, usual)
        out = next((each for each in of if each.out), None)
        text = "its statistics" if direct else "statistics of what was made from it"
        if out is None:
            text += " are as usual"
        else:
            text += f" are out of line: {out.out}" if direct else f" are out of line: {out.name}: {out.out}"
        much = _OUT_DIRECT if direct else _OUT_LATER
        found.append(Weight("statistics", much * capped(ratio, _MOST), text))
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
        return [Weight("configuration", _SETTINGS * _UNCOMPARED, text)] if signals.sort == "Run" else []
    if not signals.settings:
        text = "its configuration is that of the last good one"
        return [Weight("configuration", -3.0 * _SETTINGS, text)]
    total, texts = -0.7, []
    for each in signals.settings:
        new = (_STEADY if each.steady else _MOVED) + _LEAP * max(-1.0, min(2.0, _leap(each)))
        total = max(total, -0.7 if each.seen else new)
        texts.append(f"{each.path}: {each.before} → {each.after}")
    more = f", and {len(texts) - 3} more" if len(texts) > 3 else ""
    much = _SETTINGS_BREAK if signals.crashed else _SETTINGS
    return [Weight("configuration", much * total, "; ".join(texts[:3]) + more)]


def _leap(setting: Setting) -> float:
    """How far a value moved: how often it was halved or doubled, less 1; 1 where it is no number."""
    try:
        before, after = float(str(setting.before)), float(str(setting.after))
    except ValueError:
        return 1.0
    if before <= 0 or after <= 0:
        return 1.0
    return abs(math.log2(after / before)) - 1.0
