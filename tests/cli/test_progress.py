"""Progress: a bar for people at a terminal, a line now and then for logs, nothing for programs."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

import pytest

from app.cli import progress
from tests.cli.conftest import KINLORE, Kinlore, environ


def test_a_terminal_gets_bars_on_stderr_and_stdout_stays_clean(folder: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [KINLORE, "demo", "--no-serve", "--folder", "demo"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environ(TERM="xterm"),
    )
    os.close(theirs)
    seen = bytearray()
    try:
        while part := os.read(ours, 4096):
            seen += part
    except OSError:
        # How Linux says that nobody writes to a terminal any more.
        pass
    finally:
        os.close(ours)
    out, _ = process.communicate(timeout=60)

    assert process.returncode == 0
    assert b"tracking" in seen and b"\x1b[" in seen and b"items" in seen
    assert b"\x1b" not in out and out.rstrip().endswith(b"kinlore init")


def test_without_a_terminal_there_is_a_line_now_and_then(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    with progress.watching() as watcher:
        watcher.update("runs", 200, 1_304, "200 items")
    with progress.watching(quiet=True) as watcher:
        watcher.update("runs", 400, None, "400 items")

    assert capfd.readouterr().err == "runs: 200 items of 1,304\n"


def test_json_is_all_that_a_program_gets(kinlore: Kinlore) -> None:
    outcome = kinlore("demo", "--no-serve", "--json")

    assert outcome.code == 0 and outcome.err == "" and outcome.out.startswith("{")
