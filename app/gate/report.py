"""What a check found, and the verdict: plain values; terminal, comment and ``--json`` tell the same."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from app.gate.changes import Change


class Verdict(StrEnum):
    """``quiet``: nothing to say · ``warn`` · ``fail`` · ``unknown``: nobody could be asked."""

    QUIET = "quiet"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


class Thresholds(msgspec.Struct, frozen=True):
    """Scores, 0 to 100, above which the verdict is given; None: never."""

    warn_above: float | None = 0.0
    fail_above: float | None = None

    def judge(self, score: float) -> Verdict:
        """The verdict on a score. ``fail`` outranks ``warn``, also where its threshold is the lower one."""
        if self.fail_above is not None and score > self.fail_above:
            return Verdict.FAIL
        if self.warn_above is not None and score > self.warn_above:
            return Verdict.WARN
        return Verdict.QUIET


#: What stands between a change and what people use: where only this is at risk, nobody is hurt.
_BETWEEN = frozenset({"DATASET_VERSION", "RUN", "JOB_RUN"})


class Risk(msgspec.Struct, frozen=True):
    """Something that was made from what changes: how much it adds to the score, why, and which of the
    changes leads there."""

    id: str
    kind: str
    name: str
    contribution: float
    because: str
    change: str | None = None

    @property
    def used(self) -> bool:
        """Whether somebody may use it: a deployment, a model, what was packaged."""
        return self.kind not in _BETWEEN

    def why(self, several: bool) -> str:
        """Why it is at risk; of ``several`` changes, through which."""
        return f"{self.because}, through {self.change}" if several and self.change else self.because


class Owner(msgspec.Struct, frozen=True):
    """Somebody to ask."""

    id: str
    name: str
    role: str | None = None


class PastFailure(msgspec.Struct, frozen=True):
    """An incident for which an earlier change of the same is among the likely causes. ``confirmed``: a person
    said that it was the cause."""

    id: str
    name: str
    at: str | None
    change: str
    cause: str
    cause_name: str
    because: str
    confirmed: bool = False


class Tried(msgspec.Struct, frozen=True):
    """A run whose configuration is like the planned one, or the very ``same``. ``outcome``: worked, failed or
    unknown."""

    id: str
    name: str
    outcome: str
    text: str
    same: bool = False


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """``changes`` are those that the graph knows something of. ``problem`` says why there is no verdict."""

    verdict: Verdict
    base: str
    head: str
    against: str
    files: int
    thresholds: Thresholds
    score: float | None = None
    summary: str = ""
    changes: tuple[Change, ...] = ()
    risks: tuple[Risk, ...] = ()
    total: int = 0
    owners: tuple[Owner, ...] = ()
    failures: tuple[PastFailure, ...] = ()
    tried: tuple[Tried, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str | None = None

    def called(self, risk: Risk) -> str:
        """What a risk is called; with its id where another goes by the same name, as logged models do."""
        alike = sum((each.kind, each.name) == (risk.kind, risk.name) for each in self.risks)
        return risk.name if alike == 1 else f"{risk.name} {risk.id.partition('=')[2]}"

    @property
    def several(self) -> bool:
        """Whether several changes lead to what is at risk."""
        return len({risk.change for risk in self.risks}) > 1
