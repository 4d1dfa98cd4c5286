"""What things ran on, side by side: interpreter, packages, hardware. Pure over the nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.lineage import differences
from app.lineage.differences import Difference
from graph_schema.normalise import package
from graph_schema.values import Node

#: Parts of a runtime, and what a difference in them usually means.
_PARTS = {
    "python": differences.RUNTIME,
    "image": differences.RUNTIME,
    "gpus": differences.RUNTIME,
    "machine": differences.FOLLOWS,
    "platform": differences.FOLLOWS,
    "cpus": differences.UNKNOWN_CONTENT,
    "memoryGb": differences.UNKNOWN_CONTENT,
    "lock": differences.FOLLOWS,
}
_PINNED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?\s*(?:===?\s*([^\s;,#]+))?.*")


def packages_of(node: Node) -> dict[str, str]:
    """Package → version of a runtime, as far as they are listed; ``""`` where no version is pinned."""
    listed = node.properties.get("packages")
    if isinstance(listed, Mapping):
        return {str(name): str(version) for name, version in listed.items()}
    found: dict[str, str] = {}
    for line in listed if isinstance(listed, list) else ():
        match = _PINNED.fullmatch(str(line).strip())
        if match:
            found[package(match[1])] = match[2] or ""
    return found


def parts_of(nodes: Sequence[Node]) -> tuple[dict[str, Any], dict[str, str]]:
    """Parts and packages of what one thing ran on: several tools may each know some of it."""
    parts: dict[str, Any] = {}
    packages: dict[str, str] = {}
    for node in nodes:
        parts.update({key: node.properties[key] for key in (*_PARTS, "packagesDigest", "lockFile")
                      if node.properties.get(key) not in (None, "", [])})  # fmt: skip
        packages.update(packages_of(node))
    return parts, packages


def compared(left: Sequence[Node], right: Sequence[Node]) -> Iterator[Difference]:
    """What differs. What only one side knows is unknown on the other, and not told as a difference."""
    if not left or not right:
        if left or right:
            a, b = (", ".join(node.name for node in side) or None for side in (left, right))
            text = f"what it ran on is known for the {'left' if left else 'right'} side only"
            yield Difference("runtime", a, b, differences.UNKNOWN_CONTENT, text, tuple(left), tuple(right))
        return
    (mine, some), (theirs, others) = parts_of(left), parts_of(right)
    if "platform" in mine and "platform" in theirs:
        # Both looked: what is not there is none.
        mine, theirs = {"gpus": None, **mine}, {"gpus": None, **theirs}
    for key in sorted(mine.keys() & theirs.keys() & _PARTS.keys()):
        if mine[key] != theirs[key]:
            yield Difference(f"runtime.{key}", mine[key], theirs[key], _PARTS[key])
    if some and others:
        yield from differences.of_values(some, others, "runtime.packages.", differences.RUNTIME)
    digests = mine.get("packagesDigest"), theirs.get("packagesDigest")
    if None not in digests and digests[0] != digests[1] and some == others:
        text = "installed packages differ, and none of those whose versions are listed"
        yield Difference("runtime.packages", *digests, differences.FOLLOWS, text)
