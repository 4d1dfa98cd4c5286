"""``python -m tests.benchmarks.recommender DIR --scope project|global [--json]``

Measures the service's own ranking, and the baseline beside it, on a folder with docs.jsonl and qrels.jsonl.
docs/ranking.md defines the columns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from app.embeddings import model
from app.learnings.ranking import Scope
from tests.benchmarks.recommender.figures import figures
from tests.benchmarks.recommender.folder import FileCache, Folder, Portioned, load, text
from tests.benchmarks.recommender.replay import Encode, ours, theirs

CACHE = Path(".cache") / "recommender"
SCOPES: dict[str, Scope] = {"project": "project", "global": "all"}
#: Texts whose encoding is timed.
_TIMED = 200


def say(line: str) -> None:
    """Progress, on stderr."""
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print; 0 unless the folder cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recommender")
    parser.add_argument("folder", type=Path, help="with docs.jsonl and qrels.jsonl")
    parser.add_argument("--scope", choices=SCOPES, default="project", help="whose reports are candidates")
    parser.add_argument("--json", action="store_true", help="one object instead of a table")
    parser.add_argument("--no-vectors", action="store_true", help="lexical signals only")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"where vectors are kept (default {CACHE})")
    asked = parser.parse_args()
    try:
        told = measure(asked.folder, SCOPES[asked.scope], None if asked.no_vectors else asked.cache)
    except FileNotFoundError as problem:
        parser.error(f"{problem.filename} is not there: a folder with docs.jsonl and qrels.jsonl is needed")
    print(json.dumps(told) if asked.json else table(told))
    return 0


def measure(folder: Path, scope: Scope, cache: Path | None) -> dict[str, object]:
    """Ours, and the baseline under ``baseline``. ``cache``: a folder for vectors; None: without vectors."""
    encode: Encode = len
    encoder = None
    speed = 0.0
    if cache is not None:
        raw = model.load(threads=2)
        encode = raw.encode
        encoder = Portioned(model.CachedEncoder(raw, FileCache(cache, raw)), say)
    read = load(folder, encoder)
    if cache is not None:
        speed = _speed(read, raw)
    found = figures(ours(read, scope, encode))
    base = figures(theirs(read, scope, encode))
    return {
        **found,
        "encode_per_s": round(speed, 1),
        "baseline": {**base, "encode_per_s": round(speed, 1)},
    }


def _speed(folder: Folder, encoder: model.Encoder) -> float:
    """Full texts encoded a second, on a sample that is evenly spaced in time."""
    step = max(1, len(folder.items) // _TIMED)
    texts = [text(item) for _, item in folder.items[::step]][:_TIMED]
    encoder.encode(texts[:8])
    start = time.perf_counter()
    encoder.encode(texts)
    return len(texts) / (time.perf_counter() - start)


def table(told: dict[str, object]) -> str:
    """The columns, ours above the baseline."""
    base = told["baseline"]
    assert isinstance(base, dict)
    names = [name for name in told if name != "baseline"]
    rows = [("", names), ("ours", [told[name] for name in names]), ("baseline", [base[n] for n in names])]
    return "\n".join(label.ljust(9) + "".join(str(cell).rjust(15) for cell in cells) for label, cells in rows)


if __name__ == "__main__":
    raise SystemExit(main())
