"""Parameters of a run and the configuration of a deployment, and what of them changed. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from app.answers.cause_evidence import Setting
from app.lineage.differences import LOGGED, NOISE, of_properties
from graph_schema.kinds import NodeKind
from graph_schema.values import Node

#: Settings that say who did something and why, and change nothing.
_WHO = re.compile(r"(^|[._])(by|user|author|actor|owner|sender|url|link|description|message|reason|title)$")
#: So many states before with the same value make it one that is not changed lightly.
_STEADY = 4
#: So often was a value used before that it is nothing new; once may have been the same mistake.
_ROUTINE = 2
#: Bookkeeping of a deployment that is no configuration.
_NO_CONFIGURATION = ("environment", "service", "rollback", "status", "labels", "annotations")
#: What a deployment was told to consist of, as texts, by what those come to.
_ASKED = {"models": NodeKind.MODEL_VERSION, "images": NodeKind.ARTIFACT}


def parameters(run: Node) -> dict[str, Any]:
    """The parameters of a run under ``params``, the data that it logged under ``inputs``; nothing where it
    has no parameters."""
    held = run.properties.get("params")
    return {"params": held, "inputs": run.properties.get("inputs")} if isinstance(held, dict) else {}


def configuration(deployment: Node, known: Collection[NodeKind]) -> dict[str, Any]:
    """What a deployment is set to. ``known`` are the kinds of what is known to be deployed: these speak for
    themselves, and what was asked for counts where nobody knows what came of it."""
    left = {*_NO_CONFIGURATION, *(key for key, kind in _ASKED.items() if kind in known)}
    return {k: v for k, v in deployment.properties.items() if k not in left}


def changed_settings(mine: dict[str, Any], before: Sequence[dict[str, Any]]) -> list[Setting] | None:
    """What differs from the state before, and whether that value was there at some time before. None where
    there is nothing to compare."""
    if not before or not mine:
        return None
    found = []
    for each in of_properties(before[0], mine):
        if each.weight > NOISE and not _WHO.search(each.path):
            same = sum(all(d.path != each.path for d in of_properties(other, mine)) for other in before[1:])
            steady = len(before) >= _STEADY and all(
                all(d.path != each.path for d in of_properties(other, before[0]))
                for other in before[:_STEADY]
            )
            if each.path.startswith(LOGGED) and not steady:
                continue  # Data is mostly other data, which says nothing.
            path = each.path.removeprefix("params.")
            found.append(Setting(path, _shown(each.left), _shown(each.right), same >= _ROUTINE, steady))
    return found


def _shown(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
