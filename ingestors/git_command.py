"""Running git so that it runs nothing else, whatever the repository's own config says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from ingestors.git_neutral import ENVIRONMENT, command, offline
from ingestors.source import SourceError, Unreachable


def run_git(arguments: Sequence[str], *, stdin: bytes = b"", timeout: float, network: bool = False) -> bytes:
    """Run git with everything neutral that could run something else. Raises SourceError, Unreachable."""
    environ = offline(os.environ)
    if network:
        # The user's own config may hold credentials; the remote's cannot reach us.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        environ |= ENVIRONMENT
        environ["GIT_ALLOW_PROTOCOL"] = "https:http:ssh:git:file"
        environ["GIT_SSH_COMMAND"] = os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        for name in ("GIT_CONFIG_GLOBAL", "GIT_ASKPASS"):
            if name in os.environ:
                environ[name] = os.environ[name]
    try:
        done = subprocess.run(
            command(arguments), input=stdin, capture_output=True, timeout=timeout, env=environ, check=False
        )
    except FileNotFoundError:
        raise SourceError("git is not installed, or not on the PATH") from None
    except subprocess.TimeoutExpired:
        raise Unreachable(f"git took longer than {timeout:.0f} s and was ended") from None
    if done.returncode:
        lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
        said = next(
            (line for line in lines if line.startswith("fatal:")), lines[-1] if lines else "no reason given"
        )
        message = f"git {_verb(arguments)}: {said.removeprefix('fatal: ')[:300]}"
        raise Unreachable(message) if network else SourceError(message)
    return done.stdout


def _verb(arguments: Sequence[str]) -> str:
    return arguments[2] if len(arguments) > 2 and arguments[0] in ("-C", "--git-dir") else arguments[0]
