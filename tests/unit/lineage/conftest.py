"""Graphs drawn in a line, in a real store."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.unit.lineage.graphs import Draw, Graph


@pytest.fixture
def draw(tmp_path: Path) -> Iterator[Draw]:
    numbers = count()
    made: list[Graph] = []

    def draw(drawing: str) -> Graph:
        made.append(Graph(drawing, tmp_path / f"{next(numbers)}.db"))
        return made[-1]

    yield draw
    for graph in made:
        graph.close()
