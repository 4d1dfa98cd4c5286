"""Categories given against labels; see TARGETS.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from app.learnings.categories import category
from tests.benchmarks.measure import Figure

LABELS = Path(__file__).with_name("labels.jsonl")
_FOLDER = Path("recsys")


class Counted(NamedTuple):
    """Reports that got a category, of these the right ones; reports that have one, of these those found."""

    given: int
    right: int
    labelled: int
    found: int

    @property
    def precision(self) -> float:
        """The share of the given that are right."""
        return self.right / self.given if self.given else 0.0


def count(data: Path, split: str | None) -> Counted:
    """Count one half of the labels, or all. Raises FileNotFoundError without the data."""
    labels = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    labels = [each for each in labels if split in (None, each["split"])]
    texts = _texts(data, {each["set"] for each in labels})
    given = right = labelled = found = 0
    for each in labels:
        title, body = texts[each["set"], each["id"]]
        made = category(title, body)
        is_right = made is not None and made.name in each["labels"]
        given += made is not None
        right += is_right
        if each["labels"][0] != "none":
            labelled += 1
            found += is_right
    return Counted(given, right, labelled, found)


def _texts(data: Path, sets: set[str]) -> dict[tuple[str, str], tuple[str, str]]:
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for name in sorted(sets):
        with (data / _FOLDER / name / "docs.jsonl").open(encoding="utf-8") as lines:
            for line in lines:
                told: dict[str, Any] = json.loads(line)
                found[name, told["id"]] = (told["title"], told["body"] or "")
    return found


def run(data: Path) -> Iterator[Figure]:
    """Figures over the labelled reports; a line that says so where their texts are not there."""
    try:
        whole, held = count(data, None), count(data, "held")
    except FileNotFoundError:
        yield Figure("Failure categories", f"left out: no {_FOLDER} in KINLORE_EVAL_DATA")
        return
    detail = f"{whole.right} of {whole.given}; held out {held.right} of {held.given}, {held.precision:.2f}"
    yield Figure(
        "Failure categories given that are right",
        f"{whole.precision:.2f} ({detail})",
        "≥ 0.90",
        whole.precision >= 0.90,
    )
    yield Figure("failures of a category that got it", f"{whole.found} of {whole.labelled}")
