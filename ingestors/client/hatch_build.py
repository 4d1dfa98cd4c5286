"""Takes the files that Kinlore and its client share from where Kinlore has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHARED = (
    "graph_schema/redaction.py",
    "ingestors/digests.py",
    "ingestors/git_neutral.py",
    "ingestors/spool.py",
    "ingestors/worktree.py",
)


class SharedFiles(BuildHookInterface):  # type: ignore[misc, type-arg]
    """In the repository the files are taken from there; a source distribution has them already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the shared files to the build. Raises RuntimeError where one is missing."""
        here = Path(self.root)
        for shared in SHARED:
            name = f"kinlore_client/{Path(shared).name}"
            original = here.parent.parent / shared
            if original.is_file():
                build_data["force_include"][str(original)] = name
            elif not (here / name).is_file():
                raise RuntimeError(f"{shared} is missing: build in Kinlore's repository, or from an sdist")
