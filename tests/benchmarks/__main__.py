"""``make bench``: figures as ratios from one run; written to docs/benchmarks.md on request."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from pathlib import Path

from tests.benchmarks import answers, closures, correlations, impact, ingestion, past, scale
from tests.benchmarks.causes import figures as causes
from tests.benchmarks.causes.targets import SCORED
from tests.benchmarks.experiments import run as experiments
from tests.benchmarks.measure import Figure
from tests.benchmarks.recommender.section import run as recommender
from tests.benchmarks.similar import run as similar
from tests.benchmarks.tagging import run as tagging
from tests.neo4j_server import Neo4jServer

PARTS = (
    "ingestion",
    "closures",
    "answers",
    "causes",
    "correlations",
    "impact",
    "past",
    "experiments",
    "tagging",
    "similar",
    "recommender",
)
#: Parts that take long and run only when they are named.
NAMED = ("scale",)
PAGE = Path("docs") / "benchmarks.md"


_MISSED = """
## Where a target is missed

**Ingestion into SQLite.** The raw upsert writes two rows an element and asks no questions. The pipeline
hashes each item, looks it through for secrets and for what no store can hold, makes claims, resolves
identity, keeps the record, its identifiers, its facts and immutable beliefs, and indexes the text. Of
the processor time for 30,000 nodes and 70,600 edges (2.8 s), SQLite's statements and commits take 1.1 s,
where all of the raw upsert takes 0.7 s: with no Python at all the ratio would be 0.6. Python takes some
17 µs an element. What was measured and made no difference: larger pages of the file, no garbage collection,
larger transactions. What helped most is not to do it again: an unchanged item is recognised by its stamp.

**Ingestion into Neo4j.** The time is the server's: for 20,000 nodes and 47,000 edges, on a machine that
others used, 39 s of its processor time against 11 s for the raw upsert, and 3 s of the client's. A node has
three unique keys and half a dozen indexes, an edge one index, where the raw upsert has one key in all; a
transaction costs a dozen statements beside those that carry its rows, and lasts no longer than the writer
lock may be held (0.4 s, and 20 ms while a server runs) where the raw upsert commits 5,000 rows at a time.
In larger transactions the store alone, without the loop before it, was measured at 0.45 to 0.88 of the raw
driver.
"""


def main() -> int:
    """Run the parts asked for; 0 even where a target is missed, for the figures are the result."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    every = (*PARTS, *NAMED)
    parser.add_argument("parts", nargs="*", default=[], help=f"of {', '.join(every)}; default all but scale")
    parser.add_argument("--small", action="store_true", help="a tenth of everything, to see that it runs")
    parser.add_argument("--no-neo4j", action="store_true", help="SQLite only")
    parser.add_argument("--write", action="store_true", help=f"put the figures into {PAGE}")
    asked = parser.parse_args()
    unknown = set(asked.parts) - set(every)
    if unknown:
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    figures: list[Figure] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kinlore-bench-")))
        server = None
        if not asked.no_neo4j:
            server = stack.enter_context(Neo4jServer(folder / "neo4j", heap="4g"))
        for figure in _figures(asked.parts or PARTS, folder, server, 10 if asked.small else 1):
            figures.append(figure)
            print(_line(figure), flush=True)
    if asked.write:
        PAGE.write_text(page(figures), encoding="utf-8")
        print(f"written to {PAGE}", file=sys.stderr)
    return 0


def _figures(
    parts: list[str] | tuple[str, ...], folder: Path, server: Neo4jServer | None, smaller: int
) -> Iterator[Figure]:
    for part in parts:
        own = folder / part
        own.mkdir()
        if part == "ingestion":
            yield from ingestion.run(own, 100_000 // smaller, server)
        elif part == "closures":
            sizes = (20_000, 100_000, 1_000_000) if smaller == 1 else (20_000, 50_000)
            yield from closures.run(own, sizes, server)
        elif part == "impact":
            yield from impact.run(own, 1_000_000 // smaller)
        elif part == "causes":
            yield from causes.run(own, SCORED[: max(1, len(SCORED) // smaller)])
        elif part == "past":
            yield from past.run(own, 1_000 // smaller, 6_000 // smaller)
        elif part == "scale":
            yield from scale.run(own, 2_000_000 // smaller)
        elif part == "correlations":
            yield from correlations.run(2_000 // smaller)
        elif part == "experiments":
            yield from experiments.run(_data(), smaller)
        elif part == "recommender":
            yield from recommender(_data())
        elif part == "tagging":
            yield from tagging.run(_data())
        elif part == "similar":
            yield from similar(own, 20_000 // smaller)
        else:
            yield from answers.run(own, 100_000 // min(smaller, 2))


def _data() -> Path:
    """Where the data for evaluation lies."""
    return Path(os.environ.get("KINLORE_EVAL_DATA", "../shared/data"))


def _line(figure: Figure) -> str:
    verdict = {None: "", True: "  ok", False: "  MISSED"}[figure.met]
    target = f"  target {figure.target}" if figure.target else ""
    return f"{figure.name}: {figure.value}{target}{verdict}"


def _kept() -> str:
    """The section on the large graph, as it stands: that part runs only when it is named."""
    text = PAGE.read_text(encoding="utf-8")
    start = text.find("\n## A graph of two million nodes")
    return "" if start < 0 else text[start : text.index("\n## Where a target")]


def page(figures: list[Figure]) -> str:
    """The figures as a page of the documentation."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    machine += f", Python {platform.python_version()}"
    rows = "\n".join(
        f"| {f.name} | {f.value} | {f.target or '–'} | {({None: '–', True: 'yes', False: 'no'})[f.met]} |"
        for f in figures
    )
    return (
        "# Benchmarks\n\n"
        "Figures of one run of `make bench`, as ratios against a baseline measured in the same run.\n"
        "Absolute times are of this machine, which other work may have shared.\n\n"
        f"{date.today().isoformat()} · {machine}\n\n"
        f"| what | figure | target | met |\n|---|---|---|---|\n{rows}\n{_kept()}{_MISSED}"
    )


if __name__ == "__main__":
    raise SystemExit(main())
