"""The model in a process of its own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.embeddings.apart import Apart
from app.embeddings.model import DEFAULT
from app.errors import ConfigError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    encoder = Apart(DEFAULT)
    yield encoder
    encoder.close()


def test_it_encodes_as_the_model_does(apart: Apart) -> None:
    near, far, odd = apart.encode(["CUDA out of memory", "hamsters eat seeds", "half of one: \ud83d"])
    (again,) = apart.encode(["CUDA out of memory"])

    assert apart.dimension == near.shape[0] == 384 and apart.name.startswith(DEFAULT)
    assert np.linalg.norm(odd) == pytest.approx(1, abs=1e-3)
    assert near @ again > 0.999 > 0.5 > near @ far


def test_nothing_is_asked_of_it_and_nothing_comes(apart: Apart) -> None:
    assert apart.encode([]).shape == (0, 384)


def test_killed_it_is_started_again(apart: Apart) -> None:
    (before,) = apart.encode(["the column is gone"])
    os.kill(apart._process.pid, signal.SIGKILL)

    (after,) = apart.encode(["the column is gone"])

    assert before @ after > 0.999


def test_a_model_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no sentence-transformers model"):
        Apart(str(tmp_path / "none"))


def test_closed_it_stays_closed(apart: Apart) -> None:
    pid = apart._process.pid

    apart.close()

    with pytest.raises((OSError, ValueError, EOFError)):
        apart.encode(["x"])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
