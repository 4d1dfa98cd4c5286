"""A folder with docs.jsonl and qrels.jsonl: reports, and which earlier ones are relevant to which."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from app.embeddings.model import CachedEncoder, Encoder, content_key
from app.learnings.fusion import Floats
from app.learnings.ranking import Item


class Question(msgspec.Struct, frozen=True):
    """A report that is asked about, and the reports that answer it. ``related``: none does, but a maintainer
    names earlier ones worth knowing; the question is then neither matched nor unmatched."""

    item: Item
    relevant: frozenset[str]
    related: bool = False


class Folder(msgspec.Struct, frozen=True):
    """Reports with the time each can be found from (closed, where that is known, else created), by that
    time; and questions by their time. What ended a report is known from the time that it can be found."""

    name: str
    items: list[tuple[int, Item]]
    questions: list[Question]

    @property
    def matched(self) -> int:
        """How many questions have an answer."""
        return sum(bool(question.relevant) for question in self.questions)


def text(item: Item) -> str:
    """What is encoded as an item's text."""
    return f"{item.title}\n{item.body}"


def load(folder: Path, encoder: Encoder | None) -> Folder:
    """Read a folder and give every report its vectors. Raises FileNotFoundError where a file is missing.

    Unmatched questions are the lines that name neither relevant nor related reports, and as many further
    reports as there are matched questions: those that no line names, evenly spaced in time.
    """
    docs = [_read(line) for line in _lines(folder / "docs.jsonl")]
    lines = _lines(folder / "qrels.jsonl")
    items = _with_vectors([item for _, item in docs], encoder)
    times = [found for found, _ in docs]
    by_id = {item.id: item for item in items}
    questions = [
        Question(
            _asked(by_id[line["query"]]),
            frozenset(line["relevant"]),
            related=bool(line.get("related")) and not line["relevant"],
        )
        for line in lines
    ]
    named = {line["query"] for line in lines}
    named |= {id for line in lines for id in (*line["relevant"], *line.get("related", ()))}
    matched = sum(bool(question.relevant) for question in questions)
    rest = sorted((item for item in items if item.id not in named), key=lambda item: (item.created, item.id))
    places = np.linspace(0, len(rest) - 1, min(matched, len(rest))).round().astype(int)
    questions += [Question(_asked(rest[place]), frozenset()) for place in sorted(set(places.tolist()))]
    return Folder(
        name=folder.name,
        items=sorted(zip(times, items, strict=True), key=lambda pair: (pair[0], pair[1].id)),
        questions=sorted(questions, key=lambda question: (question.item.created, question.item.id)),
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    # Not splitlines: texts hold other line ends than "\n", which JSON leaves as they are.
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]


def _read(doc: dict[str, Any]) -> tuple[int, Item]:
    created = _micros(doc["created"])
    closed = _micros(doc["closed"]) if doc.get("closed") else None
    item = Item(
        id=str(doc["id"]),
        project=doc.get("project"),
        title=doc.get("title") or "",
        body=doc.get("body") or "",
        created=created,
        # Where it is not known since when, it is not known.
        fixes=() if closed is None else tuple(doc.get("fix_files") or ()),
    )
    return (created if closed is None else closed), item


def _asked(item: Item) -> Item:
    """An item as it was when somebody asked: nobody knew what would end it."""
    return msgspec.structs.replace(item, fixes=())


def _micros(moment: str) -> int:
    read = datetime.fromisoformat(moment)
    return round((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1_000_000)


def _with_vectors(items: list[Item], encoder: Encoder | None) -> list[Item]:
    if encoder is None:
        return items
    titles = encoder.encode([item.title for item in items])
    texts = encoder.encode([text(item) for item in items])
    return [
        msgspec.structs.replace(item, vector=vector, title_vector=title)
        for item, vector, title in zip(items, texts, titles, strict=True)
    ]


class FileCache:
    """Vectors in one file per model, so that a folder is encoded once however often it is measured."""

    def __init__(self, folder: Path, encoder: Encoder) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{content_key('', encoder.name)}.npz"
        self._rows: dict[str, Floats] = {}
        if self._path.exists():
            with np.load(self._path) as kept:
                self._rows = dict(zip(kept["keys"].tolist(), kept["rows"], strict=True))

    def get(self, keys: list[str]) -> dict[str, Floats]:
        """Those of the vectors that are there."""
        return {key: self._rows[key] for key in keys if key in self._rows}

    def put(self, vectors: dict[str, Floats]) -> None:
        """Keep vectors, on disk at once."""
        self._rows.update(vectors)
        partial = self._path.with_suffix(".partial.npz")
        np.savez(partial, keys=np.array(list(self._rows)), rows=np.stack(list(self._rows.values())))
        partial.replace(self._path)


class Portioned:
    """An encoder that works through many texts in portions, and says how far it is."""

    def __init__(self, encoder: CachedEncoder, say: Any, portion: int = 1_000) -> None:
        self._encoder = encoder
        self._say = say
        self._portion = portion
        self.name = encoder.name
        self.dimension = encoder.dimension

    def encode(self, texts: list[str]) -> Floats:
        """Unit vectors, shape (texts, dimension)."""
        found = [np.zeros((0, self.dimension), dtype=np.float32)]
        for start in range(0, len(texts), self._portion):
            found.append(self._encoder.encode(texts[start : start + self._portion]))
            self._say(f"encoded {min(start + self._portion, len(texts))} of {len(texts)}")
        return np.concatenate(found)
