"""The raw table of the churn project: the same bytes for the same extract, on every machine."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Literal

ROWS = 12_000
LATE = 10_000
"""MLflow's pandas digest looks at this many rows: extracts that differ only below them share one digest."""

Extract = Literal["first", "second", "third", "days", "gaps"]
HEADER = "customer,tenure,monthly,calls,contract,churned\n"


def raw_rows(extract: Extract) -> list[str]:
    """The lines of one extract.

    `second` and `third` differ from `first` only after row 10,000. `days` counts every tenure in days (an
    upstream export changed its unit); `gaps` lacks the monthly price of some.
    """
    dice = random.Random(20260302)
    late = random.Random(f"churn {extract}")
    lines = []
    for number in range(ROWS):
        tenure, calls = dice.randint(1, 72), dice.randint(0, 9)
        monthly = f"{dice.uniform(15, 120):.2f}"
        contract = dice.choice(["monthly", "monthly", "yearly", "yearly", ""])
        chance = 0.06 + 0.05 * calls * (contract == "monthly") + 0.2 * (tenure < 12)
        leaves = dice.random() < chance
        if number >= LATE and extract != "first":
            calls = late.randint(0, 9)
        if extract == "days":
            tenure *= 30
        if extract == "gaps" and late.random() < 0.02:
            monthly = ""
        lines.append(f"C{number:05d},{tenure},{monthly},{calls},{contract},{int(leaves)}\n")
    return lines


def write_raw(path: Path, extract: Extract) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + "".join(raw_rows(extract)), encoding="utf-8", newline="")


def extract_md5(extract: Extract) -> str:
    """What DVC calls the file of an extract."""
    return hashlib.md5((HEADER + "".join(raw_rows(extract))).encode(), usedforsecurity=False).hexdigest()


def write_regions(path: Path) -> None:
    """A small second data set, added on a branch."""
    lines = ["code,region\n", *(f"{number:02d},region {number}\n" for number in range(40))]
    path.write_text("".join(lines), encoding="utf-8", newline="")
