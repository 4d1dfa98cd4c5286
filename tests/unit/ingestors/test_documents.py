"""Documents of a folder, and digging in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestors.documents import dig, documents
from ingestors.source import SourceError


def test_every_object_of_every_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "a.json").write_text('{"kind": "List", "items": [{"n": 1}, 7, {"n": 2}]}', encoding="utf-8")
    (tmp_path / "below/b.yml").write_text("n: 3\n---\n---\ntext\n---\nn: 4\n", encoding="utf-8")
    (tmp_path / "c.txt").write_text("n: 5", encoding="utf-8")

    assert [one["n"] for one in documents(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.parametrize(("name", "content"), [("x.yaml", "a: ["), ("x.json", "{"), ("x.yaml", "!!python/x")])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")

    with pytest.raises(SourceError, match=f"{name} cannot be read: "):
        list(documents(tmp_path))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not a folder"):
        list(documents(tmp_path / "missing"))


def test_digging_ends_where_there_is_nothing() -> None:
    assert dig({"a": {"b": 1}}, "a", "b") == 1
    assert dig({"a": [1]}, "a", "b") is None
    assert dig(None, "a") is None
