"""Commands under ``kinlore run``, as processes, with a spool of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from app.container import Container
from app.settings import load
from graph_schema.kinds import NodeKind
from graph_schema.values import Node
from tests.cli.conftest import KINLORE

#: A Python that is not the one Kinlore is installed in.
PYTHON = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


class Done(NamedTuple):
    code: int
    out: bytes
    err: str


class Commands:
    """Runs commands in a folder; what they left is in :meth:`spooled` or in the folder's graph."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder = folder
        self.state = state

    def environ(self, **more: str) -> dict[str, str]:
        return {**os.environ, "XDG_STATE_HOME": str(self.state), **more}

    def words(self, *words: str) -> list[str]:
        return [KINLORE, "run", *words]

    def __call__(self, *words: str, **more: str) -> Done:
        done = subprocess.run(
            self.words(*words), cwd=self.folder, env=self.environ(**more), capture_output=True, timeout=120
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def kinlore(self, *words: str, **more: str) -> Done:
        done = subprocess.run(
            [KINLORE, *words], cwd=self.folder, env=self.environ(**more), capture_output=True, timeout=120
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def python(self, *words: str) -> Done:
        """The Python that Kinlore is installed in."""
        done = subprocess.run(
            [sys.executable, *words], cwd=self.folder, env=self.environ(), capture_output=True, timeout=120
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.words(*words),
            cwd=self.folder,
            env=self.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def files(self) -> list[Path]:
        return sorted((self.state / "kinlore" / "spool").glob("*.json"))

    def spooled(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text(encoding="utf-8")) for file in self.files()]

    def only(self) -> dict[str, Any]:
        (capture,) = self.spooled()
        return capture

    def configure(self) -> None:
        """From now on there is a graph in the folder."""
        (self.folder / "kinlore.toml").write_text("", encoding="utf-8")

    def runs(self) -> list[Node]:
        """The runs in the folder's graph."""
        with self.container() as container:
            return list(container.store.find(NodeKind.RUN, first=100).items)

    def container(self) -> Container:
        return Container(load(self.folder / "kinlore.toml", environ={}))
