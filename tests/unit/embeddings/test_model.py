"""Encoding: the packaged model, and a cache in front of any."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from app.embeddings.model import DEFAULT, CachedEncoder, Floats, content_key, load
from app.errors import ConfigError


class Counting:
    """An encoder that says what it was asked."""

    name = "counting"
    dimension = 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> Floats:
        self.asked += texts
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)


class Kept(dict[str, Floats]):
    """A cache in memory."""

    def get(self, keys: Sequence[str]) -> Mapping[str, Floats]:  # type: ignore[override]
        return {key: self[key] for key in keys if key in self}

    def put(self, vectors: Mapping[str, Floats]) -> None:
        self.update(vectors)


@pytest.mark.slow
def test_the_packaged_model_knows_what_is_alike() -> None:
    encoder = load(threads=2)

    out, memory, column = encoder.encode(
        ["CUDA out of memory", "the GPU has no memory left", "column missing"]
    )

    assert encoder.name.startswith(DEFAULT)
    assert out.shape == (encoder.dimension,)
    assert np.linalg.norm(out) == pytest.approx(1, abs=1e-5)
    assert out @ memory > out @ column + 0.2


def test_a_text_is_encoded_once() -> None:
    counting = Counting()
    encoder = CachedEncoder(counting, Kept())

    first = encoder.encode(["a", "bb", "a"])
    again = encoder.encode(["bb", "ccc"])

    assert counting.asked == ["a", "bb", "ccc"]
    assert first[:, 0].tolist() == [1, 2, 1]
    assert again[:, 0].tolist() == [2, 3]
    assert encoder.encode([]).shape == (0, 2)


def test_keys_tell_models_and_texts_apart() -> None:
    assert len({content_key("a", "t"), content_key("b", "t"), content_key("a", "u")}) == 3


def test_a_folder_without_a_model_is_one_clear_line(tmp_path: object) -> None:
    with pytest.raises(ConfigError, match="no sentence-transformers model"):
        load(str(tmp_path))


def test_nothing_heavy_is_imported_before_a_model_is_loaded() -> None:
    told = "import sys, app.embeddings.model as m; m.available(); print('torch' in sys.modules)"

    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "False"
