"""MLflow's plugin: tags for every run that starts. MLflow loads it by its entry point."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from kinlore_client import failures, tree

#: What every MLflow takes as the value of a tag.
MAX_TAG = 4_900


class RunContext:
    """A run context provider, as MLflow spells it. Whatever goes wrong here, the run starts."""

    def in_context(self) -> bool:
        """Always; and from the first run on, failures are noticed."""
        with contextlib.suppress(Exception):
            failures.watch()
        return True

    def tags(self) -> dict[str, str]:
        """Tags of a run that starts now."""
        try:
            return tags(tree.here(), os.environ.get("KINLORE_RUN_ID"))
        except Exception:
            return {}


def tags(found: dict[str, Any], run: str | None) -> dict[str, str]:
    """MLflow's own tags on the code, where MLflow might not find them (in a notebook, without GitPython), and
    ``kinlore.dirty``, ``kinlore.diff``, ``kinlore.dvc``, ``kinlore.run``."""
    said = {
        "mlflow.source.git.commit": found.get("commit"),
        "mlflow.source.git.branch": found.get("branch"),
        "mlflow.source.git.repoURL": found.get("remote"),
        "kinlore.diff": found.get("diff"),
        "kinlore.run": run,
    }
    if "dirty" in found:
        said["kinlore.dirty"] = "true" if found["dirty"] else "false"
    if found.get("dvc"):
        said["kinlore.dvc"] = _fitting(found["dvc"])
    return {key: value for key, value in said.items() if value}


def _fitting(held: dict[str, str]) -> str:
    """Path → md5 as JSON, as many as fit into a tag, the shortest paths first."""
    chosen: dict[str, str] = {}
    size = 2
    for path in sorted(held, key=lambda path: (len(path), path)):
        size += len(json.dumps(path)) + len(held[path]) + 6
        if size > MAX_TAG:
            break
        chosen[path] = held[path]
    return json.dumps(chosen, sort_keys=True)
