"""Quantiles of whylogs' profiles: read from the sketch as whylogs reads them itself."""

from __future__ import annotations

import random
from pathlib import Path

from ingestors.sources.whylogs import profile
from tests.sources import checkers


def test_quantiles_are_those_that_whylogs_itself_reads(tmp_path: Path) -> None:
    """Of so many values that the sketch keeps only some, on three levels."""
    chance = random.Random(0)
    rows = {
        "id": list(range(1, 1501)),
        "amount": [round(chance.gauss(10, 3), 2) for _ in range(1500)],
        "region": ["eu", "us"] * 750,
    }

    view = checkers.whylogs(tmp_path / "profiles", "2026-01-02T03:04:05+00:00", rows, {})

    found = profile.read((tmp_path / "profiles" / "users.bin").read_bytes()).columns
    for column in ("id", "amount"):
        for ours in ("q05", "q25", "median", "q75", "q95"):
            assert found[column][ours] == view[checkers.OF_WHYLOGS[ours]][column], (column, ours)
    assert 9.5 < found["amount"]["median"] < 10.5 and "median" not in found["region"]
