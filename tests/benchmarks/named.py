"""Files that failures name, on real reports: of commits from about the same time, the one that touched what
had to be fixed should come first.

Each report of the development set that knows the files of its fix is asked about, against the fixes of the
reports closed next to it. What had to be fixed stands for what was broken: the commit that broke it is not
known there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from app.answers.cause_naming import files_level, named_as
from app.answers.cause_score import words
from app.answers.cause_words import Said, said_in
from tests.benchmarks.measure import Figure

#: Fixes on either side that a report's own is held against, and the fewest in all.
_BESIDE, _LEAST = 6, 4


def run(data: Path) -> Iterator[Figure]:
    """Shares of fixes by what the report names of them, and how often the own one comes first."""
    place = data / "recsys" / "mlfix_dev" / "docs.jsonl"
    if not place.exists():
        yield Figure("Files that failures name", "left out: no mlfix_dev in KINLORE_EVAL_DATA")
        return
    reports = [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]
    own: list[int] = []
    others: list[int] = []
    first: list[float] = []
    baseline: list[float] = []
    for report, beside in _asked(reports):
        text = f"{report['title']}\n{report['body']}"
        said = said_in(text)
        if not said.files and not said.installed:
            continue
        fixes = [report["fix_files"], *(each["fix_files"] for each in beside)]
        levels = [files_level(said, files).level for files in fixes]
        own.append(levels[0])
        others += levels[1:]
        if any(levels):
            first.append(_first(_scores(said, fixes)))
            baseline.append(_first([float(any(_base(path) in text for path in files)) for files in fixes]))
    for level, name in ((2, "the innermost file named"), (1, "another file named")):
        theirs = f"{others.count(level) / len(others):.3f} of {len(others):,} other fixes"
        yield Figure(f"Fixes that touch {name}", f"{own.count(level) / len(own):.3f} of {len(own)}; {theirs}")
    ours, theirs_first = sum(first) / len(first), sum(baseline) / len(baseline)
    detail = f"{ours:.3f} of {len(first)}, against {theirs_first:.3f} by the names of files in the text"
    yield Figure("The own fix comes first, where any is named", detail, "≥ the names", ours >= theirs_first)


def _asked(reports: Sequence[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Each report with those of its project that were closed next to it, by other commits."""
    projects: dict[str, list[Any]] = {}
    for report in sorted(reports, key=lambda each: each["closed"]):
        projects.setdefault(report["project"], []).append(report)
    for of in projects.values():
        for place, report in enumerate(of):
            near = of[max(0, place - _BESIDE) : place + _BESIDE + 1]
            beside = [each for each in near if each["fix_commit"] != report["fix_commit"]]
            if len(beside) >= _LEAST:
                yield report, beside


def _scores(said: Said, fixes: Sequence[Sequence[str]]) -> list[float]:
    levels = [files_level(said, files) for files in fixes]
    found = []
    for place, own in enumerate(levels):
        others = [each.level for other, each in enumerate(levels) if other != place]
        found.append(words([named_as("files", own, others)])[0].log_odds)
    return found


def _first(scores: Sequence[float]) -> float:
    """Whether the first of these comes first; a part where others share its place."""
    if max(scores) > scores[0]:
        return 0.0
    return 1 / sum(score == scores[0] for score in scores)


def _base(path: str) -> str:
    return path.rpartition("/")[2]
