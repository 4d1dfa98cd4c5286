"""What tells that a merged change was an attempt to fix an incident: claims that meet under the incident.

The change says "Fixes #7"; the incident's own source says that #7 is an incident. Neither knows of the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid5

from graph_schema.claims import Keyed
from graph_schema.identifiers import identifier
from graph_schema.times import Micros

RULE = "repair"
_SPACE = UUID("5f0a1c52-8f5e-5c55-9f0b-7d8f4f3f2b11")


def incident_known(incident: str, began: Micros, ended: Micros | None = None) -> Keyed:
    """``incident`` (an identifier) is an incident, open from ``began``; ``ended`` where it is over."""
    return Keyed(RULE, incident, "incident", incident, None, began, ended)


def repair(incident: str, change: str, merged: Micros, *, title: str, by: str | None) -> Keyed:
    """The pull or merge request ``change``, merged then, says that it fixes the incident."""
    return Keyed(RULE, incident, "change", change, None, merged, None, {"title": title, "by": by})


def repairs(
    fixed: Sequence[str], change: str, merged: Micros | None, *, title: str, by: str | None
) -> list[Keyed]:
    """What a pull request says of all that it fixes; nothing while it is not merged: it changed nothing."""
    if merged is None:
        return []
    return [repair(incident, change, merged, title=title, by=by) for incident in fixed]


def named(*parts: str) -> str:
    """The identifier of an attempt or a remediation that was found and not recorded: always the same one
    for the same things."""
    return identifier("kinlore", str(uuid5(_SPACE, " ".join(parts))))
