"""A capture: what is known before a command starts and what is known after it ended, put together.

Its form is what :class:`ingestors.sources.capture.CaptureSource` takes. Nothing secret is in it.
"""

from __future__ import annotations

import getpass
import json
import os
import signal
import socket
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from graph_schema.redaction import Redactor, secrets_in
from graph_schema.times import format_time
from ingestors import digests, git_neutral, worktree
from ingestors.capture import failure, runtime
from ingestors.capture.launch import Launch
from ingestors.capture.relay import Ended
from ingestors.capture.stage import stage

_GIT_SECONDS = 10.0
#: Characters of a word of the command, and of all of them.
_MAX_WORD, _MAX_COMMAND = 2_000, 50_000
_MAX_DVC = 2_000
#: What MLflow reads tags from that every run gets which a process starts.
MLFLOW_TAGS = "MLFLOW_RUN_CONTEXT"


def their_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment as it was before Kinlore was started: ``uvx kinlore`` puts Kinlore's own programs
    before all others on the PATH, its Python among them."""
    found = dict(environ)
    first, _, rest = found.get("PATH", "").partition(os.pathsep)
    ours = Path(sys.prefix, "bin")
    if "UV" in found and found.get("VIRTUAL_ENV") != sys.prefix and first and Path(first) == ours:
        found["PATH"] = rest
    return found


class Recording:
    """One run of a command. ``launch`` is what it is part of; times are taken here."""

    def __init__(
        self,
        command: Sequence[str],
        environ: Mapping[str, str],
        launch: Launch,
        *,
        name: str | None = None,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
    ) -> None:
        self.launch = launch
        self._command = list(command)
        self._environ = environ
        self._name = name
        self._read: list[dict[str, Any]] = []
        self._folder = Path.cwd()
        self.notes: list[str] = []
        by_dvc = stage(environ, self._folder)
        self._inputs = [*inputs, *by_dvc.inputs]
        self._outputs = [*outputs, *by_dvc.outputs]
        # Before the command starts: it may change what lies here.
        self._tree = worktree.read(str(self._folder), lambda words: git_neutral.read(words, _GIT_SECONDS))
        self._started = time.time()

    def environment(self) -> dict[str, str]:
        """The command's environment: as it was, and the names under which the run can be joined."""
        environ = {**self._environ, "KINLORE_RUN_ID": self.launch.run}
        try:
            tags = json.loads(environ.get(MLFLOW_TAGS) or "{}")
        except ValueError:
            tags = None
        if isinstance(tags, dict):
            environ[MLFLOW_TAGS] = json.dumps({**tags, "kinlore.run": self.launch.run})
        return environ

    def read_inputs(self) -> None:
        """Digests of what the command reads, while it runs."""
        self._read = [found for path in self._inputs if (found := self._data(path)) is not None]

    def capture(self, ended: Ended) -> dict[str, Any]:
        """What became of it, as JSON without secrets."""
        at = time.time()
        lines = failure.readable(ended.output)
        raised = failure.exception_in(lines) if ended.code else None
        root = Path(self._tree["root"]) if "root" in self._tree else None
        code = {key: value for key, value in self._tree.items() if key not in ("root", "dvc")}
        if "dvc" in self._tree:
            code["dvc"] = dict(sorted(self._tree["dvc"].items())[:_MAX_DVC])
        told: dict[str, Any] = {
            "format": 1,
            "kind": "run",
            "id": str(uuid.uuid4()),
            "run": self.launch.run,
            "parent": self.launch.parent,
            "rank": self.launch.rank,
            "ranks": self.launch.size,
            "name": self._name,
            "command": _bounded(self._command),
            "started": format_time(int(self._started * 1_000_000)),
            "ended": format_time(int(at * 1_000_000)),
            "exit_code": ended.code,
            "signal": _signal_name(ended.signal),
            "user": _user(),
            "host": socket.gethostname(),
            "code": code,
            "runtime": runtime.read(self._command, self._environ, self._folder, root),
            "inputs": self._read,
            "outputs": [found for path in self._outputs if (found := self._data(path)) is not None],
            "log": failure.log_tail(lines) or None,
        }
        if raised is not None:
            told["error"] = {
                "type": raised.type,
                "message": raised.message,
                "text": raised.text,
                "frames": [{"file": f.file, "line": f.line, "function": f.function} for f in raised.frames],
            }
        # A key that nobody knows: the marks cannot be tried against guesses.
        redactor = Redactor(os.urandom(16), secrets_in(self._environ))
        redacted = redactor.value({key: value for key, value in told.items() if value is not None})
        return dict(redacted)

    def _data(self, path: str) -> dict[str, Any] | None:
        place = Path(self._folder, path)
        shown = path
        if "root" in self._tree:
            inside = os.path.relpath(place, self._tree["root"])
            shown = path if inside.startswith("..") else inside
        try:
            return {"path": shown, **digests.digest(str(place))}
        except OSError as problem:
            self.notes.append(f"{path} cannot be read: {problem.strerror}")
            return {"path": shown}


def _bounded(command: Sequence[str]) -> list[str]:
    """The command, its end left out where a shell's glob made it very long."""
    kept: list[str] = []
    left = _MAX_COMMAND
    for word in command:
        left -= len(word[:_MAX_WORD]) + 1
        if kept and left < 0:
            return [*kept, "…"]
        kept.append(word[:_MAX_WORD])
    return kept


def _signal_name(number: int | None) -> str | None:
    if number is None:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
