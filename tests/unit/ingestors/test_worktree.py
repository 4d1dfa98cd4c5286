"""What a working tree is, against what git and DVC themselves say of it."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ingestors import worktree
from ingestors.digests import digest
from ingestors.git_command import run_git
from tests.sources.repositories import Repository


def read(folder: Path) -> dict[str, Any]:
    return worktree.read(str(folder), lambda words: run_git(words, timeout=30))


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    found = Repository(tmp_path / "churn")
    found.commit("One", {f"src/module{n}.py": f"x = {n}\n" for n in range(12)})
    return found


def test_a_clean_tree(repository: Repository) -> None:
    repository.git("remote", "add", "origin", "https://ada:secret@git.example.com/acme/churn.git")
    (repository.folder / "untracked").write_text("x")

    assert read(repository.folder / "src") == {
        "root": str(repository.folder),
        "folder": "src",
        "commit": repository.head(),
        "branch": "main",
        "remote": "https://git.example.com/acme/churn.git",
        "dirty": False,
        "dvc": {},
    }


def test_it_says_dirty_when_git_does(repository: Repository) -> None:
    random_ = random.Random(5)
    answers = set()
    for _ in range(60):
        path = repository.folder / "src" / f"module{random_.randrange(12)}.py"
        act = random_.choice(["edit", "touch", "delete", "restore", "stage", "unstage", "link", "commit"])
        if act == "edit":
            path.unlink(missing_ok=True)
            path.write_text(f"y = {random_.randrange(3)}\n")
        elif act == "touch" and path.is_file():
            os.utime(path, ns=(1, random_.randrange(10**18)))
        elif act == "delete":
            path.unlink(missing_ok=True)
        elif act == "restore":
            repository.git("checkout", "HEAD", "--", "src")
        elif act == "stage":
            repository.git("add", "--all")
        elif act == "unstage":
            repository.git("reset", "--quiet")
        elif act == "link":
            path.unlink(missing_ok=True)
            path.symlink_to("module0.py")
        elif random_.random() < 0.3:
            repository.commit("More")
        status = subprocess.run(
            ["git", "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"],
            cwd=repository.folder, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

        found = read(repository.folder)

        assert found["dirty"] == bool(status), (act, status)
        answers.add(found["dirty"])
    assert answers == {True, False}


def test_the_digest_of_a_difference_is_about_contents_only(repository: Repository) -> None:
    file = repository.folder / "src" / "module1.py"
    file.write_text("changed\n")
    first = read(repository.folder)["diff"]
    repository.git("add", "--all")
    staged = read(repository.folder)["diff"]
    file.write_text("changed again\n")
    other = read(repository.folder)["diff"]
    file.write_text("changed\n")

    assert first == staged == read(repository.folder)["diff"] != other


def test_the_same_difference_has_one_digest_everywhere(repository: Repository, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "--quiet", str(repository.folder), str(copy)], check=True)
    for folder in (repository.folder, copy):
        (folder / "src" / "module2.py").write_text("changed\n")
        (folder / "src" / "module3.py").unlink()

    assert read(copy)["diff"] == read(repository.folder)["diff"]


def test_where_there_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()

    assert read(tmp_path / "plain") == {}


def test_before_the_first_commit(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "new")

    found = read(repository.folder)

    assert "commit" not in found
    assert found["branch"] == "main"


def test_a_worktree_of_a_repository(repository: Repository, tmp_path: Path) -> None:
    repository.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "other"))
    (tmp_path / "other" / "src" / "module1.py").write_text("changed\n")

    found = read(tmp_path / "other")

    assert (found["branch"], found["dirty"]) == ("other", True)
    assert read(repository.folder)["dirty"] is False


def test_what_dvc_itself_writes_is_read(tmp_path: Path, dvc_tool: Path) -> None:
    repository = Repository(tmp_path / "churn", dvc_tool)
    repository.start_dvc()
    repository.write(
        {
            "data/it's: raw.csv": "a\n1\n",
            "images/b/2.txt": "two",
            "images/1.txt": "one",
            "dvc.yaml": "stages:\n  train:\n    cmd: mkdir -p out && cp images/1.txt out/model\n"
            "    deps: [images]\n    outs: [out]\n",
        }
    )
    repository.dvc("add", "data/it's: raw.csv", "images")
    repository.dvc("repro")
    repository.commit("Data")

    found = read(repository.folder)["dvc"]

    here = {path: digest(str(repository.folder / path))["dvc.md5"] for path in found}
    assert found == here
    assert set(found) == {"data/it's: raw.csv", "images", "out"}
    assert found["images"].endswith(".dir")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "outs:\n",
        "outs: []\n",
        "outs:\n- path: a\n",
        "outs:\n- md5: zz\n  path: a\n",
        "outs: {a: b}\n",
        "- outs:\n",
    ],
)
def test_what_is_not_dvcs_layout_says_nothing(text: str) -> None:
    assert worktree.outs(text) == []


def test_a_lock_with_a_working_folder_is_left_out(repository: Repository) -> None:
    lock = f"stages:\n  train:\n    outs:\n    - path: model\n      md5: {'a' * 32}\n"
    repository.commit("Lock", {"dvc.lock": lock})
    held = read(repository.folder)["dvc"]
    repository.commit("Folder", {"dvc.yaml": "stages:\n  train:\n    wdir: src\n    cmd: x\n"})

    assert held == {"model": "a" * 32}
    assert read(repository.folder)["dvc"] == {}


def test_a_pipe_is_no_data(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(OSError, match="not a regular file"):
        digest(str(tmp_path))
