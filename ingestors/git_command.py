"""Running git so that it runs nothing else, whatever the repository's own config says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from ingestors.source import SourceError, Unreachable

_NEUTRAL = (
    "core.fsmonitor=",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.attributesFile=/dev/null",
    "log.showSignature=false",
    "gpg.program=/bin/false",
    "diff.external=",
    "protocol.ext.allow=never",
    "safe.directory=*",
    "gc.auto=0",
    "maintenance.auto=false",
)
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}


def run_git(arguments: Sequence[str], *, stdin: bytes = b"", timeout: float, network: bool = False) -> bytes:
    """Run git with everything neutral that could run something else. Raises SourceError, Unreachable."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environ |= _ENVIRONMENT
    if network:
        # The user's own config may hold credentials; the remote's cannot reach us.
        environ["GIT_ALLOW_PROTOCOL"] = "https:http:ssh:git:file"
        environ["GIT_SSH_COMMAND"] = os.environ.get("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        for name in ("GIT_CONFIG_GLOBAL", "GIT_ASKPASS"):
            if name in os.environ:
                environ[name] = os.environ[name]
    else:
        environ["GIT_ALLOW_PROTOCOL"] = "none"
        environ["GIT_CONFIG_GLOBAL"] = os.devnull
    settings = [part for setting in _NEUTRAL for part in ("-c", setting)]
    try:
        done = subprocess.run(
            ["git", "--no-pager", *settings, *arguments],
            input=stdin, capture_output=True, timeout=timeout, env=environ, check=False,
        )  # fmt: skip
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
