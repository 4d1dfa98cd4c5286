"""What is known of a change that may be a cause, as plain values, and what is made of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from app.answers.cause_code import Touch
from graph_schema.wording import counted

MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Exposure(msgspec.Struct, frozen=True):
    """A deployment that carried the change. ``seconds``: from when it carried it to its first incident after
    that, else to the end of its time there. ``failed``: whether that incident came. ``age``: seconds from its
    release to then; every release is a risk of its own. ``place``: where it stood; deployments of one place
    share their fate."""

    seconds: float
    failed: bool
    age: float | None = None
    place: str = ""


class RunSeen(msgspec.Struct, frozen=True):
    """A run downstream of the change. ``usual``: how often runs of its group are bad anyway, 0 to 1; runs of
    one group share most of what is good or bad about them. ``own``: it is one that led to the failure.
    ``before``: whether the one before it in its group was bad (None: that is not known); ``unlike``: its
    settings are new and far from those usual there; ``kin``: its code lies where that of one does which led
    to the failure, so that what harms the one harms the other."""

    bad: bool
    usual: float
    group: int = 0
    own: bool = False
    before: bool | None = None
    unlike: bool = False
    kin: bool = False


class CheckSeen(msgspec.Struct, frozen=True):
    """A check downstream of the change; ``direct``: of the thing itself. ``usual``: how often checks of that
    name fail."""

    name: str
    failed: bool
    direct: bool
    usual: float


class DataSeen(msgspec.Struct, frozen=True):
    """Measured data: the changed data itself (``direct``), or the first version with the change in it of a
    line that leads to the failure. ``out`` says which of its statistics are out of line, empty where none
    is; ``usual``: how often some of its line are."""

    name: str
    out: str
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


class Named(msgspec.Struct, frozen=True):
    """What the failure's own words say of a change. ``sort``: by what it may be named (files, message, data,
    runtime, setting);
    ``level``: 2 they name what changed, 1 what may have, 0 what others of the sort have. ``usual``: the share
    of those that are on this level, itself aside, 0 to 1."""

    sort: str
    level: int
    usual: float
    text: str


class Signals(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one change. ``sort`` is a key of ``PRIORS``; ``serving``: it takes effect where models
    are served; ``changed``: whether the last good state did without it (None: there is none to compare with);
    ``dated``: somebody says when it came to be; ``after``: the run that failed the same way before it came,
    empty where there is none. ``crashed``: what failed is a run, and ``runs`` tells which failed like it.

    ``own`` are the exposures of the very things that failed and of what stood in their place before,
    ``others`` all others'. ``size`` is the factor to the size usual before, ``spread`` the factor that is
    usual. ``touch`` says what a commit touched, ``mended`` that what failed has a later commit that mends it,
    ``familiar`` that a confirmed cause touched such a file.
    ``upgrade`` is the greatest step of a version in a runtime (2 major, 1 minor, 0 less). ``lift``: how much
    more often such changes were confirmed for such failures; ``alike``: how many failures that read alike had
    such a cause, each counted by how alike it is. ``named``: the failure is tied to the thing itself.
    """

    sort: str
    serving: bool = False
    certainty: float = 1.0
    changed: bool | None = None
    own: Sequence[Exposure] = ()
    others: Sequence[Exposure] = ()
    runs: Sequence[RunSeen] = ()
    checks: Sequence[CheckSeen] = ()
    measured: Sequence[DataSeen] = ()
    size: float | None = None
    spread: float = 1.1
    settings: Sequence[Setting] | None = None
    brought: bool = False
    confirmed_kin: int = 0
    lift: float = 1.0
    alike: float = 0.0
    symptom: float = 0.0
    symptom_text: str = ""
    trivial: bool = False
    touch: Touch | None = None
    mended: bool = False
    familiar: bool = False
    upgrade: int | None = None
    age: float = 0.0
    dated: bool = True
    after: str = ""
    crashed: bool = False
    named: bool = False
    words: Sequence[Named] = ()


class Weight(NamedTuple):
    """A contribution in log-odds: its sort, how much, and the sentence that says why."""

    kind: str
    log_odds: float
    text: str


def capped(value: float, most: float) -> float:
    """Not further from 0 than ``most``."""
    return max(-most, min(most, value))


def damped(value: float, power: float) -> float:
    """What much of one sort says together is mostly one thing said often: beyond 1, a power of it."""
    if abs(value) <= 1:
        return value
    return math.copysign(math.pow(abs(value), power), value)


def lasting(seconds: float) -> str:
    """A length of time in words: its one largest unit."""
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= 1.5 * unit or (seconds >= unit and name == "minute"):
            return counted(round(seconds / unit), name)
    return counted(round(seconds), "second")
