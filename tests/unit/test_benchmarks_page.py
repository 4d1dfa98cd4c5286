"""The page of the benchmarks: what was measured replaces what was measured before, and nothing else."""

from __future__ import annotations

from tests.benchmarks.measure import Figure
from tests.benchmarks.page import NAMED, PAGE, TITLES, updated

BEFORE = """# Benchmarks

How they are run.

## Closures

on Monday

| what | figure | target | met |
|---|---|---|---|
| one | 1 ms | – | – |
| two | 2 ms | – | – |

Why two takes longer.

## Impact

on Tuesday

| what | figure | target | met |
|---|---|---|---|
| three | 3 ms | – | – |
"""


def test_the_table_of_a_part_is_replaced_and_what_people_wrote_stays() -> None:
    after = updated(BEFORE, "closures", "on Friday", [Figure("one", "9 ms", "≤ 5 ms", False)])

    assert "## Closures\n\non Friday\n\n" in after
    assert "| one | 9 ms | ≤ 5 ms | no |\n\nWhy two takes longer.\n" in after
    assert "| two |" not in after
    assert after.partition("## Impact")[2] == BEFORE.partition("## Impact")[2]


def test_a_part_that_is_measured_for_the_first_time_gets_its_place() -> None:
    after = updated(BEFORE, "causes", "on Friday", [Figure("four", "4 ms")])
    last = updated(after, "scale", "on Friday", [Figure("five", "5 ms", "", True)])

    headings = [line for line in last.splitlines() if line.startswith("## ")]
    assert headings == ["## Closures", "## Root causes", "## Impact", f"## {TITLES['scale']}"]
    assert "| four | 4 ms | – | – |\n\n## Impact" in last
    assert last.endswith("| five | 5 ms | – | yes |\n")


def test_what_stands_in_the_docs_can_be_replaced() -> None:
    page = PAGE.read_text(encoding="utf-8")
    there = [part for part, title in TITLES.items() if f"## {title}\n" in page]

    assert set(NAMED) < set(there) <= set(TITLES)
    for part in there:
        after = updated(page, part, "later", [Figure("new", "1")])
        assert after.count(f"## {TITLES[part]}\n") == 1 and "| new | 1 | – | – |" in after
