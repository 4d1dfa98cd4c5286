"""When a bad thing shows, once it is there: how well the times of deployments fit. Pure.

Delays are mixtures of two log-normal distributions, as times to detection mostly are: soon, or days later.
What stops a service shows within the hour; what makes its answers worse has to gather.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.answers.cause_evidence import DAY, HOUR, Exposure, Weight, capped, damped, lasting
from graph_schema.wording import counted

#: The delay of an incident: share, median and spread (of the logarithm) of each part.
_SERVING = ((0.85, 0.5 * HOUR, 1.0), (0.15, 3 * DAY, 0.8))
_QUALITY = ((0.85, 3.5 * HOUR, 1.0), (0.15, 3 * DAY, 0.8))
#: That a bad thing shows in a deployment that carries it; and where it is what failed, in that place.
_SHOWS, _SHOWS_HERE = 0.7, 0.97
#: Incidents a day of a deployment that is well; that a release fails whatever it carries.
_RATE, _RELEASE = 1 / 40, 0.08
_SHORTEST = 30.0
_MOST = 8.0


def shown(seconds: float, serving: bool = False) -> float:
    """That a failure which will come has come by then."""
    return sum(
        share * 0.5 * (1 + math.erf(_distance(seconds, median, spread) / math.sqrt(2)))
        for share, median, spread in (_SERVING if serving else _QUALITY)
    )


def _density(seconds: float, serving: bool) -> float:
    """How probable it is, a second, that a failure which will come comes then."""
    found = 0.0
    for share, median, spread in _SERVING if serving else _QUALITY:
        height = math.exp(-(_distance(seconds, median, spread) ** 2) / 2)
        found += share * height / (max(seconds, _SHORTEST) * spread * math.sqrt(2 * math.pi))
    return found


def _distance(seconds: float, median: float, spread: float) -> float:
    return math.log(max(seconds, _SHORTEST) / median) / spread


def exposure(seen: Exposure, serving: bool = False) -> float:
    """Log of the likelihood ratio of one deployment's fate: bad against harmless."""
    if not seen.failed:
        usual = 0.0 if seen.age is None else _RELEASE * shown(seen.age, serving)
        return math.log((1 - _SHOWS * shown(seen.seconds, serving)) / (1 - usual))
    usual = _RATE / DAY + (0.0 if seen.age is None else _RELEASE * _density(seen.age, serving))
    return math.log((_SHOWS * _density(seen.seconds, serving) + usual) / usual)


def here(own: Sequence[Exposure], serving: bool, soon: float, well: float) -> list[Weight]:
    """What the times of the very thing that failed say, and of what stood in its place before."""
    found = []
    failed = [each for each in own if each.failed]
    if failed:
        latest = min(failed, key=lambda each: each.seconds)
        closeness = max(exposure(each, serving) for each in failed)
        text = f"the failure began {lasting(latest.seconds)} after it took effect"
        found.append(Weight("time", soon * capped(closeness, _MOST), text))
    unharmed = [each for each in own if not each.failed]
    if unharmed:
        ratio = sum(math.log(1 - _SHOWS_HERE * shown(each.seconds, serving)) for each in unharmed)
        text = f"it had been there for {lasting(sum(each.seconds for each in unharmed))} before without harm"
        found.append(Weight("time", well * capped(ratio, _MOST), text))
    return found


def elsewhere(others: Sequence[Exposure], serving: bool, failed_too: float, went_well: float) -> list[Weight]:
    """What became of other deployments with it: one fate for each place."""
    places: dict[str, list[Exposure]] = {}
    for number, each in enumerate(others):
        places.setdefault(each.place or str(number), []).append(each)
    bad, good = [], []
    for of in places.values():
        failed = [each for each in of if each.failed]
        if failed:
            bad.append(exposure(min(failed, key=lambda each: each.seconds), serving))
        else:
            ages = [each.age for each in of if each.age is not None]
            whole = Exposure(sum(each.seconds for each in of), False, max(ages, default=None))
            good.append(exposure(whole, serving))
    found = []
    if bad:
        text = f"{counted(len(bad), 'other deployment')} with it failed too"
        found.append(Weight("elsewhere", failed_too * damped(sum(bad), 0.6), text))
    if good:
        text = f"{counted(len(good), 'other deployment')} with it had no incident"
        found.append(Weight("elsewhere", went_well * damped(sum(good), 0.7), text))
    return found
