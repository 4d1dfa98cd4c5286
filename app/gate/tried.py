"""What was already tried of a planned configuration: runs that have it, and how they ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from app.gate.asking import Ask
from app.gate.changes import Plan
from app.gate.report import Tried

_QUERY = """query($config: JSON!, $first: Int!) {
  experiments(config: $config, first: $first) {
    alreadyTried summary
    alike { similarity outcome same node { id name createdAt } differs { path left right } }
  }
}"""
_DIFFERENCES = 3


class Trials(msgspec.Struct, frozen=True):
    """``already``: a run has this very configuration. ``alike`` are the most alike first."""

    already: bool
    summary: str
    alike: tuple[Tried, ...]


def trials(ask: Ask, settings: Mapping[str, Any], first: int) -> Trials:
    """Runs whose configuration is like the planned one."""
    told = ask(_QUERY, {"config": dict(settings), "first": first})["experiments"]
    return Trials(told["alreadyTried"], told["summary"], tuple(_tried(each) for each in told["alike"]))


def already_tried(ask: Ask, plans: Sequence[Plan]) -> tuple[Tried, ...]:
    """Of configurations that a change brings, the runs that had the very same."""
    found: dict[str, Tried] = {}
    for plan in plans:
        for each in trials(ask, plan.settings, 5).alike:
            if each.same:
                found.setdefault(each.id, each)
    return tuple(found.values())


def _tried(told: Mapping[str, Any]) -> Tried:
    node = told["node"]
    when = f" on {node['createdAt'][:10]}" if node["createdAt"] else ""
    if told["same"]:
        text = f"{told['outcome']}{when} with this very configuration"
    else:
        differs = ", ".join(
            f"{each['path']} {_value(each['left'])} here, {_value(each['right'])} there"
            for each in told["differs"][:_DIFFERENCES]
        )
        more = len(told["differs"]) - _DIFFERENCES
        text = f"{told['outcome']}{when}; {differs}" + (f" and {more} more" if more > 0 else "")
    return Tried(node["id"], node["name"], told["outcome"], text, told["same"])


def _value(value: Any) -> str:
    if value is None:
        return "not set"
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= 40 else text[:39] + "…"
