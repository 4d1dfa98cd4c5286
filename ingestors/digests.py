"""Digests of files and folders as DVC computes them, so that equal data is one thing in the graph.

Standard library only, from Python 3.9 on: the client distribution ships this one file as it is.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from typing import Any


def digest(place: str) -> dict[str, Any]:
    """``dvc.md5`` and ``size`` of a file; of a folder also ``files``. Raises OSError where nothing lies
    there or it cannot be read."""
    if not os.path.isdir(place):
        return {"dvc.md5": _md5(place), "size": os.stat(place).st_size}
    listed: list[dict[str, str]] = []
    size = 0
    for folder, _, names in os.walk(place, onerror=_refuse):
        for name in names:
            path = os.path.join(folder, name)
            size += os.stat(path).st_size
            listed.append({"md5": _md5(path), "relpath": os.path.relpath(path, place).replace(os.sep, "/")})
    listed.sort(key=lambda line: line["relpath"])
    whole = hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False).hexdigest()
    return {"dvc.md5": f"{whole}.dir", "size": size, "files": len(listed)}


def _md5(place: str) -> str:
    if not stat.S_ISREG(os.stat(place).st_mode):
        # A pipe would be read for ever.
        raise OSError(errno.EINVAL, "not a regular file", place)
    found = hashlib.md5(usedforsecurity=False)
    with open(place, "rb") as file:
        for chunk in iter(lambda: file.read(2**20), b""):
            found.update(chunk)
    return found.hexdigest()


def _refuse(problem: OSError) -> None:
    raise problem
