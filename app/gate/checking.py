"""A check: what changed, what the graph makes of it, the verdict."""

from __future__ import annotations

from msgspec import structs

from app.errors import RemoteError
from app.gate.asking import Ask, look_up
from app.gate.changes import Changes
from app.gate.report import Report, Thresholds, Tried, Verdict
from app.gate.risks import impact, in_use, past_failures
from app.gate.tried import already_tried


def blank(changes: Changes, thresholds: Thresholds) -> Report:
    """The report on a change that nothing is known of."""
    return Report(
        verdict=Verdict.QUIET,
        base=changes.base,
        head=changes.head,
        against=changes.against,
        files=changes.total,
        thresholds=thresholds,
        notes=changes.notes,
    )


def check(ask: Ask, changes: Changes, thresholds: Thresholds) -> Report:
    """Ask the graph. Raises what asking raises."""
    report = blank(changes, thresholds)
    if not changes.changes:
        return report
    looked = look_up(ask, changes)
    known = looked.found
    notes = [*changes.notes, *looked.notes]
    if not known:
        return structs.replace(report, score=0.0, notes=tuple(notes))
    felt = impact(ask, known)
    try:
        failures = past_failures(ask, known)
    except RemoteError as problem:
        # What is at risk stands without them.
        failures = []
        notes.append(f"past failures could not be looked up: {problem}")
    tried: tuple[Tried, ...] = ()
    try:
        tried = already_tried(ask, changes.plans)
    except RemoteError as problem:
        notes.append(f"what was already tried could not be looked up: {problem}")
    return structs.replace(
        report,
        verdict=thresholds.judge(felt.score) if in_use(felt.risks) else Verdict.QUIET,
        score=felt.score,
        summary=felt.summary,
        changes=tuple(each.change for each in known),
        risks=felt.risks,
        total=felt.total,
        owners=felt.owners,
        failures=tuple(failures),
        tried=tried,
        notes=(*notes, *felt.notes),
    )


def unknown(changes: Changes, thresholds: Thresholds, problem: str) -> Report:
    """The report where nobody could be asked."""
    return structs.replace(blank(changes, thresholds), verdict=Verdict.UNKNOWN, problem=problem)
