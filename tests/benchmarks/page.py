"""docs/benchmarks.md: a section for each part of the benchmarks, with the figures of its latest run.

What people write there, above the sections and below a section's table, stays as it is.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from tests.benchmarks.measure import Figure

PAGE = Path("docs") / "benchmarks.md"
#: Every part and its heading, in the order of the page.
TITLES = {
    "ingestion": "Ingestion",
    "closures": "Closures",
    "answers": "GraphQL",
    "causes": "Root causes",
    "named": "What failures name",
    "impact": "Impact",
    "past": "Past states",
    "correlations": "Correlations",
    "experiments": "Similar experiments",
    "tagging": "Tags",
    "similar": "Similar failures",
    "recommender": "The order of similar failures",
    "scale": "A graph of two million nodes on Neo4j",
}
#: Parts that take long and run only when they are named.
NAMED = ("scale",)
_HEAD = "| what | figure | target | met |\n|---|---|---|---|\n"


def machine() -> str:
    """When and where figures were measured, in a line."""
    where = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return f"{date.today().isoformat()} · {where}, Python {platform.python_version()}"


def updated(page: str, part: str, told: str, figures: Sequence[Figure]) -> str:
    """The page with these figures in the part's section, which is made where it is not there yet. ``told``:
    the line above the table."""
    rows = "".join(
        f"| {f.name} | {f.value} | {f.target or '–'} | {({None: '–', True: 'yes', False: 'no'})[f.met]} |\n"
        for f in figures
    )
    made = f"## {TITLES[part]}\n\n{told}\n\n{_HEAD}{rows}"
    before = re.search(rf"^## {re.escape(TITLES[part])}\n(?:(?!## ).*\n)*?\|.*\n(?:\|.*\n)*", page, re.M)
    if before is not None:
        return page[: before.start()] + made + page[before.end() :]
    order = list(TITLES)
    for later in order[order.index(part) + 1 :]:
        place = page.find(f"## {TITLES[later]}\n")
        if place >= 0:
            return f"{page[:place]}{made}\n{page[place:]}"
    return f"{page.rstrip()}\n\n{made}"
