"""A command line in a folder of its own: run in process, or as the process that users run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from app.cli import cli
from app.cli.outcome import run
from app.container import Container
from app.settings import load
from tests.api.conftest import story, write

#: The script beside the interpreter that runs the tests.
KINLORE = str(Path(sys.executable).with_name("kinlore"))


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Kinlore = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def kinlore(folder: Path, capfd: pytest.CaptureFixture[str]) -> Kinlore:
    """Run a command line in the folder."""

    def call(*words: str) -> Outcome:
        capfd.readouterr()
        code = run(cli, words)
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return Outcome(code, out, err)

    return call


@pytest.fixture
def graph(folder: Path) -> Iterator[Container]:
    """The story of the API's tests, in the folder's store."""
    (folder / "kinlore.toml").write_text("")
    with Container(load(environ={})) as container:
        write(container.migrated(), story())
        yield container


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *words], check=True, capture_output=True, text=True
    ).stdout


def repository(folder: Path, commits: int = 3) -> Path:
    """A real git repository with some commits."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    for number in range(commits):
        (folder / "file.txt").write_text(f"{number}\n")
        git(folder, "add", "-A")
        git(folder, "commit", "--quiet", "-m", f"commit {number}")
    return folder


def environ(**more: str) -> dict[str, str]:
    """The environment of the tests for a process of its own."""
    return {**os.environ, **more}
