"""``make bench``: figures as ratios, each against a baseline of the same run; into docs/benchmarks.md on
request, each part into its own section."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks import answers, closures, correlations, impact, ingestion, named, past, scale
from tests.benchmarks.causes import figures as causes
from tests.benchmarks.experiments import run as experiments
from tests.benchmarks.measure import Figure
from tests.benchmarks.page import NAMED, PAGE, TITLES, machine, updated
from tests.benchmarks.recommender.section import run as recommender
from tests.benchmarks.similar import run as similar
from tests.benchmarks.tagging import run as tagging
from tests.neo4j_server import Neo4jServer

PARTS = tuple(part for part in TITLES if part not in NAMED)
#: Parts that measure on a Neo4j that is started for all of them.
ON_NEO4J = {"ingestion", "closures"}


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
    if asked.write and (asked.small or asked.no_neo4j):
        parser.error("--write goes with whole figures: without --small and --no-neo4j")
    parts = asked.parts or PARTS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kinlore-bench-")))
        server = None
        if not asked.no_neo4j and ON_NEO4J.intersection(parts):
            server = stack.enter_context(Neo4jServer(folder / "neo4j", heap="4g"))
        for part in parts:
            figures = []
            for figure in _figures(part, folder, server, 10 if asked.small else 1):
                figures.append(figure)
                print(_line(figure), flush=True)
            if asked.write and figures:
                page = PAGE.read_text(encoding="utf-8")
                PAGE.write_text(updated(page, part, machine(), figures), encoding="utf-8")
                print(f"written to {PAGE}", file=sys.stderr)
    return 0


def _figures(part: str, folder: Path, server: Neo4jServer | None, smaller: int) -> Iterator[Figure]:
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
        yield from causes.run(own, None if smaller == 1 else 2)
    elif part == "named":
        yield from named.run(_data())
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


if __name__ == "__main__":
    raise SystemExit(main())
