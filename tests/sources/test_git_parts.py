"""Git: long first histories, and the parts that read objects."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from app.store.sqlite.store import SqliteStore
from ingestors.git_format import MAX_PATHS, parse_commit, raw_changes, raw_touched, touched
from ingestors.loop import ingest
from ingestors.registry import build
from ingestors.source import Item
from tests.sources.repositories import Repository, edges, ingested, truth


def test_a_first_history_that_is_interrupted_goes_on(repository: Repository, store: SqliteStore) -> None:
    repository.fast_import(2_500)
    source = build({"type": "git", "name": "git", "path": str(repository.folder)}, repository.folder)

    # As soon as the first page is committed, cursor and all.
    stopped = ingest(store, source, should_stop=lambda: bool(store.service("cursor")))
    resumed = ingest(store, source)

    assert stopped.stopped and 0 < stopped.new < 2_501
    assert stopped.new + resumed.new == 2_501
    assert resumed.items < 2_501
    assert edges(store) == truth(repository)


@pytest.mark.slow
def test_twenty_thousand_commits_take_seconds(repository: Repository, store: SqliteStore) -> None:
    repository.fast_import(20_000)
    started = time.process_time()

    report = ingested(store, "git", repository.folder)

    assert report.new == 20_001
    assert time.process_time() - started < 15


# --- what git prints -----------------------------------------------------------------------------------


def test_commit_objects_are_taken_apart() -> None:
    assert parse_commit("x", b"author nobody\n\nno tree") is None
    commit = parse_commit("x", b"tree t\nauthor A <a@b> 5 +0100\ncommitter C <c@d> x +0000\n\nhi")
    assert commit is not None
    assert (commit.author, commit.author_email, commit.authored, commit.committed) == ("A", "a@b", 5, 0)


def test_pairs_that_do_not_differ_have_no_changes() -> None:
    told = b"a b\n:000000 100644 0 oid A\0x y\0:040000 000000 0 0 D\0d\0c d\n:100644 040000 0 tree M\0z\0"

    found = list(raw_changes(told, [("e", "e"), ("a", "b"), ("f", "f"), ("c", "d"), ("g", "g")]))

    assert found == [[], [("x y", "oid", False), ("d", None, False)], [], [("z", "tree", True)], []]


def test_claims_need_nothing_but_the_item() -> None:
    data: dict[str, Any] = {
        "repository": "gitlab.com/acme/churn", "parents": ["b" * 40, "b" * 40], "author": "A", "email": "a@b",
        "authored": 1, "committed": 2, "subject": "S", "message": "S",
    }  # fmt: skip
    source = build({"type": "git", "name": "git", "path": "."}, Path("/nowhere"))

    claims = source.to_claims(Item("a" * 40, "commit", 7, data))

    assert len(claims) == 4
    assert claims[1].properties["url"] == f"https://gitlab.com/acme/churn/-/commit/{'a' * 40}"  # type: ignore[union-attr]


def test_what_many_files_have_in_common_is_told_instead() -> None:
    few = touched(["b/x.py", "a.py", "b/x.py"])
    many = touched([f"src/part{n % 5}/f{n}.py" for n in range(MAX_PATHS + 1)] + ["top.py"])
    long = touched(["a" * 600])

    assert (few.count, few.files, few.folders) == (2, ["a.py", "b/x.py"], [])
    assert (many.count, many.files) == (MAX_PATHS + 2, [])
    assert many.folders == ["./", *(f"src/part{n}/" for n in range(5))]
    assert (long.count, long.files) == (1, [])


def test_a_file_that_is_named_like_a_commit_is_a_file() -> None:
    head, change = b"a" * 40 + b"\0", b":100644 100644 1 2 M\0" + b"b" * 40 + b"\0"

    assert list(raw_touched(head + change)) == [("a" * 40, ["b" * 40])]
    assert list(raw_touched(b"")) == []
