"""The working tree of the code that runs."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from kinlore_client import git_neutral, worktree

_GIT_SECONDS = 10.0
#: Seconds for which an answer stands: a search over parameters starts many runs.
_FRESH = 5.0

_held: tuple[float, str, dict[str, Any]] = (-_FRESH, "", {})


def here() -> dict[str, Any]:
    """As :func:`kinlore_client.worktree.read`, of the main script's folder, else of the working one."""
    global _held
    folder = _folder()
    at, known, tree = _held
    if known != folder or time.monotonic() - at > _FRESH:
        tree = worktree.read(folder, lambda words: git_neutral.read(words, _GIT_SECONDS))
        _held = (time.monotonic(), folder, tree)
    return tree


def _folder() -> str:
    script = sys.argv[0] if sys.argv else ""
    if script and os.path.isfile(script):
        folder = os.path.dirname(os.path.realpath(script))
        # What a notebook or a launcher runs by lies in the environment, and not with the code.
        installed = os.path.realpath(sys.prefix) + os.sep
        if not folder.startswith(installed) and "site-packages" not in folder.split(os.sep):
            return folder
    return os.getcwd()
