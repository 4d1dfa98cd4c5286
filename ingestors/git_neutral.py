"""How git is called so that it runs nothing else, whatever a repository's own config says.

Standard library only: the client distribution ships this one file as it is.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

SETTINGS = (
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
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_PAGER": "cat",
    "LC_ALL": "C",
}


def command(arguments: Sequence[str]) -> list[str]:
    """The whole command line, for arguments such as ``-C folder rev-parse HEAD``."""
    settings = [part for setting in SETTINGS for part in ("-c", setting)]
    return ["git", "--no-pager", *settings, *arguments]


def offline(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a git that reads what is on disk: no variables of git's own, no protocol, no
    config but the repository's."""
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    return {**kept, **ENVIRONMENT, "GIT_ALLOW_PROTOCOL": "none", "GIT_CONFIG_GLOBAL": os.devnull}


def read(arguments: Sequence[str], timeout: float) -> bytes:
    """What git prints of what is on disk. Raises OSError where there is no git, and SubprocessError."""
    return subprocess.run(
        command(arguments),
        env=offline(os.environ), stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=True,
    ).stdout  # fmt: skip
