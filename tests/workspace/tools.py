"""The real programs, run so that nothing of the machine (config, user, clock) gets into the project."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.tool_venvs import tool


class ToolFailed(RuntimeError):
    """A program ended with an error; the text has its output."""


@dataclass(frozen=True)
class Tools:
    """Where the tools are. git comes from PATH."""

    mlflow_python: Path
    dvc: Path

    @classmethod
    def installed(cls) -> Self:
        """The pinned ones; makes their environments the first time."""
        return cls(tool("mlflow") / "python", tool("dvc") / "dvc")


def isolated_environment(folder: Path, tools: Tools, mlflow_url: str | None = None) -> dict[str, str]:
    """An environment for git, DVC and the training scripts of the project in `folder`."""
    private = folder / ".dvc" / "tmp" / "private"
    environment = {
        # DVC runs the stages with the first python of PATH.
        "PATH": os.pathsep.join([str(tools.mlflow_python.parent), os.environ["PATH"]]),
        "HOME": str(private),
        "LANG": "C.UTF-8",
        "LOGNAME": "dana",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "DVC_NO_ANALYTICS": "1",
        "DVC_GLOBAL_CONFIG_DIR": str(private / "global"),
        "DVC_SYSTEM_CONFIG_DIR": str(private / "system"),
        "DVC_SITE_CACHE_DIR": str(private / "site"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
    }
    if mlflow_url:
        environment["MLFLOW_TRACKING_URI"] = mlflow_url
    return environment


def run(command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> str:
    """Run to the end and return stdout, or raise ToolFailed with everything that it said."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolFailed(f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout
